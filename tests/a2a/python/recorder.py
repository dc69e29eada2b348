"""What an origin saw and sent, call by call, and the gates that its agent waits at.

Both are for the checks only, and are reached on a port of their own, which no node knows of.
"""

import asyncio
import base64
from collections import OrderedDict, deque

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

# A check names its calls with this header, to find them again.
CHECK_HEADER = b"x-check"
CALLS_MAX = 512
GATES_MAX = 512


class Recorder:
    """ASGI middleware that keeps the last calls: the whole request, the whole response, and how it ended."""

    def __init__(self, app):
        self.app = app
        self.calls = deque(maxlen=CALLS_MAX)
        self.count = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        target = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        call = {
            "check": dict(scope["headers"]).get(CHECK_HEADER, b"").decode(),
            "method": scope["method"],
            "target": target.decode(),
            "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
            "request": bytearray(),
            "response": bytearray(),
            "end": "open",
        }
        self.calls.append(call)
        self.count += 1

        async def recorded_receive():
            event = await receive()
            if event["type"] == "http.request":
                call["request"] += event.get("body", b"")
            elif event["type"] == "http.disconnect" and call["end"] == "open":
                call["end"] = "gone"
            return event

        async def recorded_send(event):
            if event["type"] == "http.response.body":
                call["response"] += event.get("body", b"")
            await send(event)
            if event["type"] == "http.response.body" and not event.get("more_body") and call["end"] == "open":
                call["end"] = "whole"

        await self.app(scope, recorded_receive, recorded_send)

    def shown(self, check):
        """The calls that a check made, bodies in base64."""
        return [
            call | {part: base64.b64encode(call[part]).decode() for part in ("request", "response")}
            for call in self.calls
            if call["check"] == check
        ]


class Gates:
    """Named gates; each opening lets one pass, whoever comes first."""

    def __init__(self):
        self.gates = OrderedDict()

    def _gate(self, name):
        if name not in self.gates:
            if len(self.gates) == GATES_MAX:
                self.gates.popitem(last=False)
            self.gates[name] = asyncio.Semaphore(0)
        return self.gates[name]

    async def wait(self, name):
        await self._gate(name).acquire()

    def open(self, name):
        self._gate(name).release()


def control(recorder, gates):
    """The application behind the port for the checks."""

    async def calls(request):
        return JSONResponse({"calls": recorder.shown(request.query_params["check"])})

    async def count(_request):
        return JSONResponse({"count": recorder.count})

    async def open_gate(request):
        gates.open(request.path_params["name"])
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/calls", calls),
            Route("/count", count),
            Route("/gates/{name}", open_gate, methods=["POST"]),
        ]
    )
