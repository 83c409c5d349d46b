"""One MLMD server, called by gRPC: every call has a deadline, every failure is one of our errors.

The channel is a blocking one, used through its futures: unlike ``grpc.aio``'s it belongs to no event loop, so that one
connection serves a notebook's own loop and the background one alike, and no thread waits for an answer.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from ..errors import (
    BackendUnavailableError,
    ConflictError,
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    MetadataUnavailableError,
    NotFoundError,
    PermissionDeniedError,
    StorageFullError,
    TooLargeError,
)

if TYPE_CHECKING:
    import grpc

SERVICE = "/ml_metadata.MetadataStoreService/"
LARGEST_ANSWER = 256 * 1024 * 1024
ABORTS = 5
"""How often a call is sent again that lost against another writer's transaction."""

AWAYS = 5
"""How often a call is sent again to an engine that was away. More than once: one that is dying still listens."""

Answer = TypeVar("Answer", bound=Message)


class MetadataClient:
    """A connection that opens on the first call and opens again after the server was away.

    Args:
        target: gRPC's address of the server: ``unix:/path`` or ``host:port``.
        title: what to call the server in messages.
        timeout: seconds that one call may take.
        start: starts the server when nobody answers; the call is then made once more.
    """

    def __init__(
        self, target: str, *, title: str, timeout: float, start: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.title = title
        self._target = target
        self._timeout = timeout
        self._start = start
        self._channel: grpc.Channel | None = None
        self._lock = threading.Lock()

    async def call(self, request: Message, answer: type[Answer], *, timeout: float | None = None) -> Answer:
        """Send ``XRequest`` to the method ``X`` and give its ``XResponse``.

        Raises:
            NotFoundError, ConflictError, InvalidInputError: what the server says of the request.
            DeadlineExceededError: no answer in time.
            MetadataUnavailableError: nobody there.
        """
        import grpc

        method = request.DESCRIPTOR.name.removesuffix("Request")
        payload = request.SerializeToString()
        limit = timeout or self._timeout
        away = 0
        aborted = 0
        while True:
            channel = self._connected()
            code, text, data = await self._send(channel, method, payload, limit)
            if code is grpc.StatusCode.OK:
                return answer.FromString(data)
            if code is grpc.StatusCode.UNAVAILABLE and away < (AWAYS if self._start is not None else 1):
                if away:
                    await asyncio.sleep(0.05 * 2**away)
                away += 1
                if self._start is not None:
                    await self._start()
                self._drop(channel)
            elif code is grpc.StatusCode.ABORTED and aborted < ABORTS:
                aborted += 1
                await asyncio.sleep(random.uniform(0, 0.05 * 2**aborted))  # noqa: S311  # spreads rivals apart, no secret
            else:
                raise self._error(code, method, text, limit)

    async def close(self) -> None:
        """Let go of the connection. A later call opens it again."""
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _drop(self, channel: grpc.Channel) -> None:
        """Connect anew on the next call: a channel that lost its connection waits before it tries again. It closes
        itself when the last call on it has ended."""
        with self._lock:
            if self._channel is channel:
                self._channel = None

    async def _send(
        self, channel: grpc.Channel, method: str, payload: bytes, limit: float
    ) -> tuple[grpc.StatusCode, str, bytes]:
        import grpc

        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not answered.done():
                answered.set_result(None)

        def wake(_: object) -> None:
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                return  # The loop was closed meanwhile: nobody waits any more.

        send: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SERVICE + method)
        call = send.future(payload, timeout=limit)
        call.add_done_callback(wake)
        try:
            await answered
        except asyncio.CancelledError:
            call.cancel()
            raise
        code = call.code()
        if code is grpc.StatusCode.OK:
            return code, "", call.result()
        return code, call.details() or "", b""

    def _connected(self) -> grpc.Channel:
        import grpc

        with self._lock:
            if self._channel is None:
                self._channel = grpc.insecure_channel(
                    self._target,
                    options=[
                        ("grpc.max_receive_message_length", LARGEST_ANSWER),
                        ("grpc.enable_http_proxy", 0),
                        # Each client has a connection of its own, whatever else in the process talks to this server.
                        ("grpc.use_local_subchannel_pool", 1),
                    ],
                )
            return self._channel

    def _error(self, code: grpc.StatusCode, method: str, text: str, limit: float) -> KaleServeError:
        kind = _KINDS.get(code.name)
        if "database or disk is full" in text:
            return StorageFullError(
                f"{self.title} has no room left on its disk; nothing was recorded.",
                hint="Free some space there, then try again. What is recorded can still be read.",
            )
        if "database disk image is malformed" in text:
            return MetadataUnavailableError(
                f"{self.title} failed at {method}: its database is damaged.",
                hint="Restore a backup with `kale-serve-ext restore FILE`.",
            )
        if "readonly database" in text:
            return PermissionDeniedError(
                f"{self.title} cannot write to its disk, which is read-only; nothing was recorded.",
                hint="Make the disk writable, then try again. What is recorded can still be read.",
            )
        if kind is not None:
            return kind(f"{self.title} refused {method}: {_first_line(text)}")
        if code.name == "DEADLINE_EXCEEDED":
            return DeadlineExceededError(
                f"{self.title} did not answer {method} within {limit:g} s.",
                hint="It is stuck or very busy. Try again; KALE_SERVE_METADATA_TIMEOUT sets how long a call may take.",
            )
        if code.name == "UNAVAILABLE":
            return MetadataUnavailableError(
                f"{self.title} cannot be reached: {_first_line(text)}",
                hint="Check that it is running and that KALE_SERVE_METADATA names it correctly.",
            )
        if code.name == "UNIMPLEMENTED":
            return MetadataUnavailableError(
                f"{self.title} does not support the method {method}.",
                hint="Check that KALE_SERVE_METADATA names an MLMD server of schema version 10.",
            )
        return MetadataUnavailableError(
            f"{self.title} failed at {method} ({code.name}): {_first_line(text)}", hint="See the metadata engine's log."
        )


_KINDS: dict[str, type[KaleServeError]] = {
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": ConflictError,
    "INVALID_ARGUMENT": InvalidInputError,
    "FAILED_PRECONDITION": ConflictError,
    "RESOURCE_EXHAUSTED": TooLargeError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "UNAUTHENTICATED": PermissionDeniedError,
    "ABORTED": BackendUnavailableError,
}


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 300 else line[:300] + "…"
