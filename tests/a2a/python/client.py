"""The client of the Python SDK, unchanged, against an agent that does what it is told (agent.py says what that is).

    client.py check URL CONTROL [CALLER NODE]   runs every check by both bindings and both versions of the protocol
    client.py lose URL CONTROL                  opens streams, prints "streaming", and expects them to end in an error
    client.py tell CARD TEXT ANSWER             tells any agent a text, by what the card at that URL offers first
"""

import asyncio
import sys
from contextlib import aclosing, suppress

import httpx
from a2a.client import A2ACardResolver, A2AClientError, ClientCallContext, ClientConfig, ClientFactory
from a2a.helpers.proto_helpers import get_artifact_text, get_message_text, new_text_part
from a2a.types import (
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    Message,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskNotCancelableError,
    TaskNotFoundError,
    TaskPushNotificationConfig,
    TaskState,
    UnsupportedOperationError,
)
from a2a.types.a2a_pb2 import ListTasksRequest
from a2a.utils.errors import A2AError
from check import Checks, Origin, expect, expect_equal, fresh, until

BINDINGS = ("JSONRPC", "HTTP+JSON")
VERSIONS = ("1.0", "0.3")
# Larger than a read of any buffer on the way, and not ASCII.
LARGE = "þing " * 10_000
# Nothing is ever sent to it: the agents have no sender.
HOOK = "https://1.1.1.1/hook"
# How long a stream may take to end when its agent's node is killed.
LOSS_SECONDS = 5


def message(text, **more):
    return Message(message_id=fresh("message"), role=Role.ROLE_USER, parts=[new_text_part(text)], **more)


def request(text, *, immediately=False, **more):
    return SendMessageRequest(
        message=message(text, **more), configuration=SendMessageConfiguration(return_immediately=immediately)
    )


def named(check):
    return ClientCallContext(service_parameters={"x-check": check})


