"""What people pass to a model of named tensors, as one array for each, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from ..errors import InvalidInputError
from ..formats.tensors import ANY_SHAPE, as_column, dims, fits, takes_values
from ..ml import TensorSpec
from .casting import array_of, is_array, kind_of
from .described import Described, in_words

if TYPE_CHECKING:
    import numpy as np

    Arrays = dict[str, np.ndarray]


@runtime_checkable
class _Frame(Protocol):
    """A data frame of pandas or polars."""

    @property
    def columns(self) -> Iterable[object]: ...
    def __getitem__(self, key: object, /) -> object: ...
    def to_numpy(self) -> np.ndarray: ...


@runtime_checkable
class _Listed(Protocol):
    def tolist(self) -> object: ...


def is_request(data: object, takes: Described) -> bool:
    """Whether ``data`` is a whole request, which is sent as it is, rather than inputs of the model.

    Text and bytes are; so is an object with ``instances`` or ``inputs`` that is not one of the model's inputs by name.
    """
    if isinstance(data, str | bytes | bytearray | memoryview):
        return True
    if not isinstance(data, Mapping):
        return False
    if "inputs" in data and _is_v2(data["inputs"]):
        return True
    return not data.keys() <= set(takes.names) and ("instances" in data or "inputs" in data)


def arrays_of(data: object, takes: Described) -> Arrays:
    """One array for each input: with the model's dtype, and a shape that fits.

    A missing batch dimension is added where every input is one row, and the other one to a column of numbers or texts
    where the model takes columns as tables of a single one, as those that skl2onnx makes do.

    Args:
        data: an object of input name to array; a data frame with a column for each input, and others, which are passed
            over; a list of objects, one for each row; or, for a model with one input, what it takes.

    Raises:
        InvalidInputError: a name that the model does not have, or one that is missing; a dtype, rank or dimension that
            does not fit. It names the input, what was given and what is wanted.
    """
    named = _named(data, takes)
    if unknown := [name for name in named if name not in takes.names]:
        raise InvalidInputError(
            f"The model has no input {_listed(unknown)}.",
            hint=f"Its inputs are: {_told(takes)}. A whole request of another form is sent as JSON text.",
            field=unknown[0],
        )
    if missing := [name for name in takes.names if name not in named]:
        raise InvalidInputError(
            f"The model's input {_listed(missing)} is missing.", hint=f"It takes: {_told(takes)}.", field=missing[0]
        )
    found = {spec.name: array_of(named[spec.name], spec) for spec in takes.inputs}
    return _fitted(found, takes.inputs)


def _is_v2(inputs: object) -> bool:
    """Whether these are the inputs of a request by v2."""
    if not isinstance(inputs, list | tuple) or not inputs:
        return False
    return all(isinstance(one, Mapping) and "name" in one and "shape" in one for one in inputs)


def _named(data: object, takes: Described) -> Mapping[str, object]:
    if isinstance(data, Mapping):
        return {str(name): value for name, value in data.items()}
    if isinstance(data, _Frame) and (columns := [str(name) for name in data.columns]):
        if set(columns) & set(takes.names) or len(takes.inputs) > 1:
            return {str(name): data[name] for name in data.columns if str(name) in takes.names}
        return {takes.names[0]: data.to_numpy()}
    if isinstance(data, list | tuple) and data and all(isinstance(row, Mapping) for row in data):
        rows = [cast("Mapping[str, object]", row) for row in data]
        if any(row.keys() != rows[0].keys() for row in rows):
            raise InvalidInputError("The rows do not all have the same inputs.", hint=f"Each takes: {_told(takes)}.")
        return {str(name): [row[name] for row in rows] for name in rows[0]}
    if takes_values(takes.inputs) and (table := _in_order(data, len(takes.inputs))):
        return {name: [row[i] for row in table] for i, name in enumerate(takes.names)}
    if len(takes.inputs) > 1:
        raise InvalidInputError(
            f"The model takes {len(takes.inputs)} inputs by name, and was given a {kind_of(data)}.",
            hint=f"Pass a dict of name to array: {_told(takes)}.",
        )
    return {takes.names[0]: data}


def _in_order(data: object, width: int) -> list[list[object]]:
    """The rows of a table without names: of nested lists, or of an array of two dimensions; empty for anything else."""
    rows = data.tolist() if is_array(data) and isinstance(data, _Listed) else data
    found = [list(row) for row in rows if isinstance(row, list | tuple)] if isinstance(rows, list | tuple) else []
    is_table = isinstance(rows, list | tuple) and len(found) == len(rows) and all(len(row) == width for row in found)
    return found if is_table else []


def _fitted(found: Arrays, specs: Sequence[TensorSpec]) -> Arrays:
    """The arrays, each with a batch dimension where that is what all of them lack."""
    import numpy as np

    found = {spec.name: as_column(found[spec.name], spec) for spec in specs}
    lacking = [spec for spec in specs if _may_be_one(spec.shape) and fits(found[spec.name].shape, spec.shape[1:])]
    batched = [s for s in specs if s not in lacking and s.shape and (isinstance(s.shape[0], str) or s.shape[0] == -1)]
    if lacking and all(found[s.name].ndim == len(s.shape) and len(found[s.name]) == 1 for s in batched):
        found = {**found, **{spec.name: found[spec.name][np.newaxis] for spec in lacking}}
    sizes: dict[str, tuple[str, int]] = {}
    for spec in specs:
        given = found[spec.name].shape
        if not fits(given, spec.shape):
            raise InvalidInputError(
                f"The input {spec.name!r} takes the shape {dims(spec.shape)}, and was given {dims(given)}.",
                hint=f"It takes {in_words(spec)}."
                + (" Give every input the same number of rows." if spec in lacking else ""),
                field=spec.name,
            )
        for size, is_ in zip(spec.shape, given, strict=False):
            if not isinstance(size, str) or size in ANY_SHAPE:
                continue
            other, before = sizes.setdefault(size, (spec.name, is_))
            if before != is_:
                raise InvalidInputError(
                    f"The inputs {other!r} and {spec.name!r} share the dimension {size!r}, which is {before} in one "
                    f"and {is_} in the other.",
                    hint=f"The model takes: {', '.join(in_words(s) for s in specs)}.",
                    field=spec.name,
                )
    return found


def _may_be_one(shape: Sequence[str | int]) -> bool:
    """Whether the first dimension can be a batch of one."""
    return bool(shape) and (isinstance(shape[0], str) or shape[0] in (-1, 1))


def _told(takes: Described) -> str:
    return ", ".join(in_words(spec) for spec in takes.inputs)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:10])
