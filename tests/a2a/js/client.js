// The client of the JavaScript SDK, unchanged, against an agent that does what it is told (agent.js says what that is).
//
//     client.js check URL CONTROL [CALLER NODE]   runs every check by both bindings and both versions of the protocol
//     client.js lose URL CONTROL                  opens streams, prints "streaming", and expects each to end in errors
import { setTimeout as pause } from 'node:timers/promises'
import { Role, TaskState } from '@a2a-js/sdk'
import {
  ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory
} from '@a2a-js/sdk/client'
import {
  A2AError, TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError
} from '@a2a-js/sdk/errors'
import { Origin, check, expect, expectEqual, fresh, until } from './check.js'

const BINDINGS = ['JSONRPC', 'HTTP+JSON']
const VERSIONS = ['1.0', '0.3']
// Larger than a read of any buffer on the way, and not ASCII.
const LARGE = 'þing '.repeat(10_000)
// Nothing is ever sent to it: the agents have no sender.
const HOOK = 'https://1.1.1.1/hook'
// How long a stream may take to end when its agent's node is killed.
const LOSS_MS = 5_000

const text = (parts) => (parts ?? []).map(({ content }) => content.value).join('')
const named = (check) => ({ serviceParameters: { 'x-check': check } })

function request (words, { immediately = false, taskId = '', contextId = '' } = {}) {
  const part = { content: { $case: 'text', value: words }, metadata: undefined, filename: '', mediaType: 'text/plain' }
  return {
    tenant: '',
    message: {
      messageId: fresh('message'),
      contextId,
      taskId,
      role: Role.ROLE_USER,
      parts: [part],
      metadata: undefined,
      extensions: [],
      referenceTaskIds: []
    },
    configuration: { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: immediately },
    metadata: undefined
  }
}

/** The agent by one binding and one version, and every check of it. */
class Agent {
  constructor (client, origin, binding, version, caller) {
    Object.assign(this, { client, origin, binding, version, caller })
  }

  ask (words, options, more) {
    return this.client.sendMessage(request(words, options), more)
  }

  stream (words, more) {
    return this.client.sendMessageStream(request(words), more)
  }

  get (id) {
    return this.client.getTask({ tenant: '', id })
  }

  /** A task that waits at a gate. */
  async working () {
    const task = await this.ask(`wait ${fresh('gate')}`, { immediately: true })
    await until('the task to be at work', async () => {
      return (await this.get(task.id)).status.state === TaskState.TASK_STATE_WORKING
    })
    return task
  }

  cancelTask (id) {
    return this.client.cancelTask({ tenant: '', id, metadata: undefined })
  }

  async refused (kind, call) {
    const found = await call.catch((error) => error)
    expect(`${kind.name}, found ${found.stack ?? JSON.stringify(found)}`, this.isError(found, kind))
  }

  /** By version 0.3 the SDK often does not read which error it is; one of the connection would be a TypeError. */
  isError (found, kind) {
    return found instanceof kind || (this.version === '0.3' && found instanceof Error && !(found instanceof TypeError))
  }

  /** An error that was sent. Of one in a stream of JSON-RPC the SDK makes an Error of no class, with its code. */
  async lost (call) {
    const found = await call.catch((error) => error)
    const isSent = this.isError(found, A2AError) || /\(Code: -\d+\)/.test(found.message)
    expect(`an error that was sent, found ${found.stack ?? JSON.stringify(found)}`, isSent)
  }

  async message () {
    expectEqual('the answer', text((await this.ask('say hello')).parts), 'hello')
  }

  async large () {
    expect('the text to come back unchanged', text((await this.ask(`say ${LARGE}`)).parts) === LARGE)
  }

  async task () {
    const task = await this.ask('make it')
    expectEqual('the state', task.status.state, TaskState.TASK_STATE_COMPLETED)
    expectEqual('the artifact', text(task.artifacts[0].parts), 'it')
  }

  async failure () {
    const task = await this.ask('fail why not')
    expectEqual('the state', task.status.state, TaskState.TASK_STATE_FAILED)
    expectEqual('the reason', text(task.status.message.parts), 'why not')
  }

