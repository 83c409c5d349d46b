"""Connections to local services, kept open between calls: a client for each address, revision and loop."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ..channels import OPTIONS
from ..sync_http import RESTS, Poster

if TYPE_CHECKING:
    import grpc.aio
    import httpx
    from grpc import Channel as BlockingChannel

    from ..resting import RestingTransport


class _Client(NamedTuple):
    revision: int
    http: httpx.AsyncClient
    transport: RestingTransport


@dataclass
class _Open:
    http: dict[str, _Client] = field(default_factory=dict)
    """The latest revision's client by address."""
    grpc: dict[str, grpc.aio.Channel] = field(default_factory=dict)
    replaced: list[_Client] = field(default_factory=list)
    """Those of earlier revisions that may still have a request."""


class LocalConnections:
    """Clients belong to the loop that made them: an engine is used from a kernel's loop and from a background one.

    A client lets go of its connections by itself when it is not asked for a while. So one that was replaced, or whose
    service is gone, may be left to whoever still has it.
    """

    def __init__(self) -> None:
        self._blocking: dict[str, BlockingChannel] = {}
        self._posters: dict[str, tuple[int, Poster]] = {}
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Open] = weakref.WeakKeyDictionary()

    def http(self, url: str, revision: int) -> httpx.AsyncClient:
        """A client of one revision: another's kept connections lead to processes that are about to end."""
        here = self._here()
        known = here.http.get(url)
        if known is None or known.revision != revision:
            import httpx

            from ..resting import RestingTransport

            if known:
                here.replaced = [*(one for one in here.replaced if not one.transport.is_resting), known]
            timeout = httpx.Timeout(60.0, connect=5.0)
            transport = RestingTransport(_transport, RESTS)
            made = httpx.AsyncClient(base_url=url, transport=transport, timeout=timeout, trust_env=False)
            known = here.http[url] = _Client(revision, made, transport)
        return known.http

    def grpc(self, address: str) -> grpc.aio.Channel:
        channels = self._here().grpc
        channel = channels.get(address)
        if channel is None:
            import grpc.aio

            channel = grpc.aio.insecure_channel(address, options=OPTIONS)
            channels[address] = channel
        return channel

    def blocking_grpc(self, address: str) -> BlockingChannel:
        """A channel for any thread."""
        channel = self._blocking.get(address)
        if channel is None:
            import grpc

            # Of two threads that come first together, one keeps its channel to itself.
            channel = self._blocking.setdefault(address, grpc.insecure_channel(address, options=OPTIONS))
        return channel

    def blocking_http(self, url: str, revision: int) -> Poster:
        """What sends requests to one revision, from any thread."""
        known = self._posters.get(url)
        if known is None or known[0] != revision:
            if known:
                known[1].close()
            known = self._posters[url] = revision, Poster(url, loop=asyncio.get_running_loop())
        return known[1]

    async def close(self) -> None:
        """Close those of the running loop, and those of threads."""
        while self._blocking:
            self._blocking.popitem()[1].close()
        while self._posters:
            self._posters.popitem()[1][1].close()
        found = self._loops.pop(asyncio.get_running_loop(), None)
        if found is None:
            return
        for client in (*found.http.values(), *found.replaced):
            await client.http.aclose()
        for channel in found.grpc.values():
            await channel.close()

    def _here(self) -> _Open:
        return self._loops.setdefault(asyncio.get_running_loop(), _Open())


def _transport() -> httpx.AsyncBaseTransport:
    import httpx

    # No proxies and no certificates: it is the loopback.
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=RESTS)
    return httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits)
