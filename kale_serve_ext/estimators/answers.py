"""A model's answers as JSON values, the same for the rows that are recorded and for those that are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Protocol, cast, runtime_checkable

from ..ml import JSON

_PLAIN = {type(None), bool, int, float, str}


@runtime_checkable
class _Frame(Protocol):
    """A data frame of pandas or polars."""

    @property
    def columns(self) -> Sequence[object]: ...
    def __getitem__(self, key: object, /) -> object: ...


@runtime_checkable
class _Sparse(Protocol):
    def toarray(self) -> _Array: ...


@runtime_checkable
class _Array(Protocol):
    def tolist(self) -> object: ...


@runtime_checkable
class _Castable(Protocol):
    def astype(self, dtype: str, /) -> _Array: ...


@runtime_checkable
class _Series(Protocol):
    def to_list(self) -> list[object]: ...


def plain(result: object) -> JSON:
    """Arrays, frames, sparse matrices and what lists hold of them as lists; of a frame an object for each row.

    Times are texts in ISO 8601, and what is missing is null but for NaN, which is a float until it is written.
    """
    if isinstance(result, _Frame) and not isinstance(result, Mapping):
        columns = {str(name): plain(result[name]) for name in result.columns}
        lists = [values for values in columns.values() if isinstance(values, list)]
        return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]
    if isinstance(result, _Sparse):
        result = result.toarray()
    if isinstance(result, _Series):
        return _cells(result.to_list())
    if isinstance(result, _Array):
        dtype = str(getattr(result, "dtype", ""))
        if dtype.startswith(("datetime64", "timedelta64")) and isinstance(result, _Castable):
            return _times(result.astype("str").tolist())
        return _cells(result.tolist())
    return _cells(result)


def _times(texts: object) -> JSON:
    return [_times(t) for t in texts] if isinstance(texts, list) else None if texts == "NaT" else str(texts)


def _cells(value: object) -> JSON:
    kind = type(value)
    if kind in _PLAIN:
        return cast("JSON", value)
    if isinstance(value, list | tuple):
        if {type(v) for v in value} <= _PLAIN:
            return cast("JSON", list(value))
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if kind.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat() if value == value else None
    if isinstance(value, timedelta | Decimal):
        return float(value) if isinstance(value, Decimal) else str(value)
    if isinstance(value, _Array):
        return _cells(value.tolist())
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)