  /** Each chunk but the first is made only when the one before it has arrived. */
  async streamInOrder () {
    const [gate, texts, states] = [fresh('gate'), [], []]
    for await (const { payload } of this.stream(`count 5 ${gate}`)) {
      if (payload.$case === 'artifactUpdate') {
        texts.push(text(payload.value.artifact.parts))
        expectEqual("the last chunk's mark", payload.value.lastChunk, texts.length === 5)
        await this.origin.open(gate)
      } else {
        states.push(payload.value.status.state)
      }
    }
    expectEqual('the chunks', texts, ['1', '2', '3', '4', '5'])
    expectEqual('the last state', states.at(-1), TaskState.TASK_STATE_COMPLETED)
  }

  async getTask () {
    const task = await this.ask('make it')
    const found = await this.get(task.id)
    expectEqual('the id', found.id, task.id)
    expectEqual('the artifact', text(found.artifacts[0].parts), 'it')
  }

  async list () {
    const contextId = fresh('context')
    const made = []
    for (const number of [1, 2, 3]) made.push((await this.ask(`make ${number}`, { contextId })).id)
    const { tasks } = await this.client.listTasks({
      tenant: '',
      contextId,
      status: TaskState.TASK_STATE_UNSPECIFIED,
      pageToken: '',
      statusTimestampAfter: undefined
    })
    expectEqual('the tasks', tasks.map(({ id }) => id).sort(), made.sort())
  }

  async inputRequired () {
    const task = await this.ask('ask')
    expectEqual('the state', task.status.state, TaskState.TASK_STATE_INPUT_REQUIRED)
    expectEqual('the question', text(task.status.message.parts), 'what?')
    const done = await this.ask('this', { taskId: task.id, contextId: task.contextId })
    expectEqual('the state', done.status.state, TaskState.TASK_STATE_COMPLETED)
    expectEqual('the artifact', text(done.artifacts[0].parts), 'this')
  }

  async cancel () {
    const task = await this.working()
    expectEqual('the state', (await this.cancelTask(task.id)).status.state, TaskState.TASK_STATE_CANCELED)
    expectEqual('the state', (await this.get(task.id)).status.state, TaskState.TASK_STATE_CANCELED)
  }

  /** Opens a stream that waits at a gate after its first chunk, and leaves it there. */
  async dropped (gate) {
    const [check, gone] = [fresh('dropped'), new AbortController()]
    let taskId
    for await (const { payload } of this.stream(`count 3 ${gate}`, { ...named(check), signal: gone.signal })) {
      if (payload.$case !== 'artifactUpdate') continue
      taskId = payload.value.taskId
      break
    }
    gone.abort()
    await until('the origin to see that the client went away', async () => {
      return (await this.origin.calls(check)).map(({ end }) => end).join() === 'gone'
    })
    return taskId
  }

  async clientGoesAway () {
    await this.dropped(fresh('gate'))
  }

  /** A stream is dropped; another takes its place and gets the rest. */
  async resubscribe () {
    const gate = fresh('gate')
    const id = await this.dropped(gate)
    let [found, state] = ['', undefined]
    for await (const { payload } of this.client.resubscribeTask({ tenant: '', id })) {
      if (payload.$case === 'statusUpdate') {
        state = payload.value.status.state
      } else {
        const artifacts = payload.$case === 'task' ? payload.value.artifacts : [payload.value.artifact]
        found += text(artifacts.flatMap(({ parts }) => parts))
        await this.origin.open(gate)
      }
    }
    expect(`the chunks that were missing, not "${found}"`, found.endsWith('23'))
    expectEqual('the last state', state, TaskState.TASK_STATE_COMPLETED)
  }

  async pushConfigs () {
    const { id: taskId } = await this.working()
    const name = { tenant: '', taskId, id: 'hook' }
    const ids = async () => {
      const page = { tenant: '', taskId, pageSize: 0, pageToken: '' }
      return (await this.client.listTaskPushNotificationConfig(page)).configs.map(({ id }) => id)
    }
    const config = { ...name, url: HOOK, token: 'secret', authentication: undefined }
    const made = await this.client.createTaskPushNotificationConfig(config)
    expectEqual('the URL', made.url, HOOK)
    const found = await this.client.getTaskPushNotificationConfig(name)
    expectEqual('the URL and the token', [found.url, found.token], [HOOK, 'secret'])
    expectEqual('the ids', await ids(), ['hook'])
    await this.client.deleteTaskPushNotificationConfig(name)
    expectEqual('the ids', await ids(), [])
    await this.cancelTask(taskId)
  }

  async unknownTask () {
    await this.refused(TaskNotFoundError, this.get(fresh('task')))
    await this.refused(TaskNotFoundError, this.cancelTask(fresh('task')))
  }