class Agent:
    """The agent by one binding and one version, and every check of it."""

    def __init__(self, clients, origin, binding, version, caller):
        self.client, self.unary = clients
        self.origin = origin
        self.binding = binding
        self.version = version
        self.caller = caller

    async def ask(self, text, *, context=None, **more):
        """What comes back without streaming: a message or a task."""
        async for response in self.unary.send_message(request(text, **more), context=context):
            kind = response.WhichOneof("payload")
            return getattr(response, kind)

    def stream(self, text, *, context=None, **more):
        return self.client.send_message(request(text, **more), context=context)

    async def working(self, gate):
        """A task that waits at a gate."""
        task = await self.ask(f"wait {gate}", immediately=True)
        await until("the task to be at work", lambda: self.is_in(task.id, TaskState.TASK_STATE_WORKING))
        return task

    async def is_in(self, task_id, state):
        return (await self.client.get_task(GetTaskRequest(id=task_id))).status.state == state

    async def refused(self, error, call, *, streamed=False):
        # Which error it is, the SDK does not read by HTTP+JSON 0.3, nor in a stream of 0.3.
        error = A2AError if self.version == "0.3" and (streamed or self.binding == "HTTP+JSON") else error
        try:
            await call
        except error:
            return
        except Exception as other:
            raise AssertionError(f"expected {error.__name__}, found {other!r}") from other
        raise AssertionError(f"expected {error.__name__}, found an answer")

    async def message(self):
        answer = await self.ask("say hello")
        expect_equal("the answer", get_message_text(answer), "hello")

    async def large(self):
        answer = await self.ask(f"say {LARGE}")
        expect("the text to come back unchanged", get_message_text(answer) == LARGE)

    async def task(self):
        task = await self.ask("make it")
        expect_equal("the state", task.status.state, TaskState.TASK_STATE_COMPLETED)
        expect_equal("the artifact", get_artifact_text(task.artifacts[0]), "it")

    async def failure(self):
        task = await self.ask("fail why not")
        expect_equal("the state", task.status.state, TaskState.TASK_STATE_FAILED)
        expect_equal("the reason", get_message_text(task.status.message), "why not")

    async def stream_in_order(self):
        """Each chunk but the first is made only when the one before it has arrived."""
        gate, texts, states = fresh("gate"), [], []
        async for response in self.stream(f"count 5 {gate}"):
            kind = response.WhichOneof("payload")
            if kind == "artifact_update":
                texts.append(get_artifact_text(response.artifact_update.artifact))
                expect_equal("the last chunk's mark", response.artifact_update.last_chunk, len(texts) == 5)
                await self.origin.open(gate)
            elif kind == "status_update":
                states.append(response.status_update.status.state)
            elif kind == "task":
                states.append(response.task.status.state)
        expect_equal("the chunks", texts, ["1", "2", "3", "4", "5"])
        expect_equal("the last state", states[-1], TaskState.TASK_STATE_COMPLETED)

    async def get(self):
        task = await self.ask("make it")
        found = await self.client.get_task(GetTaskRequest(id=task.id))
        expect_equal("the id", found.id, task.id)
        expect_equal("the artifact", get_artifact_text(found.artifacts[0]), "it")

    async def list(self):
        context_id = fresh("context")
        made = [(await self.ask(f"make {number}", context_id=context_id)).id for number in range(3)]
        found = await self.client.list_tasks(ListTasksRequest(context_id=context_id))
        expect_equal("the tasks", sorted(task.id for task in found.tasks), sorted(made))

    async def input_required(self):
        task = await self.ask("ask")
        expect_equal("the state", task.status.state, TaskState.TASK_STATE_INPUT_REQUIRED)
        expect_equal("the question", get_message_text(task.status.message), "what?")
        task = await self.ask("this", task_id=task.id, context_id=task.context_id)
        expect_equal("the state", task.status.state, TaskState.TASK_STATE_COMPLETED)
        expect_equal("the artifact", get_artifact_text(task.artifacts[0]), "this")

    async def cancel(self):
        task = await self.working(fresh("gate"))
        canceled = await self.client.cancel_task(CancelTaskRequest(id=task.id))
        expect_equal("the state", canceled.status.state, TaskState.TASK_STATE_CANCELED)
        found = await self.client.get_task(GetTaskRequest(id=task.id))
        expect_equal("the state", found.status.state, TaskState.TASK_STATE_CANCELED)

    async def resubscribe(self):
        """A stream is dropped; another takes its place and gets the rest."""
        gate, check = fresh("gate"), fresh("dropped")
        async with aclosing(self.stream(f"count 3 {gate}", context=named(check))) as stream:
            async for response in stream:
                if response.WhichOneof("payload") == "artifact_update":
                    task_id = response.artifact_update.task_id
                    break
        await self.gone(check)
        texts, state = [], None
        async with aclosing(self.client.subscribe(SubscribeToTaskRequest(id=task_id))) as stream:
            async for response in stream:
                kind = response.WhichOneof("payload")
                if kind == "task":
                    texts += [get_artifact_text(artifact, "") for artifact in response.task.artifacts]
                    await self.origin.open(gate)
                elif kind == "artifact_update":
                    texts.append(get_artifact_text(response.artifact_update.artifact))
                    await self.origin.open(gate)
                elif kind == "status_update":
                    state = response.status_update.status.state
        expect("the chunks that were missing, not " + repr(texts), "".join(texts).endswith("23"))
        expect_equal("the last state", state, TaskState.TASK_STATE_COMPLETED)

    async def gone(self, check):
        async def look():
            return [call["end"] for call in await self.origin.calls(check)] == ["gone"]

        await until("the origin to see that the client went away", look)

    async def client_goes_away(self):
        check = fresh("gone")
        async with aclosing(self.stream(f"count 2 {fresh('gate')}", context=named(check))) as stream:
            async for response in stream:
                if response.WhichOneof("payload") == "artifact_update":
                    break
        await self.gone(check)

    async def push_configs(self):
        task = await self.working(fresh("gate"))
        made = await self.client.create_task_push_notification_config(
            TaskPushNotificationConfig(task_id=task.id, id="hook", url=HOOK, token="secret")
        )
        expect_equal("the URL", made.url, HOOK)
        found = await self.client.get_task_push_notification_config(
            GetTaskPushNotificationConfigRequest(task_id=task.id, id="hook")
        )
        expect_equal("the URL and the token", (found.url, found.token), (HOOK, "secret"))
        expect_equal("the ids", await self.hooks(task), ["hook"])
        # Some agents answer HTTP's "no content", which the SDK takes for an error.
        with suppress(A2AClientError):
            await self.client.delete_task_push_notification_config(
                DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="hook")
            )
        expect_equal("the ids", await self.hooks(task), [])
        await self.client.cancel_task(CancelTaskRequest(id=task.id))

    async def hooks(self, task):
        found = await self.client.list_task_push_notification_configs(
            ListTaskPushNotificationConfigsRequest(task_id=task.id)
        )
        return [config.id for config in found.configs]

    async def unknown_task(self):
        await self.refused(TaskNotFoundError, self.client.get_task(GetTaskRequest(id=fresh("task"))))
        await self.refused(TaskNotFoundError, self.client.cancel_task(CancelTaskRequest(id=fresh("task"))))

    async def finished_task(self):
        task = await self.ask("make it")
        await self.refused(TaskNotCancelableError, self.client.cancel_task(CancelTaskRequest(id=task.id)))
        stream = self.client.subscribe(SubscribeToTaskRequest(id=task.id))
        await self.refused(UnsupportedOperationError, anext(stream), streamed=True)

    async def who_called(self):
        check = fresh("caller")
        await self.ask("say hello", context=named(check))
        [call] = await self.origin.calls(check)
        found = [dict(call["headers"]).get(name) for name in ("althing-caller", "althing-caller-node")]
        expect_equal("the caller that the origin sees", found, self.caller)


