"""Rows of any of the kinds that people keep them in, as plain lists: without importing numpy, pandas or polars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Protocol, SupportsFloat, cast, runtime_checkable

from typing_extensions import TypeAliasType

from ..errors import InvalidInputError
from ..ml import JSON
from . import images

_SUPPORTED = "JSON text or bytes, a dict, a list, a numpy array, a pandas or polars DataFrame, or a single row of these"

_PLAIN = {type(None), bool, int, float, str}


@dataclass(frozen=True)
class Table:
    """Named columns of equal length."""

    columns: Mapping[str, list[JSON]]

    def rows(self) -> list[JSON]:
        """One object per row."""
        names = list(self.columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


Cells = TypeAliasType("Cells", "Table | list[JSON]")
"""Named columns, or nested lists whose first dimension is the rows."""


@runtime_checkable
class _Array(Protocol):
    """A numpy array, a scalar of one, a torch tensor, an Arrow column…"""

    def tolist(self) -> JSON: ...


@runtime_checkable
class _Castable(Protocol):
    def astype(self, dtype: object, /) -> _Castable: ...
    def tolist(self) -> JSON: ...


@runtime_checkable
class _Scalar(Protocol):
    """A scalar of numpy."""

    def item(self) -> bool | int | float | str: ...


@runtime_checkable
class _Sparse(Protocol):
    def toarray(self) -> _Array: ...


@runtime_checkable
class _PandasFrame(Protocol):
    @property
    def columns(self) -> _Array: ...
    @property
    def iloc(self) -> object: ...
    def items(self) -> Sequence[tuple[object, _Array]]: ...


@runtime_checkable
class _PandasSeries(Protocol):
    @property
    def index(self) -> _Array: ...
    def tolist(self) -> JSON: ...


@runtime_checkable
class _PolarsFrame(Protocol):
    """A polars frame, or anything else that can tell its columns so."""

    def to_dict(self, *, as_series: bool) -> Mapping[str, list[JSON]]: ...
    def to_dicts(self) -> list[JSON]: ...


@runtime_checkable
class _PolarsSeries(Protocol):
    def to_list(self) -> list[JSON]: ...


def to_cells(data: object) -> Cells:
    """The rows of ``data``.

    A flat list of numbers (or of numbers and texts) is one row; a flat list of texts is as many rows.

    Raises:
        InvalidInputError: nothing that has rows, or two columns of one name.
    """
    if isinstance(data, _PolarsFrame):
        return Table({name: _plain_cells(cells) for name, cells in data.to_dict(as_series=False).items()})
    if isinstance(data, _PandasFrame):
        return _frame(data)
    if isinstance(data, _PandasSeries):
        names = data.index.tolist()
        values = data.tolist()
        values = _plain_cells(values) if isinstance(values, list) else values
        if isinstance(names, list) and isinstance(values, list) and all(isinstance(n, str) for n in names) and names:
            return Table({str(n): [v] for n, v in zip(names, values, strict=True)})
        return _rows(values)
    if isinstance(data, _Sparse):
        data = data.toarray()
    if isinstance(data, _Array):
        values = _listed(data)
        return _rows(values if _has_plain_values(data) else _deeply_plain(values))
    if isinstance(data, _PolarsSeries):
        return _rows(_plain_cells(data.to_list()))
    if isinstance(data, (bool, int, float)):
        return [[data]]
    if isinstance(data, str):
        return [data]
    if isinstance(data, (list, tuple)):
        return _rows([_plain(item) for item in data])
    kind = f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")
    raise InvalidInputError(f"A {kind} cannot be sent to a model.", hint=f"Pass {_SUPPORTED}.")


def scalar(value: object) -> JSON:
    """One value that JSON has no form for, as one that it has; arrays become lists.

    Raises:
        InvalidInputError: there is no such form.
    """
    if isinstance(value, (datetime, date, time)):
        # pandas' NaT is a datetime that is not equal to itself.
        return value.isoformat() if value == value else None
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return images.as_json(bytes(value))
    if isinstance(value, _Array) and not _lists_itself(value):
        return _listed(value)
    if isinstance(value, SupportsFloat) and _kind_of(value) == "f":
        return float(value)
    if isinstance(value, (set, frozenset, tuple, range)):
        return [v if isinstance(v, (bool, int, float, str)) else scalar(v) for v in value]
    name = type(value).__name__
    if name in ("NAType", "NaTType"):
        return None
    if name == "Period":
        return str(value)
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise InvalidInputError(f"A value of type {kind} cannot be sent to a model.", hint="Turn it into text or numbers.")


def _listed(values: _Array) -> JSON:
    """The array's values. numpy tells times as whole numbers where they are finer than Python's: these go as text."""
    dtype = str(getattr(values, "dtype", ""))
    if not dtype.startswith(("datetime64", "timedelta64")):
        return values.tolist()
    if dtype.startswith("datetime64") and isinstance(values, _Castable):
        return _time(values.astype(str).tolist())
    if isinstance(values, _Castable):
        counted = values.astype("timedelta64[ns]").astype("int64").tolist()
        return _nanoseconds(counted)
    return values.tolist()


def _has_plain_values(values: _Array) -> bool:
    """Whether they are numpy's numbers or texts, which it lists as Python's own; but for floats that are longer."""
    kind = _kind_of(values)
    return kind in ("b", "i", "u", "U") or (kind == "f" and getattr(values, "itemsize", 16) <= 8)


def _lists_itself(value: _Array) -> bool:
    """Whether it is one of numpy's longest numbers, which Python has no type for."""
    return isinstance(value.tolist(), _Array)


