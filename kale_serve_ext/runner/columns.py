"""One column of a data frame, of the dtype that it had: from values as JSON has them, or an array of numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..ml import Column

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    Values: TypeAlias = "Sequence[object] | NDArray[np.generic]"

_TIMES = ("datetime64", "timedelta64", "period[")
_OFFSET = re.compile(r"(Z|[+-]\d\d(:?\d\d)?)$", re.IGNORECASE)
_NULLABLE = re.compile(r"U?Int\d+|Float\d+|boolean")


def series(values: Values, column: Column) -> object:
    """A column of pandas.

    Args:
        values: numbers, texts, booleans and None; or an array of them.
        column: what it was; with an empty dtype only what the values themselves tell is known.

    Raises:
        ValueError, TypeError: values that such a column cannot hold.
    """
    import pandas as pd

    dtype = column.dtype
    made: object
    if column.values == "other":
        raise ValueError(f"{column.category_dtype or dtype} cannot be represented in a request")
    if dtype == "category" and column.categories is not None:
        made = _categorical(values, column)
    elif re.fullmatch(r"float\d+", dtype):
        made = exactly(
            np.asarray(values, dtype=None if isinstance(values, np.ndarray) else np.float64), np.dtype(dtype)
        )
    elif re.fullmatch(r"u?int\d+", dtype):
        made = _whole(values, dtype)
    elif dtype.startswith(_TIMES):
        made = _times(values, dtype)
    elif _NULLABLE.fullmatch(dtype):
        made = _extension([_number(v, dtype) for v in _plain(values)], dtype)
    elif dtype in ("", "object", "bool", "category"):
        made = _objects(values, column)
    else:  # string dtypes, those of Arrow, sparse ones
        made = _extension(_plain(values), _constructible(dtype))
    return pd.Series(made, copy=False)


def exactly(values: NDArray[np.generic], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """The numbers in this dtype where that changes none of them, else as they are: the model sees what was sent."""
    if values.dtype == dtype:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        cast: NDArray[np.generic] = values.astype(dtype)
    return cast if np.array_equal(cast, values, equal_nan=dtype.kind == "f" and values.dtype.kind == "f") else values


def polars_series(values: Values, column: Column) -> pl.Series:
    """The same of polars."""
    import polars as pl

    plain = _plain(values)
    dtype = column.dtype
    head = dtype.partition("(")[0]
    if head.startswith("Float") and column.missing == "nan":
        plain = [float("nan") if v is None else v for v in plain]
    else:  # polars has null where others have NaN
        plain = [None if v != v else v for v in plain]
    if dtype in ("", "Object"):
        return pl.Series(column.name, plain)
    if head in ("Date", "Datetime", "Time", "Duration"):
        return _polars_times(plain, column, head)
    if head in ("Categorical", "Enum"):
        if column.categories is None:
            return pl.Series(column.name, plain, dtype=pl.Categorical())
        known = [str(c) for c in column.categories]
        more = [v for v in dict.fromkeys(plain) if isinstance(v, str) and v not in known]
        if head == "Enum" and more:
            raise ValueError(f"{more[0]!r} is none of {', '.join(map(repr, known[:20]))}")
        return pl.Series(column.name, plain, dtype=pl.Enum(known) if head == "Enum" else pl.Categorical())
    kind = getattr(pl, head)
    if head == "Decimal":
        return pl.Series(column.name, [None if v is None else Decimal(str(v)) for v in plain])
    if head.startswith(("Int", "UInt")):
        plain = [int(v) if isinstance(v, float) and v.is_integer() else v for v in plain]
    if head == "Boolean":
        plain = [_truth(v) for v in plain]
    if head.startswith("Float"):
        plain = [float(v) if isinstance(v, int) else v for v in plain]
    return pl.Series(column.name, plain, dtype=kind)


def _categorical(values: Values, column: Column) -> pd.Categorical:
    """The category in its place among the recorded ones. One that is not among them comes after them, so that the
    library does with it what it does with a new category in a notebook."""
    import pandas as pd

    known: list[object] = list(column.categories or ())
    if column.category_dtype.startswith(_TIMES):
        index = pd.Index(_times(known, column.category_dtype))  # type: ignore[call-overload]  # a Series or an index
        given = pd.Series(_times(values, column.category_dtype))
        return pd.Categorical(given, categories=index, ordered=column.ordered)
    texts = all(isinstance(c, str) for c in known)
    same = {c: c for c in known}  # a boolean may come as a number, and a whole number as a float
    plain = [None if v is None or v != v else same.get(v, v) for v in _plain(values)]
    new: list[object] = []
    for value in dict.fromkeys(plain):
        if value is None or value in known:
            continue
        if texts != isinstance(value, str):
            shown = ", ".join(repr(c) for c in known[:10])
            raise ValueError(f"{value!r} is no category: these are {'texts' if texts else 'numbers'} ({shown})")
        new.append(value)
    made = [*known, *new]
    dtype = column.category_dtype if not new and column.category_dtype not in ("", "object") else None
    categories = pd.Index(made, dtype=dtype) if dtype else pd.Index(made, dtype="object" if texts else None)
    return pd.Categorical(plain, categories=categories, ordered=column.ordered)


def _whole(values: Values, dtype: str) -> np.ndarray:
    """Whole numbers; floats where one is missing or is none, as pandas does."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        return _whole_floats(values.astype(np.float64, copy=False), dtype)
    plain = _plain(values)
    if all(isinstance(v, int) and not isinstance(v, bool) for v in plain):
        exact = np.array(plain, dtype=object)
        info = np.iinfo(dtype)
        fits = all(info.min <= v <= info.max for v in exact)
        return exact.astype(dtype if fits else ("uint64" if min(exact, default=0) >= 0 else "int64"))
    return _whole_floats(np.array(plain, dtype=np.float64), dtype)


