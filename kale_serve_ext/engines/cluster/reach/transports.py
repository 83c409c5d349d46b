"""Ways by which requests go to a component, each as a transport of httpx.

Inside the cluster that is the component's own address. From outside it is an ingress where one is set; else the API
server's service proxy, and a port-forward for who may not use that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from ....errors import BackendUnavailableError, PermissionDeniedError
from ...sync_http import RESTS, Answer
from ..api import LoggedOutError

if TYPE_CHECKING:
    import ssl

    from ...sync_http import Poster
    from ..api import Api
    from .portforward import Forward

_NOTHING_BEHIND = (404, 503)
"""Nothing is behind the Kubernetes Service, or it went away under the request."""
_BROKEN = "error trying to reach service: "
_NO_POD = "no endpoints"
_STATUSES_OF_THE_SERVER = (401, 403, *_NOTHING_BEHIND)


def direct(address: str, namespace: str, service: str) -> str:
    """The component's address inside the cluster.

    Args:
        address: that of the service's entry, as its status has it: with another domain than the usual one, or a port.
    """
    parts = urlsplit(address)
    domain = parts.netloc.partition(".")[2] or f"{namespace}.svc.cluster.local"
    return f"{parts.scheme or 'http'}://{service}.{domain}"


def proxied(namespace: str, service: str) -> str:
    """The path at the API server."""
    return f"/api/v1/namespaces/{namespace}/services/{service}:80/proxy"


def inside() -> httpx.AsyncHTTPTransport:
    """To a component's address inside the cluster."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=RESTS)
    return httpx.AsyncHTTPTransport(limits=limits, trust_env=False)


