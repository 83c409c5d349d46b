"""The addresses of a service: held here through restarts and rollouts, answered from here while no model server can.

Servers that take no inherited socket are reached through here for as long as they run.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Coroutine

from ...runner.access import Access, Headers, Refusal
from .edge.acceptor import Acceptor
from .edge.answers import answer
from .edge.backends import Backend, Backends, Link
from .edge.exchange import Client
from .edge.http2 import refusal as grpc_refusal
from .edge.tunnel import Tunnel
from .state import Ports

BACKLOG = 512
MAX_CONNECTIONS = 256
"""How many are answered at a time; more wait in the queue."""
MAX_FORWARDED = 1024
"""How many are passed on at a time, where this process may have so many files; more wait in the queue."""
_FILES_KEPT = 64
"""What this process opens besides."""
_HEAD_SECONDS = 10.0
_DRAIN_SECONDS = 1.0
_MAX_HEAD = 65536


class Listener:
    """A listening TCP socket that model servers inherit, and a reserved port for their gRPC.

    gRPC cannot take a socket over, so its port is held by one that is bound and does not listen: it gets no
    connections, and with SO_REUSEPORT the model servers of this user can bind beside it.

    Args:
        wanted: the ports of before, where there were some.
        why: phase and reason for those who connect while :meth:`answer` is on.
        access: who is told, now.
    """

    def __init__(self, wanted: Ports | None, why: Callable[[], dict[str, str]], access: Callable[[], Access]) -> None:
        self.why = why
        self.backends = Backends()
        self._access = access
        self._answering = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._forwarded: set[Link] = set()
        self._most = _most_forwarded()
        self.http = _bound(wanted.http if wanted else 0, socket.SO_REUSEADDR)
        try:
            self.grpc = _bound(wanted.grpc if wanted else 0, socket.SO_REUSEPORT)
        except OSError:
            self.http.close()
            raise
        self.http.listen(BACKLOG)
        self.http.setblocking(False)
        self._acceptor = Acceptor(self.http, self._take, self._has_room)
        self._grpc_acceptor: Acceptor | None = None
        self._grpc_listening: socket.socket | None = None

    @property
    def ports(self) -> Ports:
        return Ports(self.http.getsockname()[1], self.grpc.getsockname()[1])

    @property
    def access(self) -> Access:
        return self._access()

    def answer(self, on: bool) -> None:
        """Accept here and answer 503, or leave the connections to the model servers."""
        self._answering = on
        self._turn()

    def lead_to(self, backend: Backend) -> None:
        """Accept here, and pass on to this process among others."""
        self.backends.add(backend)
        self._turn()

    def leave(self, backend: Backend) -> None:
        """Lead no new connections there."""
        self.backends.remove(backend)
        self._turn()

    def close(self) -> None:
        self.backends = Backends()
        self.answer(False)
        for task in self._tasks:
            task.cancel()
        for each in list(self._forwarded):
            each.cut()
        self.http.close()
        self.grpc.close()

    def _turn(self) -> None:
        self._acceptor.turn(self._answering or bool(self.backends))
        wanted = self.backends.has_grpc()
        if wanted and self._grpc_listening is None:
            # Beside the one that holds the port: this one can be closed without losing it.
            self._grpc_listening = _bound(self.ports.grpc, socket.SO_REUSEPORT)
            self._grpc_listening.listen(BACKLOG)
            self._grpc_listening.setblocking(False)
            self._grpc_acceptor = Acceptor(self._grpc_listening, self._take_grpc, self._has_room)
            self._grpc_acceptor.turn(True)
        elif not wanted and self._grpc_listening is not None and self._grpc_acceptor is not None:
            self._grpc_acceptor.turn(False)
            self._grpc_listening.close()
            self._grpc_acceptor = self._grpc_listening = None

    def _take(self, connection: socket.socket) -> None:
        refused = self._why_refused(connection)
        if self.backends and not refused:
            self._forward(Client(self, self._ended), connection)
        else:
            self._start(self._serve(connection, refused))

    def _take_grpc(self, connection: socket.socket) -> None:
        refused = self._why_refused(connection)
        backend = self.backends.pick(grpc=True)
        if backend is not None and not refused:
            self._forward(Tunnel(backend, self._ended), connection)
            return
        with contextlib.suppress(OSError):
            connection.send(grpc_refusal(refused or "No process of this service answers now."), socket.MSG_DONTWAIT)
        connection.close()

    def _why_refused(self, connection: socket.socket) -> str:
        try:
            return self.access.refuse_peer(connection.getpeername(), connection.getsockname())
        except OSError:
            # It has gone already.
            return "The connection has ended."

    def _forward(self, link: Client | Tunnel, connection: socket.socket) -> None:
        # Counted before the next one is accepted.
        self._forwarded.add(link)
        self._start(self._pass_on(link, connection))

    async def _pass_on(self, link: Client | Tunnel, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: link, connection)
        except OSError:
            self._ended(link)

    def _ended(self, link: Link) -> None:
        was_full = not self._has_room()
        self._forwarded.discard(link)
        if was_full:
            self._look()

    def _has_room(self) -> bool:
        return len(self._tasks) < MAX_CONNECTIONS and len(self._forwarded) < self._most

    def _look(self) -> None:
        self._acceptor.look()
        if self._grpc_acceptor is not None:
            self._grpc_acceptor.look()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        if len(self._tasks) >= MAX_CONNECTIONS:
            self._look()
        self._tasks.discard(task)

    async def _serve(self, connection: socket.socket, refused: str) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=_MAX_HEAD)
        try:
            if refused:
                # Whatever they would ask: their connection is not held for it.
                refusal: Refusal | None = Refusal(403, refused)
            else:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
                refusal = self.access.refuse_request(*_parsed(head))
            writer.write(answer(refusal.status, {"error": refusal.message}) if refusal else answer(503, self.why()))
            await writer.drain()
            writer.write_eof()
            # Closed with unread bytes, the connection would be reset and the answer lost with it.
            await asyncio.wait_for(_read_away(reader), _DRAIN_SECONDS)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, OSError):
            return
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _most_forwarded() -> int:
    """Each takes two files, its own and that of the process's side."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_FORWARDED
    return min(MAX_FORWARDED, max(8, (soft - MAX_CONNECTIONS - _FILES_KEPT) // 2))


async def _read_away(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        continue


def _parsed(head: bytes) -> tuple[str, Headers]:
    """The method and the headers."""
    first, *lines = head.split(b"\r\n")
    split = (line.partition(b":") for line in lines if line)
    return first.partition(b" ")[0].decode("latin-1"), [(n.strip().lower(), value.strip()) for n, _, value in split]


def _bound(port: int, option: int) -> socket.socket:
    # With its protocol named: asyncio sends at once (TCP_NODELAY) only where it sees that one.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made
