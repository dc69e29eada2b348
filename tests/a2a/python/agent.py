"""An agent of the Python SDK that does what it is told; the first word says what.

    say TEXT        answers with a message
    make TEXT       a task whose artifact is the text
    spell TEXT      the same, a letter a chunk
    count N GATE    N chunks of one artifact; each but the first waits for the gate
    wait GATE       works until the gate opens, or it is cancelled
    ask             needs input, and makes an artifact of it
    fail TEXT       a task that fails

Prints one line of JSON, {"url", "control"}, when it is ready, and ends when it is told to.
"""

import asyncio
import json
import logging
import socket

import uvicorn
from a2a.helpers.proto_helpers import get_message_text, new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryPushNotificationConfigStore, InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Message, Role, TaskState
from recorder import Gates, Recorder, control
from starlette.applications import Starlette


class Obedient(AgentExecutor):
    def __init__(self, gates):
        self.gates = gates

    async def execute(self, context, event_queue):
        verb, _, rest = get_message_text(context.message).partition(" ")
        if verb == "say":
            # The same question gives the same bytes.
            await event_queue.enqueue_event(
                Message(
                    role=Role.ROLE_AGENT,
                    message_id=f"answer-to-{context.message.message_id}",
                    context_id=context.context_id,
                    parts=[new_text_part(rest)],
                )
            )
            return
        answered = context.current_task
        if answered is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        task = TaskUpdater(event_queue, context.task_id, context.context_id)
        await task.start_work()
        if answered is not None:
            await self._chunks(task, [get_message_text(context.message)])
            await task.complete()
        elif verb == "make":
            await self._chunks(task, [rest])
            await task.complete()
        elif verb == "spell":
            await self._chunks(task, rest)
            await task.complete()
        elif verb == "count":
            number, gate = rest.split(" ")
            await self._chunks(task, [str(number + 1) for number in range(int(number))], gate)
            await task.complete()
        elif verb == "wait":
            await self.gates.wait(rest)
            await self._chunks(task, ["waited"])
            await task.complete()
        elif verb == "ask":
            await task.requires_input(task.new_agent_message([new_text_part("what?")]))
        elif verb == "fail":
            await task.failed(task.new_agent_message([new_text_part(rest)]))
        else:
            await task.reject(task.new_agent_message([new_text_part(f"no such verb: {verb}")]))

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()

    async def _chunks(self, task, texts, gate=None):
        for index, text in enumerate(texts):
            if gate and index:
                await self.gates.wait(gate)
            await task.add_artifact(
                [new_text_part(text)],
                artifact_id="made",
                append=index > 0,
                last_chunk=index == len(texts) - 1,
            )


def card(url):
    return AgentCard(
        name="Obedient (Python)",
        description="Does what it is told, so that a client can be checked.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding=binding, protocol_version=version)
            for version in ("1.0", "0.3")
            for binding in ("JSONRPC", "HTTP+JSON")
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="obey-python", name="Obey", description="Does what it is told.", tags=["test"])],
    )


def listener():
    bound = socket.create_server(("127.0.0.1", 0))
    return bound, f"http://127.0.0.1:{bound.getsockname()[1]}"


async def main():
    # The SDK reports every fault of a caller, and the checks make many.
    logging.disable(logging.ERROR)
    (agent_socket, url), (control_socket, control_url) = listener(), listener()
    gates = Gates()
    handler = DefaultRequestHandler(
        agent_executor=Obedient(gates),
        task_store=InMemoryTaskStore(),
        agent_card=card(url),
        push_config_store=InMemoryPushNotificationConfigStore(),
    )
    recorder = Recorder(
        Starlette(
            routes=[
                *create_agent_card_routes(card(url)),
                *create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True),
                *create_rest_routes(handler, enable_v0_3_compat=True),
            ]
        )
    )
    servers = [
        (uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off")), bound)
        for app, bound in ((recorder, agent_socket), (control(recorder, gates), control_socket))
    ]
    print(json.dumps({"url": url, "control": control_url}), flush=True)
    await asyncio.gather(*(server.serve(sockets=[bound]) for server, bound in servers))


if __name__ == "__main__":
    asyncio.run(main())
