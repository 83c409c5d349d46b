"""The table that a model was trained with, made again from what came over the wire.

A request holds plain values: numbers, texts, booleans and null. The model's :class:`~kale_serve_ext.ml.Signature` says
what they were: an ``Int64``, a category in its place among others, a time in a zone; and which of its many forms a
missing value has. Models logged without an example have guesses in their signature, which only break ties here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..estimators.names import rewritten
from ..ml import JSON, Column, Signature
from .columns import exactly, polars_series, series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .columns import Values

    Array = NDArray[np.generic]

_KNOWN = ("pandas", "polars", "numpy", "sparse")
"""Kinds of input that were seen, so that the signature's dtypes are no guesses."""


class Refused(ValueError):
    """The rows are not what the model takes; the message is for whoever sent them."""


class TableBuilder:
    """Makes a model's input of rows or columns.

    Args:
        signature: the model's, where there is one.
        names: of its features, where the model has some and the signature has none.
        checks_names: whether the model itself refuses columns of other names.
        rewrites_names: whether the model's library writes underscores for spaces in names, as LightGBM does.
    """

    def __init__(
        self,
        signature: Signature | None,
        names: Sequence[str] = (),
        *,
        checks_names: bool = True,
        rewrites_names: bool = False,
    ) -> None:
        self._signature = signature or Signature(input_dtype="")
        self.kind = self._signature.input_kind
        self._trusted = self.kind in _KNOWN
        columns = self._signature.columns or tuple(Column(name, "") for name in names)
        self._columns = {column.name: column for column in columns}
        self._names = list(self._columns)
        self._written = {rewritten(name): name for name in self._names} if rewrites_names else {}
        self._checks_names = checks_names
        dtypes = {column.dtype for column in columns}
        only = dtypes.pop() if self._trusted and len(dtypes) == 1 else ""
        # All columns of one dtype of numpy's floats: such a table is made of an array at once.
        self._floats = np.dtype(only) if only in ("float64", "float32") else None
        self._plain = all(column.categories is None for column in columns) and not self._trusted

    def of_rows(self, rows: Sequence[object]) -> object:
        """The input made of rows: lists of values, texts, or an object for each.

        Raises:
            Refused: the model takes another kind of rows.
        """
        first = rows[0] if rows else None
        if self.kind == "texts":
            return _texts(rows)
        if isinstance(first, Mapping):
            return self._of_objects([row for row in rows if isinstance(row, Mapping)], len(rows))
        if self.kind == "objects":
            raise Refused(
                f"The model takes objects, such as {_shown(self._signature.sample)}; these rows are not objects."
            )
        if isinstance(first, str):
            return [_text(row, i) for i, row in enumerate(rows)]
        if self._names and isinstance(first, list | tuple) and len(first) == len(self._names):
            return self._of_lists(rows)
        return self._shaped(self.array(rows))

    def of_columns(self, columns: Mapping[str, Sequence[object]]) -> object:
        """The input made of named columns of equal length, in any order.

        Raises:
            Refused: columns of different lengths, or values that a column cannot hold.
        """
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            told = ", ".join(f"{name!r} has {len(values)}" for name, values in list(columns.items())[:10])
            raise Refused(f"The columns are of different lengths: {told}.")
        if self.kind == "texts":
            raise Refused("The model reads texts: send a list of texts, not a table.")
        if self.kind == "objects":
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        given = self._in_order(columns)
        if self.kind in ("numpy", "sparse"):
            # Trained without names, so that only their order counts.
            return self._shaped(self.array([list(row) for row in zip(*given.values(), strict=True)]))
        return self._frame(given)

    def of_array(self, values: Array) -> object:
        """The input made of an array of shape (rows, features) with a dtype of its own."""
        if self.kind == "texts" and values.dtype.kind not in "OUS":
            raise Refused("The model reads texts: send a list of texts, not numbers.")
        if self.kind in ("texts", "objects"):
            return self.of_rows(values.tolist())
        if values.ndim != 2 or values.shape[1] != len(self._names) or self.kind in ("numpy", "sparse"):
            return self._shaped(values)
        alike = self._plain or (self._floats is not None and values.dtype == self._floats)
        if alike and self.kind != "polars":
            import pandas as pd

            return pd.DataFrame(values, columns=self._names)  # one block, without a copy
        return self._frame({name: values[:, i] for i, name in enumerate(self._names)})

    def array(self, rows: Sequence[object]) -> Array:
        """An array of nested lists: numbers stay numbers beside texts, and a null among numbers is NaN."""
        wanted = self._signature.input_dtype if self.kind in ("numpy", "sparse") else ""
        try:
            found = np.array(rows, dtype=object)
        except ValueError:  # lists of different lengths further in
            found = np.empty(len(rows), dtype=object)
            found[:] = rows
        if found.ndim == 1 and any(isinstance(row, list) for row in rows) and all(map(_is_of_numbers, rows)):
            raise Refused("the rows are of different lengths, so that they are no table of numbers")
        if wanted == "object":
            return _with_missing(found, self._signature.input_missing)
        flat = found.ravel().tolist()
        kinds = {type(v) for v in flat}
        if wanted.startswith(("datetime64", "timedelta64")):
            return np.array(["NaT" if v is None else v for v in flat], dtype=wanted).reshape(found.shape)
        if not kinds <= {bool, int, float, type(None)}:
            # Texts alone too: numpy's own fixed width would cut what comes later.
            return _with_missing(found, "nan")
        plain = np.array(flat, dtype=np.float64 if type(None) in kinds else None).reshape(found.shape)
        return _as(plain, wanted)

    def _of_objects(self, rows: Sequence[Mapping[str, object]], count: int) -> object:
        if len(rows) != count:
            raise Refused("Some rows are objects, and some are not.")
        if self.kind == "objects":
            return self._expanded(rows)
        if any(isinstance(v, list) for v in rows[0].values()):
            # The form that KServe's own servers read: each object holds columns, not a row.
            return self.of_columns(_joined(rows))
        names = list(dict.fromkeys(name for row in rows for name in row))
        for i, row in enumerate(rows):
            if absent := [name for name in names if name not in row]:
                raise Refused(f"Row {i} has no {', '.join(map(repr, absent[:10]))}, which other rows have.")
        return self.of_columns({name: [row[name] for row in rows] for name in names})

    def _expanded(self, rows: Sequence[Mapping[str, object]]) -> object:
        """The rows; columns in the form that KServe's own servers read as rows too."""
        values = list(rows[0].values())
        lists = [v for v in values if isinstance(v, list)]
        sample = self._signature.sample
        of_lists = isinstance(sample, Mapping) and any(isinstance(v, list | tuple) for v in sample.values())
        if len(rows) > 1 or not lists or len(lists) < len(values) or len({len(v) for v in lists}) > 1 or of_lists:
            return [dict(row) for row in rows]
        return [dict(zip(rows[0], row, strict=True)) for row in zip(*lists, strict=True)]

    def _of_lists(self, rows: Sequence[object]) -> object:
        """Rows of values in the order of the model's columns."""
        width = len(self._names)
        for i, row in enumerate(rows):
            if not isinstance(row, list | tuple) or len(row) != width:
                raise Refused(f"Row {i} does not have {width} values, unlike the row before it.")
        if self.kind in ("numpy", "sparse"):
            return self._shaped(self.array(rows))
        lists = [row for row in rows if isinstance(row, list | tuple)]
        if self._plain or self._floats:
            plain = _numbers(lists)
            if plain is not None:
                return self.of_array(exactly(plain, self._floats) if self._floats else plain)
        return self._frame({name: [row[i] for row in lists] for i, name in enumerate(self._names)})

    def _in_order(self, columns: Mapping[str, Sequence[object]]) -> Mapping[str, Sequence[object]]:
        """The columns by the model's own names and in its order; what it does not know comes last."""
        if not self._names:
            return columns
        if self._written and any(name not in self._columns for name in columns):
            renamed = {self._written.get(rewritten(name), name): values for name, values in columns.items()}
            columns = renamed if len(renamed) == len(columns) else columns
        absent = [name for name in self._names if name not in columns]
        extra = [name for name in columns if name not in self._columns]
        if (absent or extra) and not self._checks_names:
            # The library goes by numbers alone, and would answer.
            told = [f"lacks {_names(absent)}"] if absent else []
            told += [f"has {_names(extra)} besides"] if extra else []
            raise Refused(
                f"The model was trained with the columns {_names(self._names)}; the request {' and '.join(told)}."
            )
        ordered = [name for name in self._names if name in columns]
        return {name: columns[name] for name in (*ordered, *extra)}

    def _frame(self, columns: Mapping[str, Sequence[object]] | Mapping[str, Array]) -> object:
        if self.kind == "polars":
            import polars as pl

            return pl.DataFrame([_told(name, polars_series, v, self._column(name)) for name, v in columns.items()])
        import pandas as pd

        made = {name: _told(name, series, values, self._column(name)) for name, values in columns.items()}
        return pd.DataFrame(made, copy=False)

    def _column(self, name: str) -> Column:
        """What is known of a column. Without a table that was seen, numbers are a guess; categories and texts are
        not: an encoder has told them."""
        known = self._columns.get(name, Column(name, ""))
        if self._trusted or known.categories is not None or known.dtype == "object":
            return known
        return Column(name, "", missing=known.missing)

    def _shaped(self, values: Array) -> object:
        if self.kind != "sparse":
            return values
        from scipy import sparse

        return sparse.csr_matrix(values.astype(np.float64) if values.dtype.kind == "O" else values)


