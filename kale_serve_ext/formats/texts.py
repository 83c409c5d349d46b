"""Models that generate or embed text, and what the routes of the OpenAI API ask of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..ml import JSON

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sampling:
    """How a text is to be written. None leaves it to the model's own settings."""

    most_tokens: int | None = None
    temperature: float | None = None
    """0 always picks the most likely token."""
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """Texts before which it ends."""


@dataclass(frozen=True)
class Prompt:
    """What a model goes on from, as its tokens."""

    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Finish:
    """How a text ended."""

    reason: str
    """``stop`` where the model or a stop text ended it, ``length`` where the limit did."""
    tokens: int
    """How many the model has written."""


@runtime_checkable
class Writer(Protocol):
    """What a format's ``load`` returns where its models generate text."""

    @property
    def chats(self) -> bool:
        """Whether it has a form for a conversation."""
        ...

    def conversation(self, messages: Sequence[Mapping[str, JSON]]) -> Prompt:
        """The prompt of a conversation, its turn to answer.

        Raises:
            InvalidInputError: it has no form for conversations, or not for this one.
        """
        ...

    def prompt(self, text: str) -> Prompt:
        """The prompt of a text to continue.

        Raises:
            InvalidInputError: it is too long, or empty where the model needs a beginning.
        """
        ...

    def write(
        self, prompt: Prompt, sampling: Sampling, piece: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Finish:
        """Write, and hand over each piece of text as soon as it is sure. Blocks.

        Args:
            is_cancelled: asked after each token; once it says yes the writing ends.

        Raises:
            InvalidInputError: the sampling cannot be had.
            Exception: whatever the library says.
        """
        ...


@runtime_checkable
class Embeds(Protocol):
    """What a format's ``load`` returns where its models make one vector of a text."""

    def embed(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        """A vector for each text, as float32, and of how many tokens the texts are."""
        ...
