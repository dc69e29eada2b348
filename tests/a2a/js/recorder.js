// What an origin saw and sent, call by call, and the gates that its agent waits at. Both are for the checks only, and
// are reached on a port of their own, which no node knows of.
import express from 'express'

// A check names its calls with this header, to find them again.
const CHECK_HEADER = 'x-check'
const CALLS_MAX = 512
const GATES_MAX = 512

/** Keeps the last calls: the whole request, the whole response, and how it ended. */
export class Recorder {
  calls = []
  count = 0

  /** Middleware. It goes before whatever reads a body. */
  record = (request, response, next) => {
    const call = {
      check: request.headers[CHECK_HEADER] ?? '',
      method: request.method,
      target: request.originalUrl,
      headers: pairs(request.rawHeaders),
      request: [],
      response: [],
      end: 'open'
    }
    this.count += 1
    this.calls.push(call)
    if (this.calls.length > CALLS_MAX) this.calls.shift()
    const emit = request.emit
    request.emit = (event, ...rest) => {
      if (event === 'data') call.request.push(Buffer.from(rest[0]))
      return emit.call(request, event, ...rest)
    }
    for (const name of ['write', 'end']) {
      const send = response[name]
      response[name] = (chunk, ...rest) => {
        if (chunk && typeof chunk !== 'function') call.response.push(Buffer.from(chunk))
        return send.call(response, chunk, ...rest)
      }
    }
    response.on('close', () => { call.end = response.writableFinished ? 'whole' : 'gone' })
    next()
  }

  /** The calls that a check made, bodies in base64. */
  shown (check) {
    return this.calls.filter((call) => call.check === check).map((call) => ({
      ...call,
      request: Buffer.concat(call.request).toString('base64'),
      response: Buffer.concat(call.response).toString('base64')
    }))
  }
}

/** Named gates; each opening lets one pass, whoever comes first. */
export class Gates {
  gates = new Map()

  gate (name) {
    if (!this.gates.has(name)) {
      if (this.gates.size === GATES_MAX) this.gates.delete(this.gates.keys().next().value)
      this.gates.set(name, { openings: 0, waiting: [] })
    }
    return this.gates.get(name)
  }

  async wait (name) {
    const gate = this.gate(name)
    if (gate.openings > 0) gate.openings -= 1
    else await new Promise((resolve) => gate.waiting.push(resolve))
  }

  open (name) {
    const gate = this.gate(name)
    if (gate.waiting.length > 0) gate.waiting.shift()()
    else gate.openings += 1
  }
}

/** The application behind the port for the checks. */
export function control (recorder, gates) {
  const app = express()
  app.get('/calls', (request, response) => response.json({ calls: recorder.shown(request.query.check) }))
  app.get('/count', (_request, response) => response.json({ count: recorder.count }))
  app.post('/gates/:name', (request, response) => {
    gates.open(request.params.name)
    response.json({})
  })
  return app
}

function pairs (raw) {
  const found = []
  for (let at = 0; at < raw.length; at += 2) found.push([raw[at].toLowerCase(), raw[at + 1]])
  return found
}