def _told(name: str, make: Callable[[Values, Column], object], values: Values, column: Column) -> object:
    try:
        return make(values, column)
    except Refused:
        raise
    except Exception as error:
        # Decimals and polars have errors of their own.
        if not isinstance(error, ValueError | TypeError | ArithmeticError) and "polars" not in type(error).__module__:
            raise
        raise Refused(
            f"The column {name!r}, {column.dtype or 'a table column'}, cannot hold these values: {error}"
        ) from error


def _is_of_numbers(row: object) -> bool:
    """Whether a row holds numbers alone, or is one: texts in lists may be anything that a model reads."""
    cells = row if isinstance(row, list) else [row]
    return all(isinstance(cell, int | float | list | None) for cell in cells)


def _numbers(rows: Sequence[Sequence[object]]) -> Array | None:
    """An array of floats; None where something else is among them."""
    try:
        made = np.array(rows)
    except ValueError:
        return None
    if made.dtype.kind == "O":
        kinds = {type(v) for row in rows for v in row}
        made = np.array(rows, dtype=np.float64) if kinds <= {int, float, type(None)} else made
    return made if made.dtype.kind in "fiu" and made.ndim == 2 else None


def _as(values: Array, dtype: str) -> Array:
    """The array with the recorded dtype, where that changes no value: whole numbers may be sent without a point."""
    if not dtype or values.dtype == dtype or not dtype.startswith(("float", "int", "uint", "bool")):
        return values
    return values if values.dtype.kind == "b" else exactly(values, np.dtype(dtype))


