"""Models of transformers that read texts: classifiers, token classifiers, masks and embeddings."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..errors import InvalidInputError
from ..estimators.answers import plain
from ..ml import TensorSpec
from . import hftasks
from .hfvectors import Vectors
from .tensors import TensorModel

if TYPE_CHECKING:
    import numpy as np
    import torch

_AT_ONCE = 32
"""Texts that are embedded together."""
_UNBOUNDED = 1 << 30
"""What tokenizers that know no limit have as one is larger."""


class _Pipeline(Protocol):
    tokenizer: _Tokenizer

    def __call__(self, texts: str | list[str], **parameters: object) -> list[object]: ...


class _Encoded(Protocol):
    def to(self, device: object) -> Mapping[str, torch.Tensor]: ...


class _Tokenizer(Protocol):
    model_max_length: int

    def __call__(self, texts: list[str], **options: object) -> _Encoded: ...


class _Answer(Protocol):
    last_hidden_state: torch.Tensor


class _Encoder(Protocol):
    device: torch.device

    def __call__(self, **fed: object) -> _Answer: ...


def of_folder(path: Path, folder: hftasks.Folder, task: hftasks.Task) -> TensorModel:
    """The model of a folder.

    Raises:
        InvalidInputError: its texts become vectors in a way that is not served.
        Exception: whatever transformers says of it.
    """
    import transformers

    if task.kind == "embedding":
        model = transformers.AutoModel.from_pretrained(path, trust_remote_code=False).eval().to(device())
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        return Embedder(model, tokenizer, folder, task, path)
    made = transformers.pipeline(task.name, model=str(path), device=device(), trust_remote_code=False)
    return Reader(_bounded(made, folder), folder, task)


def of_objects(model: object, tokenizer: object, folder: hftasks.Folder, task: hftasks.Task) -> TensorModel:
    """The same of what was loaded."""
    import transformers

    if task.kind == "embedding":
        return Embedder(cast("_Encoder", model), cast("_Tokenizer", tokenizer), folder, task)
    # The caller's own tokenizer stays as it is.
    own = copy.copy(tokenizer)
    made = transformers.pipeline(task.name, model=model, tokenizer=own, device=getattr(model, "device", None))
    return Reader(_bounded(made, folder), folder, task)


def device() -> str:
    """Where models go: the first GPU where there is one."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


class Reader:
    """A pipeline, with its own answers."""

    def __init__(self, pipeline: _Pipeline, folder: hftasks.Folder, task: hftasks.Task) -> None:
        self._pipeline = pipeline
        self._parameters: dict[str, object] = dict(folder.parameters)
        self._is_mask = task.name == "fill-mask"
        # Token classification cuts by itself; a mask that is cut off would not be found.
        self._cuts: dict[str, object] = {"truncation": True} if task.kind == "labels" else {}
        self.inputs: tuple[TensorSpec, ...] = hftasks.inputs_of(task)
        self.outputs: tuple[TensorSpec, ...] = hftasks.outputs_of(task, folder)

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        import numpy as np

        texts = _texts(tensors)
        # One text after the other: beside longer ones a text is padded, and its numbers change in the last digits.
        found = [self._answer(text) for text in texts]
        if len(self.outputs) == 1:
            return {self.outputs[0].name: [plain(answer) for answer in found]}
        answers = [cast("Mapping[str, object]", answer) for answer in found]
        labels = np.empty(len(answers), dtype=object)
        labels[:] = [str(answer["label"]) for answer in answers]
        made: dict[str, object] = {
            "label": labels,
            "score": np.array([answer["score"] for answer in answers], dtype=np.float32),
        }
        return {name: values for name, values in made.items() if not wanted or name in wanted}

    def _answer(self, text: str) -> object:
        if self._is_mask:  # of a list with one text it gives what it gives of the text
            return self._pipeline(text, **self._parameters)
        return self._pipeline([text], **self._cuts, **self._parameters)[0]


class Embedder:
    """A model whose last layer is averaged over a text's tokens, to a vector of length one, as KServe's Hugging Face
    server does it; or what a folder of sentence-transformers says instead.

    Args:
        path: the folder; None where the model comes without one.

    Raises:
        InvalidInputError: the folder says what is not served.
    """

    def __init__(
        self,
        model: _Encoder,
        tokenizer: _Tokenizer,
        folder: hftasks.Folder,
        task: hftasks.Task,
        path: Path | None = None,
    ) -> None:
        from .hfpooling import Pooled

        self._model = model
        self._tokenizer = tokenizer
        self._told = folder.vectors
        if self._told and self._told.problem:
            raise InvalidInputError(self._told.problem, hint=hftasks.OTHER_VECTORS, field="model")
        self._pooled = Pooled(self._told or Vectors(), path, model.device)
        longest = longest_of(tokenizer.model_max_length, folder)
        self._longest: dict[str, object] = {"max_length": longest} if longest else {}
        self.inputs: tuple[TensorSpec, ...] = hftasks.inputs_of(task)
        self.outputs: tuple[TensorSpec, ...] = hftasks.outputs_of(task, folder)

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        vectors, _ = self.embed(_texts(tensors))
        return {self.outputs[0].name: vectors}

    def embed(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        """A vector for each text, as float32, and of how many tokens the texts are."""
        import numpy as np

        made: list[np.ndarray] = []
        tokens = 0
        for start in range(0, len(texts), _AT_ONCE):
            vectors, count = self._embed([self._as_read(text) for text in texts[start : start + _AT_ONCE]])
            made.append(vectors)
            tokens += count
        width = self.outputs[0].shape[1]
        empty = np.empty((0, max(int(width), 0)), dtype=np.float32)
        return (np.concatenate(made) if made else empty), tokens

    def _embed(self, texts: list[str]) -> tuple[np.ndarray, int]:
        import torch

        # A tokenizer without a token for padding takes one text at a time.
        if getattr(self._tokenizer, "pad_token", None) is None and len(texts) > 1:
            parts = [self._embed([text]) for text in texts]
            import numpy as np

            return np.concatenate([vectors for vectors, _ in parts]), sum(count for _, count in parts)
        fed = self._tokenizer(
            texts, return_tensors="pt", padding=len(texts) > 1, truncation=bool(self._longest), **self._longest
        ).to(self._model.device)
        with torch.no_grad():
            layer = self._model(**fed).last_hidden_state.float()
            vectors = self._pooled(layer, fed["attention_mask"])
        return vectors.cpu().numpy(), int(fed["attention_mask"].sum())

    def _as_read(self, text: str) -> str:
        """The text as sentence-transformers hands it to its tokenizer."""
        if self._told is None:
            return text
        found = (self._told.prompt + text).strip()
        return found.lower() if self._told.lowers else found


def longest_of(limit: int, folder: hftasks.Folder) -> int:
    """Tokens of a text that are read, the model's own among them; 0 where nothing tells it.

    Args:
        limit: the tokenizer's.
    """
    told = (limit, folder.context, folder.vectors.longest if folder.vectors else 0)
    return int(min((size for size in told if 0 < size < _UNBOUNDED), default=0))


def _bounded(pipeline: _Pipeline, folder: hftasks.Folder) -> _Pipeline:
    """The pipeline, so that it cuts texts before the model has no more positions for them."""
    if longest := longest_of(pipeline.tokenizer.model_max_length, folder):
        pipeline.tokenizer.model_max_length = longest
    return pipeline


def _texts(tensors: Mapping[str, np.ndarray]) -> list[str]:
    return [str(text) for text in tensors["text"].tolist()]
