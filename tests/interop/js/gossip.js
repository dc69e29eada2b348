// Gossip between two peers that know only the node between them.
import { readFileSync } from 'node:fs'
import { ask, check, connect, expect, finish, given, metric, until } from './check.js'
import { member, topic } from './peer.js'
import { card, did, inception, makeKey, readNetwork } from './record.js'

const network = readNetwork(given.genesis)
const [node] = given.nodes
// Kademlia would have them dial each other sooner or later.
const stranger = () => member(network, { connectionGater: { denyDialPeer: (id) => !node.address.endsWith(`/${id}`) } })
const [speaker, listener] = await Promise.all([stranger(), stranger()])
const directory = topic(network, 'directory')

const heard = new Set()
listener.services.pubsub.addEventListener('message', ({ detail }) => heard.add(Buffer.from(detail.data).toString('hex')))
for (const peer of [speaker, listener]) {
  peer.services.pubsub.subscribe(directory)
  await connect(peer, node, { sameNetwork: true })
}
await until('the node in the mesh of both', () =>
  [speaker, listener].every((peer) => peer.services.pubsub.getMeshPeers(directory).length === 1))

const publish = (bytes) => speaker.services.pubsub.publish(directory, bytes)
const hears = (bytes) => until('the message', () => heard.has(bytes.toString('hex')))
const rejected = () => metric(node, 'althing_net_gossip_messages_total', 'reject')
const [agent, recovery] = [makeKey(), makeKey()]

await check('the worked example of the specification comes out byte for byte', async () => {
  const fixture = (name) => Buffer.from(readFileSync(`${process.env.FIXTURES}/${name}`, 'utf8').replace(/\s/g, ''), 'hex')
  const golden = readNetwork(fixture('genesis.hex'))
  const keys = [1, 3].map((byte) => makeKey(Buffer.alloc(32, byte)))
  const example = inception(golden, ...keys, golden.created + 1_000)
  expect('the bytes of the fixture', example.bytes.equals(fixture('inception.hex')))
})

await check('an identity and a card made here are relayed to a peer that only the node knows', async () => {
  const began = inception(network, agent, recovery)
  const first = card(network, agent, { name: 'Gossiped', skills: [{ id: 'interop/gossip' }] }, ['interop/gossip'])
  for (const { bytes } of [began, first]) {
    await publish(bytes)
    await hears(bytes)
  }
  const shown = await ask(node, 'card', 'get', did(agent))
  expect(`the card ${first.id}, not ${shown.card}`, shown.card === first.id && shown.a2a.name === 'Gossiped')
  expect('no connection between the two', speaker.getConnections(listener.peerId).length === 0)
})

await check('a record with a wrong signature is not relayed', async () => {
  const before = await rejected()
  const forged = Buffer.from(card(network, agent, { name: 'Forged' }, []).bytes)
  forged[forged.length - 1] ^= 1
  await publish(forged)
  await until('a rejection', async () => await rejected() > before)
  const next = card(network, agent, { name: 'Still heard' }, [])
  await publish(next.bytes)
  await hears(next.bytes)
  expect('the forgery nowhere', !heard.has(forged.toString('hex')))
})

await check('after three wrong records its sender is not listened to', async () => {
  const before = await rejected()
  await publish(Buffer.from('no record at all'))
  await publish(Buffer.from('neither is this'))
  await until('two more rejections', async () => await rejected() >= before + 2)
  const late = card(network, agent, { name: 'Too late' }, [])
  await publish(late.bytes)
  // What the node accepts from another peer afterwards shows that it had its time.
  const friend = await stranger()
  friend.services.pubsub.subscribe(directory)
  await connect(friend, node, { sameNetwork: true })
  await until('the node in the mesh', () => friend.services.pubsub.getMeshPeers(directory).length === 1)
  const last = card(network, makeKey(), { name: 'Of a friend' }, [])
  await friend.services.pubsub.publish(directory, last.bytes)
  await hears(last.bytes)
  expect('the late one nowhere', !heard.has(late.bytes.toString('hex')))
  const { a2a } = await ask(node, 'card', 'get', did(agent))
  expect(`the card before, not ${a2a.name}`, a2a.name === 'Still heard')
  await friend.stop()
})

await finish(speaker, listener)