def _with_missing(values: Array, missing: str) -> Array:
    if missing == "none":
        return values
    filled: Array = np.where(values == np.array(None, dtype=object), np.nan, values)
    return filled


def _joined(parts: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    joined: dict[str, list[object]] = {}
    for part in parts:
        if part.keys() != parts[0].keys():
            raise Refused("The objects of columns do not all have the same columns.")
        for name, values in part.items():
            joined.setdefault(name, []).extend(values if isinstance(values, list) else [values])
    return joined


def _texts(rows: Sequence[object]) -> list[str]:
    if rows and all(isinstance(row, list) and len(row) == 1 for row in rows):
        raise Refused("The model reads texts: send a list of texts, not a table.")
    return [_text(row, i) for i, row in enumerate(rows)]


def _text(row: object, place: int) -> str:
    if isinstance(row, str):
        return row
    kind = "null" if row is None else "an object" if isinstance(row, Mapping) else f"a {type(row).__name__}"
    raise Refused(f"The model reads texts: row {place} is {kind}; it must be a text.")


def _names(names: Sequence[str]) -> str:
    told = ", ".join(repr(name) for name in names[:20])
    return f"{told} and {len(names) - 20} more" if len(names) > 20 else told


def _shown(sample: JSON) -> str:
    text = repr(sample)
    return text if len(text) <= 200 else f"{text[:200]}…"
