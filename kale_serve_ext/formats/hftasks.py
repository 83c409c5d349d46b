"""What a model of transformers is for: its task, by what its folder says. Only JSON is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import InvalidInputError
from ..ml import JSON, TensorSpec
from . import hfvectors
from .hfvectors import Vectors
from .smallfiles import settings

CONFIG = "config.json"
TASK_FILE = "kale-task.json"
"""What the configuration does not tell: the pipeline's task and parameters, where they are not those of the model."""
ARGUMENT = "--task"
"""The argument of KServe's Hugging Face server that names a task."""
_TOKENIZERS = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model"),
    *("sentencepiece.bpe.model", "tokenizer.model"),
)
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_TEMPLATE = "chat_template"
_MOST_LABELS = 1000

OTHER_VECTORS = "It can be served as custom code that calls SentenceTransformer.encode()."
"""The way out for models whose vectors are made otherwise."""

Kind = Literal["labels", "lists", "embedding", "text"]


@dataclass(frozen=True)
class Task:
    """A task that is served."""

    name: str
    """As transformers' pipelines call it."""
    kserve: str
    """As the argument ``--task`` of KServe's Hugging Face server has it."""
    kind: Kind
    """What it answers: a label with its score, a list of findings, a vector, or text that it writes."""


TASKS = (
    Task("text-classification", "sequence_classification", "labels"),
    Task("token-classification", "token_classification", "lists"),
    Task("fill-mask", "fill_mask", "lists"),
    Task("feature-extraction", "text_embedding", "embedding"),
    Task("text-generation", "text_generation", "text"),
    Task("text2text-generation", "text2text_generation", "text"),
)
_ALIASES = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "sentence-similarity": "feature-extraction",
    "summarization": "text2text-generation",
    "translation": "text2text-generation",
}
_BY_ARCHITECTURE = (
    ("ForSequenceClassification", "text-classification"),
    ("ForTokenClassification", "token-classification"),
    ("ForMaskedLM", "fill-mask"),
    ("ForCausalLM", "text-generation"),
    ("LMHeadModel", "text-generation"),
    ("ForConditionalGeneration", "text2text-generation"),
    ("MTModel", "text2text-generation"),
    ("EncoderDecoderModel", "text2text-generation"),
    ("Model", "feature-extraction"),
)
"""What a class's name ends in; the first that fits counts. KServe's server derives the same, and no embeddings."""

_BEHIND_PADDING = frozenset(
    {
        *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod", "camembert", "mpnet"),
        *("longformer", "data2vec-text", "ibert", "luke", "mluke", "lilt", "markuplm", "layoutlmv3", "esm"),
    }
)
"""Types of models whose positions are counted from behind the number of the padding token: so many fewer are left."""
_RELATIVE = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers"})
"""Types of models that have no positions; what they say of them is how long the texts were that they learned from."""

_LISTS = {"fill-mask": "fills", "text-classification": "labels"}
"""What outputs of lists are called."""


@dataclass(frozen=True)
class Folder:
    """What a ``save_pretrained`` folder says of its model."""

    config: Mapping[str, JSON]
    told: Mapping[str, JSON] = field(default_factory=dict)
    """What :data:`TASK_FILE` says, and whether there is a ``chat_template``."""
    vectors: Vectors | None = None
    """How it makes vectors of texts, where it is one of sentence-transformers."""

    @property
    def architecture(self) -> str:
        """The model's class; empty where the configuration names none."""
        listed = self.config.get("architectures")
        return str(listed[0]) if isinstance(listed, Sequence) and listed and not isinstance(listed, str) else ""

    @property
    def task(self) -> str:
        """The task's name; one that is not served too, and empty where it cannot be told."""
        told = str(self.told.get("task") or "")
        if told:
            return _named(told)
        by_class = derived(self.architecture)
        # The class of those of sentence-transformers is often the one that they were trained as.
        is_classifier = by_class in ("text-classification", "token-classification")
        return "feature-extraction" if self.vectors and not is_classifier else by_class

    @property
    def chats(self) -> bool:
        """Whether its tokenizer has a form for conversations."""
        return bool(self.told.get(_TEMPLATE)) and self.task == "text-generation"

    @property
    def parameters(self) -> Mapping[str, JSON]:
        """Those of the pipeline that change its answers."""
        told = self.told.get("parameters")
        return told if isinstance(told, Mapping) else {}

    @property
    def labels(self) -> list[str]:
        """The classes, in order."""
        told = self.config.get("id2label")
        return [str(name) for name in list(told.values())[:_MOST_LABELS]] if isinstance(told, Mapping) else []

    @property
    def width(self) -> int:
        """Of an embedding; -1 where it is not told."""
        hidden = next((n for key in ("hidden_size", "d_model", "dim") if (n := self._number(key)) > 0), -1)
        return (self.vectors or Vectors()).width(hidden)

    @property
    def context(self) -> int:
        """Tokens that the model can have before it, its own among them; 0 where it is not told."""
        places = next((n for key in ("max_position_embeddings", "n_positions") if (n := self._number(key)) > 0), 0)
        if self.config.get("model_type") not in _BEHIND_PADDING:
            return places
        padding = self._number("pad_token_id")
        return max(places - (padding if padding >= 0 else 1) - 1, 0)

    @property
    def most_read(self) -> int:
        """Tokens that its encoder can have before it; 0 where there is no bound, or it is not told."""
        is_relative = self.config.get("model_type") in _RELATIVE
        return 0 if is_relative else max(self._number("max_encoder_position_embeddings"), 0) or self.context

    def _number(self, key: str) -> int:
        inner = self.config.get("text_config")
        for config in (self.config, inner if isinstance(inner, Mapping) else {}):
            value = config.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return -1


