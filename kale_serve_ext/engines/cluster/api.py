"""Requests to a Kubernetes API server: dicts in and out, errors as this package's own."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
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
from ..fields import mapping, mappings, number, text
from ..kserve import MANAGER
from . import credentials
from .field_ownership import conflict

if TYPE_CHECKING:
    import ssl

    import httpx
    from tornado.websocket import WebSocketClientConnection

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

_APPLY = "application/apply-patch+yaml"
READ_TIMEOUT = 20.0
"""Seconds without a byte after which an answer is given up."""
_CONNECT = 5.0
_WATCH = 30
"""Seconds that the server keeps a watch open; the next one goes on where it ended."""
_WATCH_SILENCE = _WATCH + 5.0
"""Seconds without a word after which a watch's connection is taken for dead."""
_TOKEN_AGE = 30.0
"""Seconds for which a token is used without asking for it again: mounted tokens change once an hour."""
_PING = 30.0
"""Seconds between signs of life on a WebSocket, which tell whether the other side is still there."""
KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), seconds)
    for name, seconds in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
]
"""Finds out that the other side is gone without a word; and a silent connection is not forgotten on the way."""
_PAGE = 500
"""Objects in one part of a list."""
_GONE = 410
_UNAUTHORIZED = 401
_MODIFIED = re.compile("the object has been modified|uid mismatch")
_UNKNOWN_FIELD = re.compile(r"\.([\w.\[\]]+): field not declared in schema")
_NO_RIGHT = "Ask the namespace's owner for this right."
_NO_NAMESPACE = "Have the namespace made, or choose another one."
_REFUSALS = {
    "admission webhook": "Change what it names, or ask whoever set up the cluster.",
    "exceeded quota": "Delete a service, or ask for a larger quota.",
    "is being terminated": "Wait until the namespace is gone and have it made anew, or choose another one.",
}
"""What to do about a refusal that is not for want of a right, by what it says."""


class Gone(Exception):
    """The version to watch from is too old: list again."""


class LoggedOutError(PermissionDeniedError):
    """The server does not know the login. It is read anew for each request, so it may come right."""

    @property
    def reason(self) -> str:
        return "PermissionDenied"


class LostAnswerError(BackendUnavailableError):
    """The connection broke, or something in between answered: nobody knows whether the request was carried out."""

    @property
    def reason(self) -> str:
        return "BackendUnavailable"


class LateAnswerError(DeadlineExceededError):
    """There was no answer in time: nobody knows whether the request was carried out."""

    @property
    def reason(self) -> str:
        return "DeadlineExceeded"


class ModifiedError(ConflictError):
    """The object is not the version any more that the request was for; nothing was changed."""

    @property
    def reason(self) -> str:
        return "Conflict"


