"""An answer that a model is writing, as a stream: its pieces of text, for loops and for code without one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from types import TracebackType

from ..errors import KaleServeError, PredictionError
from ..ml import JSON
from ..sync import loop, run
from . import protocols
from .lines import Lines


class Pieces:
    """An answer that is being written: its pieces of text, in order. What is not read is cancelled by ``aclose``."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._is_closed = False
        self.text = ""
        """What has come."""
        self.finish_reason = ""
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> str:
        """
        Raises:
            DeadlineExceededError: nothing came for too long.
            PredictionError: the model failed, or the answer was cut off: it ended without saying that it is whole.
        """
        try:
            while not self._is_closed:
                line = await anext(self._lines, None)
                if line is None:
                    self._check_whole()
                    break
                told = event(line)
                if told is None:
                    break
                if text := self._take(told):
                    return text
        except KaleServeError:
            await self.aclose()
            raise
        await self.aclose()
        raise StopAsyncIteration

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._lines.is_over

    async def aclose(self) -> None:
        """End it: the model stops writing."""
        self._is_closed = True
        await self._lines.aclose()

    def _check_whole(self) -> None:
        # A server says why it ends, or [DONE]: a proxy's limit, or a server that dies, ends the connection alone.
        if not (self.finish_reason or self._is_closed):
            raise PredictionError(
                "The answer was cut off: the stream ended without a finish reason.", hint="Look at the service's logs."
            )

    def _take(self, told: Mapping[str, JSON]) -> str:
        if told.get("error"):
            message = protocols.error_message(500, "application/json", json.dumps(told).encode())
            raise PredictionError(f"The model failed while it was writing: {message}", hint="Its logs may say more.")
        usage = told.get("usage")
        if isinstance(usage, Mapping):
            self.prompt_tokens = count(usage.get("prompt_tokens"))
            self.completion_tokens = count(usage.get("completion_tokens"))
        choice = first_choice(told)
        self.finish_reason = str(choice.get("finish_reason") or self.finish_reason)
        delta = choice.get("delta")
        text = str((delta.get("content") if isinstance(delta, Mapping) else choice.get("text")) or "")
        self.text += text
        return text


class Stream:
    """An answer that is being written, for code without a loop: an iterator of pieces of text.

    It ends early by :meth:`close`, at the end of a ``with`` block, or when the last reference goes; the model then
    stops writing.
    """

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            piece = run(_next(self._pieces))
        except KeyboardInterrupt:
            self.close()
            raise
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """End it. One that has ended is left as it is."""
        run(self._pieces.aclose())

    def __del__(self) -> None:
        if not self._pieces.is_over:
            asyncio.run_coroutine_threadsafe(self._pieces.aclose(), loop())

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def text(self) -> str:
        """What has come so far."""
        return self._pieces.text

    @property
    def finish_reason(self) -> str:
        """``stop`` or ``length``; empty until it has ended."""
        return self._pieces.finish_reason

    @property
    def prompt_tokens(self) -> int:
        """0 until it has ended, or where the server does not count."""
        return self._pieces.prompt_tokens

    @property
    def completion_tokens(self) -> int:
        """0 until it has ended, or where the server does not count."""
        return self._pieces.completion_tokens


def event(line: str) -> Mapping[str, JSON] | None:
    """What a line of a stream says: nothing where it is empty or a comment, None where it ends the stream."""
    if not line.startswith("data:"):
        return {}
    text = line.removeprefix("data:").strip()
    if text == "[DONE]":
        return None
    try:
        told: JSON = json.loads(text)
    except ValueError as error:
        raise PredictionError(f"The service's stream holds what is not JSON: {text[:200]}") from error
    return told if isinstance(told, Mapping) else {}


def first_choice(told: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The first of an answer's choices; empty where there is none."""
    choices = told.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return first if isinstance(first, Mapping) else {}


def count(value: JSON) -> int:
    """A number of tokens; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


async def _next(pieces: Pieces) -> str | None:
    return await anext(pieces, None)
