"""What a call looks like on the wire, through the mesh and without it.

    wire.py same URL DIRECT CONTROL                 each request and its answer are the same at URL as at DIRECT
    wire.py bounds URL CONTROL CALLER NODE          what a node adds to a call, and which calls it does not let through
"""

import asyncio
import base64
import http.client
import json
import sys
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from check import Checks, Origin, expect, expect_equal, fresh

LIMIT_SECONDS = 20
# Said of one connection, not of the call (RFC 9110, section 7.6.1), and the time.
OF_THE_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "date"}
# Of the node, and of no client.
OF_THE_NODE = {"althing-caller", "althing-caller-node"}
# An agent that is in no network: the example of the did:key specification.
NOBODY = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


@dataclass
class Call:
    """A request, as bytes, and whether its answer has neither ids nor times in it."""

    name: str
    binding: str
    method: str
    path: str = ""
    body: bytes | None = None
    headers: dict = field(default_factory=dict)
    repeatable: bool = True
    chunked: bool = False


def message(text, **more):
    return {"messageId": "message-1", "contextId": "context-1", "role": "ROLE_USER", "parts": [{"text": text}], **more}


def rpc(name, method, params, **more):
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}, ensure_ascii=False).encode()
    return Call(f"{method}, {name}", "JSONRPC", "POST", body=body, **more)


def rest(name, method, path, params=None, **more):
    body = None if params is None else json.dumps(params, ensure_ascii=False).encode()
    return Call(f"{method} {path}, {name}", "HTTP+JSON", method, path, body, **more)


LARGE = message("say " + "þing " * 10_000)
CALLS = [
    rpc("a message", "SendMessage", {"message": message("say hello")}),
    rpc("a large message", "SendMessage", {"message": LARGE}),
    rpc("in chunks", "SendMessage", {"message": LARGE}, chunked=True),
    rpc("a task", "SendMessage", {"message": message("make it")}, repeatable=False),
    rpc("a message", "SendStreamingMessage", {"message": message("say hello")}),
    rpc("a task", "SendStreamingMessage", {"message": message("spell letters")}, repeatable=False),
    rpc("no such task", "GetTask", {"id": "nothing"}),
    rpc("no such method", "Nothing", {}),
    Call("not JSON", "JSONRPC", "POST", body=b"{"),
    Call("nothing", "JSONRPC", "POST", body=b""),
    rpc("another version", "GetTask", {"id": "nothing"}, headers={"A2A-Version": "9.9"}),
    rpc(
        "extensions",
        "GetTask",
        {"id": "nothing"},
        headers={"A2A-Extensions": "https://example.com/a,https://example.com/b"},
    ),
    rpc(
        "credentials and a trace",
        "GetTask",
        {"id": "nothing"},
        headers={
            "Authorization": "Bearer of-the-agent",
            "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "Tracestate": "vendor=1",
            "X-Other": "kept, as it is",
        },
    ),
    rest("a message", "POST", "/message:send", {"message": message("say hello")}),
    rest("a large message", "POST", "/message:send", {"message": LARGE}),
    rest("a task", "POST", "/message:send", {"message": message("make it")}, repeatable=False),
    rest("a message", "POST", "/message:stream", {"message": message("say hello")}),
    rest("a task", "POST", "/message:stream", {"message": message("spell letters")}, repeatable=False),
    rest("a query", "GET", "/tasks?contextId=none&pageSize=5&statusTimestampAfter=2025-10-28T10%3A30%3A00.000Z"),
    rest("no such task", "GET", "/tasks/nothing?historyLength=0"),
    rest("an escaped name", "GET", "/tasks/no%20thing%C3%BE"),
    rest("no such task", "POST", "/tasks/nothing:cancel"),
    rest("no such task", "POST", "/tasks/nothing:subscribe"),
    rest("no such configuration", "DELETE", "/tasks/nothing/pushNotificationConfigs/nothing"),
    rest("no such path", "GET", "/tasks/nothing/at/all"),
    rest("no such method", "PUT", "/tasks"),
]


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes


def send(base, call, check):
    """The answer to a call at an interface, as it is on the wire."""
    url = urlsplit(base)
    target = (url.path.rstrip("/") + call.path if call.path else url.path) or "/"
    headers = {"A2A-Version": "1.0", "Content-Type": "application/json", "Accept": "*/*", "x-check": check}
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=LIMIT_SECONDS)
    body = call.body
    if call.chunked:
        body = iter([body[:1000], body[1000:]])
    connection.request(call.method, target, body, headers | call.headers, encode_chunked=call.chunked)
    response = connection.getresponse()
    answer = Answer(response.status, [[name.lower(), value] for name, value in response.getheaders()], response.read())
    connection.close()
    return answer


def raw(base, head):
    """The status that a connection answers to these bytes, or None if it just closes."""

    async def exchange():
        url = urlsplit(base)
        async with asyncio.timeout(LIMIT_SECONDS):
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
            writer.write(head)
            line = await reader.readline()
            writer.close()
        return int(line.split(b" ")[1]) if line else None

    return exchange()


def without(headers, *names):
    return sorted([name, value] for name, value in headers if name not in set().union(*names))


async def interfaces(url):
    """Where the card at a URL says that each binding is, by version 1.0."""
    call = Call("the card", "", "GET", "/.well-known/agent-card.json")
    answer = await asyncio.to_thread(send, url, call, fresh("card"))
    expect_equal("the status of the card", answer.status, 200)
    return {
        found["protocolBinding"]: found["url"]
        for found in json.loads(answer.body)["supportedInterfaces"]
        if found["protocolVersion"] == "1.0"
    }


