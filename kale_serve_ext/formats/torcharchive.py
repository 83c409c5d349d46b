"""What a file of PyTorch is, by the names in its zip archive: nothing in it is unpickled, and torch is not imported.

All of them are zip files. ``torch.jit.save`` and ``torch.export.save`` put everything into one folder with the file's
name; a TorchServe model archive has its manifest in ``MAR-INF``. What is added by ``_extra_files`` or ``extra_files``
lies in the folder ``extra``, which is where this package keeps the signature of what it has exported.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from ..ml import JSON, Signature
from . import pickles, streams

TORCHSCRIPT, PT2, MAR, SAVED = "torchscript", "pt2", "mar", "saved"
"""TorchScript; a program of ``torch.export``; a TorchServe model archive; what ``torch.save`` has pickled."""
SIGNATURE = "kale-signature.json"
MANIFEST = "MAR-INF/MANIFEST.json"
_MOST_BYTES = 1 << 20
_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, NotImplementedError, RuntimeError)


def kind_of(path: Path) -> str:
    """One of the kinds above; empty for another archive, and for what is none."""
    try:
        with zipfile.ZipFile(path) as file:
            return _kind(file.namelist())
    except _UNREADABLE:
        return ""


def pickled_class(path: Path) -> str:
    """The class of what ``torch.save`` has pickled, such as ``collections.OrderedDict``; empty where it is not told."""
    try:
        with zipfile.ZipFile(path) as file:
            name = next(name for name in file.namelist() if name.endswith("/data.pkl"))
            with file.open(name) as pickled:
                return pickles.read(streams.Stream(cast("BinaryIO", pickled), seekable=False)).outermost
    except (*_UNREADABLE, StopIteration, EOFError):
        return ""


def signature_in(path: Path) -> Signature | None:
    """What :data:`SIGNATURE` in the archive says of its inputs and outputs; None where it is not there."""
    told = _json(path, lambda names: next((n for n in names if n.endswith(f"/extra/{SIGNATURE}")), ""))
    try:
        return Signature.from_dict(told) if told else None
    except (ValueError, KeyError, TypeError):
        return None


def manifest_of(path: Path) -> Mapping[str, JSON]:
    """The manifest of a TorchServe model archive; empty where it cannot be read."""
    return _json(path, lambda names: MANIFEST if MANIFEST in names else "")


def missing_in(path: Path) -> list[str]:
    """The files that the manifest of a model archive names and that it does not hold."""
    model = manifest_of(path).get("model")
    named = model if isinstance(model, Mapping) else {}
    try:
        with zipfile.ZipFile(path) as file:
            there = set(file.namelist())
    except _UNREADABLE:
        return []
    files = [str(named[key]) for key in ("serializedFile", "modelFile", "handler") if named.get(key)]
    # A handler may be one of TorchServe's own, by name, and FILE:FUNCTION.
    wanted = [name.partition(":")[0] for name in files]
    return [name for name in wanted if name not in there and "." in name]


def _kind(names: Iterable[str]) -> str:
    found = list(names)
    if MANIFEST in found:
        return MAR
    # The names without the folder that everything is in; programs of torch before 2.8 have none.
    inner = {name.partition("/")[2] for name in found} | set(found)
    if "archive_format" in inner or "serialized_exported_program.json" in inner:
        return PT2
    if "data.pkl" in inner:
        return TORCHSCRIPT if any(name.startswith("code/") for name in inner) else SAVED
    return ""


def _json(path: Path, choose: Callable[[Sequence[str]], str]) -> Mapping[str, JSON]:
    try:
        with zipfile.ZipFile(path) as file:
            name = choose(file.namelist())
            if not name or file.getinfo(name).file_size > _MOST_BYTES:
                return {}
            told: JSON = json.loads(file.read(name))
            return told if isinstance(told, Mapping) else {}
    except (*_UNREADABLE, RecursionError):
        return {}
