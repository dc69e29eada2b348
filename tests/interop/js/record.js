// Records and keys as docs/spec/records.md and docs/spec/wire.md describe them; nothing here is taken from the Rust code.
import { createHash, createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as cborg from 'cborg'
import { base58btc } from 'multiformats/bases/base58'

const encode = (value) => cborg.encode(value)
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

/** Reads a genesis, given as bytes or as a file's name: its hash is the network's id. */
export function readNetwork (genesis) {
  const bytes = typeof genesis === 'string' ? readFileSync(genesis) : genesis
  const id = sha256(bytes)
  const created = cborg.decode(bytes, { useMaps: true }).get(2)
  return { id, tag: id.toString('hex').slice(0, 16), created }
}

/** An Ed25519 key: 32 raw bytes of each half. RFC 8410 says how a seed becomes a key that Node.js takes. */
export function makeKey (seed = randomBytes(32)) {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const { x } = createPublicKey(secret).export({ format: 'jwk' })
  return { seed, secret, public: Buffer.from(x, 'base64url') }
}

const signBytes = (key, bytes) => sign(null, bytes, key.secret)

/** The agent as text. */
export const did = (key) => `did:key:${base58btc.encode(Buffer.concat([Buffer.from([0xed, 0x01]), key.public]))}`

/** A signed record: COSE_Sign1 with the agent's own key. */
function record (network, key, { kind, placement, made, expires, body }) {
  const header = new Map([
    [1, -8],
    [-70001, key.public],
    [-70004, network.id],
    [-70006, kind],
    [-70007, new Map(placement)],
    [-70008, made]
  ])
  if (expires !== undefined) header.set(-70009, expires)
  const protectedHeader = encode(header)
  const payload = encode(new Map(body))
  const message = encode(['Signature1', protectedHeader, Buffer.from('althing/record/1'), payload])
  const bytes = Buffer.from(encode([protectedHeader, new Map(), payload, signBytes(key, message)]))
  return { bytes, id: sha256(message).toString('hex') }
}

/** `made` is given only to repeat an example. */
export function inception (network, key, recovery, made = network.created) {
  return record(network, key, {
    kind: 1,
    placement: [[0, 1], [1, 'identity'], [3, 0]],
    made,
    body: [[0, 1], [1, sha256(recovery.public)]]
  })
}

export function card (network, key, json, skills) {
  const made = Date.now()
  return record(network, key, {
    kind: 16,
    placement: [[0, 0], [1, ''], [2, made]],
    made,
    expires: made + 3_600_000,
    body: [[0, 1], [1, Buffer.from(JSON.stringify(json))], [2, skills]]
  })
}

/** "This agent is served at this node": signed by both. */
export function lease (network, key, node, peerId, addresses) {
  const made = Date.now()
  const expires = made + 600_000
  const promise = encode(['althing/lease/1', network.id, key.public, node.public, expires])
  return record(network, key, {
    kind: 17,
    placement: [[0, 0], [1, peerId], [2, made]],
    made,
    expires,
    body: [[0, 1], [1, node.public], [2, addresses], [3, signBytes(node, promise)]]
  })
}

const prefixed = (bytes) => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** The digest under which Kademlia finds who serves an agent. */
export const agentDigest = (network, key) =>
  sha256(prefixed(Buffer.from('althing/agent/1')), prefixed(network.id), prefixed(key.public))

/** The digest under which Kademlia finds who serves a skill. */
export const skillDigest = (network, path) =>
  sha256(prefixed(Buffer.from('althing/skill/1')), prefixed(network.id), prefixed(Buffer.from(path)), prefixed(Buffer.alloc(5)))
