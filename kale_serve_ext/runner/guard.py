"""A local model server's outermost part: connections of other users and requests of web pages end here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .asgi_guard import log, refuse

MAX_REFUSED = 64
"""Connections of others that are open at a time, to be told why they are not answered; more are cut off."""
REFUSED_SECONDS = 5.0
"""How long they may take for their request. uvicorn waits for a first one without end."""

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .access import Access


class Guard:
    """Refuses what :meth:`Access.refuse_request` names. What is refused counts as no request."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._access.refuse_request(scope["method"], scope["headers"])
            if refusal is not None:
                await refuse(scope, receive, send, refusal.status, refusal.message)
                return
        await self._app(scope, receive, send)


class Refused:
    """The application of a connection that is not answered."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(scope, receive, send, 403, self._why)


def watch_connections(config: uvicorn.Config, access: Access) -> None:
    """Have each new connection looked at once, before its first request. Call it before anybody can connect.

    Args:
        config: loaded, and not yet used.
    """
    protocol = config.http_protocol_class
    refused: dict[object, asyncio.TimerHandle] = {}
    warning = access.warning()
    if warning:
        log.warning(warning)

    class Watched(protocol):  # type: ignore[valid-type, misc]  # whichever of uvicorn's two is in use
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            why = access.refuse_peer(transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
            if not why:
                return
            self.app = Refused(why)
            if len(refused) >= MAX_REFUSED:
                transport.abort()
            else:
                loop = asyncio.get_running_loop()
                refused[self] = loop.call_later(REFUSED_SECONDS, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            if self in refused:
                refused.pop(self).cancel()
            super().connection_lost(exc)

    config.http_protocol_class = Watched
    # A websocket would take the connection out of this protocol's hands; there are none.
    config.ws_protocol_class = None
