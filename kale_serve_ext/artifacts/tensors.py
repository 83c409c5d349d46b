"""What arrays by name say of a model that takes them: names, dtypes, shapes, and the first of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..errors import InvalidInputError
from ..estimators.features import MAX_SAMPLED
from ..ml import JSON, Signature, TensorSpec
from ..serving.casting import is_array, untyped


def from_arrays(data: object, names: Collection[str] = ()) -> Signature | None:
    """The input side of a signature, of an object of name to array with the batch first; None for anything else.

    One of them at least is an array: objects of plain values are rows of a table. The others may be lists; all of them
    where they have the names of the model's tensors.

    Raises:
        InvalidInputError: one of the others is no array, or the arrays have no common number of rows.
    """
    if not isinstance(data, Mapping):
        return None
    if not any(is_array(value) for value in data.values()) and not (names and set(data) == set(names)):
        return None
    found = {str(name): untyped(value, str(name)) for name, value in data.items()}
    counts = {name: len(array) if array.ndim else None for name, array in found.items()}
    if len(set(counts.values())) != 1 or None in counts.values():
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in found.items())
        raise InvalidInputError(
            f"The example's arrays do not have the same number of rows: {told}.",
            hint="Put the batch first; a model without one is described by Signature(inputs=[TensorSpec(…)]).",
            field="example",
        )
    specs = [
        TensorSpec(name, "str" if array.dtype.kind in "OUS" else array.dtype.name, (-1, *array.shape[1:]))
        for name, array in found.items()
    ]
    cells = sum(array[:1].size for array in found.values())
    sample: dict[str, JSON] = {name: array[:1].tolist() for name, array in found.items()}
    is_small = cells <= MAX_SAMPLED and all(array.dtype.kind in "biufOU" for array in found.values())
    return Signature(input_dtype="", inputs=tuple(specs), sample=sample if is_small and any(counts.values()) else None)
