"""PyTorch: a module, exported with an example of its input; a program that was saved already; a TorchServe archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..entities import Artifact
from ..estimators import lineage
from ..ml import JSON, Signature
from ..modelmeta import read
from . import strangers, torcharchive
from .base import Content, Format, Server, top_level
from .tensors import TensorModel
from .torcharchive import MAR, PT2, SAVED, TORCHSCRIPT

if TYPE_CHECKING:
    from .torchexport import Exported

FILE = "pytorch_file"
"""The key of a record's details that says what the model's file is: ``torchscript``, ``pt2`` or ``mar``."""
WAY_OUT = f"Log the module with an example of its input: Model(module, example=x). {strangers.CUSTOM}"
_MODULES = ("torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram")


class _PyTorch(Format):
    name = "pytorch"
    title = "PyTorch"
    aliases = ("torch", "torchscript")
    suffixes = (".pt", ".pt2", ".mar")
    files = ((".pt",), (".pt2",), (".mar",))
    kinds = MappingProxyType({TORCHSCRIPT: (".pt",), PT2: (".pt2",), MAR: (".mar",)})
    endings = (".pt", ".pt2", ".pth", ".mar")
    needs = (("torch",), ("numpy",))
    needs_opening = False
    needs_same_python = False
    runtimes = ("kserve-tritonserver", "kserve-torchserve")
    server = Server("torch-server", "PyTorch server")

    def matches(self, obj: object) -> bool:
        return not lineage(obj).isdisjoint(_MODULES) or _is_exported(obj)

    def recognise(self, path: Path, head: bytes) -> Content | None:
        if not head.startswith(b"PK"):
            return None
        kind = torcharchive.kind_of(path)
        if kind == SAVED:
            return _of_saved(path)
        if kind == MAR and (missing := torcharchive.missing_in(path)):
            return Content(
                what=f"a TorchServe model archive without the file {missing[0]} that its manifest names",
                hint="Make it again with torch-model-archiver.",
            )
        return Content(self.name, kind) if kind else None

    def prepared(self, obj: object, said: Signature | None, example: object) -> object:
        """The module as the program that is saved."""
        if _is_exported(obj):
            return obj
        from .torchexport import export

        return export(obj, said, example)

    def default_name(self, obj: object) -> str:
        return str(getattr(obj, "original_name", "")) or type(obj).__name__

    def save(self, obj: object, directory: Path) -> None:
        from .torchprogram import save

        exported = _exported(obj)
        save(exported.program, directory / f"model{self.kinds[exported.kind][0]}", exported.kind, exported.signature)

    def load(self, path: Path) -> object:
        from .torchprogram import load

        return load(path)

    def tensor_model(self, obj: object) -> TensorModel | None:
        return _exported(obj).network if _is_exported(obj) else None

    def signature(self, obj: object) -> Signature | None:
        return _exported(obj).signature if _is_exported(obj) else None

    def details(self, obj: object) -> Mapping[str, JSON]:
        if not _is_exported(obj):
            return {}
        exported = _exported(obj)
        return {"estimator": exported.estimator, "exported": exported.how}

    def path_signature(self, directory: Path) -> Signature | None:
        file = _file(directory)
        meta = read(directory) if directory.is_dir() else None
        return (meta and meta.signature) or (torcharchive.signature_in(file) if file else None)

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        file = _file(directory)
        kind = torcharchive.kind_of(file) if file else ""
        return {FILE: kind} if kind else {}

    def opens(self, content: Content) -> bool:
        # The handler of an archive is code for TorchServe.
        return content.kind != MAR

    def unserved(self, model: Artifact) -> str:
        return "It is a TorchServe model archive, which only TorchServe loads." if is_archive(model) else ""


FORMAT = _PyTorch()


def is_archive(artifact: Artifact) -> bool:
    """Whether a model is a TorchServe model archive, which no other server loads."""
    return artifact.format == FORMAT.name and artifact.details.get(FILE) == MAR


def _of_saved(path: Path) -> Content:
    """What ``torch.save`` has written, which holds no code to run it with."""
    outermost = torcharchive.pickled_class(path)
    module, _, name = outermost.rpartition(".")
    if module.startswith("torch._utils") or name.startswith("_rebuild_"):
        what = "a tensor that torch.save has written, without a model"
    elif module in ("builtins", "collections", ""):
        what = "a PyTorch checkpoint: weights without the code of their module"
    else:
        what = f"a pickled PyTorch module ({outermost}), which needs its code"
    return Content(what=what, hint=WAY_OUT, outermost=outermost)


def _is_exported(obj: object) -> bool:
    return any(name.endswith(".formats.torchexport.Exported") for name in lineage(obj))


def _exported(obj: object) -> Exported:
    """
    Raises:
        InvalidInputError: it is a module as yet, of which nobody has given an example.
    """
    from .torchexport import Exported, export

    return obj if isinstance(obj, Exported) else export(obj, None, None)


def _file(path: Path) -> Path | None:
    found = top_level(path, FORMAT.suffixes)
    return found[0] if len(found) == 1 else None
