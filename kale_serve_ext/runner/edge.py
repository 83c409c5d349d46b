"""What stands between the socket and kserve's routes: the outermost ASGI application of a model server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_REQUEST_BYTES = 256 * 1024 * 1024
"""The largest request body, for REST and gRPC alike."""

_JSON = (b"content-type", b"application/json")
_BINARY_HEADER = b"inference-header-content-length"
_CLOSE = (b"connection", b"close")


class Edge:
    """Counts requests, refuses those that are too large, and closes connections once the server drains.

    A client that sends JSON without saying so (curl says that it is a form) is understood: kserve would take the body
    for something else and fail with a message about anything but the missing header.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.requests = 0
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def closing_send(message: Message) -> None:
            if self.draining and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _CLOSE]
            await send(message)

        if scope["method"] == "POST":
            self.requests += 1
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"")
            if length.isdigit() and int(length) > MAX_REQUEST_BYTES:
                await _refuse(send)
                return
            if _BINARY_HEADER not in headers and not _says_what_it_is(headers.get(b"content-type", b"")):
                scope["headers"] = [h for h in scope["headers"] if h[0] != b"content-type"] + [_JSON]
        await self._app(scope, receive, closing_send)


def _says_what_it_is(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind not in (b"", b"application/x-www-form-urlencoded", b"text/plain")


async def _refuse(send: Send) -> None:
    body = b'{"error":"The request is larger than %d MiB."}' % (MAX_REQUEST_BYTES >> 20)
    headers = [_JSON, (b"content-length", str(len(body)).encode()), _CLOSE]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
