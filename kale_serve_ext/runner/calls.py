"""What every gRPC call has: a line in the access log, and an answer to what fails, in the words of REST for it."""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote, unquote

import grpc

from .answers import is_of_the_request, message_of, report, status_of

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[object, object]

S = TypeVar("S", bound="Admitting")
R = TypeVar("R")
T = TypeVar("T")


class Admitting(Protocol):
    """A servicer that says whom it answers."""

    def admit(self, context: Context) -> None: ...


access = logging.getLogger("kale_serve.grpc")
_LINE = '%s - "gRPC %s %s" %s %.1f ms'
_WRITTEN_WITHIN = 0.1
"""Seconds."""

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_LONGEST = 6000
"""Bytes of an error's text as it goes over the wire: gRPC takes metadata of 8 KiB, and refuses what is longer."""


def code_of(status: int) -> grpc.StatusCode:
    """gRPC's word for an HTTP status of an error."""
    if status in _CODES:
        return _CODES[status]
    return grpc.StatusCode.INVALID_ARGUMENT if 400 <= status < 500 else grpc.StatusCode.INTERNAL


def answered(method: Callable[[S, R, Context], Awaitable[T]]) -> Callable[[S, R, Context], Awaitable[T]]:
    """A servicer's method that writes an access log line and answers whatever is raised with a status and a text.

    The line has the form of uvicorn's for REST: the client, what was asked for, how it ended; and how long it took.
    It is written a little later, with the time of the call.
    """
    name = getattr(method, "__name__", "call")

    @functools.wraps(method)
    async def call(self: S, request: R, context: Context) -> T:
        begun = time.perf_counter()
        code = grpc.StatusCode.CANCELLED
        try:
            self.admit(context)
            answer = await method(self, request, context)
            code = grpc.StatusCode.OK
            return answer
        except BaseException as exc:
            if not is_of_the_request(exc):
                raise
            code = code_of(status_of(exc))
            report(f"{name} {_model_of(request)}", exc)
            await context.abort(code, _fitting(message_of(exc)))
            raise AssertionError("abort always raises") from exc
        finally:
            took = (time.perf_counter() - begun) * 1000
            _lines.add(_client_of(context), name, _model_of(request), code.name, took)

    return call


class _Lines:
    """Lines of the access log, several at a time: writing one wakes whoever keeps the log, and clients come first."""

    def __init__(self) -> None:
        self._waiting: list[logging.LogRecord] = []
        atexit.register(self._write)

    def add(self, *told: str | float) -> None:
        if not access.isEnabledFor(logging.INFO):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(_WRITTEN_WITHIN, self._write)
        self._waiting.append(access.makeRecord(access.name, logging.INFO, "", 0, _LINE, told, None))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            access.handle(record)


_lines = _Lines()


def _model_of(request: object) -> str:
    """The model that is asked for; a name that could be taken for something else in a log is written with escapes."""
    name = str(getattr(request, "model_name", "") or getattr(request, "name", ""))[:200]
    return name if name.isprintable() and '"' not in name else repr(name)


def _client_of(context: Context) -> str:
    """The other side's address, as uvicorn writes it: ``ipv6:%5B::1%5D:5000`` is ``::1:5000``."""
    return unquote(context.peer()).partition(":")[2].replace("[", "").replace("]", "")


def _fitting(text: str) -> str:
    """The text, cut to what fits on the wire, where what is not ASCII takes three times its bytes."""
    plain = text.encode(errors="replace")[:_LONGEST].decode(errors="ignore")
    while len(quote(plain, safe=" ")) > _LONGEST:
        plain = plain[: len(plain) * 2 // 3]
    return plain
