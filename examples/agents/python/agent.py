"""An A2A agent that counts words, with the Python SDK. It knows nothing of Althing.

    pip install 'a2a-sdk[http-server]==1.3.0' uvicorn
    python agent.py [PORT]
"""

import socket
import sys

import uvicorn
from a2a.helpers.proto_helpers import get_message_text, new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from starlette.applications import Starlette


class WordCounter(AgentExecutor):
    async def execute(self, context, event_queue):
        await event_queue.enqueue_event(new_task_from_user_message(context.message))
        task = TaskUpdater(event_queue, context.task_id, context.context_id)
        count = len(get_message_text(context.message).split())
        await task.add_artifact([new_text_part(f"{count} words")], name="count")
        await task.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card(url):
    return AgentCard(
        name="Word counter",
        description="Counts the words of a text.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="1.0"),
            AgentInterface(url=url, protocol_binding="HTTP+JSON", protocol_version="1.0"),
        ],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[
            AgentSkill(
                id="text/count-words",
                name="Count words",
                description="Says how many words a text has.",
                tags=["text"],
            )
        ],
    )


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9999))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    handler = DefaultRequestHandler(
        agent_executor=WordCounter(), task_store=InMemoryTaskStore(), agent_card=card(url)
    )
    app = Starlette(
        routes=[
            *create_agent_card_routes(card(url)),
            *create_jsonrpc_routes(handler, "/"),
            *create_rest_routes(handler),
        ]
    )
    print(url, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
