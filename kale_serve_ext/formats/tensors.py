"""Models that take and give tensors by name: how a format hands them over, and how rows become tensors and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..errors import InvalidInputError
from ..estimators.answers import plain
from ..ml import JSON, TensorSpec

if TYPE_CHECKING:
    import numpy as np

DTYPES = {
    "BOOL": "bool",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "str",
}
"""What v2's datatypes are called in a signature."""
ANY_SHAPE = ("...",)
"""The shape of an input of which not even the number of dimensions is known."""
_LONGEST_CAUSE = 500


class AnswerError(InvalidInputError):
    """An answer that has no form by the protocol that was asked."""


@runtime_checkable
class TensorModel(Protocol):
    """What a format's ``load`` returns where its models take tensors by name."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What has to be sent."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def run(self, tensors: Mapping[str, np.ndarray], wanted: Sequence[str] = ()) -> Mapping[str, object]:
        """The outputs by name: arrays, or for each row an object of key to number, as classifiers give them.

        Args:
            tensors: one array for each input, of its dtype, texts as objects.
            wanted: names of the outputs; all when empty.

        Raises:
            Exception: whatever the library says of them.
        """
        ...


def dims(shape: Sequence[str | int]) -> str:
    """A shape as errors name it; what may be any is a question mark."""
    return f"[{', '.join('?' if size == -1 else str(size) for size in shape)}]"


def fits(given: Sequence[int], wanted: Sequence[str | int]) -> bool:
    """Whether an array of this shape has the wanted rank and fixed dimensions."""
    return tuple(wanted) == ANY_SHAPE or (
        len(given) == len(wanted)
        and all(isinstance(size, str) or size in (-1, is_) for size, is_ in zip(wanted, given, strict=True))
    )


def fitted(spec: TensorSpec, values: np.ndarray) -> np.ndarray:
    """The array in the input's dtype; fractions become narrower, whole numbers fractions, and other whole ones if all
    of them fit.

    Raises:
        InvalidInputError: it has another shape, or values of another kind; says what was sent and what is wanted.
    """
    import numpy as np

    is_text = values.dtype.kind in "OUS"
    sent = f"{'str' if is_text else values.dtype.name} {dims(values.shape)}"
    wanted = f"The input {spec.name!r} takes {spec.dtype} {dims(spec.shape)}"
    if not fits(values.shape, spec.shape):
        raise InvalidInputError(f"{wanted}, and {sent} was sent.", field=spec.name)
    if spec.dtype == "str":
        if not is_text:
            raise InvalidInputError(f"{wanted}, and {sent} was sent.", field=spec.name)
        return values.astype(object)
    dtype = np.dtype(spec.dtype)
    if values.dtype == dtype:
        return values
    kinds = {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "c": "cfiu"}[dtype.kind]
    if values.dtype.kind not in kinds:
        raise InvalidInputError(f"{wanted}, and {sent} was sent.", field=spec.name)
    with np.errstate(over="ignore"):
        made = values.astype(dtype)
    lost = not np.array_equal(made, values) if dtype.kind in "iu" else (np.isinf(made) & np.isfinite(values)).any()
    if lost:
        raise InvalidInputError(f"{wanted}, and some numbers that were sent do not fit.", field=spec.name)
    return made


def as_column(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """The values with a second axis where they have one value for each row, and the input is a table of one column."""
    is_column = len(spec.shape) == 2 and spec.shape[1] == 1 and (isinstance(spec.shape[0], str) or spec.shape[0] == -1)
    return values[..., None] if is_column and values.ndim < 2 else values


def of_objects(values: np.ndarray, dtype: str) -> np.ndarray | None:
    """Python's numbers as an array for an input of this dtype.

    Whole numbers keep every digit where the dtype is one of those, and None is not-a-number where it is one of floats.

    Returns:
        None where there is something else than numbers, or a number that is too large.
    """
    import numpy as np

    listed = values.ravel().tolist()
    kinds = {type(value) for value in listed}
    is_float = dtype.startswith("float")
    try:
        if is_float and kinds <= {int, float, type(None)}:
            plain_ones = [float("nan") if value is None else float(value) for value in listed]
            return np.array(plain_ones, dtype=np.float64).reshape(values.shape)
        if kinds == {int} and dtype in ("int64", "uint64"):
            return values.astype(dtype)
        found = np.array(values.tolist()) if kinds <= {int, float} or kinds == {bool} else None
    except OverflowError:
        return None
    return None if found is None or found.dtype.kind == "O" else found


def check_dims(specs: Sequence[TensorSpec], tensors: Mapping[str, np.ndarray]) -> None:
    """Whether dimensions of one name have one size.

    Raises:
        InvalidInputError: they have not; names the inputs.
    """
    seen: dict[str, tuple[str, int]] = {}
    for spec in specs:
        if tuple(spec.shape) == ANY_SHAPE:
            continue
        for name, size in zip(spec.shape, tensors[spec.name].shape, strict=True):
            if not isinstance(name, str):
                continue
            first, known = seen.setdefault(name, (spec.name, size))
            if known != size:
                raise InvalidInputError(
                    f"The dimension {name!r} is {known} in the input {first!r} and {size} in {spec.name!r}.",
                    field=spec.name,
                )


def takes_values(specs: Sequence[TensorSpec]) -> bool:
    """Whether there are several inputs with one value for each row: a table, whose rows may be lists."""
    return len(specs) > 1 and all(len(spec.shape) == 1 for spec in specs)


def of_rows(specs: Sequence[TensorSpec], rows: Sequence[object]) -> dict[str, np.ndarray]:
    """The tensors of v1's rows: of one input the rows themselves or objects of its name, of several such objects; or
    lists in their order, where each input has one value for each row.

    Raises:
        InvalidInputError: a row that is no such object, with other names or values of another form.
    """
    names = [spec.name for spec in specs]
    by_name = len(specs) != 1 or (bool(rows) and all(isinstance(r, Mapping) and set(r) == set(names) for r in rows))
    if not by_name:
        return {specs[0].name: _array(specs[0], rows)}
    if takes_values(specs) and all(isinstance(row, list | tuple) and len(row) == len(specs) for row in rows):
        columns = zip(*(row for row in rows if isinstance(row, list | tuple)), strict=True)
        return (
            {spec.name: _array(spec, column) for spec, column in zip(specs, columns, strict=True)}
            if rows
            else {spec.name: _array(spec, []) for spec in specs}
        )
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidInputError(f"Instance {number} is not an object with the inputs {_listed(names)}.")
        if set(row) != set(names):
            told = _listed(sorted(map(str, row))) or "none"
            raise InvalidInputError(f"Instance {number} has the inputs {told}; the model takes {_listed(names)}.")
    return {spec.name: _array(spec, [row[spec.name] for row in rows if isinstance(row, Mapping)]) for spec in specs}


def answers_of(outputs: Mapping[str, object], count: int) -> JSON:
    """v1's answers: for each row its value where there is one output, or an object of its values by name.

    Raises:
        AnswerError: an output has not one value for each row, which v1 has no form for.
    """
    lists: dict[str, Sequence[JSON]] = {}
    for name, values in outputs.items():
        told = plain(values)
        if not isinstance(told, list) or len(told) != count:
            size = f"{len(told)} values" if isinstance(told, list) else "a single value"
            raise AnswerError(
                f"The output {name!r} has {size} for {count} instances, and v1 answers each instance: ask by v2."
            )
        lists[name] = told
    if len(lists) == 1:
        return next(iter(lists.values()))
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def chosen(found: Mapping[str, object], wanted: Sequence[str]) -> Mapping[str, object]:
    """The outputs that are wanted; all where none is named.

    Raises:
        InvalidInputError: one of them is none of the model's.
    """
    if unknown := [name for name in wanted if name not in found]:
        raise InvalidInputError(f"The model has no output {unknown[0]!r}; it gives {_listed(list(found))}.")
    return {name: found[name] for name in wanted} if wanted else found


def in_short(error: Exception) -> str:
    """What a library says of its input, in one line."""
    return " ".join(str(error).split())[:_LONGEST_CAUSE] or type(error).__name__


def _array(spec: TensorSpec, rows: Sequence[object]) -> np.ndarray:
    """Nested lists as the input's array.

    Raises:
        InvalidInputError: they are of unequal lengths, or of values of another kind.
    """
    import numpy as np

    wanted = f"The input {spec.name!r} takes {spec.dtype} {dims(spec.shape)}"
    if not rows and spec.shape:
        rest = [size if isinstance(size, int) and size > 0 else 0 for size in spec.shape[1:]]
        return np.empty((0, *rest), dtype=object if spec.dtype == "str" else spec.dtype)
    try:
        # An array of 64-bit numbers with and without a sign would be one of fractions, which has fewer digits.
        values = np.array(rows, dtype=object if spec.dtype in ("str", "int64", "uint64") else None)
    except ValueError as error:
        raise InvalidInputError(
            f"{wanted}, and the instances hold lists of unequal lengths.", field=spec.name
        ) from error
    if spec.dtype == "str":
        if not all(isinstance(value, str) for value in values.ravel().tolist()):
            raise InvalidInputError(f"{wanted}, and the instances hold something else than texts.", field=spec.name)
    elif values.dtype.kind == "O" and (numbers := of_objects(values, spec.dtype)) is not None:
        values = numbers
    elif values.dtype.kind in "OUS":
        raise InvalidInputError(f"{wanted}, and the instances hold something else than numbers.", field=spec.name)
    return fitted(spec, as_column(values, spec))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
