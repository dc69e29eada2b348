// TCP, Noise, Yamux, Ping, Identify, and what a node makes of what a peer says of itself.
import { check, connect, expect, finish, given, multiaddrOf, seen, until } from './check.js'
import { member, plainPeer } from './peer.js'
import { readNetwork } from './record.js'

const network = readNetwork(given.genesis)
const [node] = given.nodes
const [plain, peer] = await Promise.all([plainPeer(network), member(network)])

await check('a plain peer connects over TCP, Noise and Yamux', async () => {
  const connection = await connect(plain, node, { sameNetwork: false })
  expect('Noise', connection.encryption === '/noise')
  expect('Yamux', connection.multiplexer === '/yamux/1.0.0')
})

await check('ping is answered', async () => {
  expect('a round trip', await plain.services.ping.ping(multiaddrOf(node)) >= 0)
})

await check('a peer that names the network is a member', async () => {
  await connect(peer, node, { sameNetwork: true })
})

await check('Identify tells network, protocols and the observed address', async () => {
  const [connection] = peer.getConnections()
  const told = await peer.services.identify.identify(connection)
  const id = network.id.toString('hex')
  expect(`this network's id in ${told.agentVersion}`, /^althing\/[0-9.]+ \([0-9a-f]{64}\)$/.test(told.agentVersion) && told.agentVersion.includes(id))
  expect(`the protocol version, not ${told.protocolVersion}`, told.protocolVersion === `/althing/${network.tag}/1`)
  const ours = ['kad/1', 'engine/1', 'meshsub/1.1.0', 'meshsub/1.0.0'].map((name) => `/althing/${network.tag}/${name}`)
  for (const protocol of [...ours, '/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', '/ipfs/ping/1.0.0']) {
    expect(`${protocol} among ${told.protocols}`, told.protocols.includes(protocol))
  }
  expect(`the address that this peer dialed from, not ${told.observedAddr}`, told.observedAddr?.toString().startsWith('/ip4/127.0.0.1/tcp/'))
})

await check('a peer of another network is sent away', async () => {
  const id = Buffer.alloc(32, 7)
  const stranger = await member({ id, tag: id.toString('hex').slice(0, 16) })
  const connection = await stranger.dial(multiaddrOf(node))
  await until('the connection to close', () => connection.status !== 'open')
  expect('no such peer', await seen(node, stranger) === undefined)
  await stranger.stop()
})

await finish(plain, peer)