def _whole_floats(floats: np.ndarray, dtype: str) -> np.ndarray:
    info = np.iinfo(dtype)
    whole = bool(np.isfinite(floats).all()) and bool((floats == np.trunc(floats)).all())
    # As floats, the largest whole numbers of 64 bits are one more than they are.
    fits = whole and bool(((floats >= info.min) & (floats <= info.max) & (floats < 2.0**63)).all())
    return floats.astype(dtype) if fits else floats


def _times(values: Values, dtype: str) -> object:
    import pandas as pd

    plain = _plain(values)
    if any(isinstance(v, bool | int | float) and v == v for v in plain):
        raise ValueError("times are sent as ISO 8601 strings, such as 2024-03-01T12:00:00")
    texts = [None if v is None or v != v else str(v) for v in plain]
    if dtype.startswith("timedelta64"):
        return pd.to_timedelta(pd.Series(texts, dtype=object)).astype(dtype)  # type: ignore[call-overload]  # as below
    if dtype.startswith("period["):
        return pd.PeriodIndex(texts, freq=dtype[7:-1])
    zone = re.fullmatch(r"datetime64\[(\w+), (.+)\]", dtype)
    if zone and any(t and not _OFFSET.search(t) for t in texts):
        raise ValueError("this column takes times with an offset, such as 2024-03-01T12:00:00+01:00")
    read = pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", utc=bool(zone))
    if zone:
        return read.dt.tz_convert(zone[2]).astype(dtype)  # type: ignore[call-overload]  # as below
    if getattr(read.dtype, "tz", None) is not None or read.dtype == object:
        raise ValueError("this column takes times without a time zone")
    return read.astype(dtype)  # type: ignore[call-overload]  # whose name is known at run time only


