"""The panel's conversations with models that write text."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from ..entities import ServiceRef
from ..errors import BackendUnavailableError, InvalidInputError, KaleServeError
from ..ml import JSON
from .errors import shaped
from .handler import Handler

if TYPE_CHECKING:
    from ..serving.lines import Lines
    from .schemas import ChatBody

_EVENTS = "text/event-stream"
_SLACK = 2.0
_MOST_BYTES = 16 << 20
"""Of one answer."""


class ChatHandler(Handler):
    """Events of OpenAI's form, passed on as the service sends them. They end with the answer, at the limit of size or
    time, or with the client; the model then stops writing."""

    def initialize(self, name: str) -> None:
        super().initialize(name)
        self._copying: asyncio.Task[None] | None = None

    @authenticated
    @authorized
    async def post(self, *parts: str) -> None:
        from ..serving.client import PredictionClient
        from ..serving.generation import Generation
        from .schemas import ChatBody

        body = self.body(ChatBody)
        ref = ServiceRef(*parts)
        asked = _asked(body)
        options: dict[str, JSON] = {"max_tokens": body.max_tokens, "temperature": body.temperature}
        given = {name: value for name, value in options.items() if value is not None}
        if self.app.chats >= self.app.max_chats:
            raise BackendUnavailableError(
                f"{self.app.max_chats} conversations are being answered already.",
                hint="Stop one, or raise KaleServeApp.max_chats.",
            )
        self.app.chats += 1
        client = PredictionClient(self.backends.engine_of(ref), ref.name)
        try:
            limit = self.app.predict_timeout
            # Errors can be told by a status only before the first byte is sent.
            lines = await self.within(limit + _SLACK, Generation(client).events(asked, given, limit))
            try:
                await self._send(lines)
            finally:
                await lines.aclose()
        finally:
            self.app.chats -= 1
            await client.close()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._copying:
            self._copying.cancel()

    async def _send(self, lines: Lines) -> None:
        self.set_header("Content-Type", _EVENTS)
        self.set_header("Cache-Control", "no-store")
        # Proxies would otherwise hold the pieces back.
        self.set_header("X-Accel-Buffering", "no")
        self._copying = asyncio.create_task(self._copy(lines))
        await asyncio.wait({self._copying}, timeout=self.app.follow_timeout)
        if self._copying.cancel():
            await asyncio.wait({self._copying})
        try:
            with suppress(asyncio.CancelledError):
                self._copying.result()
            await self.finish(set_content_type=_EVENTS)
        except StreamClosedError:
            self.log.debug("Streaming the answer of %s ended early.", self.request.path)

    async def _copy(self, lines: Lines) -> None:
        left = _MOST_BYTES
        try:
            async for line in lines:
                data = f"{line}\n".encode()
                left -= len(data)
                if left < 0:
                    return
                self.write(data)
                await self.flush()
        except KaleServeError as error:
            # The answer has begun: what is wrong is one of its events, as servers have it.
            told = {"error": {"message": shaped(error, 500)[1]["message"]}}
            self.write(f"data: {json.dumps(told)}\n\n".encode())


def _asked(body: ChatBody) -> dict[str, JSON]:
    if bool(body.messages) == (body.prompt is not None):
        raise InvalidInputError("A test conversation has either messages or a prompt.", field="messages")
    if body.prompt is not None:
        return {"prompt": body.prompt}
    return {"messages": [{"role": one.role, "content": one.content} for one in body.messages]}
