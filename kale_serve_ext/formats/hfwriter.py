"""Text generation with transformers, by ``model.generate()`` and the tokenizer's chat template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from ..errors import InvalidInputError
from ..ml import JSON
from . import hftasks
from .hfreader import device
from .texts import Finish, Prompt, Sampling, Writer

MOST_TOKENS = 1024
"""Tokens of an answer, unless a request asks for more or fewer."""
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer makes of bytes that are only a part of a character."""
_WINDOW = 6
"""Tokens before new ones that are decoded with them: a token's text depends on those before it."""


class _Stopped(Exception):
    """Ends ``generate()`` from within."""


class _Ids(Protocol):
    def tolist(self) -> list[int] | list[list[int]]: ...


class _Tokenizer(Protocol):
    chat_template: object
    bos_token_id: int | None
    eos_token_id: int | None
    pad_token_id: int | None

    def __call__(self, text: str) -> Mapping[str, list[int]]: ...
    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str: ...
    def apply_chat_template(
        self, messages: Sequence[Mapping[str, JSON]], *, add_generation_prompt: bool, tokenize: bool
    ) -> str: ...


class _GenerationConfig(Protocol):
    eos_token_id: int | list[int] | None


class _Model(Protocol):
    device: object
    generation_config: _GenerationConfig

    def generate(self, **options: object) -> object: ...


def load(path: Path, folder: hftasks.Folder, task: hftasks.Task) -> Writer:
    """The model of a folder.

    Raises:
        Exception: whatever transformers says of it.
    """
    import transformers

    both_ways = task.name == "text2text-generation"
    auto = transformers.AutoModelForSeq2SeqLM if both_ways else transformers.AutoModelForCausalLM
    model = auto.from_pretrained(path, trust_remote_code=False).eval().to(device())
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    return TransformersWriter(model, tokenizer, folder.context, reads=folder.most_read if both_ways else None)


