"""Requests to services that generate or embed text: the OpenAI API, as KServe's servers have it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ..engines.base import Manifest
from ..errors import InvalidInputError, NotFoundError, PredictionError
from ..ml import JSON
from . import protocols
from .client import PredictionClient
from .lines import Lines
from .pieces import Pieces, count, first_choice
from .status import runtime_of

if TYPE_CHECKING:
    import numpy as np

_VLLM = "kserve-vllmserver"
"""The runtime of KServe's that has the routes without a prefix."""
_OTHER_MODEL = (
    "Models that generate text answer chat() and complete(), those that embed texts embed(), all others predict()."
)
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
        """How the model continues a prompt."""
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
            count(counts.get("prompt_tokens")),
            count(counts.get("completion_tokens")),
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
