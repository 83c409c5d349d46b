"""Completes a signature from everything at hand: what was said, an example, the training data, the model itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, cast, runtime_checkable

from ..errors import InvalidInputError
from ..formats.features import MAX_SAMPLED, attribute, json_value, listed
from ..ml import JSON, Column, Signature

_LARGEST = 200_000
_LOOKED_AT = 100
_LONGEST_TEXT = 2000


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


def complete(
    said: Signature | None,
    model: Signature | None,
    *,
    example: object = None,
    features: object = None,
    targets: object = None,
) -> Signature | None:
    """The signature to record; None where nobody knows anything.

    Args:
        said: the user's own; where it says something, it wins.
        model: what the model knows of itself.
        example: rows of the model's input.
        features: rows of the training data, which may be from before the model's preprocessing.
        targets: the training data's other half.

    Raises:
        InvalidInputError: the example is no rows, or of another width than the model takes.
    """
    given = from_rows(example) if example is not None else None
    if example is not None and given is None:
        raise InvalidInputError(
            "The example is not rows of a model's input.",
            hint="Give some rows as a data frame, an array, a list of rows or of texts.",
            field="example",
        )
    if given and model and (width := _width(model)) is not None and _width(given) not in (None, width):
        raise InvalidInputError(
            f"The example has {_width(given)} columns; the model takes {width}.",
            hint="Give rows as the model's predict() takes them.",
            field="example",
        )
    if given is None and features is not None:
        seen = from_rows(features)
        fits = seen is not None and (model is None or _width(model) in (None, _width(seen)))
        given = seen if fits else None
    found = _input_of(given, model)
    if found and not found.output_dtype and targets is not None and (rows := from_rows(targets)):
        found = replace(found, output_dtype=rows.input_dtype, output_size=found.output_size or rows.input_size[:1])
    if said is not None:
        found = _merged(said, found)
    return _small(_sampled(found)) if found else None


def from_rows(data: object) -> Signature | None:
    """The input side of a signature: width, dtypes, column names and one row.

    ``data`` is a data frame (pandas, polars), an array or sparse matrix, a list of rows, of objects or of texts, or
    one row as an object. None for anything else, and for no rows.
    """
    if isinstance(data, Mapping):
        return _from_objects([data])
    if isinstance(data, _Frame) and attribute(data, "dtypes") is not None and listed(data.columns):
        return _from_frame(data)
    if isinstance(data, list | tuple) and data and all(isinstance(row, Mapping) for row in data[:_LOOKED_AT]):
        return _from_objects(data[:_LOOKED_AT])
    return _from_array(data)


def _from_frame(frame: _Frame) -> Signature | None:
    names = listed(frame.columns)
    if len(set(map(str, names))) < len(names):  # no cell can be named then
        to_numpy = attribute(frame, "to_numpy")
        return _from_array(to_numpy()) if callable(to_numpy) else None
    part = cast(_Frame, frame.head(_LOOKED_AT))
    cells = {str(name): [json_value(v) for v in listed(_values(part[name]))] for name in names}
    dtypes = {str(name): _dtype(attribute(frame[name], "dtype")) for name in names}
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    return _table(list(cells), dtypes, rows)


def _values(series: object) -> object:
    to_list = attribute(series, "to_list")
    return to_list() if callable(to_list) else series


def _from_objects(rows: Sequence[Mapping[object, object]]) -> Signature | None:
    names = [str(name) for name in rows[0]]
    table = [{str(k): json_value(v) for k, v in row.items()} for row in rows]
    dtypes = {name: _dtype_of([row.get(name) for row in table]) for name in names}
    return _table(names, dtypes, table)


def _table(names: list[str], dtypes: Mapping[str, str], rows: Sequence[Mapping[str, JSON]]) -> Signature | None:
    if not names or not rows:
        return None
    whole = [row for row in rows if all(value is not None for value in row.values())]
    kinds = set(dtypes.values())
    return Signature(
        input_size=["batch_size", len(names)],
        input_dtype=kinds.pop() if len(kinds) == 1 else "object",
        columns=tuple(Column(name, dtypes[name]) for name in names),
        sample=dict((whole or list(rows))[0]),
    )


def _from_array(data: object) -> Signature | None:
    plain = json_value(_first_rows(data))
    if not isinstance(plain, list) or not plain:
        return None
    sample = next((row for row in plain if not _holes(row)), plain[0])
    shape = [n for n in listed(attribute(data, "shape")) if isinstance(n, int)] or [len(plain), *_shape(sample)]
    known = attribute(data, "dtype")
    return Signature(
        input_size=["batch_size", *shape[1:]],
        input_dtype=_dtype_of(_flat(sample)) if known is None else _dtype(known),
        sample=sample[:_LONGEST_TEXT] if isinstance(sample, str) else sample,
    )


def _first_rows(data: object) -> object:
    if isinstance(data, str | bytes) or not isinstance(data, _Sliceable):
        return None
    try:
        rows = data[:_LOOKED_AT]
    except (TypeError, IndexError, KeyError):  # a number in an array's clothes
        return None
    dense = attribute(rows, "toarray")  # of a sparse matrix
    return dense() if callable(dense) else rows


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
    """numpy's name of a dtype of numpy, pandas or polars; ``object`` for texts."""
    text = str(dtype).lower()
    if text.startswith(("<u", ">u", "|s", "str", "utf8", "object")):
        return "object"
    return {"boolean": "bool", "categorical": "category"}.get(text, text)


