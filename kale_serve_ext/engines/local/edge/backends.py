"""The processes that an address leads to, and how each is left without a request that fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol

Address = int | str
"""A port of the loopback address, or the path of a unix socket."""


class Link(Protocol):
    """A client's connection that is led to a process."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way on it."""
        ...

    def drain(self) -> None:
        """Go over to another process with the next request, or have the client do so."""
        ...

    def cut(self) -> None:
        """Close the connection now."""
        ...


class Backend:
    """One process behind an address.

    Args:
        http: where it listens for HTTP/1.1.
        grpc: where it listens for gRPC; None where it does not.
        active: called with each request.
    """

    def __init__(self, http: Address, grpc: Address | None, active: Callable[[], None]) -> None:
        self.http = http
        self.grpc = grpc
        self.active = active
        self.draining = False
        self.links: set[Link] = set()
        self._changed = asyncio.Event()

    def join(self, link: Link) -> None:
        self.links.add(link)

    def leave(self, link: Link) -> None:
        self.links.discard(link)
        self._changed.set()

    def rested(self) -> None:
        """One of the connections has become idle."""
        self._changed.set()

    async def drain(self, idle: float, grace: float) -> None:
        """Have every request that is under way answered, and every connection left.

        Args:
            idle: seconds that connections without a request are kept for one.
            grace: seconds that requests may take.
        """
        self.draining = True
        for link in list(self.links):
            link.drain()
        end = time.monotonic() + idle
        await self._until(lambda: not self.links, end)
        for link in [link for link in self.links if link.is_idle]:
            link.cut()
        await self._until(lambda: all(link.is_idle for link in self.links), max(end, time.monotonic()) + grace)
        self.cut()

    def cut(self) -> None:
        """Close what is left: the process is gone, or is about to be."""
        for link in list(self.links):
            link.cut()

    async def _until(self, wanted: Callable[[], bool], end: float) -> None:
        while not wanted() and (left := end - time.monotonic()) > 0:
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)


class Backends:
    """Those that an address leads to now."""

    def __init__(self) -> None:
        self._all: list[Backend] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, backend: Backend) -> None:
        if backend not in self._all:
            self._all.append(backend)

    def remove(self, backend: Backend) -> None:
        if backend in self._all:
            self._all.remove(backend)

    def has_grpc(self) -> bool:
        return any(one.grpc is not None for one in self._all)

    def pick(self, grpc: bool = False) -> Backend | None:
        """The one with the fewest connections, and of these the one that was not asked last."""
        fitting = [one for one in self._all if not grpc or one.grpc is not None]
        if not fitting:
            return None
        found = min(fitting, key=lambda one: len(one.links))
        self._all.remove(found)
        self._all.append(found)
        return found


async def connect(address: Address, made: Callable[[], asyncio.Protocol]) -> None:
    """Connect to where a process listens.

    Raises:
        OSError: nothing of it listens there.
    """
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        await loop.create_unix_connection(made, address)
    else:
        await loop.create_connection(made, "127.0.0.1", address)
