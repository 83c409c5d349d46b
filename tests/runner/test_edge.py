"""The outermost application of a model server."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from kale_serve_ext.runner.edge import MAX_REQUEST_BYTES, Edge


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    content_type = dict(scope["headers"]).get(b"content-type", b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"seen", content_type)]})
    await send({"type": "http.response.body", "body": b""})


def ask(edge: Edge, method: str = "POST", **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
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
    assert ask(Edge(echo), **headers)[1][b"seen"] == seen


def test_a_request_too_large_is_refused_before_it_is_kept() -> None:
    status, headers, body = ask(Edge(echo), content_length=str(MAX_REQUEST_BYTES + 1))
    assert (status, headers[b"connection"]) == (413, b"close")
    assert "256 MiB" in json.loads(body)["error"]


def test_connections_are_closed_while_draining_and_requests_counted() -> None:
    edge = Edge(echo)
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

    asyncio.run(Edge(reader)({"type": "http", "method": "POST", "headers": []}, receive, send))
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], pieces, kept) == (413, [], [len(piece)])
