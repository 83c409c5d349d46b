"""What a service says while it runs: its logs, events and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from ..entities import ServiceRef
from ..errors import BackendUnavailableError, NotFoundError
from .closing import closing
from .handler import Handler

if TYPE_CHECKING:
    from .queries import LogsQuery

_TEXT = "text/plain; charset=UTF-8"


class LogsHandler(Handler):
    """A log as text, sent as it is read. It ends with the log, at the limit of size or time, or with the client."""

    def initialize(self, name: str) -> None:
        super().initialize(name)
        self._copying: asyncio.Task[None] | None = None

    @authenticated
    @authorized
    async def get(self, *parts: str) -> None:
        from .queries import LogsQuery

        query = self.query(LogsQuery)
        ref = ServiceRef(*parts)
        engine = self.backends.engine_of(ref)
        # Errors can be told only before the first byte is sent, so the service is looked at first, and the log begun.
        state = await self.within(self.app.request_timeout, engine.get(ref.name))
        if query.component not in (components := [one.component for one in state.components] or ["predictor"]):
            raise NotFoundError(
                f"The service {ref.name} has no {query.component}.", hint=f"It has: {', '.join(components)}."
            )
        if self.app.log_streams >= self.app.max_log_streams:
            raise BackendUnavailableError(
                f"{self.app.max_log_streams} logs are being read already.",
                hint="Close one, or raise KaleServeApp.max_log_streams.",
            )
        self.app.log_streams += 1
        try:
            pieces = engine.logs(
                ref.name, query.component, tail=query.tail, previous=query.previous, follow=query.follow
            )
            async with closing(pieces):
                first = await self.within(self.app.request_timeout, anext(pieces, ""))
                await self._send(first, pieces, query)
        finally:
            self.app.log_streams -= 1

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._copying:
            self._copying.cancel()

    async def _send(self, first: str, pieces: AsyncIterator[str], query: LogsQuery) -> None:
        self.set_header("Content-Type", _TEXT)
        # Proxies would otherwise hold the pieces back.
        self.set_header("X-Accel-Buffering", "no")
        self._copying = asyncio.create_task(self._copy(first, pieces))
        await asyncio.wait(
            {self._copying}, timeout=self.app.follow_timeout if query.follow else self.app.request_timeout
        )
        if self._copying.cancel():
            await asyncio.wait({self._copying})
        try:
            with suppress(asyncio.CancelledError):
                self._copying.result()
            await self.finish(set_content_type=_TEXT)
        except StreamClosedError:
            self.log.debug("Streaming the log of %s ended early.", self.request.path)

    async def _copy(self, first: str, pieces: AsyncIterator[str]) -> None:
        left = self.app.max_log_bytes
        piece = first
        while True:
            data = piece.encode(errors="replace")[:left]
            left -= len(data)
            self.write(data)
            # With nothing written yet, a reader that follows sees at least that it is connected.
            await self.flush()
            if not left:
                return
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return


class EventsHandler(Handler):
    @authenticated
    @authorized
    async def get(self, *parts: str) -> None:
        """What happened to the service."""
        from .schemas import EventList

        ref = ServiceRef(*parts)
        found = await self.within(self.app.request_timeout, self.backends.engine_of(ref).events(ref.name))
        self.answer(EventList(items=found))


class MetricsHandler(Handler):
    @authenticated
    @authorized
    async def get(self, *parts: str) -> None:
        """A component's metrics, in Prometheus' text format."""
        from .queries import MetricsQuery
        from .schemas import Metrics

        ref = ServiceRef(*parts)
        component = self.query(MetricsQuery).component
        work = self.backends.engine_of(ref).metrics(ref.name, component)
        self.answer(Metrics(text=await self.within(self.app.request_timeout, work)))
