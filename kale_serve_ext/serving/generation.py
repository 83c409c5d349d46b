"""Requests to services whose models write text or embed it: OpenAI's REST interface, as KServe's servers have it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from ..engines.base import Manifest
from ..errors import InvalidInputError, NotFoundError, PredictionError
from ..ml import JSON
from ..sync import loop, run
from . import protocols
from .client import PredictionClient
from .lines import Lines
from .status import runtime_of

if TYPE_CHECKING:
    import numpy as np

_VLLM = "kserve-vllmserver"
"""The runtime of KServe's that has the routes without a prefix."""
_OTHER_MODEL = "Models that write text answer chat() and complete(), those that embed texts embed(); others predict()."
_OURS = ("model", "messages", "prompt", "input", "stream")

T = TypeVar("T")

Messages = str | Sequence[Mapping[str, JSON]]


@dataclass(frozen=True)
class Reply:
    """What a model has written. As a text (``str(reply)``) it is that alone."""

    text: str
    finish_reason: str
    """``stop`` where the model ended it, ``length`` where the limit of tokens did."""
    prompt_tokens: int
    """0 where the server does not count."""
    completion_tokens: int
    answer: Mapping[str, JSON] = field(repr=False)
    """All that the server answered."""

    def __str__(self) -> str:
        return self.text


def base_path(manifest: Manifest) -> str:
    """What stands before ``/chat/completions`` at a service's address."""
    return "/v1" if runtime_of(manifest).startswith(_VLLM) else "/openai/v1"


class Generation:
    """Asks one service by OpenAI's interface.

    Args:
        client: where requests go through, from the loop that it is used on.
    """

    def __init__(self, client: PredictionClient) -> None:
        self._client = client

    async def chat(self, messages: Messages, options: Mapping[str, JSON], timeout: float) -> Reply:
        """The model's answer to a conversation."""
        return await self._reply("chat/completions", conversation(messages), options, timeout)

    async def complete(self, prompt: str, options: Mapping[str, JSON], timeout: float) -> Reply:
        """What the model goes on with."""
        return await self._reply("completions", prompted(prompt), options, timeout)

    async def stream(self, asked: Mapping[str, JSON], options: Mapping[str, JSON], timeout: float) -> Pieces:
        """The answer to what :func:`conversation` or :func:`prompted` makes, piece by piece."""
        return Pieces(await self.events(asked, options, timeout))

    async def events(self, asked: Mapping[str, JSON], options: Mapping[str, JSON], timeout: float) -> Lines:
        """The lines of the stream that answers, as the server sends them.

        Args:
            asked: what :func:`conversation` or :func:`prompted` makes.
        """
        route = "chat/completions" if "messages" in asked else "completions"
        given = {"stream_options": {"include_usage": True}, **_checked(options), **asked, "stream": True}
        path, body = await self._request(route, given)
        return await _explained(self._client.stream(path, body, timeout))

    async def embed(self, texts: str | Sequence[str], timeout: float) -> np.ndarray:
        """A vector for each text: float32, of the shape ``[texts, width]``."""
        import numpy as np

        listed = [texts] if isinstance(texts, str) else list(texts)
        if not listed or not all(isinstance(text, str) for text in listed):
            raise InvalidInputError("embed() takes a text or a list of texts.", field="texts")
        told = await self._ask("embeddings", {"input": listed}, {}, timeout)
        data = told.get("data")
        found = [one.get("embedding") for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []
        try:
            return np.array(found, dtype=np.float32).reshape(len(listed), -1)
        except (TypeError, ValueError) as error:
            raise PredictionError("The service's answer holds no embeddings.", hint="Look at its logs.") from error

    async def _reply(self, route: str, asked: Mapping[str, JSON], options: Mapping[str, JSON], timeout: float) -> Reply:
        told = await self._ask(route, asked, options, timeout)
        choice = first_choice(told)
        message = choice.get("message")
        text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
        usage = told.get("usage")
        counts = usage if isinstance(usage, Mapping) else {}
        return Reply(
            str(text or ""),
            str(choice.get("finish_reason") or ""),
            _count(counts.get("prompt_tokens")),
            _count(counts.get("completion_tokens")),
            told,
        )

    async def _ask(
        self, route: str, asked: Mapping[str, JSON], options: Mapping[str, JSON], timeout: float
    ) -> Mapping[str, JSON]:
        path, body = await self._request(route, {**_checked(options), **asked})
        told = protocols.decode(await _explained(self._client.post(path, body, timeout)))
        return told if isinstance(told, Mapping) else {}

    async def _request(self, route: str, body: Mapping[str, JSON]) -> tuple[str, bytes]:
        target = await self._client.target()
        return f"{base_path(target.manifest)}/{route}", protocols.dumps({"model": target.model, **body})


class Pieces:
    """An answer that is being written: its pieces of text, in order. What is not read is cancelled by ``aclose``."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.text = ""
        """What has come."""
        self.finish_reason = ""
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> str:
        while (told := event(await anext(self._lines))) is not None:
            if text := self._take(told):
                return text
        await self.aclose()
        raise StopAsyncIteration

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._lines.is_over

    async def aclose(self) -> None:
        """End it: the model stops writing."""
        await self._lines.aclose()

    def _take(self, told: Mapping[str, JSON]) -> str:
        if told.get("error"):
            message = protocols.error_message(500, "application/json", json.dumps(told).encode())
            raise PredictionError(f"The model failed while it was writing: {message}", hint="Its logs may say more.")
        usage = told.get("usage")
        if isinstance(usage, Mapping):
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
            self.completion_tokens = _count(usage.get("completion_tokens"))
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


def conversation(messages: Messages | object) -> dict[str, JSON]:
    """The part of a request that a conversation is.

    Raises:
        InvalidInputError: it is none.
    """
    if isinstance(messages, str):
        return {"messages": [{"role": "user", "content": messages}]}
    listed = list(messages) if isinstance(messages, list | tuple) else []
    if not listed or not all(isinstance(one, Mapping) and "role" in one for one in listed):
        raise InvalidInputError(
            "messages is not a conversation.",
            hint='Pass a text, or a list of messages: [{"role": "user", "content": "Hello"}].',
            field="messages",
        )
    return {"messages": [dict(one) for one in listed]}


def prompted(prompt: object) -> dict[str, JSON]:
    """The part of a request that a prompt is."""
    if not isinstance(prompt, str):
        raise InvalidInputError("The prompt is not a text.", field="prompt")
    return {"prompt": prompt}


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


async def _next(pieces: Pieces) -> str | None:
    return await anext(pieces, None)


async def _explained(work: Awaitable[T]) -> T:
    """The work's result, where a route that is not there is told as what the model is not for."""
    try:
        return await work
    except PredictionError as error:
        if error.answer_status in (404, 405):
            raise NotFoundError(error.message, hint=_OTHER_MODEL) from error
        raise


def _checked(options: Mapping[str, JSON]) -> Mapping[str, JSON]:
    if taken := [name for name in options if name in _OURS]:
        raise InvalidInputError(f"{taken[0]} is not an option of this call.", field=taken[0])
    return options


def _count(value: JSON) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