async def seen(origin, check):
    calls = await origin.calls(check)
    expect_equal("the number of calls that reached the origin", len(calls), 1)
    return calls[0]


async def compare(call, through, direct, origin):
    found = []
    for base in (through, direct):
        check = fresh("wire")
        answer = await asyncio.to_thread(send, base[call.binding], call, check)
        at_origin = await seen(origin, check)
        sent, received = (base64.b64decode(at_origin[part]) for part in ("response", "request"))
        expect("the client to get the bytes that the origin sent", answer.body == sent)
        expect("the origin to get the bytes that the client sent", (call.body or b"") == received)
        found.append((answer, at_origin))
    (answer, at_origin), (plain_answer, plain_at_origin) = found
    for part in ("method", "target"):
        expect_equal(f"the {part} at the origin", at_origin[part], plain_at_origin[part])
    left_out = (OF_THE_HOP, {"x-check"}, {"content-length"} if call.chunked else set())
    expect_equal(
        "the headers at the origin",
        without(at_origin["headers"], OF_THE_NODE, *left_out),
        without(plain_at_origin["headers"], *left_out),
    )
    expect_equal("the status", answer.status, plain_answer.status)
    # An id or a time more or less changes these.
    left_out = (OF_THE_HOP, set() if call.repeatable else {"content-length", "etag"})
    expect_equal("the headers", without(answer.headers, *left_out), without(plain_answer.headers, *left_out))
    if call.repeatable:
        expect_equal("the body", answer.body, plain_answer.body)


async def same(url, direct_url, control):
    origin, checks = Origin(control), Checks("wire")
    through, direct = await interfaces(url), await interfaces(direct_url)
    for call in CALLS:
        await checks.check(f"{call.binding} {call.name}", lambda call=call: compare(call, through, direct, origin))
    return checks.failed


async def bounds(url, control, *caller):
    origin, checks = Origin(control), Checks("wire")
    base = await interfaces(url)
    path, host = urlsplit(base["HTTP+JSON"]).path.rstrip("/"), urlsplit(url).netloc
    forged = {"Althing-Caller": NOBODY, "Althing-Caller-Node": "nobody", "Connection": "x-hop", "X-Hop": "1"}

    async def whose():
        check = fresh("forged")
        call = rest("a message", "POST", "/message:send", {"message": message("say hello")}, headers=forged)
        await asyncio.to_thread(send, base["HTTP+JSON"], call, check)
        headers = (await seen(origin, check))["headers"]
        expect_equal(
            "the caller", sorted(found for found in headers if found[0] in OF_THE_NODE),
            sorted(map(list, zip(("althing-caller", "althing-caller-node"), caller, strict=True))),
        )
        expect("no header of the client's connection", all(name != "x-hop" for name, _ in headers))

    await checks.check("the caller is whom the node says, and a hop's headers end there", whose)

    async def refused(head):
        before = await origin.count()
        status = await raw(url, head.encode())
        expect(f"a refusal, not {status}", status is None or 400 <= status < 500)
        expect_equal("the calls that reached the origin", await origin.count() - before, 0)

    targets = {
        "beside A2A": f"GET {path}/metrics",
        "above the agent": f"GET {path}/../../../metrics",
        "above the agent, escaped": f"GET {path}/%2e%2e/%2e%2e/metrics",
        "above the agent, escaped slashes": f"GET {path}/tasks/..%2f..%2f..%2fsecret",
        "a dot segment": f"GET {path}/tasks/./nothing",
        "another host's URL": "GET http://192.0.2.1/secret",
        "a tunnel": "CONNECT 192.0.2.1:80",
    }
    for name, line in targets.items():
        head = f"{line} HTTP/1.1\r\nHost: {host}\r\nA2A-Version: 1.0\r\n\r\n"
        await checks.check(f"does not let through: {name}", lambda head=head: refused(head))
    for name, lines in {
        "another site's page": f"Host: {host}\r\nOrigin: https://example.com",
        "another host's name": "Host: example.com",
    }.items():
        head = f"GET {path}/tasks HTTP/1.1\r\n{lines}\r\nA2A-Version: 1.0\r\n\r\n"
        await checks.check(f"does not let through: {name}", lambda head=head: refused(head))

    def mesh_error(details):
        detail = details[0]
        found = [detail["@type"], detail["reason"], detail["domain"]]
        expect_equal("the error", found, ["type.googleapis.com/google.rpc.ErrorInfo", "AGENT_NOT_FOUND", "althing.dev"])

    async def nobody():
        door = f"http://{host}/a2a/agents/{NOBODY}/"
        answer = await asyncio.to_thread(send, door, CALLS[0], fresh("nobody"))
        body = json.loads(answer.body)
        expect_equal("the status, id and code", [answer.status, body["id"], body["error"]["code"]], [200, 7, -32603])
        mesh_error(body["error"]["data"])
        call = rest("no agent", "GET", "/tasks")
        answer = await asyncio.to_thread(send, door, call, fresh("nobody"))
        body = json.loads(answer.body)
        expect_equal("the status and code", [answer.status, body["error"]["code"]], [404, 404])
        mesh_error(body["error"]["details"])

    await checks.check("an agent that is nowhere is an A2A error by each binding", nobody)
    return checks.failed


if __name__ == "__main__":
    sys.exit(asyncio.run({"same": same, "bounds": bounds}[sys.argv[1]](*sys.argv[2:])))