def to_gateway(tls: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    """To an ingress."""
    return httpx.AsyncHTTPTransport(verify=tls, trust_env=False)


def at_server(client: httpx.AsyncClient, path: str) -> str:
    """The URL of a path at the API server, which may have a path of its own in front."""
    return str(client.base_url).rstrip("/") + path


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends requests through the API server, and tells its own refusals from the model's answers.

    Args:
        asleep: what to say when nothing runs behind the Kubernetes Service; by default, the API server's own words.
    """

    def __init__(self, api: Api, path: str, asleep: str = "") -> None:
        self._api = api
        self._path = path
        self._asleep = asleep

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        client = await self._api.client()
        url = httpx.URL(at_server(client, self._path + request.url.raw_path.decode("ascii")))
        for refused in (False, True):
            headers = request.headers.copy()
            headers["Host"] = url.netloc.decode("ascii")
            token = await self._api.authorization(anew=refused)
            if token:
                headers["Authorization"] = token
            made = httpx.Request(
                request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
            )
            answer = await client.send(made, stream=True)
            told = None
            if _may_be_of_the_server(answer.status_code, answer.headers):
                told = _of_the_server(await answer.aread())
            if answer.status_code != 401 or told is None:
                break
        if told is None:
            return answer
        if answer.status_code == 401:
            raise LoggedOutError(
                "Your credentials for the cluster have expired.", hint="Log in again, or fix the kubeconfig."
            )
        if answer.status_code in _NOTHING_BEHIND:
            raise _nothing_there(answer.status_code, told, self._asleep)
        raise PermissionDeniedError(
            f"The cluster refuses the request to the model: {told}",
            hint="Ask for the right to get and create services/proxy in this namespace.",
        )


class ProxyPost:
    """What :class:`ProxyTransport` does, for threads without a loop. What takes more than sending is left to that.

    Args:
        poster: leads to the component's path at the API server.
    """

    def __init__(self, api: Api, poster: Poster, asleep: str = "") -> None:
        self._api = api
        self._poster = poster
        self._asleep = asleep
        self._is_refused = False

    def __call__(
        self, path: str, body: bytes, headers: Mapping[str, str], *, timeout: float, largest: int
    ) -> Answer | None:
        token = self._api.authorization_known()
        if token is None or self._is_refused:
            return None
        sent = {**headers, "Authorization": token} if token else headers
        answer = self._poster(path, body, sent, timeout=timeout, largest=largest)
        told = _of_the_server(answer.content) if _may_be_of_the_server(answer.status, answer.headers) else None
        if told is None:
            return answer
        if answer.status in _NOTHING_BEHIND:
            raise _nothing_there(answer.status, told, self._asleep)
        # Without the right for the proxy there may be another way, which has to be gone each time.
        self._is_refused = answer.status == 403
        return None


class ForwardTransport(httpx.AsyncBaseTransport):
    """Sends requests through a port-forward."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._socket = httpx.AsyncHTTPTransport(uds=str(forward.path), trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        lost = self._forward.lost
        try:
            return await self._socket.handle_async_request(request)
        except (httpx.NetworkError, httpx.ProtocolError) as error:
            trouble = self._forward.trouble
            # A connection that led to a pod may have been this request's, whatever became of the next one.
            if trouble is None or self._forward.lost != lost:
                raise
            if isinstance(trouble, BackendUnavailableError):
                raise httpx.ConnectError(trouble.message, request=request) from error
            raise trouble from error

    async def aclose(self) -> None:
        await self._socket.aclose()


class OutsideTransport(httpx.AsyncBaseTransport):
    """The API server's proxy; a port-forward where the rights for the proxy are missing."""

    def __init__(self, proxy: ProxyTransport, forwarded: Callable[[], Awaitable[ForwardTransport]]) -> None:
        self._proxy = proxy
        self._forwarded = forwarded
        self._refused: PermissionDeniedError | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._refused is None:
            try:
                return await self._proxy.handle_async_request(request)
            except LoggedOutError:
                raise
            except PermissionDeniedError as error:
                self._refused = error
        refused = self._refused
        try:
            return await (await self._forwarded()).handle_async_request(request)
        except PermissionDeniedError as error:
            # Rights may have been given when the next request comes.
            self._refused = None
            raise PermissionDeniedError(
                f"{refused.message}\nThere is no other way either: {error.message}",
                hint="Ask for the rights to get and create services/proxy, or pods/portforward, in this namespace.",
            ) from error


class IngressTransport(httpx.AsyncBaseTransport):
    """Sends requests by ``gateway``, with the name that it knows the service by."""

    def __init__(self, host: str, token_file: str, gateway: httpx.AsyncBaseTransport) -> None:
        self._host = host
        self._token_file = token_file
        self._gateway = gateway

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.update(_for_gateway(self._host, self._token_file))
        return await self._gateway.handle_async_request(request)

    async def aclose(self) -> None:
        await self._gateway.aclose()


class IngressPost:
    """What :class:`IngressTransport` does, for threads without a loop."""

    def __init__(self, poster: Poster, host: str, token_file: str) -> None:
        self._poster = poster
        self._host = host
        self._token_file = token_file

    def __call__(self, path: str, body: bytes, headers: Mapping[str, str], *, timeout: float, largest: int) -> Answer:
        sent = {**headers, **_for_gateway(self._host, self._token_file)}
        return self._poster(path, body, sent, timeout=timeout, largest=largest)


def _for_gateway(host: str, token_file: str) -> dict[str, str]:
    token = {"Authorization": f"Bearer {_token(token_file)}"} if token_file else {}
    return {"Host": host, **token}


def _token(file: str) -> str:
    """Read for each request: tokens are renewed in place."""
    try:
        return Path(file).expanduser().read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a token"
        raise BackendUnavailableError(
            f"The token for the ingress cannot be read: {why}.",
            hint="Look at the file that KALE_SERVE_CLUSTER_INGRESS_TOKEN_FILE names.",
        ) from error


def _nothing_there(status: int, told: str, asleep: str) -> httpx.TransportError:
    """What the API server's own refusal is. What was sent to a pod that then went away may have been carried out."""
    if status == 404 or told.startswith((_NO_POD, f"{_BROKEN}dial ")):
        return httpx.ConnectError(asleep or told)
    return httpx.ReadError(told)


def _may_be_of_the_server(status: int, headers: Mapping[str, str]) -> bool:
    return status in _STATUSES_OF_THE_SERVER and "json" in headers.get("content-type", "")


def _of_the_server(content: bytes) -> str | None:
    """The message of a Kubernetes ``Status``; None where the answer is the model's."""
    try:
        body = json.loads(content)
    except ValueError:
        return None
    if isinstance(body, dict) and body.get("kind") == "Status" and body.get("apiVersion") == "v1":
        return str(body.get("message") or "")
    return None
