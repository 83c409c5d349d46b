"""What an ONNX file says of itself: names, dtypes and shapes of inputs and outputs, and where its weights lie.

By the schema of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, whose field numbers these are. Weights are not
read.
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

DTYPES: Mapping[int, str] = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "str", 9: "bool"},
    **{10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16"},
}
"""TensorProto.DataType in numpy's words."""
_DEEPEST = 40
"""Graphs within graphs, as in branches and loops."""
_MOST_TENSORS = 10_000
"""Inputs, or outputs, of a graph: nobody sends so many."""
_SHORT = b"|".join(re.escape(bytes([length])) + b".{%d}" % length for length in range(32))
_LISTED = re.compile(rb"(?:\x3d.{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x4a(?:" + _SHORT + rb"))+", re.DOTALL)
"""An attribute's lists of floats, whole numbers and short texts, which hold the nodes of a forest's trees."""
_MODEL = {1: False, 2: True, 3: True, 4: True, 5: False, 6: True, 7: True, 8: True, 14: True, 20: True, 25: True}
"""ModelProto's fields, and whether they are bytes; one more, 26, is configuration of devices."""
_FIRST = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)


class NoGraphError(DamagedError):
    """A message without a graph, which is another one than a model."""


@dataclass(frozen=True)
class External:
    """Weights in a file of their own."""

    location: str
    """Its path, relative to the model's folder."""
    end: int = 0
    """Bytes that it has at least."""


@dataclass(frozen=True)
class Graph:
    """What stands in a model's file."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    external: tuple[External, ...] = ()
    """Every file once."""
    opsets: Mapping[str, int] = field(default_factory=dict)
    """Version by the operators' domain; that of ONNX itself is ``ai.onnx``."""
    producer: str = ""
    sequences: tuple[str, ...] = ()
    """The outputs that are sequences, such as a classifier's of maps from class to probability, and no tensors."""


def may_be(head: bytes) -> bool:
    """Whether a file that begins so may be a model: a version of the format up to 30, then another field of a model."""
    if len(head) < 4 or head[0] != 0x08 or not 1 <= head[1] <= 30 or head[2] not in _FIRST:
        return False
    # The producer's name, unless it is something else that begins with a number.
    return head[2] != 0x12 or (head[3] < 100 and head[4 : 4 + head[3]].isascii())


@once_per_file(DamagedError)
def of_file(path: Path) -> Graph:
    """The graph of a file.

    Raises:
        DamagedError: it is no model, damaged or truncated.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return read(file, path.stat().st_size)


def read(file: BinaryIO, size: int) -> Graph:
    """The graph of the model in a file of ``size`` bytes.

    Raises:
        DamagedError: it is no model, damaged or truncated.
    """
    reader = Reader(file, size)
    graphs: list[Field] = []
    opsets: dict[str, int] = {}
    told = {2: "", 3: ""}
    external: dict[str, int] = {}
    for one in reader.fields(0, size):
        if _MODEL.get(one.number, one.is_bytes) != one.is_bytes:
            raise DamagedError(f"Its field {one.number} has another form than in a model.")
        if one.number in told:
            told[one.number] = reader.text(one)
        elif one.number == 7:
            graphs.append(one)
        elif one.number == 8:
            domain, version = _opset(reader, one)
            opsets[domain or "ai.onnx"] = version
        elif one.number == 25:
            for node in (part for part in reader.fields(one.start, one.end) if part.number == 7 and part.is_bytes):
                _node(reader, node, external, 0)
    if not graphs:
        raise NoGraphError("It has no graph.")
    inputs, outputs = _graph(reader, graphs[-1], external, 0)
    return Graph(
        inputs,
        outputs,
        tuple(External(location, end) for location, end in external.items()),
        opsets,
        " ".join(filter(None, told.values())),
        tuple(_sequences(reader, graphs[-1])),
    )


def _sequences(reader: Reader, graph: Field) -> Iterator[str]:
    for one in reader.fields(graph.start, graph.end):
        if one.number == 12 and one.is_bytes and (spec := _value(reader, one)):
            types = (part for part in reader.fields(one.start, one.end) if part.number == 2 and part.is_bytes)
            if any(part.number == 4 for each in types for part in reader.fields(each.start, each.end)):
                yield spec.name


def _opset(reader: Reader, message: Field) -> tuple[str, int]:
    domain, version = "", 0
    for one in reader.fields(message.start, message.end):
        if one.number == 1 and one.is_bytes:
            domain = reader.text(one)
        elif one.number == 2:
            version = one.value
    return domain, version


def _graph(
    reader: Reader, message: Field, external: dict[str, int], depth: int
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs; where the weights of it and its nodes lie goes to ``external``."""
    if depth > _DEEPEST:
        raise DamagedError("Its graphs lie too deep in each other.")
    inputs: dict[str, TensorSpec] = {}
    outputs: dict[str, TensorSpec] = {}
    weights: set[str] = set()
    for one in reader.fields(message.start, message.end):
        if not one.is_bytes:
            continue
        if one.number == 1:
            _node(reader, one, external, depth)
        elif one.number == 5:
            weights.add(_tensor(reader, one, external))
        elif one.number == 15:
            for part in reader.fields(one.start, one.end):
                if part.number in (1, 2) and part.is_bytes:
                    weights.add(_tensor(reader, part, external))
        elif one.number in (11, 12):
            spec = _value(reader, one)
            if spec:
                (inputs if one.number == 11 else outputs)[spec.name] = spec
    # Up to version 3 of the format every weight was an input too; it need not be sent.
    sent = tuple(spec for name, spec in inputs.items() if name not in weights)
    if max(len(sent), len(outputs)) > _MOST_TENSORS:
        raise DamagedError(f"It has more than {_MOST_TENSORS:,} inputs or outputs.")
    return sent, tuple(outputs.values())


