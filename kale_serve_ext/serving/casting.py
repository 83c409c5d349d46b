"""One input of a model as an array of the dtype that it takes. Texts and bytes lie in arrays of objects.

Arrays of any library go: numpy's own, ``torch.Tensor``, what has ``__array__``; columns of pandas and polars; images of
PIL; nested lists, which have no dtype and take the model's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from ..errors import InvalidInputError
from ..formats.tensors import DTYPES, of_objects
from ..ml import TensorSpec
from . import pictures
from .described import TEXTS, in_words

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class _ToNumpy(Protocol):
    """A series of pandas or polars, a tensor of some libraries, an array of pandas' own."""

    def to_numpy(self) -> np.ndarray: ...


@runtime_checkable
class _Sparse(Protocol):
    def toarray(self) -> np.ndarray: ...


class _Tensor(Protocol):
    """As much of torch as is asked for."""

    dtype: object

    def detach(self) -> _Tensor: ...
    def cpu(self) -> _Tensor: ...
    def float(self) -> _Tensor: ...
    def resolve_conj(self) -> _Tensor: ...
    def resolve_neg(self) -> _Tensor: ...
    def numpy(self) -> np.ndarray: ...


def array_of(data: object, spec: TensorSpec) -> np.ndarray:
    """The data of one input as an array of its dtype, of whatever shape.

    Raises:
        InvalidInputError: data that are no array, or whose dtype is not cast to the model's without loss.
    """
    import numpy as np

    if spec.dtype not in TEXTS and spec.dtype not in DTYPES.values():
        raise InvalidInputError(
            f"The input {spec.name!r} takes {spec.dtype}, which cannot be sent from here.",
            hint="Write the whole request, as the server takes it, as JSON text.",
            field=spec.name,
        )
    array, is_typed = _raw(data, spec)
    if spec.dtype in TEXTS:
        return _of_texts(array, spec)
    wanted = np.dtype(spec.dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in "biuf":
        raise _of_kind(_called(array, (bool, int, float)), spec, "Pass numbers." if array.dtype.kind in "OUS" else "")
    if is_typed and not np.can_cast(array.dtype, wanted, "same_kind"):
        raise _of_kind(array.dtype.name, spec)
    with np.errstate(over="ignore", invalid="ignore"):
        made = array.astype(wanted)
    if not _is_kept(array, made):
        what = "values that it cannot hold" if is_typed else f"{_sample(array, made)}, which it cannot hold"
        raise _not_held(spec, what)
    return made


def is_array(data: object) -> bool:
    """Whether this is an array, of any library, with at least one dimension."""
    if isinstance(data, str | bytes | list | tuple) or pictures.is_image(data):
        return False
    return bool(getattr(data, "shape", None)) and hasattr(data, "dtype")


def untyped(data: object, name: str) -> np.ndarray:
    """An array, or nested lists of numbers or of texts, as an array of numpy's: texts as objects.

    Raises:
        InvalidInputError: it is neither.
    """
    import numpy as np

    array, _ = _raw(data, TensorSpec(name, "float64"))
    if array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind == "O":
        return _of_texts(array, TensorSpec(name, "str"))
    if array.dtype.kind not in "biuf":
        raise _of_kind(array.dtype.name, TensorSpec(name, "numbers or texts"), "Pass numbers or texts.")
    return np.asarray(array)


def _raw(data: object, spec: TensorSpec) -> tuple[np.ndarray, bool]:
    """The data as an array, and whether they came with a dtype."""
    import numpy as np

    if pictures.is_image(data):
        # Pixels have no dtype that anyone chose.
        return pictures.array_of(data, spec), False
    if (tensor := _of_torch(data)) is not None:
        return tensor, True
    if isinstance(data, _Sparse):
        return data.toarray(), True
    if isinstance(data, list | tuple):
        return _of_list(data, spec)
    found = np.asarray(data.to_numpy() if isinstance(data, _ToNumpy) else data)
    if found.dtype.kind != "O":
        return found, isinstance(data, np.generic) or not isinstance(data, bool | int | float | str | bytes)
    # Values of Python's own: as a list has them.
    listed: object = found.tolist()
    if isinstance(listed, list):
        return _of_list(listed, spec)
    raise InvalidInputError(
        f"The input {spec.name!r} was given a {kind_of(data)}.", hint=f"It takes {in_words(spec)}.", field=spec.name
    )


def _of_list(values: Sequence[object], spec: TensorSpec) -> tuple[np.ndarray, bool]:
    import numpy as np

    try:
        if any(_has_shape(value) for value in values):
            pairs = [_raw(value, spec) for value in values]
            return np.stack([array for array, _ in pairs]), any(is_typed for _, is_typed in pairs)
        if spec.dtype in TEXTS:
            return np.array(values, dtype=object), False
        if (whole := _of_whole(values, spec)) is not None:
            return whole, False
        plain = _with_nan(values) if spec.dtype.startswith("float") else values
        found = np.array(plain)
        if found.dtype.kind == "O" and spec.dtype.startswith("float"):
            found = np.array(plain, dtype=spec.dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(
            f"The input {spec.name!r} was given lists that make no array: {error}.",
            hint=f"It takes {in_words(spec)}; every list of one level needs the same length.",
            field=spec.name,
        ) from error
    if not found.size:
        found = found.astype(spec.dtype)
    return found, False


def _of_whole(values: Sequence[object], spec: TensorSpec) -> np.ndarray | None:
    """The numbers of a list for an input of 64-bit whole ones, which numpy would make fractions where some have a sign.

    Returns:
        None where there is anything else among them.
    """
    import numpy as np

    if spec.dtype not in ("int64", "uint64"):
        return None
    found = np.array(values, dtype=object)
    flat = [value.item() if isinstance(value, np.generic) else value for value in found.ravel().tolist()]
    whole = [int(v) if isinstance(v, float) and v.is_integer() and abs(v) < 2**64 else v for v in flat]
    if {type(value) for value in whole} != {int}:
        return None
    exact = np.empty(len(whole), dtype=object)
    exact[:] = whole
    if (numbers := of_objects(exact, spec.dtype)) is not None:
        return numbers.reshape(found.shape)
    limits = np.iinfo(spec.dtype)
    other = next(value for value in whole if not limits.min <= value <= limits.max)
    raise _not_held(spec, f"{other}, which it cannot hold")


def _has_shape(value: object) -> bool:
    if isinstance(value, list | tuple | str | bytes) or value is None:
        return isinstance(value, list | tuple) and any(_has_shape(item) for item in value)
    return bool(getattr(value, "shape", None)) or pictures.is_image(value)


def _with_nan(values: object) -> object:
    """None, and pandas' NA, as not-a-number."""
    if isinstance(values, list | tuple):
        return [_with_nan(value) for value in values]
    return float("nan") if values is None or type(values).__name__ == "NAType" else values


def _of_torch(data: object) -> np.ndarray | None:
    """The values of a ``torch.Tensor``; None for anything else. torch is not imported for that."""
    torch = sys.modules.get("torch")
    kind = getattr(torch, "Tensor", None)
    if not isinstance(kind, type) or not isinstance(data, kind):
        return None
    tensor = cast("_Tensor", data).detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # which numpy does not have; nothing is lost
        tensor = tensor.float()
    return tensor.resolve_conj().resolve_neg().numpy()


def _of_texts(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Texts and bytes as objects."""
    if array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind == "O" and all(isinstance(value, str | bytes) for value in array.ravel()):
        return array
    raise _of_kind(_called(array, (str, bytes)), spec, "Pass texts or bytes.")


def _called(array: np.ndarray, wanted: tuple[type, ...]) -> str:
    """What an array holds that is not of the wanted types, as errors name it."""
    if array.dtype.kind != "O":
        return "texts" if array.dtype.kind in "US" else array.dtype.name
    values = array.ravel().tolist()
    if values and all(isinstance(value, str | bytes) for value in values):
        return "texts"
    others = [kind_of(value) for value in values if not isinstance(value, wanted)]
    return f"values of type {others[0]}" if others else "numbers that are too large"


def _is_kept(given: np.ndarray, made: np.ndarray) -> bool:
    """Whether whole numbers are the same, and floats no infinity that they were not."""
    import numpy as np

    if not given.size:
        return True
    if made.dtype.kind in "iub":
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            return False
        if given.dtype.kind in "iu" and made.dtype.kind in "iu":
            limits = np.iinfo(made.dtype)
            return int(given.min()) >= limits.min and int(given.max()) <= limits.max
        return bool((made.astype(given.dtype) == given).all())
    if given.dtype.kind == "f":
        return bool((np.isfinite(made) | ~np.isfinite(given)).all())
    return bool(np.isfinite(made).all())


def _sample(given: np.ndarray, made: np.ndarray) -> str:
    """One of the values that are not kept."""
    import numpy as np

    if given.dtype.kind in "iu" and made.dtype.kind in "iu":
        limits = np.iinfo(made.dtype)
        return str(given.min() if int(given.min()) < limits.min else given.max())
    with np.errstate(over="ignore", invalid="ignore"):
        changed = given[made.astype(given.dtype) != given]
    return str(changed.flat[0])


def _not_held(spec: TensorSpec, given: str) -> InvalidInputError:
    return InvalidInputError(
        f"The input {spec.name!r} takes {spec.dtype}, and was given {given}.",
        hint="Round or scale the values first, as the model was trained with.",
        field=spec.name,
    )


def _of_kind(given: str, spec: TensorSpec, hint: str = "") -> InvalidInputError:
    wanted = "texts" if spec.dtype in TEXTS else spec.dtype
    return InvalidInputError(
        f"The input {spec.name!r} takes {wanted}, and was given {given}.",
        hint=hint or f'Cast it first, such as array.astype("{spec.dtype}").',
        field=spec.name,
    )


def kind_of(data: object) -> str:
    """What something is called in an error."""
    return f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")
