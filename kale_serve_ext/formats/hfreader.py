"""Models of transformers that read texts: classifiers, token classifiers, masks and embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..estimators.answers import plain
from ..ml import TensorSpec
from . import hftasks
from .tensors import TensorModel

if TYPE_CHECKING:
    import numpy as np

_AT_ONCE = 32
"""Texts that are embedded together."""
_POOLING = "1_Pooling/config.json"
"""Where sentence-transformers says how the vectors of tokens become one."""


class _Pipeline(Protocol):
    def __call__(self, texts: str | list[str], **parameters: object) -> list[object]: ...


class _Numbers(Protocol):
    """What is used of a torch.Tensor."""

    def __mul__(self, other: object, /) -> _Numbers: ...
    def __truediv__(self, other: object, /) -> _Numbers: ...
    def __getitem__(self, key: object, /) -> _Numbers: ...
    def unsqueeze(self, dim: int) -> _Numbers: ...
    def sum(self, dim: int) -> _Numbers: ...
    def clamp(self, *, min: float) -> _Numbers: ...
    def norm(self, *, dim: int, keepdim: bool) -> _Numbers: ...
    def float(self) -> _Numbers: ...
    def cpu(self) -> _Numbers: ...
    def numpy(self) -> np.ndarray: ...


class _Encoded(Protocol):
    def to(self, device: object) -> Mapping[str, _Numbers]: ...


class _Tokenizer(Protocol):
    def __call__(self, texts: list[str], **options: object) -> _Encoded: ...


class _Answer(Protocol):
    last_hidden_state: _Numbers


class _Encoder(Protocol):
    device: object

    def __call__(self, **fed: object) -> _Answer: ...


def of_folder(path: Path, folder: hftasks.Folder, task: hftasks.Task) -> TensorModel:
    """The model of a folder.

    Raises:
        Exception: whatever transformers says of it.
    """
    import transformers

    if task.kind == "embedding":
        model = transformers.AutoModel.from_pretrained(path, trust_remote_code=False).eval().to(device())
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        return Embedder(model, tokenizer, folder, task, first=_pools_first(path))
    made = transformers.pipeline(task.name, model=str(path), device=device(), trust_remote_code=False)
    return Reader(made, folder, task)


def of_objects(model: object, tokenizer: object, folder: hftasks.Folder, task: hftasks.Task) -> TensorModel:
    """The same of what was loaded."""
    import transformers

    if task.kind == "embedding":
        return Embedder(cast("_Encoder", model), cast("_Tokenizer", tokenizer), folder, task)
    made = transformers.pipeline(task.name, model=model, tokenizer=tokenizer, device=getattr(model, "device", None))
    return Reader(made, folder, task)


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
    """A model whose last layer is averaged over a text's tokens, to a vector of length one.

    So KServe's Hugging Face server does it. A folder of sentence-transformers may say that the first token stands for
    the text.
    """

    def __init__(
        self,
        model: _Encoder,
        tokenizer: _Tokenizer,
        folder: hftasks.Folder,
        task: hftasks.Task,
        *,
        first: bool = False,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._first = first
        self._longest: dict[str, object] = {"max_length": folder.context} if folder.context else {}
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
            vectors, count = self._embed(list(texts[start : start + _AT_ONCE]))
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
            mask = fed["attention_mask"].unsqueeze(-1).float()
            vectors = layer[:, 0] if self._first else (layer * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            whole = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return whole.cpu().numpy(), int(fed["attention_mask"].cpu().numpy().sum())


def _texts(tensors: Mapping[str, np.ndarray]) -> list[str]:
    return [str(text) for text in tensors["text"].tolist()]


def _pools_first(path: Path) -> bool:
    told = hftasks.settings(path / _POOLING)
    return told.get("pooling_mode_cls_token") is True