UNANSWERED = (LostAnswerError, LateAnswerError)
"""After these nobody knows whether a request was carried out."""


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
        found: list[Manifest] = []
        version = ""
        async for items, version in self.pages(path, **query):  # noqa: B007
            found += items
        return found, version

    async def pages(self, path: str, **query: str) -> AsyncGenerator[tuple[Sequence[Manifest], str], None]:
        """What :meth:`list` gives, in parts: thousands of objects at once would be held twice, and hold up all else."""
        asked = {"limit": str(_PAGE), **query}
        while True:
            answer = await self._json("GET", path, asked)
            about = mapping(answer.get("metadata"))
            # Items of a list lack what the list says for all of them.
            common = {"apiVersion": answer.get("apiVersion"), "kind": text(answer.get("kind")).removesuffix("List")}
            yield [{**common, **item} for item in mappings(answer.get("items"))], text(about.get("resourceVersion"))
            if not about.get("continue"):
                return
            asked["continue"] = text(about.get("continue"))

    async def create(self, path: str, body: Manifest, *, dry_run: bool = False) -> Manifest:
        return await self._json("POST", path, {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})}, body)

    async def apply(self, path: str, body: Manifest, *, dry_run: bool = False, force: bool = False) -> Manifest:
        """Server-side apply; with ``force``, also of fields that others own.

        Raises:
            ConflictError: somebody else owns a field that is to be changed; it is not overwritten.
        """
        query = {"fieldManager": MANAGER, "force": str(force).lower(), **({"dryRun": "All"} if dry_run else {})}
        return await self._json("PATCH", path, query, body, _APPLY)

    async def patch(self, path: str, body: Manifest, kind: str = MERGE) -> Manifest:
        return await self._json("PATCH", path, {"fieldManager": MANAGER}, body, kind)

    async def delete(self, path: str, propagation: str = "Background") -> None:
        await self._json("DELETE", path, {"propagationPolicy": propagation})

    async def watch(self, path: str, version: str) -> AsyncGenerator[tuple[str, Manifest], None]:
        """Changes (``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK``) after ``version``, until the server ends it.

        Raises:
            Gone: the version is too old.
        """
        asked = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(_WATCH), "allowWatchBookmarks": "true"}
        async with aclosing(self.stream(path, asked, silence=_WATCH_SILENCE)) as text:
            rest = ""
            async for piece in text:
                *lines, rest = (rest + piece).split("\n")
                for line in lines:
                    event = _read(line)
                    about = cast("Manifest", event["object"])
                    if event["type"] == "ERROR":
                        if about.get("code") == _GONE:
                            raise Gone
                        raise _told(number(about.get("code")) or 500, about, path)
                    yield str(event["type"]), about

    async def stream(
        self, path: str, query: Mapping[str, str], *, silence: float | None = READ_TIMEOUT
    ) -> AsyncGenerator[str, None]:
        """Pieces of an answer's text as they come; first an empty one, once the request is granted.

        Args:
            silence: seconds that may pass without one; None where it may be silent for as long as its connection lives.
        """
        async with self._answer("GET", path, query, read=silence) as answer:
            yield ""
            async for piece in answer.aiter_text():
                yield piece

    async def client(self) -> httpx.AsyncClient:
        """An httpx client of the API server itself, with the user's credentials on each request."""
        async with self._opening:
            if self._client is None:
                self._client = await self._open()
            return self._client

    async def websocket(self, path: str, protocol: str, **query: str) -> WebSocketClientConnection:
        """A WebSocket of the API server itself, with the user's credentials."""
        from tornado.httpclient import HTTPClientError, HTTPRequest
        from tornado.websocket import websocket_connect

        for refused in (False, True):
            token = await self.authorization(anew=refused)
            headers = {"Authorization": token} if token else {}
            known = await self._credentials()
            url = f"{known.server.rstrip('/')}{path}?{urlencode(query)}".replace("http", "ws", 1)
            asked = HTTPRequest(url, headers=headers, ssl_options=known.tls, connect_timeout=5.0)
            try:
                opened = await websocket_connect(asked, subprotocols=[protocol], ping_interval=_PING)
                if opened.protocol:
                    # A frame's last packet would wait for the one before it to be acknowledged.
                    opened.protocol.set_nodelay(True)
                return opened
            except HTTPClientError as error:
                if error.response is None:
                    raise self._unreachable(error) from error
                if error.code != _UNAUTHORIZED or refused:
                    raise _told(error.code, _parsed(error.response.body), path) from error
            except OSError as error:
                raise self._unreachable(error) from error
        raise AssertionError("the second refusal raises")

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

    def authorization_known(self) -> str | None:
        """:meth:`authorization` for any thread, as it was read lately; None when it takes that."""
        # Whoever uses this also asks by the other way now and then, which renews it.
        return self._token if time.monotonic() - self._token_read < 2 * _TOKEN_AGE else None

    async def tls(self) -> ssl.SSLContext:
        """How the server is known, and where the user has a certificate, the user."""
        return (await self._credentials()).tls

    async def _credentials(self, *, anew: bool = False) -> credentials.Credentials:
        before = self._known
        if anew or before is None:
            known = await asyncio.get_running_loop().run_in_executor(self._threads, credentials.load, self._place)
            self._known = known
            if before and before.sources != known.sources and self._client:
                # A certificate was renewed: requests under way were refused, and watches begin anew.
                client, self._client = self._client, None
                await client.aclose()
            return known
        return before

    async def _open(self) -> httpx.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        known = await self._credentials()
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        return httpx.AsyncClient(
            base_url=known.server,
            transport=httpx.AsyncHTTPTransport(
                verify=known.tls, limits=limits, trust_env=False, socket_options=KEEP_ALIVE
            ),
            timeout=httpx.Timeout(READ_TIMEOUT, connect=_CONNECT),
            # Models that are asked through the API server's proxy must not set any for requests to the server itself.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
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
            return _read(await answer.aread())

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Manifest | None = None,
        kind: str = "application/json",
        read: float | None = READ_TIMEOUT,
    ) -> AsyncIterator[httpx.Response]:
        """An answer that went well, its body not read yet."""
        import httpx

        url = f"{path}?{urlencode(query)}" if query else path
        content = None if body is None else json.dumps(body).encode()
        timeout = httpx.Timeout(READ_TIMEOUT, connect=_CONNECT, read=read)
        try:
            for refused in (False, True):
                token = await self.authorization(anew=refused)
                headers = {"Accept": "application/json", "Content-Type": kind}
                if token:
                    headers["Authorization"] = token
                client = await self.client()
                async with client.stream(method, url, content=content, headers=headers, timeout=timeout) as answer:
                    if answer.is_success:
                        yield answer
                        return
                    status, text = answer.status_code, await answer.aread()
                if status != _UNAUTHORIZED:
                    break
            raise _told(status, _parsed(text), path)
        except httpx.TimeoutException as error:
            is_sent = not isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout))
            raise (LateAnswerError if is_sent else DeadlineExceededError)(
                f"The API server of {self._place.context!r} did not answer in time.",
                hint="Check the network, or try again.",
            ) from error
        except httpx.ConnectError as error:
            raise self._unreachable(error) from error
        except httpx.TransportError as error:
            raise self._unreachable(error, LostAnswerError) from error

    def _unreachable(
        self, error: Exception, kind: type[BackendUnavailableError] = BackendUnavailableError
    ) -> BackendUnavailableError:
        return kind(
            f"The API server of {self._place.context!r} cannot be reached: {str(error) or type(error).__name__}.",
            hint="Check the network and the kubeconfig's context.",
        )


