"""Connections to the components of services, kept for the requests that follow."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ...errors import NotFoundError, ServiceNotReadyError
from ..base import Component, Connection
from . import objects as paths
from . import reach
from .credentials import IN_CLUSTER, Place
from .fields import mapping, notes_of
from .state import STOP

if TYPE_CHECKING:
    import httpx

    from .api import Api


class Connections:
    """Ways to the services of one namespace. Use it from one loop."""

    def __init__(self, place: Place, namespace: str, api: Api) -> None:
        self._place = place
        self._namespace = namespace
        self._api = api
        self._clients: dict[str, httpx.AsyncClient] = {}

    @contextlib.asynccontextmanager
    async def open(self, name: str, component: Component | None = None) -> AsyncIterator[Connection]:
        manifest = await self._api.get(paths.service(self._namespace, name))
        parts = mapping(manifest.get("spec"))
        wanted = component or ("transformer" if "transformer" in parts else "predictor")
        if wanted not in parts:
            raise NotFoundError(f"The service {name} has no {wanted}.", hint="Ask its predictor.")
        if str(notes_of(manifest).get(STOP, "")).lower() == "true":
            raise ServiceNotReadyError(f"The service {name} is paused.", phase="Paused", hint="Resume it.")
        http, url = await self._client_of(f"{name}-{wanted}")
        yield Connection(http=http, grpc=None, url=url)

    async def close(self) -> None:
        # They share the API's connections, which it closes itself.
        self._clients.clear()

    async def _client_of(self, service: str) -> tuple[httpx.AsyncClient, str]:
        import httpx

        inside = self._place.context == IN_CLUSTER
        server = await self._api.client()
        url = (
            reach.direct(self._namespace, service)
            if inside
            else reach.proxied(str(server.base_url), self._namespace, service)
        )
        if service not in self._clients:
            transport = None if inside else reach.ProxyTransport(self._api, server, service)
            timeout = httpx.Timeout(60.0, connect=5.0)
            self._clients[service] = httpx.AsyncClient(
                base_url=url, transport=transport, timeout=timeout, trust_env=False
            )
        return self._clients[service], url