class TransformersWriter:
    """A model with its tokenizer.

    Args:
        context: tokens that prompt and answer may have together; 0 where that is not known.
        reads: tokens that its encoder may have of the prompt, 0 where that is not known; None where it has no encoder,
            and the answer goes on from the prompt.
    """

    def __init__(self, model: _Model, tokenizer: _Tokenizer, context: int, *, reads: int | None) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._context = context
        self._reads_first = reads is not None
        self._longest = context - 1 if reads is None else reads
        ends = model.generation_config.eos_token_id or tokenizer.eos_token_id
        self._ends = set(ends) if isinstance(ends, list) else {ends}

    @property
    def chats(self) -> bool:
        return bool(self._tokenizer.chat_template) and not self._reads_first

    def conversation(self, messages: Sequence[Mapping[str, JSON]]) -> Prompt:
        if not self.chats:
            raise InvalidInputError(
                "The model has no chat template.",
                hint="Use completions, with a prompt like those that it was trained on.",
            )
        try:
            text = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # the template's own code, which refuses what the model was not trained on
            raise InvalidInputError(f"The chat template refuses these messages: {error}", field="messages") from error
        # The template writes the special tokens itself.
        encode = cast("Callable[..., Mapping[str, list[int]]]", self._tokenizer)
        return self._checked(encode(text, add_special_tokens=False)["input_ids"])

    def prompt(self, text: str) -> Prompt:
        ids = self._tokenizer(text)["input_ids"]
        if not ids and self._tokenizer.bos_token_id is not None:
            ids = [self._tokenizer.bos_token_id]
        return self._checked(ids)

    def write(
        self, prompt: Prompt, sampling: Sampling, piece: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Finish:
        import torch

        if sampling.seed is not None:
            torch.manual_seed(sampling.seed)
        most = self._most_tokens(prompt, sampling)
        ids = torch.tensor([prompt.tokens], device=self._model.device)
        written = Pieces(self._tokenizer, sampling.stop, piece, is_cancelled)
        try:
            with torch.no_grad():
                self._model.generate(
                    inputs=ids,
                    attention_mask=torch.ones_like(ids),
                    streamer=written,
                    max_new_tokens=most,
                    num_beams=1,  # others cannot be streamed
                    **self._padding(),
                    **_choosing(sampling),
                )
        except _Stopped:
            return Finish("stop", len(written.ids))
        written.flush()
        ended = written.has_stopped or bool(written.ids and written.ids[-1] in self._ends)
        return Finish("stop" if ended else "length", len(written.ids))

    def _checked(self, ids: Sequence[int]) -> Prompt:
        if not ids:
            raise InvalidInputError("The prompt is empty.", field="prompt")
        if 0 < self._longest < len(ids):
            takes = f"{self._longest:,}" if self._reads_first else f"{self._context:,}, the answer included"
            raise InvalidInputError(
                f"The prompt has {len(ids):,} tokens; the model takes {takes}.",
                hint="Shorten the text." if self._reads_first else "Shorten the prompt or the conversation.",
                field="prompt" if self._reads_first else "messages",
            )
        return Prompt(tuple(ids))

    def _most_tokens(self, prompt: Prompt, sampling: Sampling) -> int:
        left = self._context - (0 if self._reads_first else len(prompt.tokens)) if self._context else 0
        wanted = sampling.most_tokens or MOST_TOKENS
        return min(wanted, left) if left > 0 else wanted

    def _padding(self) -> Mapping[str, object]:
        """Said by itself where a model has no token for it, as transformers otherwise warns at each request."""
        if self._tokenizer.pad_token_id is not None or not self._ends - {None}:
            return {}
        return {"pad_token_id": min(end for end in self._ends if end is not None)}


class Pieces:
    """Takes the tokens of ``generate()`` one by one, and gives their text on."""

    def __init__(
        self,
        tokenizer: _Tokenizer,
        stop: Sequence[str],
        piece: Callable[[str], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._tokenizer = tokenizer
        self._stop = [text for text in stop if text]
        self._piece = piece
        self._is_cancelled = is_cancelled
        self._is_first = True
        self._shown = 0
        """How many tokens' text is known."""
        self._held = ""
        """Text that may be the beginning of a stop text."""
        self.ids: list[int] = []
        self.has_stopped = False

    def put(self, value: object) -> None:
        if self._is_cancelled():
            raise _Stopped
        if self._is_first:
            # The prompt; of a model with an encoder, what the answer begins with.
            self._is_first = False
            return
        told = cast("_Ids", value).tolist()
        self.ids += [one for part in told for one in (part if isinstance(part, list) else [part])]
        self._give(self._new_text(final=False))

    def end(self) -> None:
        """Called by ``generate()`` when the last token has come."""

    def flush(self) -> None:
        """Give what was kept back."""
        if not self.has_stopped:
            try:
                self._give(self._new_text(final=True))
            except _Stopped:
                return
            if self._held:
                self._piece(self._held)
                self._held = ""

    def _new_text(self, *, final: bool) -> str:
        start = max(0, self._shown - _WINDOW)
        before = self._tokenizer.decode(self.ids[start : self._shown], skip_special_tokens=True)
        whole = self._tokenizer.decode(self.ids[start:], skip_special_tokens=True)
        if whole.endswith(_UNFINISHED) and not final:
            return ""
        self._shown = len(self.ids)
        return whole[len(before) :]

    def _give(self, text: str) -> None:
        """Give text on, but for what may be the beginning of a stop text.

        Raises:
            _Stopped: one has come.
        """
        text = self._held + text
        ends = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if ends:
            self._held, self.has_stopped = "", True
            if min(ends):
                self._piece(text[: min(ends)])
            raise _Stopped
        begins = (size for stop in self._stop for size in range(1, len(stop)) if text.endswith(stop[:size]))
        keep = max(begins, default=0)
        self._held = text[len(text) - keep :]
        if len(text) > keep:
            self._piece(text[: len(text) - keep])


def _choosing(sampling: Sampling) -> dict[str, object]:
    """How the next token is chosen, as ``generate()`` takes it."""
    if sampling.temperature == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    given: dict[str, object] = {}
    if sampling.temperature is not None:
        given |= {"do_sample": True, "temperature": sampling.temperature}
    if sampling.top_p is not None:
        given |= {"do_sample": True, "top_p": sampling.top_p}
    return given