async def agents(http, url, origin, caller):
    """The agent by everything that its card offers."""
    card = await A2ACardResolver(http, url).get_agent_card()
    for binding in BINDINGS:
        for version in VERSIONS:
            only = type(card)()
            only.CopyFrom(card)
            del only.supported_interfaces[:]
            only.supported_interfaces.extend(
                interface
                for interface in card.supported_interfaces
                if (interface.protocol_binding, interface.protocol_version) == (binding, version)
            )
            checks = Checks(f"{binding} {version}")

            async def offered(only=only):
                expect_equal("the interfaces of the card", len(only.supported_interfaces), 1)
                expect("it to be where the card is", only.supported_interfaces[0].url.startswith(url.rstrip("/")))

            await checks.check("is offered", offered)
            if checks.failed:
                yield checks, None
                continue
            clients = [
                ClientFactory(
                    ClientConfig(httpx_client=http, streaming=streaming, supported_protocol_bindings=[binding])
                ).create(only)
                for streaming in (True, False)
            ]
            yield checks, Agent(clients, origin, binding, version, caller)


async def check(url, control, *caller):
    failed = False
    async with httpx.AsyncClient(timeout=None) as http:
        async for checks, agent in agents(http, url, Origin(control), list(caller)):
            if agent is None:
                failed = True
                continue
            await checks.check("message", agent.message)
            await checks.check("large message", agent.large)
            await checks.check("task", agent.task)
            await checks.check("failed task", agent.failure)
            await checks.check("stream, in order and at once", agent.stream_in_order)
            await checks.check("get task", agent.get)
            if agent.version != "0.3":
                await checks.check("list tasks", agent.list)
            await checks.check("input required", agent.input_required)
            await checks.check("cancel task", agent.cancel)
            await checks.check("resubscribe", agent.resubscribe)
            await checks.check("client goes away", agent.client_goes_away)
            # By HTTP+JSON 0.3 the SDKs do not write them alike, and this one neither lists nor deletes them.
            if (agent.binding, agent.version) != ("HTTP+JSON", "0.3"):
                await checks.check("push configurations", agent.push_configs)
            await checks.check("unknown task", agent.unknown_task)
            await checks.check("finished task", agent.finished_task)
            if caller:
                await checks.check("the origin knows the caller", agent.who_called)
            failed |= checks.failed
    return failed


async def lose(url, control):
    """The agent's node is killed once "streaming" stands there: each stream ends in an error that A2A defines."""
    origin = Origin(control)
    async with httpx.AsyncClient(timeout=None) as http:
        found = [pair async for pair in agents(http, url, origin, [])]
        if any(agent is None for _, agent in found):
            return True
        streams = []
        for checks, agent in found:
            stream = agent.stream(f"count 2 {fresh('gate')}")
            async for response in stream:
                if response.WhichOneof("payload") == "artifact_update":
                    break
            streams.append((checks, agent, stream))
        print("streaming", flush=True)

        async def lost(response):
            try:
                found = await response
            except A2AError as error:
                # What the SDK makes of a connection that just ends.
                expect(f"an error that was sent, not {error!r}", "Network communication error" not in str(error))
                return
            raise AssertionError(f"expected an error, found {found}")

        # The first waits until the kill, the others need no longer than it.
        checks, _, stream = streams[0]
        await checks.check("a lost stream ends in an A2A error", lambda: lost(anext(stream)))
        async with asyncio.timeout(LOSS_SECONDS):
            for checks, _, stream in streams[1:]:
                await checks.check("a lost stream ends in an A2A error", lambda stream=stream: lost(anext(stream)))
        for checks, agent, _ in streams:
            await checks.check("a call to a lost agent is an A2A error", lambda agent=agent: lost(agent.ask("say x")))
        return any(checks.failed for checks, _, _ in streams)


async def tell(card_url, text, answer):
    checks, url = Checks("any agent"), httpx.URL(card_url)
    async with httpx.AsyncClient(timeout=None) as http:
        path = url.raw_path.decode()
        card = await A2ACardResolver(http, str(url.join("/"))).get_agent_card(relative_card_path=path)
        for streaming in (False, True):
            config = ClientConfig(httpx_client=http, streaming=streaming, supported_protocol_bindings=list(BINDINGS))
            client = ClientFactory(config).create(card)

            async def told(client=client):
                texts = []
                async for response in client.send_message(request(text)):
                    kind = response.WhichOneof("payload")
                    found = getattr(response, kind)
                    if kind == "message":
                        texts.append(get_message_text(found))
                    elif kind == "artifact_update":
                        texts.append(get_artifact_text(found.artifact))
                    elif kind == "task":
                        texts += [get_artifact_text(artifact) for artifact in found.artifacts]
                expect_equal("the answer", texts, [answer])

            await checks.check(f"{card.name}, {'a stream' if streaming else 'an answer'}", told)
    return checks.failed


if __name__ == "__main__":
    sys.exit(asyncio.run({"check": check, "lose": lose, "tell": tell}[sys.argv[1]](*sys.argv[2:])))