  async finishedTask () {
    const { id } = await this.ask('make it')
    await this.refused(TaskNotCancelableError, this.cancelTask(id))
    // By HTTP+JSON 0.3 the Python agent breaks the connection off instead.
    if (`${this.binding} ${this.version}` === 'HTTP+JSON 0.3') return
    await this.refused(UnsupportedOperationError, this.client.resubscribeTask({ tenant: '', id }).next())
  }

  async whoCalled () {
    const check = fresh('caller')
    await this.ask('say hello', {}, named(check))
    const [{ headers }] = await this.origin.calls(check)
    const found = ['althing-caller', 'althing-caller-node'].map((name) => Object.fromEntries(headers)[name])
    expectEqual('the caller that the origin sees', found, this.caller)
  }
}

/** The agent by everything that its card offers, each with its name; undefined in place of what is not offered. */
async function agents (url, origin, caller) {
  const legacyCompat = { enabled: true }
  const resolver = new DefaultAgentCardResolver({ legacyCompat })
  const factory = new ClientFactory(ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
    transports: [new JsonRpcTransportFactory({ legacyCompat }), new RestTransportFactory({ legacyCompat })]
  }))
  const card = await resolver.resolve(url.endsWith('/') ? url : `${url}/`, '.well-known/agent-card.json')
  const found = []
  for (const binding of BINDINGS) {
    for (const version of VERSIONS) {
      const supportedInterfaces = card.supportedInterfaces.filter(
        ({ protocolBinding, protocolVersion }) => protocolBinding === binding && protocolVersion === version
      )
      const name = `${binding} ${version}`
      const offered = await check(`${name} is offered`, async () => {
        expectEqual('the interfaces of the card', supportedInterfaces.length, 1)
        expect('it to be where the card is', supportedInterfaces[0].url.startsWith(url.replace(/\/$/, '')))
      })
      const client = offered && await factory.createFromAgentCard({ ...card, supportedInterfaces })
      found.push([name, client ? new Agent(client, origin, binding, version, caller) : undefined])
    }
  }
  return found
}

async function checkAll (url, control, ...caller) {
  for (const [name, agent] of await agents(url, new Origin(control), caller)) {
    if (!agent) continue
    await check(`${name} message`, () => agent.message())
    await check(`${name} large message`, () => agent.large())
    await check(`${name} task`, () => agent.task())
    await check(`${name} failed task`, () => agent.failure())
    await check(`${name} stream, in order and at once`, () => agent.streamInOrder())
    await check(`${name} get task`, () => agent.getTask())
    if (agent.version !== '0.3') await check(`${name} list tasks`, () => agent.list())
    await check(`${name} input required`, () => agent.inputRequired())
    await check(`${name} cancel task`, () => agent.cancel())
    await check(`${name} resubscribe`, () => agent.resubscribe())
    await check(`${name} client goes away`, () => agent.clientGoesAway())
    // By HTTP+JSON 0.3 the SDKs do not write them alike.
    if (name !== 'HTTP+JSON 0.3') await check(`${name} push configurations`, () => agent.pushConfigs())
    await check(`${name} unknown task`, () => agent.unknownTask())
    await check(`${name} finished task`, () => agent.finishedTask())
    if (caller.length > 0) await check(`${name} the origin knows the caller`, () => agent.whoCalled())
  }
}

/** The agent's node is killed once "streaming" stands there: each stream ends in an error that A2A defines. */
async function lose (url, control) {
  const found = await agents(url, new Origin(control), [])
  if (found.some(([, agent]) => !agent)) return
  const streams = []
  for (const [name, agent] of found) {
    const stream = agent.stream(`count 2 ${fresh('gate')}`)
    while ((await stream.next()).value.payload.$case !== 'artifactUpdate');
    streams.push([name, agent, stream])
  }
  console.log('streaming')
  // The first waits until the kill, the others need no longer than it.
  let limit
  for (const [name, agent, stream] of streams) {
    const lost = agent.lost(stream.next())
    await check(`${name} a lost stream ends in an A2A error`, () => Promise.race([lost, ...(limit ? [limit] : [])]))
    limit ??= pause(LOSS_MS).then(() => expect(`the end within ${LOSS_MS} ms`, false))
    limit.catch(() => {})
  }
  for (const [name, agent] of streams) {
    await check(`${name} a call to a lost agent is an A2A error`, () => agent.lost(agent.ask('say x')))
  }
}

await { check: checkAll, lose }[process.argv[2]](...process.argv.slice(3))
// Whatever still waits.
process.exit()