def _node(reader: Reader, message: Field, external: dict[str, int], depth: int) -> None:
    """Tensors and graphs in the attributes of a node."""
    for attribute in reader.fields(message.start, message.end):
        if attribute.number != 5 or not attribute.is_bytes:
            continue
        for one in reader.fields(attribute.start, attribute.end, _LISTED):
            if one.number in (5, 10) and one.is_bytes:
                _tensor(reader, one, external)
            elif one.number in (6, 11) and one.is_bytes:
                _graph(reader, one, external, depth + 1)


def _tensor(reader: Reader, message: Field, external: dict[str, int]) -> str:
    """A tensor's name; the file that it lies in, where it is in one of its own, goes to ``external``."""
    name, entries, is_external = "", {}, False
    for one in reader.fields(message.start, message.end):
        if one.number == 8 and one.is_bytes:
            name = reader.text(one)
        elif one.number == 13 and one.is_bytes:
            pair = {part.number: reader.text(part) for part in reader.fields(one.start, one.end) if part.is_bytes}
            entries[pair.get(1, "")] = pair.get(2, "")
        elif one.number == 14 and not one.is_bytes:
            is_external = one.value == 1
    if is_external:
        location = entries.get("location", "")
        numbers = [entries.get(key, "") for key in ("offset", "length")]
        end = sum(int(number) for number in numbers if number.isdecimal() and len(number) < 19)
        external[location] = max(external.get(location, 0), end)
    return name


def _value(reader: Reader, message: Field) -> TensorSpec | None:
    """A ValueInfoProto; None for one without a name."""
    name, dtype = "", ""
    shape: tuple[str | int, ...] = ()
    for one in reader.fields(message.start, message.end):
        if one.number == 1 and one.is_bytes:
            name = reader.text(one)
        elif one.number == 2 and one.is_bytes:
            dtype, shape = _type(reader, one, 0)
    return TensorSpec(name, dtype or "object", shape) if name else None


def _type(reader: Reader, message: Field, depth: int) -> tuple[str, tuple[str | int, ...]]:
    """A TypeProto's dtype and shape; of a sequence of maps, as classifiers give it, the values' dtype for two axes."""
    if depth > _DEEPEST:
        raise DamagedError("Its types lie too deep in each other.")
    for one in reader.fields(message.start, message.end):
        if not one.is_bytes:
            continue
        if one.number in (1, 8):  # a tensor, or a sparse one
            return _tensor_type(reader, one)
        if one.number in (4, 9):  # a sequence of one type, or what may be there
            inner = next((part for part in reader.fields(one.start, one.end) if part.number == 1), None)
            dtype, shape = _type(reader, inner, depth + 1) if inner else ("object", ())
            return (dtype, shape) if one.number == 9 else (dtype, (-1, *shape))
        if one.number == 5:  # a map
            parts = {part.number: part for part in reader.fields(one.start, one.end)}
            value = parts.get(2)
            return (_type(reader, value, depth + 1)[0] if value and value.is_bytes else "object"), (-1,)
    return "object", ()


def _tensor_type(reader: Reader, message: Field) -> tuple[str, tuple[str | int, ...]]:
    dtype, dims = "object", list[str | int]()
    for one in reader.fields(message.start, message.end):
        if one.number == 1 and not one.is_bytes:
            dtype = DTYPES.get(one.value, f"onnx type {one.value}")
        elif one.number == 2 and one.is_bytes:
            dims = [_dim(reader, part) for part in _named(reader, one, 1)]
    return dtype, tuple(dims)


def _named(reader: Reader, message: Field, number: int) -> Iterator[Field]:
    return (part for part in reader.fields(message.start, message.end) if part.number == number and part.is_bytes)


def _dim(reader: Reader, message: Field) -> str | int:
    """A whole number, a name, or -1 for what may be anything."""
    for one in reader.fields(message.start, message.end):
        if one.number == 1 and not one.is_bytes:
            return one.value if one.value < 1 << 62 and one.value > 0 else -1
        if one.number == 2 and one.is_bytes:
            return reader.text(one) or -1
    return -1
