// Kademlia: FIND_NODE and provider records, in both directions.
import { ask, check, connect, expect, finish, given, metric } from './check.js'
import { key, member, plainPeer, provide } from './peer.js'
import { readNetwork, skillDigest } from './record.js'

const network = readNetwork(given.genesis)
const [node] = given.nodes
const [plain, bystander, one, other] = await Promise.all([plainPeer, plainPeer, member, member].map((peer) => peer(network)))
await Promise.all([plain, bystander].map((peer) => connect(peer, node, { sameNetwork: false })))

async function providers (peer, digest) {
  const found = new Set()
  for await (const event of peer.services.dht.findProviders(key(digest), { signal: AbortSignal.timeout(10_000) })) {
    if (event.name === 'PROVIDER') event.providers.forEach(({ id }) => found.add(id.toString()))
  }
  return found
}

// Before the members come: they would take it themselves.
await check("a plain peer's provider record is not taken", async () => {
  const digest = skillDigest(network, 'interop/plain')
  const refused = () => metric(node, 'althing_net_announcements_total', 'refused_stranger')
  const before = await refused()
  await provide(plain, digest)
  expect('a refusal', await refused() > before)
  expect('no provider', !(await providers(bystander, digest)).has(plain.peerId.toString()))
})

await Promise.all([one, other].map((peer) => connect(peer, node, { sameNetwork: true })))

for (const [name, peer] of [['a member', one], ['a plain peer', plain]]) {
  await check(`${name} finds another peer through the node (FIND_NODE)`, async () => {
    for await (const event of peer.services.dht.findPeer(other.peerId, { signal: AbortSignal.timeout(10_000) })) {
      if (event.name !== 'FINAL_PEER') continue
      const addresses = event.peer.multiaddrs.map(String)
      const [listens] = other.getMultiaddrs().map((address) => address.toString().split('/p2p/')[0])
      expect(`${listens} among ${addresses}`, addresses.some((address) => address.startsWith(listens)))
      return
    }
    throw new Error('expected the peer')
  })
}

await check("a member's provider record is found by others through the node", async () => {
  const digest = skillDigest(network, 'interop/provided')
  await provide(one, digest)
  for (const peer of [other, plain]) {
    expect('the provider', (await providers(peer, digest)).has(one.peerId.toString()))
  }
})

await check('a skill published by a node is found under the key that the specification gives', async () => {
  const { node: id } = await ask(node, 'status')
  for (const path of ['text/translate/de', 'text/translate', 'text']) {
    expect(`a provider of ${path}`, (await providers(plain, skillDigest(network, path))).has(id))
  }
})

await finish(plain, bystander, one, other)
