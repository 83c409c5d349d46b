"""Hugging Face: models of transformers, as pipelines, with their tokenizer, or as folders of ``save_pretrained``.

Nothing is downloaded, and no code that a model brings is run: ``trust_remote_code`` is never given.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, cast

from ..entities import Artifact
from ..errors import InvalidInputError
from ..estimators import lineage
from ..ml import JSON, Signature
from . import hftasks
from .base import Content, Format, Server
from .tensors import TensorModel

_VLLM = "kserve-vllmserver"
_PIPELINE = "transformers.pipelines.base.Pipeline"
_MODEL = "transformers.modeling_utils.PreTrainedModel"
_TOKENIZER = "PreTrainedTokenizerBase"
_BESIDE = (_TOKENIZER, "ProcessorMixin", "FeatureExtractionMixin", "ImageProcessingMixin")
"""Classes, of transformers, of what stands before a model."""
_PARAMETERS = ("aggregation_strategy", "top_k", "function_to_apply", "stride", "ignore_labels")
"""Those of a pipeline that change the form of its answers."""
_PAIR = "Pass the pair (model, tokenizer), or a pipeline: Model(transformers.pipeline(…))."


class _Saves(Protocol):
    def save_pretrained(self, save_directory: str) -> object: ...


class _Pipeline(_Saves, Protocol):
    task: str


class _HuggingFace(Format):
    name = "huggingface"
    title = "Hugging Face"
    aliases = ("hugging face", "transformers")
    endings = (".safetensors", ".bin")
    needs = (("transformers",), ("torch",))
    needs_opening = False
    needs_same_python = False
    runtimes = ("kserve-huggingfaceserver", _VLLM)
    server = Server("huggingface-server", "Hugging Face server")

    def matches(self, obj: object) -> bool:
        return _is(obj, _PIPELINE) or _is(obj, _MODEL) or _pair(obj) is not None

    def matches_path(self, path: Path) -> bool:
        if not path.is_dir() or hftasks.read(path) is None:
            return False
        return bool(hftasks.weights(path)) and hftasks.has_processor(path)

    def recognise(self, path: Path, head: bytes) -> Content | None:
        size = int.from_bytes(head[:8], "little")
        if not (head[8:9] == b"{" and 2 <= size < 100 << 20 and head[9:].lstrip()[:1] == b'"'):
            return None
        return Content(
            what="a file of weights (safetensors), which is no whole model",
            hint=f"Choose the folder that save_pretrained() wrote, with {hftasks.CONFIG} and the tokenizer.",
        )

    def default_name(self, obj: object) -> str:
        pair = _pair(obj)
        return super().default_name(pair[0] if pair else obj)

    def save(self, obj: object, directory: Path) -> None:
        for part in _parts(obj):
            part.save_pretrained(str(directory))
        folder = hftasks.read(directory)
        if folder is None:
            raise InvalidInputError(
                f"What the {type(obj).__name__} saved has no {hftasks.CONFIG}.", hint=_PAIR, field="model"
            )
        told = _told_by_pipeline(obj, folder)
        if told:
            (directory / hftasks.TASK_FILE).write_text(json.dumps(told, sort_keys=True) + "\n", "utf-8")
            folder = hftasks.Folder(folder.config, {**folder.told, **told})
        hftasks.served_task(folder)
        if problems := self.check(directory):
            raise InvalidInputError(" ".join(problems), hint=_PAIR, field="model")

    def load(self, path: Path) -> object:
        # All of it lies in the folder. It is read when transformers is imported.
        os.environ["HF_HUB_OFFLINE"] = "1"
        folder = _folder(path)
        task = hftasks.served_task(folder, hftasks.argument_in(sys.argv))
        if task.kind == "text":
            from .hfwriter import load

            return load(path, folder, task)
        from .hfreader import of_folder

        return of_folder(path, folder, task)

    def tensor_model(self, obj: object) -> TensorModel | None:
        from .hfreader import of_objects

        model, before = _model_and_tokenizer(obj)
        folder = _config_of(obj, model)
        task = hftasks.served_task(folder)
        return None if task.kind == "text" else of_objects(model, before, folder, task)

    def signature(self, obj: object) -> Signature | None:
        model, _ = _model_and_tokenizer(obj)
        return _signature(_config_of(obj, model))

    def details(self, obj: object) -> Mapping[str, JSON]:
        model, _ = _model_and_tokenizer(obj)
        return _details(_config_of(obj, model))

    def check(self, directory: Path) -> list[str]:
        folder = hftasks.read(directory) if directory.is_dir() else None
        if folder is None:
            return [f"{hftasks.CONFIG} is missing; it names the model's class."]
        found = []
        if not hftasks.weights(directory):
            found.append("There is no file of weights (.safetensors or .bin).")
        elif absent := hftasks.absent_weights(directory):
            found.append(f"The index names weights that are missing: {', '.join(absent[:5])}.")
        if folder.vectors and folder.vectors.problem and folder.task == "feature-extraction":
            found.append(f"{folder.vectors.problem} {hftasks.OTHER_VECTORS}")
        if not hftasks.has_processor(directory):
            found.append("There is no tokenizer: save it into the same folder, by tokenizer.save_pretrained(folder).")
        return found

    def stock_differences(self, model: Artifact, method: str) -> Iterable[str]:
        task = hftasks.by_name(str(model.details.get("task") or ""))
        if task and task.name == "text-classification":
            yield "It answers with the number of the class, not with its label and score."
        elif task and task.name == "token-classification":
            yield "It answers with the number of each token's class, special tokens included, not with the entities."
        elif task and task.name == "fill-mask":
            yield "It answers with the most likely token only, without its score."
        elif model.details.get("vectors"):
            yield "It averages the vectors of the tokens, to length one, whatever modules.json says."

    def refused_by(self, model: Artifact, runtime: str) -> str:
        task = hftasks.by_name(str(model.details.get("task") or ""))
        if task is None or task.name == "text-generation" or not runtime.startswith(_VLLM):
            return ""
        return f"vLLM serves text generation only, and the model is for {task.name}."

    def arguments(self, model: Artifact, runtime: str) -> tuple[str, ...]:
        task = hftasks.by_name(str(model.details.get("task") or ""))
        if task is None or task.kind == "text" or not runtime.startswith("kserve-huggingfaceserver"):
            return ()
        derived = hftasks.derived(str(model.details.get("architecture") or ""))
        # Embeddings it does not derive.
        is_told = task.name == derived and task.kind != "embedding"
        return () if is_told else (f"{hftasks.ARGUMENT}={task.kserve}",)

    def path_signature(self, directory: Path) -> Signature | None:
        return _signature(_folder(directory))

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        folder = _folder(directory)
        return {**_details(folder), "task": hftasks.served_task(folder).name}


def _is(obj: object, name: str) -> bool:
    return name in lineage(obj) and not isinstance(obj, type)


def _pair(obj: object) -> tuple[object, object] | None:
    """The model and what stands before it, in whichever order they come."""
    if not isinstance(obj, tuple | list) or len(obj) != 2:
        return None
    first, second = obj if _is(obj[0], _MODEL) else reversed(obj)
    names = {name.rpartition(".")[2] for name in lineage(second) if name.startswith("transformers.")}
    return (first, second) if _is(first, _MODEL) and names & set(_BESIDE) else None


def _parts(obj: object) -> tuple[_Saves, ...]:
    if _is(obj, _PIPELINE):
        return (cast("_Saves", obj),)
    pair = _pair(obj)
    if pair is None:
        what = f"The {type(obj).__name__} is a model without its tokenizer."
        raise InvalidInputError(what, hint=_PAIR, field="model")
    return cast("tuple[_Saves, ...]", pair)


def _model_and_tokenizer(obj: object) -> tuple[object, object]:
    pair = _pair(obj)
    return pair or (getattr(obj, "model", obj), getattr(obj, "tokenizer", None))


def _config_of(obj: object, model: object) -> hftasks.Folder:
    """What a folder that the object is saved to will say."""
    config = getattr(model, "config", None)
    made = config.to_dict() if config is not None else {}
    told: JSON = json.loads(json.dumps(made, default=str))
    plain = {**told} if isinstance(told, Mapping) else {}
    plain["architectures"] = [type(model).__name__]
    told_by: dict[str, JSON] = {"chat_template": bool(getattr(_model_and_tokenizer(obj)[1], "chat_template", None))}
    return hftasks.Folder(plain, {**told_by, **_told_by_pipeline(obj, hftasks.Folder(plain))})


def _told_by_pipeline(obj: object, folder: hftasks.Folder) -> dict[str, JSON]:
    """What a pipeline knows beyond its model: a task and parameters of its own."""
    if not _is(obj, _PIPELINE):
        return {}
    task = str(cast("_Pipeline", obj).task or "")
    told: dict[str, JSON] = {} if hftasks.by_name(task) == hftasks.by_name(folder.task) else {"task": task}
    set_ones: dict[str, object] = {}
    for step in ("_preprocess_params", "_postprocess_params"):
        set_ones |= getattr(obj, step, {})
    parameters = {key: _plain(set_ones[key]) for key in _PARAMETERS if key in set_ones}
    if _is_usual(parameters):
        return told
    return {**told, "parameters": parameters}


def _plain(value: object) -> JSON:
    """A parameter as JSON: choices by their names, as pipelines take them."""
    name = getattr(value, "name", None)
    told: JSON = name.lower() if isinstance(name, str) else json.loads(json.dumps(value, default=str))
    return told


def _is_usual(parameters: Mapping[str, JSON]) -> bool:
    usual: dict[str, JSON] = {"aggregation_strategy": "none", "ignore_labels": ["O"]}
    return all(usual.get(key, _ABSENT) == value for key, value in parameters.items())


_ABSENT: JSON = {"": "no parameter has this value"}


def _folder(path: Path) -> hftasks.Folder:
    """
    Raises:
        InvalidInputError: it is none of transformers.
    """
    folder = hftasks.read(path)
    if folder is None:
        raise InvalidInputError(
            f"{path.name} holds no {hftasks.CONFIG} of transformers.",
            hint="Choose the folder that save_pretrained() wrote.",
            field="path",
        )
    return folder


def _signature(folder: hftasks.Folder) -> Signature | None:
    task = hftasks.by_name(folder.task)
    if task is None or task.kind == "text":
        return None
    return Signature(input_dtype="", inputs=hftasks.inputs_of(task), outputs=hftasks.outputs_of(task, folder))


def _details(folder: hftasks.Folder) -> dict[str, JSON]:
    task = hftasks.by_name(folder.task)
    labels = folder.labels if task and task.name in ("text-classification", "token-classification") else []
    told: dict[str, JSON] = {
        "task": task.name if task else folder.task,
        "architecture": folder.architecture,
        "model_type": str(folder.config.get("model_type") or ""),
        "labels": labels,
        "context": folder.context,
        "chat": folder.chats,
        "vectors": list(folder.vectors.names) if folder.vectors and not folder.vectors.is_usual else [],
    }
    return {key: value for key, value in told.items() if value}


FORMAT: Format = _HuggingFace()
