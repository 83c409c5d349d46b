"""Connections of urllib3 that are given up when they have rested for a while.

A server may close a kept connection at the very moment in which a request is sent on it, and nobody can tell whether
that was read. So one that has rested for about as long as servers keep them is not used again.
"""

from __future__ import annotations

import time

from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse


class _Kept(HTTPConnection):
    rests_for = 3.0
    """Seconds."""
    _rests_since = float("inf")

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # of http.client's class, as in urllib3's own
        found = super().getresponse()
        self._rests_since = time.monotonic()
        return found

    @property
    def is_connected(self) -> bool:
        # Asked of a kept connection before a request goes out on it; what the server closed before is known, too.
        return time.monotonic() - self._rests_since < self.rests_for and super().is_connected


class _KeptTls(_Kept, HTTPSConnection):
    pass


def keep_for(pool: HTTPConnectionPool, seconds: float) -> None:
    """Let no connection of the pool be used again that has rested for so long."""
    kind = _KeptTls if pool.scheme == "https" else _Kept
    pool.ConnectionCls = type(kind.__name__, (kind,), {"rests_for": seconds})
