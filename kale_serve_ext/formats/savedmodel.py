"""What a SavedModel of TensorFlow says of itself: its signatures, with names, dtypes and shapes of inputs and outputs.

By the schemas saved_model.proto, meta_graph.proto and tensor_shape.proto of
https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core, whose field numbers these are. Neither the graph
nor the variables are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..ml import TensorSpec
from .protobuf import DamagedError, Field, Reader
from .readonce import once_per_file
from .tensors import ANY_SHAPE

FILE = "saved_model.pb"
SERVE = "serve"
"""The tag of the graph that is for serving."""
DEFAULT = "serving_default"
"""The name of the signature that answers where a request names none."""
DTYPES: Mapping[int, str] = {
    **{1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "str", 8: "complex64"},
    **{9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32"},
    **{23: "uint64"},
}
"""types.proto's DataType in numpy's words."""
_MOST_SIGNATURES = 1000
_MOST_TENSORS = 10_000
"""Inputs, or outputs, of a signature: nobody sends so many."""


@dataclass(frozen=True)
class SignatureDef:
    """A function that can be asked for by its name."""

    inputs: tuple[TensorSpec, ...] = ()
    """By name: a SavedModel keeps no order."""
    outputs: tuple[TensorSpec, ...] = ()
    method: str = ""
    """Such as ``tensorflow/serving/predict``."""


@dataclass(frozen=True)
class Graph:
    """What stands in the graph for serving."""

    signatures: Mapping[str, SignatureDef] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    """Of every graph in the file."""
    version: str = ""
    """TensorFlow's, that wrote it."""


def versions(folder: Path) -> dict[int, Path]:
    """The SavedModels in numbered folders, as TensorFlow Serving looks for them, by number."""
    try:
        found = [one for one in folder.iterdir() if one.name.isascii() and one.name.isdecimal()]
    except OSError:
        return {}
    return {int(one.name): one for one in sorted(found) if (one / FILE).is_file()}


def root(folder: Path) -> Path | None:
    """The folder with the SavedModel's files: this one, or the numbered one in it with the highest number."""
    if (folder / FILE).is_file():
        return folder
    numbered = versions(folder)
    return numbered[max(numbered)] if numbered else None


@once_per_file(DamagedError)
def of_file(path: Path) -> Graph:
    """The graph for serving of a ``saved_model.pb``; one without signatures where there is none.

    Raises:
        DamagedError: it is no SavedModel, damaged or truncated.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return read(file, path.stat().st_size)


def read(file: BinaryIO, size: int) -> Graph:
    """The same of a file of ``size`` bytes.

    Raises:
        DamagedError: it is no SavedModel, damaged or truncated.
    """
    reader = Reader(file, size)
    graphs: list[tuple[frozenset[str], Graph]] = []
    for one in reader.fields(0, size):
        if one.number not in (1, 2) or one.is_bytes != (one.number == 2):
            raise DamagedError(f"It has a field {one.number} that no SavedModel has.")
        if one.number == 2:
            graphs.append(_graph(reader, one))
    if not graphs:
        raise DamagedError("It has no graph.")
    tags = frozenset(tag for own, _ in graphs for tag in own)
    served = next((graph for own, graph in graphs if SERVE in own), Graph())
    return Graph(served.signatures, tags, served.version)


def _graph(reader: Reader, message: Field) -> tuple[frozenset[str], Graph]:
    """A MetaGraphDef, with its tags."""
    tags: set[str] = set()
    version = ""
    signatures: dict[str, SignatureDef] = {}
    for one in _messages(reader, message):
        if one.number == 1:
            for part in _messages(reader, one):
                if part.number == 4:
                    tags.add(reader.text(part))
                elif part.number == 5:
                    version = reader.text(part)
        elif one.number == 5:
            name, value = _entry(reader, one)
            if value is not None:
                signatures[name] = _signature(reader, value)
            if len(signatures) > _MOST_SIGNATURES:
                raise DamagedError(f"It has more than {_MOST_SIGNATURES:,} signatures.")
    return frozenset(tags), Graph(signatures, version=version)


def _signature(reader: Reader, message: Field) -> SignatureDef:
    tensors: dict[int, dict[str, TensorSpec]] = {1: {}, 2: {}}
    method = ""
    for one in _messages(reader, message):
        if one.number in tensors:
            name, value = _entry(reader, one)
            if value is not None:
                tensors[one.number][name] = _tensor(reader, name, value)
            if len(tensors[one.number]) > _MOST_TENSORS:
                raise DamagedError(f"A signature has more than {_MOST_TENSORS:,} inputs or outputs.")
        elif one.number == 3:
            method = reader.text(one)
    return SignatureDef(_by_name(tensors[1]), _by_name(tensors[2]), method)


def _tensor(reader: Reader, name: str, message: Field) -> TensorSpec:
    """A TensorInfo; what is sparse or made of several tensors is an object."""
    dtype, shape = "object", tuple[str | int, ...]()
    for one in reader.fields(message.start, message.end):
        if one.number == 2 and not one.is_bytes:
            dtype = DTYPES.get(one.value, f"tensorflow type {one.value}")
        elif one.number == 3 and one.is_bytes:
            shape = _shape(reader, one)
        elif one.number in (4, 5) and one.is_bytes:
            return TensorSpec(name, "object", ())
    return TensorSpec(name, dtype, shape)


def _shape(reader: Reader, message: Field) -> tuple[str | int, ...]:
    sizes: list[str | int] = []
    for one in reader.fields(message.start, message.end):
        if one.number == 2 and one.is_bytes:
            parts = [part.value for part in reader.fields(one.start, one.end) if part.number == 1 and not part.is_bytes]
            # Negative numbers are written as if they were large ones.
            sizes.append(parts[-1] if parts and parts[-1] < 1 << 62 else -1 if parts else 0)
        elif one.number == 3 and one.value:
            return ANY_SHAPE
    return tuple(sizes)


def _entry(reader: Reader, message: Field) -> tuple[str, Field | None]:
    """Key and value of a map's entry."""
    key, value = "", None
    for one in _messages(reader, message):
        if one.number == 1:
            key = reader.text(one)
        elif one.number == 2:
            value = one
    return key, value


def _messages(reader: Reader, message: Field) -> Iterator[Field]:
    return (one for one in reader.fields(message.start, message.end) if one.is_bytes)


def _by_name(specs: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
    """``output_2`` before ``output_10``."""

    def parts(name: str) -> list[tuple[bool, int, str]]:
        return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]

    return tuple(specs[name] for name in sorted(specs, key=parts))
