// One line per check; the process fails if any of them did.
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

const LIMIT_MS = 20_000

/** Runs one check within a limit, and says how it went. */
export async function check (name, work) {
  const limit = new AbortController()
  try {
    const late = pause(LIMIT_MS, undefined, { signal: limit.signal }).then(
      () => { throw new Failure(`expected an end within ${LIMIT_MS} ms`) },
      () => {}
    )
    await Promise.race([work(), late])
    console.log(`ok ${name}`)
    return true
  } catch (error) {
    process.exitCode = 1
    console.log(`not ok ${name}: ${error instanceof Failure ? error.message : error.stack}`)
    return false
  } finally {
    limit.abort()
  }
}

class Failure extends Error {}

export function expect (what, holds) {
  if (!holds) throw new Failure(`expected ${what}`)
}

export function expectEqual (what, found, expected) {
  const [one, other] = [found, expected].map((value) => JSON.stringify(value))
  expect(`${what} to be ${other}, found ${one}`, one === other)
}

export const fresh = (what) => `${what}-${randomUUID()}`

/** Looks until there is something. */
export async function until (what, look) {
  const end = Date.now() + LIMIT_MS
  for (;;) {
    const found = await look()
    if (found) return found
    expect(`${what} within ${LIMIT_MS} ms`, Date.now() < end)
    await pause(20)
  }
}

/** The port of an agent that is there for the checks. */
export class Origin {
  constructor (url) {
    this.url = url
  }

  async calls (check) {
    return (await (await fetch(`${this.url}/calls?check=${check}`)).json()).calls
  }

  async open (gate) {
    await fetch(`${this.url}/gates/${gate}`, { method: 'POST' })
  }
}
