"""Serves text-generation models by the routes of the OpenAI API, one request after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from kserve import Model
from kserve.errors import InvalidInput

from ..formats.texts import Finish, Prompt, Sampling, Writer
from ..ml import JSON

MOST_WAITING = 64
"""Requests that may wait for the model; more are refused."""
_CALLED = (
    "This model generates text and does not answer predict: use endpoint.chat(messages) or endpoint.complete(prompt), "
    "or POST /openai/v1/chat/completions."
)


class BusyError(Exception):
    """Too many requests wait already."""


class WritingModel(Model):  # type: ignore[misc]  # kserve has no types
    """A model that writes.

    Args:
        name: name on the wire.
        writer: the object that was loaded.
    """

    def __init__(self, name: str, writer: Writer) -> None:
        super().__init__(name)
        self.writer = writer
        # A model's cache and random numbers are for one text at a time, and so are the machine's cores.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writing")
        self._waiting = 0
        self.ready = True

    def predict(self, payload: object, headers: object = None, response_headers: object = None) -> object:
        raise InvalidInput(_CALLED)

    def answers(self, rows: Sequence[JSON]) -> JSON:
        """Nothing, as for :meth:`predict`: no rows are recorded with such a model."""
        raise InvalidInput(_CALLED)

    @asynccontextmanager
    async def writing(self, prompt: Prompt, sampling: Sampling) -> AsyncIterator[Written]:
        """Have the model write; what is not read to its end is broken off.

        Raises:
            BusyError: too many requests wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise BusyError
        self._waiting += 1
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        over = threading.Event()

        def piece(text: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, text)

        finish = loop.run_in_executor(self._thread, self.writer.write, prompt, sampling, piece, over.is_set)
        finish.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            yield Written(pieces, finish)
        finally:
            over.set()
            self._waiting -= 1
            if not finish.cancel():
                # Looked at, so that nothing is written of an error that nobody waits for any more.
                finish.exception()


class Written:
    """A text that is being written."""

    def __init__(self, pieces: asyncio.Queue[str | None], finish: asyncio.Future[Finish]) -> None:
        self._pieces = pieces
        self._finish = finish

    async def __aiter__(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    async def finish(self) -> Finish:
        """How it ended, once all pieces have come.

        Raises:
            Exception: whatever the model says.
        """
        return await self._finish