def _kind_of(values: object) -> str:
    """numpy's letter for the kind of an array's or number's type; empty of what is none of numpy's."""
    return str(getattr(getattr(values, "dtype", None), "kind", ""))


def _time(text: JSON) -> JSON:
    return [_time(t) for t in text] if isinstance(text, list) else None if text == "NaT" else text


def _nanoseconds(count: JSON) -> JSON:
    """A duration in ISO 8601, or lists of them."""
    if isinstance(count, list):
        return [_nanoseconds(n) for n in count]
    if not isinstance(count, int) or count == -(2**63):  # NaT
        return None
    sign = "-" if count < 0 else ""
    return f"{sign}PT{abs(count) // 10**9}.{abs(count) % 10**9:09d}S"


def _duration(value: timedelta) -> JSON:
    """In ISO 8601; pandas' own Timedelta, finer than Python's, writes itself."""
    written = getattr(value, "isoformat", None)
    if callable(written):
        return str(written()) if value == value else None
    return _nanoseconds(round(value / timedelta(microseconds=1)) * 1000)


def _frame(frame: _PandasFrame) -> Cells:
    columns: dict[str, list[JSON]] = {}
    named = False
    for name, values in frame.items():
        text = str(name)
        named = named or not isinstance(name, int)
        if text in columns:
            raise InvalidInputError(f"The DataFrame has two columns named {text!r}.", hint="Give each its own name.")
        cells = values.tolist()
        columns[text] = _plain_cells(cells) if isinstance(cells, list) else []
    if named or not columns:
        return Table(columns)
    # Columns that are only numbered (pd.DataFrame(array)) have no names that a model could know.
    return [list(row) for row in zip(*columns.values(), strict=True)]


def _plain_cells(cells: Sequence[object]) -> list[JSON]:
    """Cells as JSON values: what is missing as None, but NaN, which is a float like others until it is written."""
    if {type(c) for c in cells} <= _PLAIN:
        return cast("list[JSON]", list(cells))
    return [_plain(c) for c in cells]


def _rows(values: JSON) -> Cells:
    if not isinstance(values, list):
        return to_cells(values)
    if not values:
        return []
    if all(isinstance(v, Mapping) for v in values):
        return _records(values)
    if any(isinstance(v, (list, tuple)) for v in values) or all(isinstance(v, str) for v in values):
        return values
    return [values]


def _records(rows: list[JSON]) -> Cells:
    """Rows as objects: a table when all have the same columns and plain values."""
    objects = [row for row in rows if isinstance(row, Mapping)]
    names = list(objects[0])
    if all(images.is_base64(o) for o in objects):
        return rows
    same = all(list(o) == names or set(o) == set(names) for o in objects)
    if not same or any(isinstance(v, (Mapping, list, tuple)) for o in objects for v in o.values()):
        return rows
    return Table({name: [o[name] for o in objects] for name in names})


def _deeply_plain(values: JSON) -> JSON:
    """Nested lists of plain values, also of an array of objects."""
    if not isinstance(values, list):
        return _plain(values)
    if values and isinstance(values[0], list):
        return [_deeply_plain(v) for v in values]
    return _plain_cells(values)


def _plain(item: object) -> JSON:
    if type(item) in _PLAIN:
        return cast(JSON, item)
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, (bool, int, float, str)):  # numpy's own float is a float, and text may be one of numpy's
        return item.item() if isinstance(item, _Scalar) else item
    if isinstance(item, (list, tuple)):
        return [_plain(v) for v in item]
    if isinstance(item, _PandasSeries):
        names, values = item.index.tolist(), item.tolist()
        values = _plain_cells(values) if isinstance(values, list) else values
        if isinstance(names, list) and isinstance(values, list) and names and all(isinstance(n, str) for n in names):
            return {str(n): v for n, v in zip(names, values, strict=True)}
        return values
    return scalar(item)
