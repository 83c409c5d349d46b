"""The addresses of a service: held here through restarts and rollouts, answered from here while no model server can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable

from .state import Ports

BACKLOG = 512
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
    """

    def __init__(self, wanted: Ports | None, why: Callable[[], dict[str, str]]) -> None:
        self._why = why
        self._answering = False
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

    def answer(self, on: bool) -> None:
        """Accept here and answer 503, or leave the connections to the model servers."""
        if on == self._answering:
            return
        self._answering = on
        loop = asyncio.get_running_loop()
        if on:
            loop.add_reader(self.http.fileno(), self._accept)
        else:
            loop.remove_reader(self.http.fileno())

    def close(self) -> None:
        self.answer(False)
        for task in self._tasks:
            task.cancel()
        self.http.close()
        self.grpc.close()

    def _accept(self) -> None:
        while self._answering:
            try:
                connection, _ = self.http.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            task = asyncio.get_running_loop().create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=_MAX_HEAD)
        try:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            writer.write(_unavailable(self._why()))
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


def _unavailable(why: dict[str, str]) -> bytes:
    body = json.dumps(why).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
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
