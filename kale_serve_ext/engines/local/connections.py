"""Connections to local services, kept open between calls: one client and one channel for each address and loop."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..channels import ONCE, RETRYING
from ..posting import Poster

if TYPE_CHECKING:
    import grpc.aio
    import httpx
    from grpc import Channel as BlockingChannel


@dataclass
class _Open:
    http: dict[str, httpx.AsyncClient]
    grpc: dict[str, grpc.aio.Channel]


class Connections:
    """Clients belong to the loop that made them: an engine is used from a kernel's loop and from a background one."""

    def __init__(self) -> None:
        self._blocking: dict[str, BlockingChannel] = {}
        self._posters: dict[str, Poster] = {}
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Open] = weakref.WeakKeyDictionary()

    def http(self, url: str) -> httpx.AsyncClient:
        clients = self._here().http
        client = clients.get(url)
        if client is None:
            import httpx

            # No proxies and no certificates: it is the loopback.
            transport = httpx.AsyncHTTPTransport(
                verify=False, trust_env=False, limits=httpx.Limits(max_connections=100)
            )
            timeout = httpx.Timeout(60.0, connect=5.0)
            client = httpx.AsyncClient(base_url=url, transport=transport, timeout=timeout, trust_env=False)
            clients[url] = client
        return client

    def grpc(self, address: str) -> grpc.aio.Channel:
        channels = self._here().grpc
        channel = channels.get(address)
        if channel is None:
            import grpc.aio

            channel = grpc.aio.insecure_channel(address, options=RETRYING)
            channels[address] = channel
        return channel

    def blocking_grpc(self, address: str) -> BlockingChannel:
        """A channel for any thread. It tries once, which is quicker; who uses it tries again by the other way."""
        channel = self._blocking.get(address)
        if channel is None:
            import grpc

            # Of two threads that come first together, one keeps its channel to itself.
            channel = self._blocking.setdefault(address, grpc.insecure_channel(address, options=ONCE))
        return channel

    def blocking_http(self, url: str) -> Poster:
        """What sends requests from any thread."""
        return self._posters.setdefault(url, Poster(url))

    async def close(self) -> None:
        """Close those of the running loop, and those of threads."""
        while self._blocking:
            self._blocking.popitem()[1].close()
        while self._posters:
            self._posters.popitem()[1].close()
        found = self._loops.pop(asyncio.get_running_loop(), None)
        if found is None:
            return
        for client in found.http.values():
            await client.aclose()
        for channel in found.grpc.values():
            await channel.close()

    def _here(self) -> _Open:
        return self._loops.setdefault(asyncio.get_running_loop(), _Open({}, {}))
