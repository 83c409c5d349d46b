"""Taking connections from a listening socket, now and then not."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

_PAUSE = 1.0
"""Seconds without a try to accept, after one failed."""


class Acceptor:
    """Hands on what connects, while it is on.

    Args:
        listening: a socket that does not block; whoever made it closes it.
        take: gets each connection.
        has_room: whether another one can be taken; where not, they wait in the queue until :meth:`look`.
    """

    def __init__(
        self,
        listening: socket.socket,
        take: Callable[[socket.socket], None],
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._listening = listening
        self._take = take
        self._has_room = has_room
        self._on = False
        self._is_short = False

    def turn(self, on: bool) -> None:
        if on != self._on:
            self._on = on
            if on:
                self.look()
            else:
                self._rest()

    def look(self) -> None:
        """From now on again, where it is on."""
        if self._on:
            asyncio.get_running_loop().add_reader(self._listening.fileno(), self._accept)

    def _rest(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listening.fileno())

    def _accept(self) -> None:
        while self._on and self._has_room():
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as exc:
                # Out of files or memory: whoever waits stays in the queue, and asking again at once would be all that
                # this process does.
                if not self._is_short:
                    sys.stderr.write(f"Not accepting connections for now: {exc}\n")
                self._is_short = True
                self._rest()
                asyncio.get_running_loop().call_later(_PAUSE, self.look)
                return
            self._is_short = False
            self._take(connection)
        if self._on:
            self._rest()
