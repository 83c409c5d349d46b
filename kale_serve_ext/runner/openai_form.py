"""Requests and answers of the OpenAI API, as far as text-generation models know them. Pure.

What a client may send and has no effect by its value is passed over; what would change the answer, and cannot be had,
is refused by its name.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Mapping, Sequence

from ..errors import InvalidInputError
from ..formats.texts import Finish, Sampling
from ..ml import JSON

Body = Mapping[str, JSON]

PREFIX = "/openai/v1"
"""Where the routes are: where KServe's Hugging Face server has them."""

_COMPLETION_TOKENS = 16
"""What OpenAI's completions write unless they are told otherwise."""
_MOST_STOPS = 16
_LONGEST_SHOWN = 50
_WITHOUT: Mapping[str, tuple[JSON, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "tools": ([],),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
}
"""What is not offered, with the values that ask for nothing."""


def parsed(content: bytes) -> Body:
    """A request's body.

    Raises:
        InvalidInputError: it is no object of JSON, or asks for what is not offered.
    """
    try:
        body: JSON = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"The request is not JSON: {error}") from error
    if not isinstance(body, Mapping):
        raise InvalidInputError("The request is not an object.")
    for name, harmless in _WITHOUT.items():
        if (given := body.get(name)) is not None and given not in harmless:
            raise InvalidInputError(f"{name} is not offered by this server.", field=name)
    return body


def messages(body: Body) -> list[dict[str, JSON]]:
    """The conversation, each message's content as one text.

    Raises:
        InvalidInputError: it has another form; names the message.
    """
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise InvalidInputError("messages is not a list of messages.", field="messages")
    return [_message(number, one) for number, one in enumerate(given)]


def prompt(body: Body) -> str:
    """The text to go on with.

    Raises:
        InvalidInputError: there is none, or several.
    """
    given = body.get("prompt")
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if not isinstance(given, str):
        raise InvalidInputError("prompt is not a text; send one prompt at a time.", field="prompt")
    return given


def inputs(body: Body) -> list[str]:
    """The texts to embed.

    Raises:
        InvalidInputError: they are none, such as lists of tokens.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidInputError("input is neither a text nor a list of texts.", field="input")
    return [str(text) for text in texts]


def sampling(body: Body, *, chat: bool) -> Sampling:
    """How to write.

    Raises:
        InvalidInputError: a number that is none, or out of its range.
    """
    most = _whole(body, "max_completion_tokens", 1) or _whole(body, "max_tokens", 1)
    seed = _whole(body, "seed", None)
    return Sampling(
        most_tokens=most if most is not None else None if chat else _COMPLETION_TOKENS,
        temperature=_number(body, "temperature", 0, 10),
        top_p=_number(body, "top_p", 1e-6, 1),
        # torch takes 64 bits.
        seed=None if seed is None else seed % 2**63,
        stop=_stops(body.get("stop")),
    )


def wants_usage(body: Body) -> bool:
    """Whether a stream is to end with the count of tokens."""
    options = body.get("stream_options")
    return isinstance(options, Mapping) and options.get("include_usage") is True


class Answer:
    """The answer to one request: whole, or in events.

    Args:
        model: its name on the wire.
        chat: whether it is to a conversation.
        asked: tokens of the prompt.
    """

    def __init__(self, model: str, *, chat: bool, asked: int) -> None:
        self._chat = chat
        self._asked = asked
        self._head: dict[str, JSON] = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, text: str, finish: Finish) -> dict[str, JSON]:
        """All of it."""
        said: dict[str, JSON] = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choice: JSON = {"index": 0, **said, "logprobs": None, "finish_reason": finish.reason}
        kind = "chat.completion" if self._chat else "text_completion"
        return {**self._head, "object": kind, "choices": [choice], "usage": self._usage(finish)}

    def first(self) -> bytes:
        """The event before the first piece of text; completions have none."""
        return self._event({"role": "assistant", "content": ""}, None) if self._chat else b""

    def piece(self, text: str) -> bytes:
        """The event of a piece of text."""
        return self._event({"content": text} if self._chat else text, None)

    def last(self, finish: Finish, *, usage: bool) -> bytes:
        """The events that end it."""
        events = self._event({} if self._chat else "", finish.reason)
        if usage:
            events += event({**self._head, "object": self._kind, "choices": [], "usage": self._usage(finish)})
        return events + b"data: [DONE]\n\n"

    @property
    def _kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"

    def _event(self, said: JSON, reason: str | None) -> bytes:
        choice: JSON = {"index": 0, "delta" if self._chat else "text": said, "logprobs": None, "finish_reason": reason}
        return event({**self._head, "object": self._kind, "choices": [choice]})

    def _usage(self, finish: Finish) -> JSON:
        return {
            "prompt_tokens": self._asked,
            "completion_tokens": finish.tokens,
            "total_tokens": self._asked + finish.tokens,
        }


def event(content: JSON) -> bytes:
    """One of the events of a stream."""
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def error(message: str, status: int, field: str = "") -> JSON:
    """The body of an answer that tells of an error."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": field or None, "code": status}}


def _message(number: int, one: JSON) -> dict[str, JSON]:
    if not isinstance(one, Mapping) or not isinstance(one.get("role"), str):
        raise InvalidInputError(f"Message {number} is not an object with a role.", field="messages")
    content = one.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = "".join(_part(number, part) for part in content)
    if not isinstance(content, str):
        raise InvalidInputError(f"Message {number} has no text as its content.", field="messages")
    return {"role": one["role"], "content": content}


def _part(number: int, part: JSON) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    message = f"Message {number} has a part of the type {str(kind)[:50]!r}; send texts."
    raise InvalidInputError(message, field="messages")


def _number(body: Body, name: str, least: float | None, most: float | None) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise InvalidInputError(f"{name} is {_shown(value)}, which is not a number.", field=name)
    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least:g}" if most is None else f"between {least:g} and {most:g}"
        raise InvalidInputError(f"{name} is {_shown(value)}; it has to be {bounds}.", field=name)
    return value


def _whole(body: Body, name: str, least: int | None) -> int | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidInputError(f"{name} is {_shown(value)}, which is not a whole number.", field=name)
    if value is not None and least is not None and value < least:
        raise InvalidInputError(f"{name} is {_shown(value)}; it has to be at least {least}.", field=name)
    return value


def _is_finite(value: int | float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _shown(value: JSON) -> str:
    return repr(value if isinstance(value, int | float) else str(value)[:_LONGEST_SHOWN])[:_LONGEST_SHOWN]


def _stops(given: JSON) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else given or []
    if not isinstance(listed, list) or len(listed) > _MOST_STOPS or not all(isinstance(one, str) for one in listed):
        raise InvalidInputError(f"stop is neither a text nor a list of up to {_MOST_STOPS} texts.", field="stop")
    return tuple(str(one) for one in listed if one)
