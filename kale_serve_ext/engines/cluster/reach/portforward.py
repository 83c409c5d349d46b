"""A port of a service's pods, brought here by ``pods/portforward``: behind a unix socket that only this user reaches.

Each connection to the socket is one WebSocket to the API server, to a pod that is ready at that moment: when a pod
goes away its connections end, and the next ones lead to another.

Kubernetes' Python client forwards ports with a thread for each connection, and ``select``, which fails in a process
with more than 1024 open files; this goes by the loop that everything else goes by.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import BackendUnavailableError, KaleServeError

if TYPE_CHECKING:
    from tornado.websocket import WebSocketClientConnection

log = logging.getLogger(__name__)

PROTOCOL = "v4.channel.k8s.io"
"""Every frame begins with its channel's number, and the first one of each channel holds the port's."""

_DATA, _ERROR = 0, 1
_CHUNK = 1 << 16
_REFUSED = re.compile(r"refused|failed to connect|\bdial\b", re.IGNORECASE)
_numbers = itertools.count()


class PortClosed(BackendUnavailableError):
    """Nothing listens there."""


class Forward:
    """The unix socket, and what goes through it. Use it from one loop.

    Args:
        dial: opens a port-forward to a pod that is ready now.
        folder: where the socket is made; private to the user.
    """

    def __init__(self, dial: Callable[[], Awaitable[WebSocketClientConnection]], folder: Path) -> None:
        self._dial = dial
        self._folder = folder
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self.path = folder / f"forward-{os.getpid()}-{next(_numbers)}"
        self.trouble: KaleServeError | None = None
        """Why the latest connection did not lead to a pod."""
        self.lost = 0
        """How many connections to a pod have ended, not by this side: what was sent on them may have arrived."""

    async def start(self) -> None:
        """Listen; nothing is forwarded before somebody connects."""
        _sweep(self._folder)
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def close(self) -> None:
        """End every connection and remove the socket."""
        if self._server:
            self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways until either side ends it: the protocol has no half-closed connections."""
        tunnel = None
        leads_to_a_pod = False
        try:
            tunnel = await self._dial()
            self.trouble = None
            leads_to_a_pod = True
            up, down = asyncio.create_task(_up(reader, tunnel)), asyncio.create_task(_down(tunnel, writer))
            ways = [up, down]
            try:
                done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in done:
                    way.result()
                leads_to_a_pod = down in done
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except KaleServeError as error:
            self.trouble = error
            leads_to_a_pod = False
        except (OSError, _Closed):
            pass  # one of the two sides is gone, and the other learns it
        finally:
            # Before the other side can learn of the end.
            self.lost += leads_to_a_pod
            if tunnel:
                tunnel.close()
            writer.close()


class _Closed(Exception):
    """The WebSocket is closed."""


async def _up(reader: asyncio.StreamReader, tunnel: WebSocketClientConnection) -> None:
    from tornado.websocket import WebSocketClosedError

    while data := await reader.read(_CHUNK):
        try:
            await tunnel.write_message(bytes([_DATA]) + data, binary=True)
        except WebSocketClosedError as error:
            raise _Closed from error


async def _down(tunnel: WebSocketClientConnection, writer: asyncio.StreamWriter) -> None:
    ports: dict[int, bytes] = {}
    while frame := await tunnel.read_message():
        data = frame.encode() if isinstance(frame, str) else frame
        channel = data[0]
        if channel not in ports:
            ports[channel] = data[1:]
        elif channel == _ERROR:
            why = data[1:].decode(errors="replace")
            log.info("Port-forward: %s", why)
            # It also says so when a connection breaks under what was sent on it.
            if not _REFUSED.search(why):
                raise _Closed
            raise PortClosed(f"port {int.from_bytes(ports[channel], 'little')} of its pod")
        else:
            writer.write(data[1:])
            await writer.drain()


def _sweep(folder: Path) -> None:
    """Remove the sockets of processes that ended without doing so."""
    for path in folder.glob("forward-*-*"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.name.split("-")[1])
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                path.unlink()
