// One line per check; the process fails if any of them did.
import { execFile } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { multiaddr } from '@multiformats/multiaddr'

const LIMIT_MS = 20_000
const run = promisify(execFile)

/** What the checks are given: two nodes, of which the second joined the first, and their network's genesis file. */
export const given = {
  althing: process.env.PROGRAM,
  genesis: process.env.GENESIS,
  nodes: [1, 2].map((number) => ({ home: process.env[`HOME_${number}`], address: process.env[`ADDRESS_${number}`] }))
}

/** Runs one check and says how it went. */
export async function check (name, work) {
  try {
    await work()
    console.log(`ok      ${name}`)
  } catch (error) {
    process.exitCode = 1
    console.log(`FAILED  ${name}\n        ${error.stack.replaceAll('\n', '\n        ')}`)
  }
}

export function expect (what, holds) {
  if (!holds) throw new Error(`expected ${what}`)
}

/** Ends the process, whatever still waits. */
export async function finish (...peers) {
  await Promise.allSettled(peers.map((peer) => peer.stop()))
  process.exit()
}

/** Looks until there is something. */
export async function until (what, look) {
  const end = Date.now() + LIMIT_MS
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error(`expected ${what} within ${LIMIT_MS} ms`)
    await pause(50)
  }
}

/** What a command of a node answers. */
export async function ask (node, ...words) {
  const { stdout } = await run(given.althing, ['--json', '--home', node.home, ...words])
  return JSON.parse(stdout)
}

/** How a node sees a peer, if it is connected. */
export async function seen (node, peer) {
  const { peers } = await ask(node, 'peers')
  return peers.find(({ node }) => node === peer.peerId.toString())
}

/** The sum of a node's metric over the series that have all of these labels. */
export async function metric (node, name, ...labels) {
  const { api } = await ask(node, 'status')
  const page = await (await fetch(`${api}/metrics`)).text()
  const lines = page.split('\n').filter((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** Connects a peer to a node; done when the node knows what the peer is. */
export async function connect (peer, node, { sameNetwork }) {
  const connection = await peer.dial(multiaddrOf(node))
  await until('the node to know the peer', async () => (await seen(node, peer))?.same_network === sameNetwork)
  return connection
}

export const multiaddrOf = (node) => multiaddr(node.address)
