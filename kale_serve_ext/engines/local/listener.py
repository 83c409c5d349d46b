"""The addresses of a service: held here through restarts and rollouts, answered from here while no model server can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus

from ...runner.access import Access, Headers, Refusal
from .state import Ports

BACKLOG = 512
MAX_CONNECTIONS = 256
"""How many are answered at a time; more wait in the queue."""
_PAUSE = 1.0
"""Seconds without a try to accept, after one failed."""
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
        self._why = why
        self._access = access
        self._answering = False
        self._is_short = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.http = _bound(wanted.http if wanted else 0, socket.SO_REUSEADDR)
        try:
            self.grpc = _bound(wanted.grpc if wanted else 0, socket.SO_REUSEPORT)
        except OSError:
            self.http.close()
            raise
        self.http.listen(BACKLOG)
        self.http.setblocking(False)

    @property
    def ports(self) -> Ports:
        return Ports(self.http.getsockname()[1], self.grpc.getsockname()[1])

    @property
    def access(self) -> Access:
        return self._access()

    def answer(self, on: bool) -> None:
        """Accept here and answer 503, or leave the connections to the model servers."""
        if on == self._answering:
            return
        self._answering = on
        if on:
            self._watch()
        else:
            self._rest()

    def close(self) -> None:
        self.answer(False)
        for task in self._tasks:
            task.cancel()
        self.http.close()
        self.grpc.close()

    def _watch(self) -> None:
        if self._answering:
            asyncio.get_running_loop().add_reader(self.http.fileno(), self._accept)

    def _rest(self) -> None:
        asyncio.get_running_loop().remove_reader(self.http.fileno())

    def _accept(self) -> None:
        while self._answering and len(self._tasks) < MAX_CONNECTIONS:
            try:
                connection, _ = self.http.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as exc:
                # Out of files or memory: whoever waits stays in the queue, and asking again at once would be all that
                # this process does.
                if not self._is_short:
                    sys.stderr.write(f"Not accepting connections for now: {exc}\n")
                self._is_short = True
                self._rest()
                asyncio.get_running_loop().call_later(_PAUSE, self._watch)
                return
            self._is_short = False
            task = asyncio.get_running_loop().create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._served)
        if self._answering:
            self._rest()

    def _served(self, task: asyncio.Task[None]) -> None:
        if len(self._tasks) >= MAX_CONNECTIONS:
            self._watch()
        self._tasks.discard(task)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=_MAX_HEAD)
        try:
            why = self.access.refuse_peer(connection.getpeername(), connection.getsockname())
            if why:
                # Whatever they would ask: their connection is not held for it.
                refusal: Refusal | None = Refusal(403, why)
            else:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
                refusal = self.access.refuse_request(*_parsed(head))
            writer.write(_answer(refusal.status, {"error": refusal.message}) if refusal else _answer(503, self._why()))
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


async def _read_away(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        continue


def _parsed(head: bytes) -> tuple[str, Headers]:
    """The method and the headers."""
    first, *lines = head.split(b"\r\n")
    split = (line.partition(b":") for line in lines if line)
    return first.partition(b" ")[0].decode("latin-1"), [(n.strip().lower(), value.strip()) for n, _, value in split]


def _answer(status: int, content: dict[str, str]) -> bytes:
    body = json.dumps(content).encode()
    retry = "retry-after: 1\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n{retry}"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _bound(port: int, option: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made
