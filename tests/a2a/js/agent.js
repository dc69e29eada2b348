// An agent of the JavaScript SDK that does what it is told; the first word says what.
//
//     say TEXT        answers with a message
//     make TEXT       a task whose artifact is the text
//     spell TEXT      the same, a letter a chunk
//     count N GATE    N chunks of one artifact; each but the first waits for the gate
//     wait GATE       works until the gate opens, or it is cancelled
//     ask             needs input, and makes an artifact of it
//     fail TEXT       a task that fails
//
// Prints one line of JSON, {"url", "control"}, when it is ready, and ends when it is told to. Unlike the Python agent
// it serves each binding below a path of its own.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Role, TaskState } from '@a2a-js/sdk'
import { AgentEvent, DefaultRequestHandler, InMemoryPushNotificationStore, InMemoryTaskStore } from '@a2a-js/sdk/server'
import { UserBuilder, agentCardHandler, jsonRpcHandler, restHandler } from '@a2a-js/sdk/server/express'
import express from 'express'
import { Gates, Recorder, control } from './recorder.js'

const PATHS = { JSONRPC: '/a2a/jsonrpc', 'HTTP+JSON': '/a2a/rest' }

const part = (value) => ({ content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: '' })
const textOf = (message) => message.parts.map(({ content }) => content.value).join('\n')

function message (text, contextId, taskId = '', messageId = randomUUID()) {
  return {
    messageId,
    contextId,
    taskId,
    role: Role.ROLE_AGENT,
    parts: [part(text)],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: []
  }
}

class Obedient {
  canceled = new Set()

  constructor (gates) {
    this.gates = gates
  }

  async execute (context, bus) {
    const { taskId, contextId, userMessage, task: answered } = context
    const [verb, ...words] = textOf(userMessage).split(' ')
    const rest = words.join(' ')
    // The same question gives the same bytes.
    const answer = `answer-to-${userMessage.messageId}`
    if (verb === 'say') return bus.publish(AgentEvent.message(message(rest, contextId, '', answer)))
    const status = (state, text) => ({
      state,
      message: text && message(text, contextId, taskId),
      timestamp: new Date().toISOString()
    })
    const report = (state, text) => {
      bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: status(state, text), metadata: undefined }))
    }
    const chunks = async (texts, gate) => {
      for (const [index, text] of texts.entries()) {
        if (gate && index > 0) await this.gates.wait(gate)
        if (this.canceled.delete(taskId)) return false
        bus.publish(AgentEvent.artifactUpdate({
          taskId,
          contextId,
          artifact: {
            artifactId: 'made',
            name: '',
            description: '',
            parts: [part(text)],
            metadata: undefined,
            extensions: []
          },
          append: index > 0,
          lastChunk: index === texts.length - 1,
          metadata: undefined
        }))
      }
      return true
    }
    const made = async (texts, gate) => {
      if (await chunks(texts, gate)) report(TaskState.TASK_STATE_COMPLETED)
    }
    bus.publish(AgentEvent.task(answered ?? {
      id: taskId,
      contextId,
      status: status(TaskState.TASK_STATE_SUBMITTED),
      artifacts: [],
      history: [userMessage],
      metadata: undefined
    }))
    report(TaskState.TASK_STATE_WORKING)
    if (answered) return made([textOf(userMessage)])
    switch (verb) {
      case 'make': return made([rest])
      case 'spell': return made([...rest])
      case 'count': return made(Array.from({ length: Number(words[0]) }, (_, index) => String(index + 1)), words[1])
      case 'wait':
        await this.gates.wait(rest)
        return made(['waited'])
      case 'ask': return report(TaskState.TASK_STATE_INPUT_REQUIRED, 'what?')
      case 'fail': return report(TaskState.TASK_STATE_FAILED, rest)
      default: return report(TaskState.TASK_STATE_REJECTED, `no such verb: ${verb}`)
    }
  }

  async cancelTask (taskId, bus) {
    this.canceled.add(taskId)
    const status = { state: TaskState.TASK_STATE_CANCELED, message: undefined, timestamp: new Date().toISOString() }
    bus.publish(AgentEvent.statusUpdate({ taskId, contextId: '', status, metadata: undefined }))
  }
}

function card (url) {
  return {
    name: 'Obedient (JavaScript)',
    description: 'Does what it is told, so that a client can be checked.',
    version: '1.0.0',
    supportedInterfaces: ['1.0', '0.3'].flatMap((protocolVersion) => Object.entries(PATHS).map(
      ([protocolBinding, path]) => ({ url: url + path, protocolBinding, protocolVersion, tenant: '' })
    )),
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: true, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [{
      id: 'obey-js',
      name: 'Obey',
      description: 'Does what it is told.',
      tags: ['test'],
      examples: [],
      inputModes: [],
      outputModes: [],
      securityRequirements: []
    }],
    signatures: []
  }
}

async function listen (app) {
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${server.address().port}`
}

// The SDK reports every fault of a caller, and the checks make many.
console.error = () => {}
console.warn = () => {}
const [gates, recorder, app] = [new Gates(), new Recorder(), express()]
const url = await listen(app)
const requestHandler = new DefaultRequestHandler(
  card(url),
  new InMemoryTaskStore(),
  new Obedient(gates),
  undefined,
  new InMemoryPushNotificationStore()
)
const legacyCompat = { enabled: true }
const options = { requestHandler, userBuilder: UserBuilder.noAuthentication, legacyCompat }
app.use(recorder.record)
app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler, legacyCompat }))
app.use(PATHS.JSONRPC, jsonRpcHandler(options))
app.use(PATHS['HTTP+JSON'], restHandler(options))
console.log(JSON.stringify({ url, control: await listen(control(recorder, gates)) }))
