"""What stands between the socket and kserve's routes: the outermost ASGI application of a model server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from . import answers, budget

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_REQUEST_BYTES = 256 * 1024 * 1024
"""The largest request body, for REST and gRPC alike."""

_TOO_MANY = "The requests under way are too large together. Try again in a moment, or send fewer at once."
_JSON = (b"content-type", b"application/json")
_BINARY_HEADER = b"inference-header-content-length"
_CLOSE = (b"connection", b"close")
_LINGER = 10.0
"""Seconds that a client may go on sending what is thrown away: an answer before it has ended would be lost with the
connection."""


log = logging.getLogger("kserve")


class AsgiGuard:
    """Counts requests, refuses those that are too large or too many at once, closes connections once the server drains,
    and answers for what fails.

    A client that sends JSON without saying so (curl says that it is a form) is understood: kserve would take the body
    for something else and fail with a message about anything but the missing header. HEAD is answered as GET is, whose
    routes kserve has alone; uvicorn leaves the body out.

    Whatever a model's code raises, ``sys.exit()`` included, costs its own request and no other: Starlette raises such
    an error again behind the answer, and uvicorn would close the connection under the next request.
    """

    def __init__(self, app: ASGIApp, bodies: budget.Budget | None = None) -> None:
        self._app = app
        self.bodies = bodies or budget.of_process()
        self.requests = 0
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        exchange = _Exchange(receive, send, self)
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        elif scope["method"] == "POST":
            self.requests += 1
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"")
            if length.isdigit() and int(length) > self.largest:
                await refuse(scope, receive, send, 413, self.too_large)
                return
            if _BINARY_HEADER not in headers and not _says_what_it_is(headers.get(b"content-type", b"")):
                scope["headers"] = [h for h in scope["headers"] if h[0] != b"content-type"] + [_JSON]
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except BaseException as exc:
            if exchange.is_broken_off or not answers.is_of_the_request(exc):
                raise
            if exchange.refused:
                return
            if isinstance(exc, ClientDisconnect):
                log.warning("%s client disconnected before its request was complete", answers.printable(scope["path"]))
                return
            if scope.get(answers.REPORTED) is not exc:
                answers.report(scope["path"], exc)
            if not exchange.started:
                await answers.answer_to(exc)(scope, receive, exchange.send)
        finally:
            self.bodies.give_back(exchange.held)

    @property
    def largest(self) -> int:
        """Bytes that one request may have."""
        return min(MAX_REQUEST_BYTES, self.bodies.limit)

    @property
    def too_large(self) -> str:
        largest = self.largest
        return f"The request is larger than {f'{largest >> 20} MiB' if largest >= 1 << 20 else f'{largest} bytes'}."


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, receive: Receive, send: Send, edge: AsgiGuard) -> None:
        self._receive = receive
        self._send = send
        self._edge = edge
        self._complete = False
        self.held = 0
        """Bytes of its body that have been read."""
        self.refused = False
        """Whether it was too large, alone or with the others; then it has been answered so."""
        self.started = False
        """Whether the answer has begun."""

    @property
    def is_broken_off(self) -> bool:
        """Whether a part of the answer is on its way, so that only the end of the connection can tell of an error."""
        return self.started and not self._complete

    async def receive(self) -> Message:
        message = await self._receive()
        count, more = len(message.get("body", b"")), bool(message.get("more_body"))
        if self.refused:
            pass
        elif self.held + count > self._edge.largest:
            self.refused = True
            await _refuse(self._receive, self._send, 413, self._edge.too_large, more=more)
        elif not self._edge.bodies.take(count):
            self.refused = True
            await _refuse(self._receive, self._send, 503, _TOO_MANY, more=more)
        else:
            self.held += count
        return {"type": "http.disconnect"} if self.refused else message

    async def send(self, message: Message) -> None:
        if self.refused:
            return
        if message["type"] == "http.response.start":
            self.started = True
            if self._edge.draining:
                message["headers"] = [*message.get("headers", ()), _CLOSE]
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body")
        await self._send(message)


def _says_what_it_is(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind not in (b"", b"application/x-www-form-urlencoded", b"text/plain")


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, message: str) -> None:
    """Answer a request that is not read with an error, and close its connection."""
    headers = dict(scope["headers"])
    # Who asks first whether it may send is told without having sent.
    asks = headers.get(b"expect", b"").lower() == b"100-continue"
    sends = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    await _refuse(receive, send, status, message, more=sends and not asks)


async def _refuse(receive: Receive, send: Send, status: int, message: str, *, more: bool) -> None:
    if more:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_discard(receive), _LINGER)
    body = json.dumps({"error": message}).encode()
    headers = [_JSON, (b"content-length", str(len(body)).encode()), _CLOSE]
    if status == 503:
        headers.append((b"retry-after", budget.RETRY_AFTER.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _discard(receive: Receive) -> None:
    while (await receive()).get("more_body"):
        pass
