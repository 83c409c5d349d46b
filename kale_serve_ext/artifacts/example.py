"""What rows of a model's input say of it: names, dtypes, categories, what is missing, and one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Protocol, cast, runtime_checkable

from ..estimators import attribute, json_value, listed
from ..ml import JSON, Column, Signature

LOOKED_AT = 100
"""Rows that are looked at for a sample."""
_MOST_CELLS = 1_000_000
_SEARCHED = 100_000
"""Cells of a column that are looked at for what is missing."""
_LONGEST_TEXT = 2000
_MOST_CATEGORIES = 100_000
_IN_JSON = {str, bool, int, float, list, tuple, dict}
_VALUES = {bool: "bool", date: "date", datetime: "datetime", time: "time", Decimal: "decimal"}


@runtime_checkable
class _Frame(Protocol):
    """A data frame of pandas or polars."""

    @property
    def columns(self) -> object: ...
    def __getitem__(self, key: object) -> object: ...
    def head(self, n: int) -> object: ...


@runtime_checkable
class _Sliceable(Protocol):
    def __getitem__(self, key: slice, /) -> object: ...


def from_rows(data: object) -> Signature | None:
    """The input side of a signature: the kind of input, its width, dtypes, columns and one row.

    ``data`` is a data frame (pandas, polars), an array or sparse matrix, a list of rows, of objects or of texts, or
    one row as an object. None for anything else, and for no rows.
    """
    if isinstance(data, Mapping):
        return _from_objects([data])
    if isinstance(data, _Frame) and attribute(data, "dtypes") is not None and listed(data.columns):
        return _from_frame(data)
    if isinstance(data, list | tuple) and data and all(isinstance(row, Mapping) for row in data[:LOOKED_AT]):
        return _from_objects(data[:LOOKED_AT])
    return _from_array(data)


def _from_frame(frame: _Frame) -> Signature | None:
    names = listed(frame.columns)
    if len(set(map(str, names))) < len(names) or not all(isinstance(name, str) for name in names):
        to_numpy = attribute(frame, "to_numpy")  # no cell can be named then
        return _from_array(to_numpy()) if callable(to_numpy) else None
    part = cast(_Frame, frame.head(LOOKED_AT))
    cells = {str(name): [json_value(v) for v in _values(part[name])] for name in names}
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    polars = type(frame).__module__.partition(".")[0] == "polars"
    columns = [(_polars if polars else _pandas)(str(name), frame[name]) for name in names]
    return _table(columns, rows, "polars" if polars else "pandas")


def _pandas(name: str, series: object) -> Column:
    dtype = str(attribute(series, "dtype"))
    if dtype == "category":
        kept = attribute(attribute(series, "cat"), "categories")
        ordered = attribute(attribute(series, "cat"), "ordered") is True
        return _categorical(name, dtype, listed(kept), str(attribute(kept, "dtype") or ""), ordered)
    if dtype != "object":
        return Column(name, dtype)
    found = _values(series)[:_SEARCHED]
    return Column(name, dtype, missing=_missing(found), values=_kept_as(found))


def _polars(name: str, series: object) -> Column:
    dtype = str(attribute(series, "dtype"))
    head = dtype.partition("(")[0]
    if head.startswith("Float"):
        is_nan = attribute(series, "is_nan")
        holes = attribute(series, "null_count")
        nan = is_nan().any() if callable(is_nan) else False
        return Column(name, dtype, missing="nan" if nan and callable(holes) and not holes() else "")
    if head != "Enum":  # the categories of a Categorical are those of the whole process, in no order
        return Column(name, head if head == "Categorical" else dtype)
    return _categorical(name, head, _values(attribute(attribute(series, "dtype"), "categories")), "String", False)


def _categorical(name: str, dtype: str, kept: list[object], of: str, ordered: bool) -> Column:
    plain = [json_value(value) for value in kept]
    odd = of == "object" and not all(isinstance(value, str | bool | int | float) for value in kept)
    if len(kept) > _MOST_CATEGORIES or of.startswith(("interval", "period")) or odd or None in plain:
        return Column(name, dtype, category_dtype=of, ordered=ordered, values="other")
    return Column(name, dtype, tuple(plain), of, ordered)


def _missing(values: Iterable[object]) -> str:
    """How the first missing value is represented."""
    for value in values:
        if value is None:
            return "none"
        if isinstance(value, float) and value != value:
            return "nan"
        if (kind := type(value).__name__) in ("NAType", "NaTType"):
            return "na" if kind == "NAType" else "nat"
    return ""


def _kept_as(values: Iterable[object]) -> str:
    """What all objects of a column are that JSON cannot tell from texts or numbers; empty for those and mixtures of
    them, ``other`` where JSON has no form for some."""
    there = (v for v in values if v is not None and v == v and type(v).__name__ not in ("NAType", "NaTType"))
    kinds = {datetime if isinstance(v, datetime) else type(v) for v in there}
    kinds = {kind for kind in kinds if kind.__module__ != "numpy"}
    if len(kinds) == 1 and (kind := next(iter(kinds))) in _VALUES:
        return _VALUES[kind]
    return "" if kinds <= _IN_JSON else "other"


def _values(series: object) -> list[object]:
    to_list = attribute(series, "to_list")
    return listed(to_list() if callable(to_list) else series)


def _from_objects(rows: Sequence[Mapping[object, object]]) -> Signature | None:
    names = [str(name) for name in rows[0]]
    table = [{str(k): json_value(v) for k, v in row.items()} for row in rows]
    columns = [Column(name, _dtype_of([row.get(name) for row in table])) for name in names]
    return _table(columns, table, "objects")


def _table(columns: Sequence[Column], rows: Sequence[Mapping[str, JSON]], kind: str) -> Signature | None:
    if not columns or not rows:
        return None
    whole = [row for row in rows if not any(value is None for value in row.values())]
    dtypes = {column.dtype for column in columns}
    return Signature(
        input_size=["batch_size", len(columns)],
        input_dtype=dtypes.pop() if len(dtypes) == 1 else "object",
        columns=tuple(columns),
        sample=dict((whole or list(rows))[0]),
        input_kind=kind,
    )


def _from_array(data: object) -> Signature | None:
    rows = _first_rows(data)
    plain = json_value(rows)
    if not isinstance(plain, list) or not plain:
        return None
    sample = next((row for row in plain if not _holes(row)), plain[0])
    shape = [n for n in listed(attribute(data, "shape")) if isinstance(n, int)] or [len(plain), *_shape(sample)]
    known = attribute(data, "dtype")
    dtype = _dtype_of(_flat(sample)) if known is None else _dtype(known)
    return Signature(
        input_size=["batch_size", *shape[1:]],
        input_dtype=dtype,
        sample=sample[:_LONGEST_TEXT] if isinstance(sample, str) else sample,
        input_kind=_kind(data, plain, known),
        input_missing=_missing(_cells(rows)) if dtype == "object" and len(shape) > 1 else "",
    )


def _kind(data: object, rows: Sequence[JSON], dtype: object) -> str:
    if all(isinstance(row, str) for row in rows):
        return "texts"
    if callable(attribute(data, "toarray")):
        return "sparse"
    return "numpy" if dtype is not None and type(data).__module__.partition(".")[0] == "numpy" else ""


def _first_rows(data: object) -> object:
    if isinstance(data, str | bytes) or not isinstance(data, _Sliceable):
        return None
    shape = listed(attribute(data, "shape"))
    width = next((n for n in shape[1:2] if isinstance(n, int)), 1)
    try:
        # Of a very wide sparse matrix few: they become dense.
        rows = data[: max(1, min(LOOKED_AT, _MOST_CELLS // max(width, 1)))]
    except (TypeError, IndexError, KeyError):  # a number in an array's clothes
        return None
    dense = attribute(rows, "toarray")  # of a sparse matrix
    return dense() if callable(dense) else rows


def _cells(rows: object) -> Iterable[object]:
    for item in listed(rows):
        if isinstance(item, list | tuple):
            yield from _cells(item)
        else:
            yield item


def _shape(row: JSON) -> list[int]:
    return [len(row), *_shape(row[0] if row else None)] if isinstance(row, list) else []


def _flat(row: JSON) -> list[JSON]:
    return [v for inner in row for v in _flat(inner)] if isinstance(row, list) else [row]


def _holes(row: JSON) -> bool:
    return any(value is None for value in _flat(row))


def _dtype_of(values: Sequence[JSON]) -> str:
    kinds = {type(v) for v in values if v is not None}
    names = {bool: "bool", int: "int64", float: "float64"}
    if kinds == {int, float}:
        return "float64"
    return names.get(kinds.pop(), "object") if len(kinds) == 1 else "object"


def _dtype(dtype: object) -> str:
    """The name of an array's dtype; ``object`` for texts."""
    text = str(dtype)
    return "object" if text.startswith(("<U", ">U", "|S", "str", "String")) else text
