"""A client's gRPC connection, passed on as it is: who is at the other end is checked once, when it connects.

Nothing of a call is read. When the process is to end, the client is told in the server's place to make further calls on
another connection, and this one is kept until the calls under way have been answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from .backends import Backend, Link, connect
from .http2 import PREFACE, Frames, going_away


class Tunnel(asyncio.Protocol):
    """The client's side."""

    def __init__(self, backend: Backend, ended: Callable[[Link], None]) -> None:
        self._backend = backend
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._calls = Frames(skip=len(PREFACE))
        self._answers = Frames()
        self._open: set[int] = set()
        """The calls that are under way, by their streams."""
        self._told = False
        self._drains = False
        self._early = b""
        self._connecting: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether every call has been answered, and the client been told to make no more of them here."""
        return self._told and not self._open and self._answers.at_boundary

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._backend.join(self)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        calls = self._calls
        calls.feed(data)
        if calls.opened:
            self._backend.active()
        # A client has ended its side of a call long before that is answered; one that it gives up, it resets.
        self._open |= calls.opened
        self._open -= calls.reset
        for each in (calls.opened, calls.ended, calls.reset):
            each.clear()
        if self._server:
            self._server.write(data)
        else:
            self._early += data
            if self._transport:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.cut()
        self._ended(self)

    def pause_writing(self) -> None:
        if self._server:
            self._server.pause_reading()

    def resume_writing(self) -> None:
        if self._server:
            self._server.resume_reading()

    def drain(self) -> None:
        self._drains = True
        if self._answers.at_boundary:
            self._tell()

    def cut(self) -> None:
        self._backend.leave(self)
        for one in (self._transport, self._server):
            if one:
                one.close()

    def connected(self, transport: asyncio.Transport) -> None:
        if self._transport is None or self._transport.is_closing():
            transport.abort()
            return
        self._server = transport
        transport.write(self._early)
        self._transport.resume_reading()

    def answered(self, data: bytes) -> None:
        if self._transport is None:
            return
        answers = self._answers
        place = answers.feed(data)
        self._open -= answers.ended | answers.reset
        for each in (answers.opened, answers.ended, answers.reset):
            each.clear()
        if self._drains and not self._told and place >= 0:
            self._transport.write(data[:place])
            self._tell()
            data = data[place:]
        self._transport.write(data)
        if self.is_idle:
            self._backend.rested()

    def slow(self, on: bool) -> None:
        if self._transport and not self._transport.is_closing():
            if on:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _tell(self) -> None:
        if self._transport and not self._told:
            self._told = True
            self._transport.write(going_away())

    async def _connect(self) -> None:
        address = self._backend.grpc
        try:
            if address is not None:
                await connect(address, lambda: _Server(self))
        except OSError:
            self.cut()


class _Server(asyncio.Protocol):
    """The side of the process."""

    def __init__(self, client: Tunnel) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client.connected(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._client.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.cut()

    def pause_writing(self) -> None:
        self._client.slow(True)

    def resume_writing(self) -> None:
        self._client.slow(False)
