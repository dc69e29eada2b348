// A js-libp2p peer, as docs/spec/wire.md describes one.
import { createHash } from 'node:crypto'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'

const kademlia = (network, clientMode) =>
  kadDHT({ protocol: `/althing/${network.tag}/kad/1`, clientMode, peerInfoMapper: passthroughMapper })

const base = {
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()]
}

/** A peer that names no network: it uses Kademlia and serves nothing. */
export function plainPeer (network) {
  return createLibp2p({
    ...base,
    services: { identify: identify(), ping: ping(), dht: kademlia(network, true) }
  })
}

/** A peer of the network: it says so in Identify, serves Kademlia and takes part in gossip. */
export function member (network, options = {}) {
  return createLibp2p({
    ...base,
    ...options,
    nodeInfo: { userAgent: `althing/js (${network.id.toString('hex')})` },
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      ping: ping(),
      dht: kademlia(network, false),
      pubsub: gossip(network)
    }
  })
}

/** Kademlia's key is the multihash `12 20 ‖ digest`; js-libp2p wants it wrapped. */
export const key = (digest) => CID.createV1(0x55, Digest.create(0x12, digest))

/** Announces a peer as a provider, to those that are closest to the key. */
export async function provide (peer, digest) {
  const events = peer.services.dht.provide(key(digest), { signal: AbortSignal.timeout(10_000) })
  while (!(await events.next()).done);
}

export const topic = (network, domain) => `/althing/${network.tag}/${domain}/1`

/** Gossipsub without signatures, under the network's protocol ids, with message ids that hash topic and data. */
function gossip (network) {
  return (components) => {
    const service = gossipsub({
      globalSignaturePolicy: 'StrictNoSign',
      msgIdFn: ({ topic, data }) => createHash('sha256').update(topic).update(data).digest()
    })(components)
    // The option of this name has no effect in this version.
    service.protocols = ['1.1.0', '1.0.0'].map((version) => `/althing/${network.tag}/meshsub/${version}`)
    return service
  }
}
