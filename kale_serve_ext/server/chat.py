"""The panel's conversations with text-generation models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.iostream import StreamClosedError
from tornado.web import authenticated

from ..entities import ServiceRef
from ..errors import (
    BackendUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    TooLargeError,
)
from ..ml import JSON
from .errors import shaped
from .handler import Handler

if TYPE_CHECKING:
    from ..serving.generation import Generation
    from ..serving.lines import Lines
    from .schemas import ChatBody

_EVENTS = "text/event-stream"
_SLACK = 2.0
_MOST_BYTES = 16 << 20
"""Of one answer."""


class ChatHandler(Handler):
    """Events of OpenAI's form, passed on as the service sends them.

    They end with the answer, with an event ``error`` where it fails or is too long or slow, or with the client; the
    model then stops generating.
    """

    def initialize(self, name: str) -> None:
        super().initialize(name)
        self._answering: asyncio.Task[None] | None = None

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
        client = PredictionClient(self.backends.engine_of(ref), ref.name, body.component or None)
        self.app.chats += 1
        # A task from before the model is asked: the client may leave while it has not begun to answer.
        self._answering = asyncio.create_task(self._answer(Generation(client), asked, given))
        try:
            await asyncio.wait({self._answering})
            if not self._answering.cancelled():
                self._answering.result()
        finally:
            self._answering.cancel()
            self.app.chats -= 1
            await client.close()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if self._answering:
            self._answering.cancel()

    async def _answer(self, generation: Generation, asked: Mapping[str, JSON], given: Mapping[str, JSON]) -> None:
        limit = self.app.predict_timeout
        # Errors can be told by a status only before the first byte is sent.
        lines = await self.within(limit + _SLACK, generation.events(asked, given, limit))
        try:
            await self._send(lines)
        except StreamClosedError:
            self.log.debug("Streaming the answer of %s ended early.", self.request.path)
        finally:
            await lines.aclose()

    async def _send(self, lines: Lines) -> None:
        self.set_header("Content-Type", _EVENTS)
        self.set_header("Cache-Control", "no-store")
        # Proxies would otherwise hold the pieces back.
        self.set_header("X-Accel-Buffering", "no")
        try:
            await self._copy_in_time(lines)
        except KaleServeError as error:
            # The answer has begun: what is wrong is one of its events, as servers have it.
            said = shaped(error, 500)[1]
            told = {"error": {"message": f"{said['message']} {said.get('hint', '')}".strip()}}
            # The event before may want its empty line.
            self.write(f"\ndata: {json.dumps(told)}\n\n".encode())
        await self.finish(set_content_type=_EVENTS)

    async def _copy_in_time(self, lines: Lines) -> None:
        limit = self.app.chat_timeout
        try:
            await asyncio.wait_for(self._copy(lines), limit)
        except asyncio.TimeoutError as error:
            if isinstance(error, KaleServeError):
                raise  # the service's own deadline
            raise DeadlineExceededError(
                f"The answer took longer than {limit:g} s.",
                hint="Ask for fewer tokens, or raise KaleServeApp.chat_timeout.",
            ) from None

    async def _copy(self, lines: Lines) -> None:
        left = _MOST_BYTES
        async for line in lines:
            data = f"{line}\n".encode()
            left -= len(data)
            if left < 0:
                raise TooLargeError(
                    f"The answer is larger than {_MOST_BYTES:,} bytes.",
                    hint="Ask for fewer tokens, or ask from Python.",
                )
            self.write(data)
            await self.flush()


def _asked(body: ChatBody) -> dict[str, JSON]:
    if bool(body.messages) == (body.prompt is not None):
        raise InvalidInputError("A test conversation has either messages or a prompt.", field="messages")
    if body.prompt is not None:
        return {"prompt": body.prompt}
    return {"messages": [{"role": one.role, "content": one.content} for one in body.messages]}
