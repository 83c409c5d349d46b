"""A client's HTTP connection: the head of each request is checked, and the request passed on to a process.

One request at a time, as it comes and without being stored. Between two the connection belongs to no process: the next
request may go to another one, which is how a process is left that is about to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from ....runner.access import Access
from . import http1
from .answers import answer
from .backends import Backend, Backends, Link, connect

HEAD_SECONDS = 10.0
"""How long a head may take that has begun, and the first one of a connection."""
REST_SECONDS = 90.0
"""How long a client's connection is kept without a request."""
REUSED_SECONDS = 2.0
"""How long a process's connection may have rested to get another request. Servers end such ones, uvicorn after 5 s, and
a request that meets the end cannot be sent again: it may have reached the model."""
LINGER_SECONDS = 1.0
"""How long what a client goes on sending is thrown away behind an answer, which would be lost with the connection."""
_WEBSOCKET = b"websocket"
_CLOSE = b"connection: close\r\n\r\n"


class Edge(Protocol):
    """What a connection has to know of the address that it came to."""

    @property
    def backends(self) -> Backends: ...

    @property
    def access(self) -> Access: ...

    @property
    def why(self) -> Callable[[], dict[str, str]]:
        """Phase and reason, while no process answers."""
        ...


class Client(asyncio.Protocol):
    """The client's side, which leads."""

    def __init__(self, edge: Edge, ended: Callable[[Link], None]) -> None:
        self._edge = edge
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._server: _Server | None = None
        self._request: http1.Request | None = None
        """The one under way: until it has passed, and its answer."""
        self._head = b""
        self._answer: http1.Answer | None = None
        self._in = bytearray()
        """What has come and is not passed on yet: the next head, or what follows while there is no connection."""
        self._out = b""
        """The piece of an answer's head that has come."""
        self._tunnel = False
        self._discards = False
        """Whether it has been answered, and what comes is thrown away."""
        self._ends = False
        """Whether the connection ends behind the answer."""
        self._leaves = False
        """Whether the client is to be told so with the next answer that begins."""
        self._gone = False
        """Whether the client has said that it sends no more."""
        self._rested = 0.0
        """When the last answer had passed, in the loop's time."""
        self._is_reused = False
        """Whether the request is not the first one on the process's connection."""
        self._is_slow = False
        """Whether the process takes no more for now."""
        self._timer: asyncio.TimerHandle | None = None
        self._rests = False
        """Whether the timer is that of a connection without a request."""
        self._connecting: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return self._request is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._time(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._discards:
            return
        to = self._server.transport if self._server else None
        if to and self._tunnel:
            to.write(data)
            return
        if to and self._request and not self._in and not self._request.body.done:
            # The common way of a body: straight on.
            data = data[self._pass_body(self._request, to, data) :]
        if data:
            self._in += data
            self._go_on()

    def eof_received(self) -> bool:
        self._gone = True
        if self._tunnel and self._server:
            self._server.transport.write_eof()
            return True
        if self._is_cut_short():
            self._give_up()
            return False
        # Whoever sends no more may wait for the answer still.
        return self._request is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self._time(0.0)
        self._transport = None
        self._let_go()
        self._ended(self)

    def pause_writing(self) -> None:
        if self._server:
            self._server.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._server:
            self._server.transport.resume_reading()

    def drain(self) -> None:
        if not self._edge.backends:
            # With no other process to go to, the next request is still answered by this one.
            self._leaves = True
        elif self.is_idle:
            self._let_go()

    def cut(self) -> None:
        """The process is about to end: what is under way fails, and a connection without a request just ends."""
        self._close()

    def slow(self, on: bool) -> None:
        """The process takes no more for now, or again."""
        self._is_slow = on
        self._read()

    def connected(self, server: _Server) -> None:
        if self._transport is None or self._request is None:
            server.transport.abort()
            return
        self._server = server
        server.transport.write(self._head)
        self._go_on()
        if self._is_cut_short():
            self._give_up()
        self._read()

    def answered(self, server: _Server, data: bytes) -> None:
        if server is not self._server or self._transport is None:
            return
        if self._tunnel:
            self._transport.write(data)
            return
        try:
            self._pass_answer(self._transport, data)
        except http1.MalformedError:
            self._close(abort=True)

    def server_lost(self, server: _Server) -> None:
        server.backend.leave(self)
        if server is not self._server:
            return
        self._server = None
        reply = self._answer
        if self._request is None:
            # Servers end idle connections when they like. One that is left for another process need not be told.
            if not server.backend.draining or self._ends:
                self._close()
        elif reply is None and not self._out and not self._tunnel and self._is_reused:
            # The server may have ended it before the request came, or have ended with it. What servers do tells the
            # client just as much.
            self._close()
        elif reply is None and not self._out and not self._tunnel:
            self._say(502, {**self._edge.why(), "error": "The model server ended while it had this request."})
        elif reply and reply.body.done:
            self._end_reading()
        else:
            # Half of an answer has to be seen as such; one whose length is the connection's is complete.
            self._close(abort=not self._tunnel and not (reply and reply.body.by_end))

    def _go_on(self) -> None:
        """Do what can be done with what has come."""
        try:
            while self._in and not self._discards and self._transport:
                request = self._request
                if request is None:
                    end = http1.head_end(self._in)
                    if end < 0:
                        if self._timer is None or self._rests:
                            self._time(HEAD_SECONDS)
                        break
                    self._begin(http1.request(bytes(self._in[:end])), end)
                elif self._server is None or request.body.done:
                    # It is connected, or answered, first.
                    break
                else:
                    end = self._pass_body(request, self._server.transport, bytes(self._in))
                    del self._in[:end]
        except http1.MalformedError as error:
            self._say(400, {"error": str(error)})
        self._read()

    def _begin(self, request: http1.Request, end: int) -> None:
        self._time(0.0)
        refusal = self._edge.access.refuse_request(request.method, request.headers)
        if refusal:
            self._say(refusal.status, {"error": refusal.message})
            return
        backends = self._edge.backends
        server = self._server
        backend = server.backend if server else None
        if backend and backend.draining and backends:
            backend = server = None
        elif asyncio.get_running_loop().time() - self._rested > REUSED_SECONDS:
            server = None
        if server is None:
            self._let_go()
        self._is_reused = server is not None
        backend = backend or backends.pick()
        if backend is None:
            self._say(503, self._edge.why())
            return
        self._request, self._head = request, bytes(self._in[:end])
        del self._in[:end]
        self._ends = self._ends or request.last
        if request.method == "POST" or request.upgrade:
            backend.active()
        if server is None:
            backend.join(self)
            self._connecting = asyncio.get_running_loop().create_task(self._connect(backend))
        elif request.body.done or not self._in:
            server.transport.write(self._head)
        else:
            # Head and body in one piece.
            data = bytes(self._in)
            taken = request.body.take(data, 0)
            del self._in[:taken]
            server.transport.write(self._head + data[:taken])

    async def _connect(self, backend: Backend) -> None:
        try:
            await connect(backend.http, lambda: _Server(self, backend))
        except OSError as error:
            backend.leave(self)
            self._say(503, {**self._edge.why(), "error": f"The model server does not accept connections: {error}"})

    def _pass_body(self, request: http1.Request, to: asyncio.Transport, data: bytes) -> int:
        """Pass on what of ``data`` is the request's; returns how much that is."""
        try:
            end = request.body.take(data, 0)
        except http1.MalformedError:
            # A part of it is on its way, so that an answer would not tell whose it is.
            self._close(abort=True)
            return len(data)
        to.write(data[:end])
        self._complete()
        return end

    def _pass_answer(self, transport: asyncio.Transport, data: bytes) -> None:
        while data:
            request = self._request
            if request is None:
                raise http1.MalformedError("Nobody asked.")
            if self._answer is None:
                self._out += data
                end = http1.head_end(self._out)
                if end < 0:
                    return
                head, data, self._out = self._out[:end], self._out[end:], b""
                reply = http1.answer(head, request.method)
                if reply.status == 101:
                    self._switch(transport, request, head + data)
                    return
                if reply.status < 200:
                    transport.write(head)
                    continue
                self._answer = reply
                if (self._ends or self._leaves) and not reply.last:
                    head = head[:-2] + _CLOSE
                self._ends = self._ends or self._leaves or reply.last
                end = reply.body.take(data, 0)
                transport.write(head + data[:end])
            else:
                end = self._answer.body.take(data, 0)
                transport.write(data[:end])
            data = data[end:]
            self._complete()

    def _switch(self, transport: asyncio.Transport, request: http1.Request, data: bytes) -> None:
        """Go on in the protocol that was agreed upon: that of websockets, whose head was checked as any other."""
        if request.upgrade != _WEBSOCKET or self._server is None:
            raise http1.MalformedError("Another protocol was not asked for.")
        self._tunnel = True
        transport.write(data)
        if self._in:
            self._server.transport.write(bytes(self._in))
            self._in.clear()
        self._read()

    def _complete(self) -> None:
        """Where a request and its answer have both passed, the next one may come."""
        request, reply = self._request, self._answer
        if not request or not reply or not request.body.done or not reply.body.done:
            return
        self._request = self._answer = None
        self._rested = asyncio.get_running_loop().time()
        if self._ends or self._gone:
            self._close()
            return
        if self._server:
            self._server.backend.rested()
            if self._server.backend.draining and self._edge.backends:
                self._let_go()
        if self._in:
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._time(REST_SECONDS)
            self._rests = True

    def _is_cut_short(self) -> bool:
        """Whether the client has gone with half a request sent. What comes before there is a connection is kept."""
        return bool(self._gone and self._server and self._request and not self._request.body.done)

    def _give_up(self) -> None:
        """End on both sides, so that the process does not wait for the rest."""
        self._close(abort=not (self._answer and self._answer.body.done))

    def _say(self, status: int, content: Mapping[str, str]) -> None:
        """Answer in the place of a process, and end."""
        if self._transport and not self._discards:
            self._request = self._answer = None
            self._let_go()
            self._transport.write(answer(status, content))
            self._end_reading()

    def _end_reading(self) -> None:
        """Close where nothing more comes. Closed with unread bytes, a connection is reset, and the answer lost."""
        self._discards = True
        self._in.clear()
        self._read()
        if self._transport is None or self._gone:
            self._close()
            return
        self._transport.write_eof()
        self._time(LINGER_SECONDS)

    def _read(self) -> None:
        """Read of the client, unless there is enough that cannot be passed on."""
        if self._transport and not self._transport.is_closing():
            if (self._is_slow and self._server) or len(self._in) > http1.MAX_HEAD:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _let_go(self) -> None:
        """Of the process, and not of the client."""
        server, self._server, self._is_slow = self._server, None, False
        if server:
            server.backend.leave(self)
            server.transport.abort()

    def _close(self, abort: bool = False) -> None:
        self._let_go()
        transport, self._transport = self._transport, None
        self._time(0.0)
        if transport and abort:
            transport.abort()
        elif transport:
            transport.close()

    def _time(self, seconds: float) -> None:
        self._rests = False
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._close) if seconds else None


class _Server(asyncio.Protocol):
    """The other side: the connection to the process."""

    transport: asyncio.Transport

    def __init__(self, client: Client, backend: Backend) -> None:
        self._client = client
        self.backend = backend

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._client.connected(self)

    def data_received(self, data: bytes) -> None:
        self._client.answered(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.server_lost(self)

    def pause_writing(self) -> None:
        self._client.slow(True)

    def resume_writing(self) -> None:
        self._client.slow(False)
