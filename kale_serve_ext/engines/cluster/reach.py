"""Ways to a component: straight from inside the cluster, through the API server's service proxy from outside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx

from ...errors import PermissionDeniedError

if TYPE_CHECKING:
    from .api import Api


def direct(namespace: str, service: str) -> str:
    """The address inside the cluster."""
    return f"http://{service}.{namespace}.svc.cluster.local"


def proxied(server: str, namespace: str, service: str) -> str:
    """The address through the API server."""
    return f"{server.rstrip('/')}/api/v1/namespaces/{namespace}/services/{service}:80/proxy"


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends requests through the API server, and tells its own refusals from the model's answers."""

    def __init__(self, api: Api, client: httpx.AsyncClient, service: str) -> None:
        self._api = api
        self._client = client
        self._service = service

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        token = await self._api.authorization()
        if token:
            request.headers["Authorization"] = token
        answer = await self._client.send(request, stream=True)
        if answer.status_code not in (401, 403, 404, 503) or "json" not in answer.headers.get("content-type", ""):
            return answer
        await answer.aread()
        message = _of_the_server(answer.content)
        if message is None:
            return answer
        if answer.status_code == 503:
            # No pod is behind the service: nothing was delivered.
            raise httpx.ConnectError(message, request=request)
        if answer.status_code == 404:
            raise httpx.ConnectError(f"there is no service {self._service!r} in the cluster", request=request)
        raise PermissionDeniedError(
            f"The cluster refuses the request to the model: {message}",
            hint="Ask for the right to create services/proxy in this namespace.",
        )


def _of_the_server(content: bytes) -> str | None:
    """The message of a Kubernetes ``Status``; None where the answer is the model's."""
    try:
        body = json.loads(content)
    except ValueError:
        return None
    if isinstance(body, dict) and body.get("kind") == "Status" and body.get("apiVersion") == "v1":
        return str(body.get("message") or "")
    return None
