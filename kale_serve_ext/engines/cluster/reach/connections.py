"""Connections to the components of services, kept for the requests that follow."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ....errors import InvalidInputError, NotFoundError, ServiceNotReadyError
from ... import shell
from ...base import Component, Connection, Manifest
from ...fields import mapping, text
from ...kserve import STANDARD, is_stopped
from ...sync_http import GATEWAY_RESTS, RESTS, Post, Poster
from .. import api_objects as paths
from ..api import KEEP_ALIVE
from ..credentials import IN_CLUSTER, Place
from ..deployment_mode import answering, mode_of, own_deployment
from . import transports
from .podlink import PodLink

if TYPE_CHECKING:
    import httpx

    from ....config import Settings
    from ..api import Api

_ASLEEP = "none of its pods runs, and the API server's proxy wakes none"


@dataclass(frozen=True)
class _Target:
    """One component, and where it says it is."""

    name: str
    component: Component
    address: str
    """The entry's, inside the cluster."""
    host: str
    """The component's name at an ingress."""
    revision: str
    """Knative's revision that gets most of the requests; empty where KServe runs it by a Deployment."""
    own: str
    """The Deployment that KServe runs it by; empty in Knative mode."""

    @property
    def service(self) -> str:
        """The Kubernetes Service."""
        return self.own or f"{self.name}-{self.component}"

    @property
    def proxied(self) -> str:
        """The Kubernetes Service for the API server's proxy, which follows none to another namespace."""
        return f"{self.revision}-private" if self.revision else self.service


@dataclass(frozen=True)
class _Client:
    """What sends requests to one component."""

    target: _Target
    http: httpx.AsyncClient
    url: str
    """The address to show."""
    poster: Poster
    """Holds the connections of ``post``."""
    post: Post | None


