"""Requests from threads without an event loop, over connections that are kept.

By urllib3, which the Kubernetes client brings: a request costs a fraction of what it does by httpx, and much less than
the way to a loop and back. What goes wrong is raised as httpx raises it: the other way of a connection is httpx's.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import asyncio
    import ssl

    import urllib3

    from .resting import Sweeper

_CONNECTIONS = 100
"""At most so many at once; the next request waits for one."""
RESTS = 3.0
"""Seconds for which a connection to a model server is kept without a request: less than any server keeps it."""
GATEWAY_RESTS = 30.0
"""The same for what stands in front of models, which keeps connections for longer, and costs more to connect to."""


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    """By name in any case."""
    content: bytes


class Post(Protocol):
    """Sends a POST from a thread without a loop."""

    def __call__(
        self, path: str, body: bytes, headers: Mapping[str, str], *, timeout: float, largest: int
    ) -> Answer | None:
        """The answer, of which ``largest + 1`` bytes are read at most; None when this cannot be sent by this way now.

        Raises:
            httpx.TransportError: there is no answer. The kinds are those that httpx has for it.
        """
        ...


class Poster:
    """A :class:`Post` to one address, for any number of threads.

    Args:
        base: an ``http`` or ``https`` URL; paths are put behind its own.
        tls: how the other side of an ``https`` one is known.
        socket_options: set on each connection.
        rests: seconds for which a connection is kept without a request.
        loop: where it is seen to that the last ones are closed after that; without it, with the next request.
    """

    def __init__(
        self,
        base: str,
        tls: ssl.SSLContext | None = None,
        socket_options: Sequence[tuple[int, int, int]] = (),
        *,
        rests: float = RESTS,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._base = base
        self._path = urlsplit(base).path.rstrip("/")
        self._tls = tls
        self._socket_options = socket_options
        self._rests = rests
        # Not the pool's own limit: who waits for a connection of a pool that is closed meanwhile gets none.
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self._sweeper: Sweeper | None = None
        if loop:
            from .resting import Sweeper

            self._sweeper = Sweeper(self.close, rests, loop)

    def __call__(self, path: str, body: bytes, headers: Mapping[str, str], *, timeout: float, largest: int) -> Answer:
        with self._connection(timeout), _as_httpx_tells():
            answer = self._pool.urlopen(
                "POST",
                self._path + path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=timeout,
                preload_content=False,
            )
            try:
                content = answer.read(largest + 1)
            except BaseException:
                answer.close()
                raise
            if len(content) > largest:
                answer.close()
            else:
                answer.release_conn()
        return Answer(answer.status, answer.headers, content)

    def close(self) -> None:
        """Close connections that are not in use; the others go when their answer has been read."""
        pool = self.__dict__.pop("_pool", None)
        if pool:
            pool.close()

    @contextlib.contextmanager
    def _connection(self, timeout: float) -> Iterator[None]:
        """Leave to use one; waits for it for up to ``timeout`` seconds."""
        if not self._free.acquire(timeout=timeout):
            import httpx

            raise httpx.PoolTimeout(f"None of {_CONNECTIONS} connections got free within {timeout:g} s.")
        try:
            with self._sweeper.use() if self._sweeper else contextlib.nullcontext():
                yield
        finally:
            self._free.release()

    @cached_property
    def _pool(self) -> urllib3.HTTPConnectionPool:
        import urllib3
        from urllib3.connection import HTTPConnection

        from .kept_connections import keep_for

        options = [*HTTPConnection.default_socket_options, *self._socket_options]
        tls = {"ssl_context": self._tls} if self._base.startswith("https:") else {}
        pool = urllib3.connection_from_url(self._base, maxsize=_CONNECTIONS, socket_options=options, **tls)
        keep_for(pool, self._rests)
        return pool


@contextlib.contextmanager
def _as_httpx_tells() -> Iterator[None]:
    import ssl
    from http.client import RemoteDisconnected

    import httpx
    from urllib3 import exceptions

    try:
        yield
    except (exceptions.NewConnectionError, exceptions.ClosedPoolError) as error:
        raise httpx.ConnectError(str(error)) from error
    except exceptions.TimeoutError as error:
        raise httpx.TimeoutException(str(error)) from error
    except exceptions.HTTPError as error:
        cause = error.args[-1] if error.args else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise httpx.ConnectError(str(cause)) from error
        if isinstance(cause, RemoteDisconnected):
            raise httpx.RemoteProtocolError(str(cause)) from error
        raise httpx.ReadError(str(cause)) from error
