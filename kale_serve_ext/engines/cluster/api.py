"""Requests to a Kubernetes API server: dicts in and out, errors as this package's own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlencode

from ...errors import (
    BackendUnavailableError,
    ConflictError,
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PermissionDeniedError,
)
from ...ml import JSON
from ..base import Manifest
from . import credentials

if TYPE_CHECKING:
    import httpx

MANAGER = "kale-serve-ext"
"""The field manager under which everything is applied."""
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

_APPLY = "application/apply-patch+yaml"
_TIMEOUT = 20.0
_WATCH = 30
"""Seconds that the server keeps a watch open; the next one goes on where it ended."""
_TOKEN_AGE = 30.0
"""Seconds for which a token is used without asking for it again: mounted tokens change once an hour."""
_GONE = 410
_UNAUTHORIZED = 401


class Gone(Exception):
    """The version to watch from is too old: list again."""


class Api:
    """One API server as one user. Use it from one event loop."""

    def __init__(self, place: credentials.Place) -> None:
        self._place = place
        self._known: credentials.Credentials | None = None
        self._client: httpx.AsyncClient | None = None
        self._token = ""
        self._token_read = -_TOKEN_AGE
        self._opening = asyncio.Lock()
        # A login plugin that hangs must not wait in front of anybody else's work.
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kale-serve-login")

    async def get(self, path: str, **query: str) -> Manifest:
        return await self._json("GET", path, query)

    async def list(self, path: str, **query: str) -> tuple[list[Manifest], str]:
        """The items, and the version of the whole to watch from."""
        answer = await self._json("GET", path, query)
        items = answer.get("items")
        metadata = answer.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, Mapping) else ""
        # Items of a list lack what the list says for all of them.
        kind, version_of = str(answer.get("kind") or "").removesuffix("List"), answer.get("apiVersion")
        found = [cast("Manifest", i) for i in items] if isinstance(items, list) else []
        return [{"apiVersion": version_of, "kind": kind, **item} for item in found], str(version or "")

    async def create(self, path: str, body: Manifest) -> Manifest:
        return await self._json("POST", path, {"fieldManager": MANAGER}, body)

    async def apply(self, path: str, body: Manifest, *, dry_run: bool = False) -> Manifest:
        """Server-side apply.

        Raises:
            ConflictError: somebody else owns a field that is to be changed; it is not overwritten.
        """
        query = {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})}
        return await self._json("PATCH", path, query, body, _APPLY)

    async def patch(self, path: str, body: Manifest, kind: str = MERGE) -> Manifest:
        return await self._json("PATCH", path, {"fieldManager": MANAGER}, body, kind)

    async def delete(self, path: str, propagation: str = "Background") -> None:
        await self._json("DELETE", path, {"propagationPolicy": propagation})

    async def watch(self, path: str, version: str, **query: str) -> AsyncGenerator[tuple[str, Manifest], None]:
        """Changes (``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK``) after ``version``, until the server ends it.

        Raises:
            Gone: the version is too old.
        """
        asked = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", **query}
        async with aclosing(self.stream(path, timeoutSeconds=str(_WATCH), **asked)) as text:
            rest = ""
            async for piece in text:
                *lines, rest = (rest + piece).split("\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        if event["object"].get("code") == _GONE:
                            raise Gone
                        raise _told(int(event["object"].get("code") or 500), event["object"], path)
                    yield event["type"], event["object"]

    async def stream(self, path: str, **query: str) -> AsyncGenerator[str, None]:
        """Pieces of an answer's text as they come."""
        async with self._answer("GET", path, query, read=_WATCH + _TIMEOUT) as answer:
            async for piece in answer.aiter_text():
                yield piece

    async def client(self) -> httpx.AsyncClient:
        """An httpx client of the API server itself, with the user's credentials on each request."""
        async with self._opening:
            if self._client is None:
                self._client = await self._open()
            return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client:
            await client.aclose()
        self._threads.shutdown(wait=False)

    async def authorization(self, *, anew: bool = False) -> str:
        """The ``Authorization`` header; ``anew`` after the server has refused it."""
        if anew or time.monotonic() - self._token_read > _TOKEN_AGE:
            known = await self._credentials(anew=anew)
            self._token = await asyncio.get_running_loop().run_in_executor(self._threads, known.authorization)
            self._token_read = time.monotonic()
        return self._token

    async def _credentials(self, *, anew: bool = False) -> credentials.Credentials:
        if anew or self._known is None:
            self._known = await asyncio.get_running_loop().run_in_executor(self._threads, credentials.load, self._place)
        return self._known

    async def _open(self) -> httpx.AsyncClient:
        import httpx

        known = await self._credentials()
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        return httpx.AsyncClient(
            base_url=known.server,
            transport=httpx.AsyncHTTPTransport(verify=known.tls, limits=limits, trust_env=False),
            timeout=httpx.Timeout(_TIMEOUT, connect=5.0),
            trust_env=False,
        )

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Manifest | None = None,
        kind: str = "application/json",
    ) -> Manifest:
        async with self._answer(method, path, query, body, kind) as answer:
            return cast("Manifest", json.loads(await answer.aread()))

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Manifest | None = None,
        kind: str = "application/json",
        read: float = _TIMEOUT,
    ) -> AsyncIterator[httpx.Response]:
        """An answer that went well, its body not read yet."""
        import httpx

        client = await self.client()
        url = f"{path}?{urlencode(query)}" if query else path
        content = None if body is None else json.dumps(body).encode()
        timeout = httpx.Timeout(_TIMEOUT, connect=5.0, read=read)
        try:
            for refused in (False, True):
                token = await self.authorization(anew=refused)
                headers = {"Accept": "application/json", "Content-Type": kind}
                if token:
                    headers["Authorization"] = token
                async with client.stream(method, url, content=content, headers=headers, timeout=timeout) as answer:
                    if answer.is_success:
                        yield answer
                        return
                    status, text = answer.status_code, await answer.aread()
                if status != _UNAUTHORIZED:
                    break
            raise _told(status, _parsed(text), path)
        except httpx.TimeoutException as error:
            raise DeadlineExceededError(
                f"The API server of {self._place.context!r} did not answer in time.",
                hint="Check the network, or try again.",
            ) from error
        except httpx.TransportError as error:
            raise BackendUnavailableError(
                f"The API server of {self._place.context!r} cannot be reached: {str(error) or type(error).__name__}.",
                hint="Check the network and the kubeconfig's context.",
            ) from error


def _parsed(text: bytes) -> Mapping[str, JSON]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"message": text[:500].decode(errors="replace")}
    return found if isinstance(found, dict) else {}


def _told(status: int, body: Mapping[str, JSON], path: str) -> KaleServeError:
    """The API server's refusal, in its own words."""
    message = str(body.get("message") or f"HTTP {status}")
    if status == _UNAUTHORIZED:
        return PermissionDeniedError(
            "The API server does not know this login any more.", hint="Log in again, and mend the kubeconfig."
        )
    if status == 403:
        quota = "exceeded quota" in message
        # The message names the verb and the resource.
        hint = "Delete a service, or ask for a larger quota." if quota else "Ask the namespace's owner for this right."
        return PermissionDeniedError(f"The cluster refuses: {message}", hint=hint)
    if status == 404:
        return NotFoundError(message)
    if status == 409:
        return ConflictError(f"The cluster refuses: {message}", hint="Change it where it was made.")
    if status in (400, 422):
        return InvalidInputError(f"The cluster refuses this: {message}")
    if status in (408, 504):
        return DeadlineExceededError(f"The API server: {message}", hint="Try again.")
    return BackendUnavailableError(f"The API server answers {status}: {message}", hint=f"At {path}. Try again.")