class ClusterConnections:
    """Ways to the services of one namespace. Use it from one loop."""

    def __init__(self, settings: Settings, place: Place, namespace: str, api: Api) -> None:
        self._settings = settings
        self._place = place
        self._namespace = namespace
        self._api = api
        self._inside = place.context == IN_CLUSTER
        self._ingress = settings.cluster_ingress.rstrip("/")
        self._clients: dict[str, _Client] = {}
        self._replaced: list[_Client] = []
        self._links: dict[str, PodLink] = {}
        self._users: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def open(self, name: str, component: Component | None = None) -> AsyncIterator[Connection]:
        """A connection; what was opened to the pods for it is closed with the last one to the component."""
        try:
            manifest = await self._api.get(paths.service(self._namespace, name))
        except NotFoundError:
            for key in [k for k, known in self._clients.items() if known.target.name == name]:
                gone = self._clients.pop(key)
                if key in self._users:
                    # Whoever has it is still asking: it goes with the last of them.
                    self._replaced.append(gone)
                else:
                    await _close(gone)
            raise
        target = _target(manifest, name, component)
        service = target.service
        self._users[service] = self._users.get(service, 0) + 1
        try:
            client = await self._client(target)
            if service in self._links:
                await self._links[service].check()
            yield Connection(
                http=client.http,
                url=client.url,
                blocking_http=client.post,
                grpc=self._link(target).channel,
                # Past Knative's proxy nobody would count the requests, and the pods would be taken for idle.
                arrays_by_grpc=not target.revision,
                command=self._command(target),
            )
        finally:
            self._users[service] -= 1
            if not self._users[service]:
                del self._users[service]
                if link := self._links.pop(service, None):
                    await link.close()
                for one in [r for r in self._replaced if r.target.service == service]:
                    self._replaced.remove(one)
                    await _close(one)

    async def close(self) -> None:
        """End every way, with the sockets that it has."""
        clients, links = [*self._clients.values(), *self._replaced], list(self._links.values())
        self._clients.clear()
        self._replaced.clear()
        self._links.clear()
        for client in clients:
            await _close(client)
        for link in links:
            await link.close()

    def _link(self, target: _Target) -> PodLink:
        if target.service not in self._links:
            sockets = None if self._inside else self._settings.sockets
            made = PodLink(self._api, self._namespace, target.name, target.component, target.own, sockets)
            self._links[target.service] = made
        return self._links[target.service]

    async def _client(self, target: _Target) -> _Client:
        """Clients whose base URL is the component's."""
        known = self._clients.get(target.service)
        if known is None or known.target != target:
            if known:
                # It may still be used by who has it: it goes when no connection to the component is used any more.
                self._replaced.append(known)
            known = self._clients[target.service] = await self._made(target)
        return known

    async def _made(self, target: _Target) -> _Client:
        import httpx

        from ...resting import RestingTransport

        loop = asyncio.get_running_loop()
        base = url = transports.direct(target.address, self._namespace, target.service)
        post: Post | None
        transport: httpx.AsyncBaseTransport
        if self._ingress:
            if "@" in urlsplit(self._ingress).netloc:
                raise InvalidInputError(
                    "The ingress's address has a name or password in it, which would be shown.",
                    hint="Put a token into a file, and set KALE_SERVE_CLUSTER_INGRESS_TOKEN_FILE to it.",
                )
            if not target.host:
                raise ServiceNotReadyError(
                    f"KServe has given the service {target.name} no external address yet.",
                    phase="Loading",
                    hint="Try again in a moment.",
                )
            base = url = self._ingress
            token_file = self._settings.cluster_ingress_token_file
            tls = ssl.create_default_context()
            gateway = RestingTransport(lambda: transports.to_gateway(tls), GATEWAY_RESTS)
            transport = transports.IngressTransport(target.host, token_file, gateway)
            poster = Poster(base, tls, rests=GATEWAY_RESTS, loop=loop)
            post = transports.IngressPost(poster, target.host, token_file)
        elif self._inside:
            transport = RestingTransport(transports.inside, RESTS)
            poster = Poster(base, loop=loop)
            post = poster if base.startswith("http:") else None
        else:
            path = transports.proxied(self._namespace, target.proxied)
            url = transports.at_server(await self._api.client(), path)
            asleep = _ASLEEP if target.revision else ""
            proxy = transports.ProxyTransport(self._api, path, asleep)
            transport = transports.OutsideTransport(proxy, lambda: self._link(target).transport(self._settings.sockets))
            poster = Poster(url, await self._api.tls(), KEEP_ALIVE, rests=GATEWAY_RESTS, loop=loop)
            post = transports.ProxyPost(self._api, poster, asleep)
        timeout = httpx.Timeout(60.0, connect=5.0)
        client = httpx.AsyncClient(base_url=base, transport=transport, timeout=timeout, trust_env=False)
        return _Client(target, client, url, poster, post)

    def _command(self, target: _Target) -> Callable[[str, str], str] | None:
        """What posts from a shell, with credentials that it looks up itself."""
        if self._ingress:
            return lambda path, body: self._by_curl(target.host, path, body)
        if self._inside:
            return None
        at_server = transports.proxied(self._namespace, target.proxied)
        return lambda path, body: self._by_kubectl(at_server + path, body)

    def _by_curl(self, host: str, path: str, body: str) -> str:
        words = [shlex.quote(self._ingress + path), f"-H {shlex.quote(f'Host: {host}')}"]
        if self._settings.cluster_ingress_token_file:
            file = shlex.quote(self._settings.cluster_ingress_token_file)
            words.append(f'-H "Authorization: Bearer $(cat {file})"')
        return shell.curl(words, body)

    def _by_kubectl(self, path: str, body: str) -> str:
        where = f"--context {shlex.quote(self._place.context)}"
        if self._place.kubeconfig:
            where += f" --kubeconfig {shlex.quote(self._place.kubeconfig)}"
        lines = [f"printf %s {shlex.quote(body)} |", f"kubectl {where} create -f -", f"--raw {shlex.quote(path)}"]
        return " \\\n  ".join(lines) + "\n"


async def _close(client: _Client) -> None:
    await client.http.aclose()
    client.poster.close()


def _target(manifest: Manifest, name: str, component: Component | None) -> _Target:
    """Which component of the service is meant.

    Raises:
        NotFoundError: it has no such component.
        ServiceNotReadyError: it is paused.
    """
    parts = mapping(manifest.get("spec"))
    entry: Component = "transformer" if "transformer" in parts else "predictor"
    wanted = component or entry
    if wanted not in parts:
        raise NotFoundError(f"The service {name} has no {wanted}.", hint="Ask its predictor.")
    if is_stopped(manifest):
        raise ServiceNotReadyError(f"The service {name} is paused.", phase="Paused", hint="Resume it.")
    status = mapping(manifest.get("status"))
    own = mapping(mapping(status.get("components")).get(wanted))
    external = text(status.get("url")) if wanted == entry else text(own.get("url"))
    return _Target(
        name=name,
        component=wanted,
        address=text(mapping(status.get("address")).get("url")),
        host=urlsplit(external).netloc,
        revision=answering(manifest, wanted),
        own=own_deployment(manifest, wanted) if mode_of(manifest) == STANDARD else "",
    )
