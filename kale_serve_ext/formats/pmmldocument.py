"""What a PMML document says of its input and output, read without running anything of it.

https://dmg.org/pmml/v4-4-1/GeneralStructure.html. Documents with a document type are refused: PMML has no use for one,
and entities that are declared there may stand for anything.
"""

from __future__ import annotations

import math
import struct
import xml.parsers.expat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..ml import TensorSpec
from .readonce import once_per_file

_DTYPES = {"double": "float64", "float": "float32", "integer": "int64", "boolean": "bool"}
"""Of a field's dataType; all else is text."""
_OUTSIDE = frozenset({"supplementary", "target", "predicted", "order", "group", "analysisWeight", "frequencyWeight"})
"""Uses of a mining field that no request has a value for."""
_BLOCK = 1 << 16


class DocumentError(Exception):
    """Why a file is no PMML document, as in "model.pmml is …"."""


@dataclass(frozen=True)
class Interval:
    """The numbers that a field may have."""

    closure: str
    low: float | None
    high: float | None

    def holds(self, value: float) -> bool:
        """Whether the number is inside."""
        low_open, high_open = self.closure.startswith("open"), self.closure.endswith("Open")
        above = self.low is None or value > self.low or (value == self.low and not low_open)
        below = self.high is None or value < self.high or (value == self.high and not high_open)
        return above and below


@dataclass(frozen=True)
class InputField:
    """One field that a request gives a value for."""

    name: str
    dtype: str
    values: frozenset[str] = frozenset()
    """What it may be; empty for anything."""
    intervals: tuple[Interval, ...] = ()
    takes_invalid: bool = False
    """Whether the model says what becomes of other values."""

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.name, self.dtype, (-1,))


@dataclass(frozen=True)
class Document:
    """What is told of a model."""

    inputs: tuple[InputField, ...]
    outputs: tuple[TensorSpec, ...]
    """Those that it names; empty where it leaves them to whoever evaluates it."""
    kind: str
    """The element of the model, such as ``TreeModel``."""
    version: str
    producer: str


@dataclass
class _Field:
    dtype: str
    values: list[str] = field(default_factory=list)
    intervals: list[Interval] = field(default_factory=list)


def is_pmml(head: bytes) -> bool:
    """Whether a document that begins so has PMML's root element."""
    reader = _Reader()
    try:
        reader.feed(head, is_last=False)
    except DocumentError:
        return reader.is_pmml
    return reader.is_pmml


@once_per_file(DocumentError)
def of_file(path: Path) -> Document:
    """What a file tells. Whoever looks at a model asks for it several times, and documents may be large.

    Raises:
        DocumentError: it is no document, truncated, or has a document type.
        OSError: about the file.
    """
    return read(path)


def read(path: Path) -> Document:
    """Read a document in pieces.

    Raises:
        DocumentError: it is none, truncated, or has a document type.
        OSError: about the file.
    """
    reader = _Reader()
    with path.open("rb") as file:
        while piece := file.read(_BLOCK):
            reader.feed(piece, is_last=False)
    reader.feed(b"", is_last=True)
    return reader.document()


