"""What stands between the socket and kserve's routes: the outermost ASGI application of a model server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_REQUEST_BYTES = 256 * 1024 * 1024
"""The largest request body, for REST and gRPC alike."""

_JSON = (b"content-type", b"application/json")
_BINARY_HEADER = b"inference-header-content-length"
_CLOSE = (b"connection", b"close")
_LINGER = 10.0
"""Seconds that a client may go on sending what is thrown away: an answer before it has ended would be lost with the
connection."""


class Edge:
    """Counts requests, refuses those that are too large, and closes connections once the server drains.

    A client that sends JSON without saying so (curl says that it is a form) is understood: kserve would take the body
    for something else and fail with a message about anything but the missing header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.requests = 0
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        read = 0
        refused = False

        async def counting_receive() -> Message:
            nonlocal read, refused
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_REQUEST_BYTES and not refused:
                refused = True
                await _refuse(receive, send, more=bool(message.get("more_body")))
            return {"type": "http.disconnect"} if refused else message

        async def closing_send(message: Message) -> None:
            if refused:  # and answered so
                return
            if self.draining and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _CLOSE]
            await send(message)

        if scope["method"] == "POST":
            self.requests += 1
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"")
            if length.isdigit() and int(length) > MAX_REQUEST_BYTES:
                # Who asks first whether it may send is told without having sent.
                await _refuse(receive, send, more=headers.get(b"expect", b"").lower() != b"100-continue")
                return
            if _BINARY_HEADER not in headers and not _says_what_it_is(headers.get(b"content-type", b"")):
                scope["headers"] = [h for h in scope["headers"] if h[0] != b"content-type"] + [_JSON]
        await self._app(scope, counting_receive, closing_send)


def _says_what_it_is(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind not in (b"", b"application/x-www-form-urlencoded", b"text/plain")


async def _refuse(receive: Receive, send: Send, *, more: bool) -> None:
    if more:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_discard(receive), _LINGER)
    body = b'{"error":"The request is larger than %d MiB."}' % (MAX_REQUEST_BYTES >> 20)
    headers = [_JSON, (b"content-length", str(len(body)).encode()), _CLOSE]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _discard(receive: Receive) -> None:
    while (await receive()).get("more_body"):
        pass
