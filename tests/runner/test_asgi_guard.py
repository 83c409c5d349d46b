"""The outermost application of a model server."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from kale_serve_ext.runner.asgi_guard import MAX_REQUEST_BYTES, AsgiGuard
from kale_serve_ext.runner.budget import Budget


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    content_type = dict(scope["headers"]).get(b"content-type", b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"seen", content_type)]})
    await send({"type": "http.response.body", "body": b""})


def ask(edge: AsgiGuard, method: str = "POST", **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    given = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    asyncio.run(edge({"type": "http", "method": method, "headers": given}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize(
    ("headers", "seen"),
    [
        ({}, b"application/json"),
        ({"content_type": "text/plain; charset=utf-8"}, b"application/json"),
        ({"content_type": "application/cloudevents+json"}, b"application/cloudevents+json"),
        ({"inference_header_content_length": "10"}, b""),
    ],
)
def test_what_says_nothing_is_json(headers: dict[str, str], seen: bytes) -> None:
    assert ask(AsgiGuard(echo), **headers)[1][b"seen"] == seen


def test_a_request_too_large_is_refused_before_it_is_kept() -> None:
    status, headers, body = ask(AsgiGuard(echo), content_length=str(MAX_REQUEST_BYTES + 1))
    assert (status, headers[b"connection"]) == (413, b"close")
    assert "256 MiB" in json.loads(body)["error"]


def test_connections_are_closed_while_draining_and_requests_counted() -> None:
    edge = AsgiGuard(echo)
    assert b"connection" not in ask(edge)[1]
    edge.draining = True
    assert ask(edge)[1][b"connection"] == b"close"
    assert ask(edge, "GET")[1][b"connection"] == b"close"
    assert edge.requests == 2


@pytest.mark.parametrize("rest", [0, 3])
def test_a_body_without_a_length_is_counted(rest: int) -> None:
    """The rest of it is read and thrown away, so that the refusal is not lost with the connection."""
    piece = bytes(MAX_REQUEST_BYTES // 2 + 1)
    pieces: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for _ in range(2 + rest)]
    pieces[-1]["more_body"] = False
    sent: list[Message] = []
    kept: list[int] = []

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            kept.append(len(message["body"]))
        await send({"type": "http.response.start", "status": 400, "headers": []})

    async def receive() -> Message:
        return pieces.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(AsgiGuard(reader)({"type": "http", "method": "POST", "headers": []}, receive, send))
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], pieces, kept) == (413, [], [len(piece)])


def test_bodies_under_way_are_bounded_together() -> None:
    """A second one is refused while a first one is held, and taken when that has ended."""
    bodies = Budget(1000)
    edge = AsgiGuard(keep, bodies)

    async def ask_all() -> tuple[list[Message], list[Message], list[Message]]:
        free = asyncio.Event()
        first = asyncio.create_task(ask_with(edge, [b"x" * 600], free))
        await asyncio.sleep(0)
        assert bodies.held == 600
        second = await ask_with(edge, [b"x" * 300, b"x" * 300])
        free.set()
        return await first, second, await ask_with(edge, [b"x" * 900])

    first, second, third = asyncio.run(ask_all())
    assert [sent[0]["status"] for sent in (first, second, third)] == [200, 503, 200]
    assert dict(second[0]["headers"])[b"retry-after"]
    assert "Try again" in json.loads(second[1]["body"])["error"]
    assert bodies.held == 0


def test_one_that_alone_is_larger_than_all_may_be_is_too_large() -> None:
    bodies = Budget(1000)
    sent = asyncio.run(ask_with(AsgiGuard(keep, bodies), [b"x" * 600, b"x" * 600]))
    assert sent[0]["status"] == 413
    assert bodies.held == 0


async def keep(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, and answers when the test says so."""
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass
    if free := scope.get("free"):
        await free.wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask_with(edge: AsgiGuard, pieces: list[bytes], free: asyncio.Event | None = None) -> list[Message]:
    sent: list[Message] = []
    left = list(pieces)

    async def receive() -> Message:
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: Message) -> None:
        sent.append(message)

    await edge({"type": "http", "method": "POST", "path": "/", "headers": [], "free": free}, receive, send)
    return sent