def read(path: Path) -> Folder | None:
    """What a folder says; None where it is none of transformers."""
    config = settings(path / CONFIG)
    if config is None or not (config.get("model_type") or config.get("architectures")):
        return None
    told = dict(settings(path / TASK_FILE) or {})
    told[_TEMPLATE] = (path / "chat_template.jinja").is_file() or bool(
        (settings(path / "tokenizer_config.json") or {}).get("chat_template")
    )
    return Folder(config, told, hfvectors.read(path))


def weights(path: Path) -> list[str]:
    """The files with the model's weights, at the top of the folder."""
    ours = {"training_args.bin", "optimizer.bin", "scheduler.bin"}
    found = sorted(p.name for p in path.iterdir() if p.suffix in (".safetensors", ".bin") and p.is_file())
    return [name for name in found if name not in ours]


def absent_weights(path: Path) -> list[str]:
    """The files that an index of weights names and that are not there."""
    for index in sorted(path.glob("*.index.json")):
        told = (settings(index) or {}).get("weight_map")
        if isinstance(told, Mapping):
            return sorted({str(name) for name in told.values() if not (path / str(name)).is_file()})
    return []


def has_tokenizer(path: Path) -> bool:
    return any((path / name).is_file() for name in _TOKENIZERS)


def has_processor(path: Path) -> bool:
    """Whether something turns what a model takes into its numbers: a tokenizer, or a processor of pictures or sound."""
    return has_tokenizer(path) or any((path / name).is_file() for name in _PROCESSORS)


def by_name(name: str) -> Task | None:
    """The task of this name, of transformers or of KServe; None where it is not served."""
    wanted = _named(name)
    return next((one for one in TASKS if one.name == wanted), None)


def derived(architecture: str) -> str:
    """The task that a model's class is for; empty where its name does not tell."""
    return next((task for end, task in _BY_ARCHITECTURE if architecture.endswith(end)), "")


def served_task(folder: Folder, argument: str = "") -> Task:
    """The task that the model is to be served with.

    Args:
        argument: what :data:`ARGUMENT` names, which wins.

    Raises:
        InvalidInputError: it cannot be told, or is not served.
    """
    name = argument or folder.task
    if found := by_name(name):
        return found
    known = ", ".join(one.name for one in TASKS)
    if not name:
        what = f"The class {folder.architecture!r}" if folder.architecture else f"{CONFIG}, which names no class,"
        raise InvalidInputError(
            f"{what} does not say what task the model is for.",
            hint=f"Log a transformers pipeline, which has a task. Supported tasks: {known}.",
            field="model",
        )
    raise InvalidInputError(
        f"The task {name!r} is not supported.",
        hint=f"Supported tasks: {known}. Anything else can be served as custom code that calls the pipeline.",
        field="model",
    )


def argument_in(words: Sequence[str], name: str = ARGUMENT) -> str:
    """What an argument of a command line says; empty where it is not there."""
    for word, after in zip(words, (*words[1:], ""), strict=False):
        if word == name:
            return after
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


def inputs_of(task: Task) -> tuple[TensorSpec, ...]:
    """The tensors that it takes; none where it writes."""
    return () if task.kind == "text" else (TensorSpec("text", "str", ("batch",)),)


def outputs_of(task: Task, folder: Folder) -> tuple[TensorSpec, ...]:
    """The tensors that it gives. Lists are texts in JSON by v2."""
    if task.kind == "embedding":
        return (TensorSpec("embedding", "float32", ("batch", folder.width)),)
    if task.kind == "labels" and answers_one(folder):
        return TensorSpec("label", "str", ("batch",)), TensorSpec("score", "float32", ("batch",))
    if task.kind == "text":
        return ()
    return (TensorSpec(_LISTS.get(task.name, "entities"), "str", ("batch",)),)


def answers_one(folder: Folder) -> bool:
    """Whether a classifier answers with its best label alone."""
    return "top_k" not in folder.parameters


def _named(name: str) -> str:
    wanted = name.strip().lower()
    if wanted.startswith("translation_"):  # from one language to another
        return "text2text-generation"
    by_kserve = {one.kserve: one.name for one in TASKS}
    return _ALIASES.get(wanted) or by_kserve.get(wanted) or wanted