class _Reader:
    """Keeps the data dictionary, and the schema and output of the outermost model."""

    def __init__(self) -> None:
        self.is_pmml = False
        self._version = self._producer = self._kind = ""
        self._path: list[str] = []
        self._fields: dict[str, _Field] = {}
        self._mining: list[Mapping[str, str]] = []
        self._outputs: list[Mapping[str, str]] = []
        self._parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, piece: bytes, *, is_last: bool) -> None:
        """
        Raises:
            DocumentError: it is no XML, or no PMML.
        """
        try:
            self._parser.Parse(piece, is_last)
        except xml.parsers.expat.ExpatError as error:
            what = "a truncated PMML model" if self.is_pmml and is_last else "no well-formed XML"
            raise DocumentError(f"{what} ({error})") from error

    def document(self) -> Document:
        """What was read."""
        used = [one for one in self._mining if one.get("usageType", "active") not in _OUTSIDE]
        inputs = tuple(
            InputField(
                one["name"],
                found.dtype,
                frozenset(found.values),
                tuple(found.intervals),
                one.get("invalidValueTreatment", "returnInvalid") != "returnInvalid",
            )
            for one in used
            if (found := self._fields.get(one.get("name", "")))
        )
        final = [one for one in self._outputs if one.get("isFinalResult", "true") != "false" and one.get("name")]
        outputs = tuple(TensorSpec(one["name"], self._dtype_of(one), (-1,)) for one in final)
        return Document(inputs, outputs, self._kind, self._version, self._producer)

    def _dtype_of(self, output: Mapping[str, str]) -> str:
        if "dataType" in output:
            return _DTYPES.get(output["dataType"], "str")
        if output.get("feature") in ("probability", "confidence", "affinity"):
            return "float64"
        target = output.get("targetField") or next(
            (one["name"] for one in self._mining if one.get("usageType") in ("target", "predicted")), ""
        )
        return self._fields[target].dtype if target in self._fields else "str"

    def _start(self, tag: str, given: Mapping[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        depth = len(self._path)
        if depth == 0:
            if name != "PMML":
                raise DocumentError(f"an XML document of {name}")
            self.is_pmml = True
            self._version = given.get("version", "")
        parent = self._path[-1] if self._path else ""
        if name == "Application" and parent == "Header":
            self._producer = " ".join(filter(None, (given.get("name", ""), given.get("version", ""))))
        elif name == "DataField" and parent == "DataDictionary":
            self._fields[given.get("name", "")] = _Field(_DTYPES.get(given.get("dataType", ""), "str"))
        elif parent == "DataField" and self._fields:
            self._of_field(next(reversed(self._fields.values())), name, given)
        elif depth == 2 and name == "MiningSchema":
            self._kind = self._kind or parent
        elif depth == 3 and self._path[1] == self._kind:
            if name == "MiningField" and parent == "MiningSchema":
                self._mining.append(dict(given))
            elif name == "OutputField" and parent == "Output":
                self._outputs.append(dict(given))
        self._path.append(name)

    def _of_field(self, one: _Field, name: str, given: Mapping[str, str]) -> None:
        if name == "Value" and given.get("property", "valid") == "valid":
            one.values.append(given.get("value", ""))
        elif name == "Interval":
            low, high = (_number(given.get(side)) for side in ("leftMargin", "rightMargin"))
            one.intervals.append(Interval(given.get("closure", "closedClosed"), low, high))

    def _end(self, _: str) -> None:
        self._path.pop()

    def _refuse(self, root: str, *_: object) -> None:
        self.is_pmml = root.rpartition(":")[2] == "PMML"
        raise DocumentError("an XML document with a document type (DTD), which PMML models do not have")


def _number(text: str | None) -> float | None:
    try:
        found = float(text) if text else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def misfits(one: InputField, values: Sequence[object]) -> str:
    """Why one of the values is none that the field may have; empty where all are. What is missing is no misfit."""
    if one.takes_invalid:
        return ""
    allowed = allowed_by(one)
    intervals = [
        Interval(each.closure, _rounded(each.low, one.dtype), _rounded(each.high, one.dtype)) for each in one.intervals
    ]
    for row, value in enumerate(values):
        if value is None or value != value:
            continue
        if one.values and (str(value) if one.dtype == "str" else value) not in allowed:
            known = ", ".join(repr(each) for each in sorted(one.values)[:10])
            return f"Row {row}: the field {one.name!r} is {value!r}; it may be {known}."
        is_number = isinstance(value, int | float)
        if intervals and is_number and not any(each.holds(float(str(value))) for each in intervals):
            return f"Row {row}: the field {one.name!r} is {value!r}, which is outside of what it may be."
    return ""


def allowed_by(one: InputField) -> frozenset[object]:
    """The field's values as its dtype has them: 1.0 may be written ``1``, and a float32 is not quite ``0.1``."""
    return frozenset(value for text in one.values if (value := _typed(text, one.dtype)) is not None)


def _typed(text: str, dtype: str) -> object:
    """None for what is no value of the dtype."""
    if dtype == "str":
        return text
    if dtype == "bool":
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    try:
        return int(text)  # which a float may have no digits for
    except ValueError:
        return _rounded(_number(text), dtype)


def _rounded(value: float | None, dtype: str) -> float | None:
    """The nearest number of the dtype."""
    if value is None or dtype != "float32":
        return value
    try:
        found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return found