def _objects(values: Values, column: Column) -> object:
    """Of any Python values, or of a dtype that nobody recorded: numbers and nulls alone are floats with NaN."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu" and column.dtype in ("", "category"):
        return values
    plain = _plain(values)
    if column.dtype == "bool" or (column.dtype == "object" and _only_truth(plain, column)):
        plain = [_truth(v) for v in plain]
    if column.dtype == "bool" and all(isinstance(v, bool) for v in plain):
        return np.array(plain, dtype=bool)
    if column.dtype in ("", "category", "bool"):
        kinds = {type(v) for v in plain}
        if kinds <= {int, float, type(None)} and kinds != {int}:
            return np.array(plain, dtype=np.float64)
        if kinds in ({int}, {bool}):
            return np.array(plain)
    if column.values:
        plain = [_made(v, column.values) for v in plain]
    stands = _missing(column, plain)
    made = np.empty(len(plain), dtype=object)
    made[:] = [stands if v is None or (isinstance(v, float) and v != v) else v for v in plain]
    return made


def _missing(column: Column, plain: Sequence[object]) -> object:
    """What a missing value of objects is. pandas itself has NaN where it reads texts, and None beside booleans."""
    if column.missing == "none":
        return None
    if column.missing in ("na", "nat"):
        import pandas as pd

        return pd.NA if column.missing == "na" else pd.NaT
    if not column.missing and any(isinstance(v, bool) for v in plain):
        return None
    return float("nan")


def _only_truth(plain: Sequence[object], column: Column) -> bool:
    """Whether a column of objects held booleans, which came as numbers for want of another form beside a null."""
    return column.values == "bool" and all(v is None or isinstance(v, bool | int | float) for v in plain)


def _truth(value: object) -> object:
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None if value != value else value


def _number(value: object, dtype: str) -> object:
    if value is None or value != value:
        import pandas as pd

        return pd.NA
    if dtype == "boolean":
        return _truth(value)
    if "Int" in dtype and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _made(value: object, kind: str) -> object:
    """An object that JSON has no form for, from its text."""
    if not isinstance(value, str):
        return Decimal(str(value)) if kind == "decimal" and isinstance(value, int | float) and value == value else value
    if kind == "date":
        return date.fromisoformat(value[:10])
    if kind == "datetime":
        return _timestamp(value)
    if kind == "time":
        return time.fromisoformat(value)
    return Decimal(value) if kind == "decimal" else value


def _timestamp(text: str) -> datetime:
    import pandas as pd

    made: datetime = pd.Timestamp(text).to_pydatetime()
    return made


def _polars_times(plain: Sequence[object], column: Column, head: str) -> pl.Series:
    import polars as pl

    name, dtype = column.name, column.dtype
    if any(isinstance(v, bool | int | float) and v == v for v in plain):
        raise ValueError("times are sent as ISO 8601 strings, such as 2024-03-01T12:00:00")
    texts = [v if isinstance(v, str) else None for v in plain]
    if head == "Date":
        return pl.Series(name, [None if t is None else date.fromisoformat(t[:10]) for t in texts], dtype=pl.Date)
    if head == "Time":
        return pl.Series(name, [None if t is None else time.fromisoformat(t) for t in texts], dtype=pl.Time)
    unit = re.search(r"time_unit='(\w+)'", dtype)
    zone = re.search(r"time_zone='([^']+)'", dtype)
    import pandas as pd

    if head == "Duration":
        made = [None if t is None else pd.Timedelta(t).to_pytimedelta() for t in texts]
        return pl.Series(name, made, dtype=pl.Duration(unit[1] if unit else "us"))  # type: ignore[arg-type]
    times = [None if t is None else _timestamp(t) for t in texts]
    wanted = pl.Datetime(unit[1] if unit else "us", zone[1] if zone else None)  # type: ignore[arg-type]
    return pl.Series(name, times, dtype=wanted)


def _plain(values: Values) -> list[object]:
    if isinstance(values, np.ndarray):
        listed: list[object] = values.tolist()
        return listed
    return list(values)


def _extension(values: list[object], dtype: str) -> object:
    import pandas as pd

    if dtype.startswith(("string", "str")) and (
        wrong := [v for v in values if v == v and not isinstance(v, str | None)]
    ):
        raise ValueError(f"{wrong[0]!r} is not a text")
    if sparse := re.fullmatch(r"Sparse\[(\w+), (.*)\]", dtype):
        return pd.array(values, dtype=pd.SparseDtype(sparse[1], float(sparse[2])))
    return pd.array(values, dtype=dtype)  # type: ignore[call-overload]  # whose name is known at run time only


def _constructible(dtype: str) -> str:
    """A dtype's name as pandas can make one of it: it writes the fill value of sparse ones too."""
    return {"string[python]": "string"}.get(dtype, dtype)
