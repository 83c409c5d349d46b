"""What Triton's model repositories hold, told from the names of their files and their ``config.pbtxt``. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..ml import Signature, TensorSpec
from . import textproto
from .tensors import DTYPES
from .textproto import Message

CONFIG = "config.pbtxt"
FILES: Mapping[str, str] = {
    "model.onnx": "onnxruntime",
    "model.pt": "pytorch",
    "model.savedmodel": "tensorflow",
    "model.graphdef": "tensorflow",
    "model.py": "python",
    "model.plan": "tensorrt",
    "model.xml": "openvino",
}
"""The backend for a model's file by its name, as Triton tells it without a configuration."""
_PLATFORMS = {
    "onnxruntime_onnx": "onnxruntime",
    "pytorch_libtorch": "pytorch",
    "tensorflow_savedmodel": "tensorflow",
    "tensorflow_graphdef": "tensorflow",
    "tensorrt_plan": "tensorrt",
}
ENSEMBLE = "ensemble"
_TYPES = {f"TYPE_{name}": dtype for name, dtype in DTYPES.items()} | {"TYPE_STRING": "str", "TYPE_BF16": "bfloat16"}
TYPES: Mapping[str, str] = {dtype: name for name, dtype in _TYPES.items() if name not in ("TYPE_BYTES", "TYPE_BF16")}
"""Triton's names of a signature's dtypes."""


@dataclass(frozen=True)
class TritonModel:
    """One model of a repository."""

    name: str
    """Its folder's; empty where the repository is the model's folder itself."""
    files: tuple[str, ...]
    """Paths below its folder."""
    text: str = ""
    """Its configuration; empty where it has none."""
    config: Message = field(default_factory=dict)

    @property
    def backend(self) -> str:
        """Such as ``onnxruntime``; empty where nothing tells it."""
        platform = said(self.config, "platform")
        told = said(self.config, "backend") or _PLATFORMS.get(platform, platform)
        in_versions = (PurePosixPath(file).parts[1] for file in self.files if file != CONFIG and "/" in file)
        return told or next((FILES[name] for name in in_versions if name in FILES), "")

    @property
    def signature(self) -> Signature | None:
        """By its configuration; with the batch first where Triton's dimensions leave that out."""
        batch: tuple[int, ...] = (-1,) if said(self.config, "max_batch_size") not in ("", "0") else ()
        inputs, outputs = (tuple(_specs(self.config, role, batch)) for role in ("input", "output"))
        return Signature(input_dtype="", inputs=inputs, outputs=outputs) if inputs and outputs else None


def models_of(files: Sequence[str], texts: Mapping[str, str]) -> list[TritonModel]:
    """The models of a folder, in order: a repository, or one model's own folder.

    Args:
        files: paths with slashes.
        texts: the contents of the configurations among them.

    Raises:
        MalformedError: a configuration is none; says which.
    """
    grouped: dict[str, list[str]] = {}
    for path in files:
        first, _, rest = path.partition("/")
        grouped.setdefault(first, []).append(rest)
    whole = [path for path in files if path == CONFIG or path.partition("/")[0].isdecimal()]
    if _is_model(whole):
        return [_model("", whole, texts)]
    return [_model(name, held, texts) for name, held in grouped.items() if not name.startswith(".") and _is_model(held)]


def entry_of(models: Sequence[TritonModel], service: str = "") -> TritonModel | None:
    """The one that a service of this name answers with: the one of its name, else the only one, else the only
    ensemble; None where that leaves a choice."""
    ensembles = [one for one in models if one.backend == ENSEMBLE]
    for found in ([one for one in models if one.name == service], models, ensembles):
        if len(found) == 1:
            return found[0]
    return None


def said(message: Message, name: str) -> str:
    """A field that is no message; empty where it is not there."""
    found = message.get(name, [""])[-1]
    return found if isinstance(found, str) else ""


def _is_model(files: Sequence[str]) -> bool:
    if CONFIG in files:
        return True
    paths = (PurePosixPath(file).parts for file in files)
    return any(len(parts) > 1 and parts[0].isdecimal() and parts[1] in FILES for parts in paths)


def _model(name: str, files: Sequence[str], texts: Mapping[str, str]) -> TritonModel:
    text = texts.get(f"{name}/{CONFIG}" if name else CONFIG, "")
    try:
        return TritonModel(name, tuple(files), text, textproto.read(text))
    except textproto.MalformedError as error:
        where = f"{name}/{CONFIG}" if name else CONFIG
        raise textproto.MalformedError(f"{where}, {error}") from error


def _specs(config: Message, role: str, batch: tuple[int, ...]) -> list[TensorSpec]:
    found = []
    for one in config.get(role, ()):
        if isinstance(one, str):
            return []
        dtype = _TYPES.get(said(one, "data_type"), "")
        sizes = [size for size in one.get("dims", ()) if isinstance(size, str)]
        if not dtype or not said(one, "name") or not all(size.lstrip("-").isdecimal() for size in sizes):
            return []
        found.append(TensorSpec(said(one, "name"), dtype, (*batch, *(max(-1, int(size)) for size in sizes))))
    return found