def _read(text: str | bytes) -> Manifest:
    try:
        return cast("Manifest", json.loads(text))
    except ValueError as error:
        raise LostAnswerError(
            "The API server's answer cannot be read.", hint="A proxy may have answered instead."
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
        return LoggedOutError(
            "Your credentials for the cluster have expired.", hint="Log in again, or fix the kubeconfig."
        )
    if status == 403:
        # The message names the verb and the resource.
        hint = next(
            (hint for said, hint in _REFUSALS.items() if said in message), "Ask the namespace's owner for this right."
        )
        return PermissionDeniedError(f"The cluster refuses: {message}", hint=hint)
    if status == 404:
        return NotFoundError(message, hint=_NO_NAMESPACE if message.startswith("namespaces ") else "")
    if status == 409:
        if _MODIFIED.search(message):
            return ModifiedError(f"The cluster refuses: {message}", hint="Try again.")
        return conflict(body) or ConflictError(f"The cluster refuses: {message}", hint="Change it where it was made.")
    if unknown := _UNKNOWN_FIELD.search(message):
        # Told as a failure of the server's own.
        return InvalidInputError(
            f"The cluster does not know {unknown[1]}.", hint="Its version may not have this field yet."
        )
    if status in (400, 422):
        return InvalidInputError(f"The cluster refuses this: {message}")
    if status in (408, 504):
        return LateAnswerError(f"The API server: {message}", hint="Try again.")
    # The latter from what is behind the API server: its storage may have written it all the same.
    is_lost = status == 502 or message.startswith("etcdserver:")
    kind = LostAnswerError if is_lost else BackendUnavailableError
    return kind(f"The API server answers {status}: {message}", hint=f"At {path}. Try again.")