def _width(signature: Signature) -> int | None:
    """The number of features of a table; None for texts, images and where it is not known."""
    size = signature.input_size[1:]
    return size[0] if len(size) == 1 and isinstance(size[0], int) else None


def _input_of(given: Signature | None, model: Signature | None) -> Signature | None:
    """The example's input and the model's output; of an example without the model's column names only its values."""
    if given is None or model is None:
        return given or model
    names = [c.name for c in model.columns]
    if not names:
        return replace(given, output_size=model.output_size, output_dtype=model.output_dtype)
    dtypes = {c.name: c.dtype for c in given.columns} or dict.fromkeys(names, given.input_dtype)
    values = given.sample
    if isinstance(values, list) and len(values) == len(names):
        values = dict(zip(names, values, strict=True))
    if not isinstance(values, dict) or set(values) != set(names):
        return model
    return replace(
        model,
        input_dtype=given.input_dtype,
        columns=tuple(Column(name, dtypes[name]) for name in names),
        sample={name: values[name] for name in names},
    )


def _merged(said: Signature, found: Signature | None) -> Signature:
    if found is None:
        return said
    same_width = _width(said) in (None, _width(found))
    return Signature(
        input_size=said.input_size or found.input_size,
        output_size=said.output_size or found.output_size,
        input_dtype=said.input_dtype or found.input_dtype,
        output_dtype=said.output_dtype or found.output_dtype,
        columns=said.columns or (found.columns if same_width else ()),
        sample=said.sample if said.sample is not None else (found.sample if same_width else None),
    )


def _sampled(signature: Signature) -> Signature:
    """With a row of zeros where the shape is known and no row is."""
    sizes = [n for n in signature.input_size[1:] if isinstance(n, int)]
    if signature.sample is not None or len(sizes) != len(signature.input_size) - 1 or not sizes:
        return signature
    if min(sizes) < 1 or math.prod(sizes) > MAX_SAMPLED:
        return signature
    names = [c.name for c in signature.columns]
    zero: JSON = 0.0 if signature.input_dtype.startswith("float") else 0
    sample: JSON = zero
    for size in reversed(sizes):
        sample = [sample] * size
    if len(sizes) == 1 and len(names) == sizes[0]:
        return replace(signature, sample={c.name: 0.0 if c.dtype.startswith("float") else 0 for c in signature.columns})
    return replace(signature, sample=sample)


def _small(signature: Signature) -> Signature:
    """What fits into a record: of very wide tables neither sample nor names."""
    for slim in (signature, replace(signature, sample=None), replace(signature, sample=None, columns=())):
        if len(json.dumps(slim.to_dict())) <= _LARGEST:
            return slim
    return Signature(input_dtype=signature.input_dtype, output_dtype=signature.output_dtype)
