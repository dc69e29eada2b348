// An agent that lives on a js-libp2p peer, found and shown by a node that asked the network.
import { keys } from '@libp2p/crypto'
import * as cborg from 'cborg'
import { ask, check, connect, expect, finish, given, until } from './check.js'
import { member, provide } from './peer.js'
import { agentDigest, card, did, inception, lease, makeKey, readNetwork, skillDigest } from './record.js'

const network = readNetwork(given.genesis)
const [first, second] = given.nodes
const [agent, recovery, nodeKey] = [makeKey(), makeKey(), makeKey()]
const privateKey = keys.privateKeyFromRaw(Buffer.concat([nodeKey.seed, nodeKey.public]))
const peer = await member(network, { privateKey })
const addresses = peer.getMultiaddrs().map((address) => address.toString().split('/p2p/')[0])
const served = [
  inception(network, agent, recovery),
  card(network, agent, { name: 'Far away', skills: [{ id: 'Interop/Serve' }] }, ['interop/serve']),
  lease(network, agent, nodeKey, peer.peerId.toString(), addresses)
]

/** Answers one request of the engine protocol: who has a skill, who is an agent; anything else is "busy". */
function answer (request) {
  const [tag, subject] = cborg.decode(request)
  const asked = tag === 2 ? 'interop/serve'.startsWith(subject) : tag === 3 && Buffer.from(subject).equals(agent.public)
  return cborg.encode(asked ? [1, served.length, served.map(({ bytes }) => bytes)] : [2])
}

/** A length of four bytes, then so many bytes. */
async function serve (stream) {
  let read = Buffer.alloc(0)
  for await (const chunk of stream) {
    read = Buffer.concat([read, Buffer.from(chunk.subarray())])
    if (read.length >= 4 && read.length >= 4 + read.readUInt32BE(0)) break
  }
  const response = answer(read.subarray(4))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(response.length)
  stream.send(Buffer.concat([length, response]))
  await stream.close()
}

await peer.handle(`/althing/${network.tag}/engine/1`, serve)
await connect(peer, first, { sameNetwork: true })

await check('an agent that only this peer has is found by a live lookup of another node', async () => {
  for (const digest of [agentDigest(network, agent), skillDigest(network, 'interop'), skillDigest(network, 'interop/serve')]) {
    await provide(peer, digest)
  }
  const found = await until('the agent', async () => {
    const { agents } = await ask(second, 'find', '--skill', 'interop/serve')
    return agents.find((found) => found.agent === did(agent))
  })
  expect(`its name, not ${found.name}`, found.name === 'Far away')
  expect(`it to come from the network, not the ${found.source}`, found.source === 'lookup')
  expect('its skill', found.skills.join() === 'interop/serve')
  expect('this peer to serve it', found.leases.some((lease) => lease.node === peer.peerId.toString()))
})

await check('its card and lease are shown with every signature verified', async () => {
  const shown = await ask(second, 'card', 'get', did(agent))
  expect(`the card ${served[1].id}, not ${shown.card}`, shown.card === served[1].id)
  expect('the bytes that were signed', shown.envelope === served[1].bytes.toString('hex'))
  expect('this peer to serve it', shown.leases.some((lease) => lease.node === peer.peerId.toString()))
})

await finish(peer)
