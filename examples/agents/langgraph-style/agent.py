"""Two A2A agents behind one address, in the style of LangGraph's server: which of them a card is of, its query says.

    GET  /.well-known/agent-card.json?assistant_id=shout
    POST /a2a/shout                     JSON-RPC of A2A 0.3: message/send, message/stream, tasks/get

    pip install starlette uvicorn
    python agent.py [PORT]
"""

import json
import socket
import sys
import uuid
from collections import OrderedDict
from datetime import datetime, timezone

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

# What an assistant does with a text. In LangGraph, each would be a graph.
ASSISTANTS = {
    "shout": ("Writes a text in capitals.", str.upper),
    "mirror": ("Writes a text backwards.", lambda text: text[::-1]),
}
TASKS_MAX = 1_000


class Fault(Exception):
    """An error of JSON-RPC or A2A."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Assistants:
    def __init__(self, url):
        self.url = url
        self.tasks = OrderedDict()

    def card(self, name):
        what, _ = ASSISTANTS[name]
        return {
            "protocolVersion": "0.3.0",
            "name": name,
            "description": what,
            "version": "1.0.0",
            "url": f"{self.url}/a2a/{name}",
            "preferredTransport": "JSONRPC",
            "capabilities": {"streaming": True, "pushNotifications": False},
            "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain"],
            "skills": [{"id": f"text/{name}", "name": name, "description": what, "tags": ["text"]}],
        }

    def send(self, name, params):
        """Does the task that a message asks for."""
        message = params["message"]
        text = " ".join(part["text"] for part in message["parts"] if part["kind"] == "text")
        _, work = ASSISTANTS[name]
        task = {
            "kind": "task",
            "id": str(uuid.uuid4()),
            "contextId": message.get("contextId") or str(uuid.uuid4()),
            "status": {"state": "completed", "timestamp": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"},
            "artifacts": [
                {"artifactId": str(uuid.uuid4()), "name": "answer", "parts": [{"kind": "text", "text": work(text)}]}
            ],
            "history": [message],
        }
        self.tasks[task["id"]] = task
        if len(self.tasks) > TASKS_MAX:
            self.tasks.popitem(last=False)
        return task

    def events(self, name, params):
        """The same, as a stream of events."""
        task = self.send(name, params)
        of = {"taskId": task["id"], "contextId": task["contextId"]}
        yield task | {"status": {"state": "working"}, "artifacts": []}
        for artifact in task["artifacts"]:
            yield {"kind": "artifact-update", **of, "artifact": artifact, "append": False, "lastChunk": True}
        yield {"kind": "status-update", **of, "status": task["status"], "final": True}

    def task(self, params):
        try:
            return self.tasks[params["id"]]
        except KeyError:
            raise Fault(-32001, "Task not found") from None

    async def get_card(self, request):
        name = request.query_params.get("assistant_id")
        if name not in ASSISTANTS:
            return JSONResponse({"detail": f"no assistant {name}"}, status_code=404)
        return JSONResponse(self.card(name))

    async def post(self, request):
        name, identifier = request.path_params["assistant_id"], None
        try:
            if name not in ASSISTANTS:
                raise Fault(-32602, f"no assistant {name}")
            try:
                body = await request.json()
                identifier, method, params = body.get("id"), body["method"], body.get("params", {})
            except (ValueError, KeyError, AttributeError):
                raise Fault(-32600, "not a request of JSON-RPC") from None
            if method == "message/stream":
                lines = [self.line(identifier, result=event) for event in self.events(name, params)]
                return StreamingResponse((f"data: {line}\n\n" for line in lines), media_type="text/event-stream")
            if method == "message/send":
                result = self.send(name, params)
            elif method == "tasks/get":
                result = self.task(params)
            else:
                raise Fault(-32601, f"no method {method}")
        except (KeyError, TypeError):
            return self.fault(identifier, Fault(-32602, "Invalid params"))
        except Fault as fault:
            return self.fault(identifier, fault)
        return JSONResponse({"jsonrpc": "2.0", "id": identifier, "result": result})

    @staticmethod
    def fault(identifier, fault):
        error = {"code": fault.code, "message": str(fault)}
        return JSONResponse({"jsonrpc": "2.0", "id": identifier, "error": error})

    @staticmethod
    def line(identifier, **what):
        return json.dumps({"jsonrpc": "2.0", "id": identifier, **what})


def main():
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9999))
    assistants = Assistants(f"http://127.0.0.1:{listener.getsockname()[1]}")
    app = Starlette(
        routes=[
            Route("/.well-known/agent-card.json", assistants.get_card),
            Route("/a2a/{assistant_id}", assistants.post, methods=["POST"]),
        ]
    )
    print(assistants.url, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
