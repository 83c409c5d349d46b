"""Connections that are closed when nobody has sent a request for a while.

A pool of httpx or urllib3 looks at its idle connections with the next request alone. Those to a service that is gone
get none: their sockets would stay in CLOSE-WAIT for as long as the process lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import httpx


class RestingTransport(httpx.AsyncBaseTransport):
    """A transport that is made when a request comes, and closed after ``rests`` seconds without one."""

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], rests: float) -> None:
        self._make = make
        self._rests = rests
        self._made: httpx.AsyncBaseTransport | None = None
        self._in_use = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def is_resting(self) -> bool:
        """Whether it holds no connection."""
        return self._made is None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._timer:
            self._timer.cancel()
        if self._made is None:
            self._made = self._make()
        self._in_use += 1
        try:
            answer = await self._made.handle_async_request(request)
        except BaseException:
            self._done()
            raise
        answer.stream = _Counted(cast("httpx.AsyncByteStream", answer.stream), self._done)
        return answer

    async def aclose(self) -> None:
        if self._timer:
            self._timer.cancel()
        made, self._made = self._made, None
        if made:
            await made.aclose()
        if self._closing:
            await asyncio.wait(self._closing)

    def _done(self) -> None:
        self._in_use -= 1
        if not self._in_use:
            self._timer = asyncio.get_running_loop().call_later(self._rests, self._rest)

    def _rest(self) -> None:
        made, self._made = self._made, None
        if made:
            task = asyncio.get_running_loop().create_task(made.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


class _Counted(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, done: Callable[[], None]) -> None:
        self._stream = stream
        self._done: Callable[[], None] | None = done

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece

    async def aclose(self) -> None:
        done, self._done = self._done, None
        try:
            await self._stream.aclose()
        finally:
            if done:
                done()


class Sweeper:
    """Calls ``close`` on a loop when nothing has been in :meth:`use` for ``rests`` seconds. Threads may use it.

    ``close`` is not called while something begins to be used.
    """

    def __init__(self, close: Callable[[], None], rests: float, loop: asyncio.AbstractEventLoop) -> None:
        self._close = close
        self._rests = rests
        self._loop = loop
        self._lock = threading.Lock()
        self._in_use = 0
        self._last = 0.0
        self._is_waiting = False

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """Costs next to nothing: the loop is woken once for all that is used in between."""
        with self._lock:
            self._in_use += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_use -= 1
                self._last = time.monotonic()
                wakes = not self._is_waiting
                self._is_waiting = True
            if wakes:
                with contextlib.suppress(RuntimeError):  # the loop is closed, and all goes with it
                    self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        with self._lock:
            left = self._rests if self._in_use else self._last + self._rests - time.monotonic()
            if left > 0:
                self._loop.call_later(left, self._look)
                return
            self._is_waiting = False
            self._close()
