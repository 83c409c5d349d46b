"""What a folder of sentence-transformers says of how texts become vectors. Only JSON is read.

``modules.json`` lists the steps: the model, pooling, layers behind it, and whether vectors get the length one.
https://www.sbert.net/docs/package_reference/sentence_transformer/models.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..ml import JSON
from .smallfiles import parsed, settings

MODULES = "modules.json"
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid")
"""Of torch.nn: those that a dense layer may end in."""
_LIBRARY = "sentence_transformers."
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""In the order in which their vectors are put together."""
POOLINGS = ("cls", "max", "mean", "lasttoken")


class _UnknownError(Exception):
    """What of it is not done here; a sentence."""


@dataclass(frozen=True)
class Pooling:
    """Makes one vector of those of the tokens."""

    modes: tuple[str, ...]


@dataclass(frozen=True)
class Dense:
    """A linear layer with an activation."""

    folder: str
    """Where its weights are, below the model's."""
    size: int
    """Numbers that it gives."""
    activation: str


@dataclass(frozen=True)
class Normalize:
    """Gives vectors the length one."""


Step = Pooling | Dense | Normalize


@dataclass(frozen=True)
class Vectors:
    """How the vectors of a text's tokens become one."""

    steps: tuple[Step, ...] = (Pooling(("mean",)), Normalize())
    """As KServe's Hugging Face server has them, unless the folder says otherwise."""
    longest: int = 0
    """Tokens of a text that are read; 0 where that is not told."""
    lowers: bool = False
    """Whether texts are put into small letters."""
    prompt: str = ""
    """What is put before each text."""
    problem: str = ""
    """What of it is not done here; a sentence. Nothing is served then: its vectors would be others."""

    @property
    def is_usual(self) -> bool:
        """Whether KServe's server does the same."""
        return self.steps == Vectors.steps and not self.prompt

    def width(self, hidden: int) -> int:
        """Numbers of a vector, of a model with ``hidden`` for each token; -1 where that is not known."""
        for step in self.steps:
            if isinstance(step, Pooling):
                hidden = hidden * len(step.modes) if hidden > 0 else -1
            elif isinstance(step, Dense):
                hidden = step.size
        return hidden

    @property
    def names(self) -> list[str]:
        """The steps, as a record tells of them."""
        named = []
        for step in self.steps:
            named += list(step.modes) if isinstance(step, Pooling) else [type(step).__name__.lower()]
        return named


def read(path: Path) -> Vectors | None:
    """What a folder says; None where it is none of sentence-transformers."""
    listed = parsed(path / MODULES)
    if not isinstance(listed, list):
        return None
    told = settings(path / "sentence_bert_config.json") or {}
    longest = told.get("max_seq_length")
    try:
        steps, prompt = _steps(path, listed), _prompt(path)
    except _UnknownError as error:
        return Vectors(problem=f"Its {MODULES} {error}.")
    return Vectors(
        steps,
        longest=longest if isinstance(longest, int) and longest > 0 else 0,
        lowers=told.get("do_lower_case") is True,
        prompt=prompt,
    )


def _steps(path: Path, listed: Sequence[JSON]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for place, one in enumerate(listed):
        module = one if isinstance(one, Mapping) else {}
        kind, folder = str(module.get("type") or ""), str(module.get("path") or "")
        name = kind.rpartition(".")[2] if kind.startswith(_LIBRARY) else ""
        inner = PurePosixPath(folder)
        if inner.is_absolute() or ".." in inner.parts:
            raise _UnknownError(f"leads out of the folder, to {folder[:100]!r}")
        told = settings(path / folder / "config.json") or {}
        if name == "Transformer" and place == 0:
            if inner.parts:
                raise _UnknownError(f"has the model in {folder[:100]!r}; it has to be at the top of the folder")
        elif name == "Pooling" and place == 1:
            steps.append(_pooling(told, folder))
        elif name == "Dense" and place > 1:
            steps.append(_dense(told, folder))
        elif name == "Normalize" and place > 1:
            steps.append(Normalize())
        else:
            raise _UnknownError(
                f"names {kind[:100]!r} as step {place}; served are a Transformer, Pooling, then Dense and Normalize"
            )
    if not steps:
        raise _UnknownError("has no Pooling, which makes one vector of a text's tokens")
    return tuple(steps)


def _pooling(told: Mapping[str, JSON], folder: str) -> Pooling:
    named = told.get("pooling_mode")
    modes = [mode for flag, mode in _FLAGS.items() if told.get(flag) is True]
    if isinstance(named, str):
        modes = [named]
    elif isinstance(named, list):
        modes = [str(mode) for mode in named]
    if not modes or not set(modes) <= {*POOLINGS}:
        said = ", ".join(mode[:50] for mode in modes) or "no mode that is known"
        raise _UnknownError(f"has the pooling {said} ({folder}); served are {', '.join(POOLINGS)}")
    if told.get("include_prompt") is False:
        raise _UnknownError(f"leaves the prompt out of the pooling ({folder}), which is not served")
    return Pooling(tuple(modes))


def _dense(told: Mapping[str, JSON], folder: str) -> Dense:
    size = told.get("out_features")
    activation = str(told.get("activation_function") or "torch.nn.modules.activation.Tanh")
    name = activation.rpartition(".")[2]
    if not isinstance(size, int) or size < 1:
        raise _UnknownError(f"has a dense layer without a size ({folder})")
    if name not in ACTIVATIONS or not activation.startswith("torch.nn."):
        raise _UnknownError(f"has the activation {activation[:100]!r} ({folder}); served are {', '.join(ACTIVATIONS)}")
    for key in ("module_input_name", "module_output_name"):
        if told.get(key) not in (None, "sentence_embedding"):
            raise _UnknownError(f"has a dense layer of {str(told[key])[:50]!r} ({folder}), not of the text's vector")
    return Dense(folder, size, name)


def _prompt(path: Path) -> str:
    """What the library puts before each text by itself."""
    told = settings(path / "config_sentence_transformers.json") or {}
    name, prompts = told.get("default_prompt_name"), told.get("prompts")
    if not isinstance(name, str):
        return ""
    found = prompts.get(name) if isinstance(prompts, Mapping) else None
    if not isinstance(found, str):
        raise _UnknownError(f"goes with a default prompt {name[:50]!r} that is not there")
    return found
