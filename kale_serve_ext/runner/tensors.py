"""Between the v2 protocol's tensors and arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import serialize_byte_tensor
from kserve.utils.numpy_codec import from_np_dtype, to_np_dtype

from ..estimators.answers import plain
from ..ml import JSON

if TYPE_CHECKING:
    from kserve import InferInput, InferRequest
    from numpy.typing import NDArray


def rows(tensor: InferInput) -> list[object] | NDArray[np.generic]:
    """The tensor as an array of numbers; what came as BYTES (texts, or values of several kinds) as nested lists."""
    if tensor.datatype == "BYTES":
        values = values_of(tensor)
        shape = tuple(tensor.shape)
        if len(shape) < 2:
            return values
        nested: list[object] = np.array([*values, None], dtype=object)[:-1].reshape(shape).tolist()
        return nested
    array = _numbers(tensor)
    if array.dtype.kind == "O":  # with a null among them
        listed: list[object] = array.tolist()
        return listed
    return array


def column(tensor: InferInput) -> Sequence[object]:
    """A tensor that holds one column of a table."""
    if tensor.datatype == "BYTES":
        return values_of(tensor)
    flat: Sequence[object] = np.ravel(_numbers(tensor)).tolist()
    return flat


def values_of(tensor: InferInput) -> list[object]:
    """The values of a BYTES tensor: texts; anything that JSON can say, where it came as JSON or says that it is.

    v2 has no null and no mixture of types. As JSON they simply stand in the data; as bytes each value is JSON text,
    and the tensor has the parameter ``content_type: json``.
    """
    raw = tensor._raw_data is not None
    flat = np.ravel(tensor.as_numpy() if raw else np.asarray(tensor.data, dtype=object)).tolist()
    values = [_text(v) if isinstance(v, bytes) else v for v in flat]
    if parameter(tensor.parameters, "content_type") != "json":
        return values
    try:
        return [json.loads(v) if isinstance(v, str) else v for v in values]
    except ValueError as exc:
        raise InvalidInput(f"The input {tensor.name!r} has a value that is not JSON: {exc}") from exc


def asks_for_frame(request: InferRequest) -> bool:
    """Whether the request says ``content_type: pd``: its inputs are columns."""
    return parameter(request.parameters, "content_type") == "pd"


def parameter(parameters: Mapping[str, object] | None, name: str) -> str:
    """A parameter's text, by REST and by gRPC alike; empty where there is none."""
    given = (parameters or {}).get(name, "")
    return str(getattr(given, "string_param", given))


@dataclass(frozen=True)
class Output:
    """A named tensor of an answer."""

    name: str
    values: np.ndarray
    is_json: bool = False
    """Whether each value is JSON text, for want of another form: v2 has neither null nor mixtures of types."""


def outputs(result: object) -> list[Output]:
    """A model's result as named tensors: one, or one for each column of a DataFrame or for each of several outputs."""
    if hasattr(result, "columns") and hasattr(result, "__getitem__"):
        return [_output(str(name), result[name]) for name in result.columns]
    if isinstance(result, list) and result and all(hasattr(r, "shape") for r in result):
        return [_output(f"output-{i}", r) for i, r in enumerate(result)]
    return [_output("output-0", result)]


def datatype(values: np.ndarray) -> str:
    """v2's name of the array's dtype."""
    return str(from_np_dtype(values.dtype))


def raw(values: np.ndarray, kind: str) -> bytes:
    """The array's bytes as v2 sends them: row-major, texts each behind their length."""
    if kind == "BYTES":
        packed = serialize_byte_tensor(values)
        return packed.item() if packed.size else b""
    return values.tobytes()


def _output(name: str, values: object) -> Output:
    if hasattr(values, "toarray"):
        values = values.toarray()
    array = np.asarray(values)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind in "US":
        # v2 knows texts as bytes only; kserve writes them from an array of objects.
        return Output(name, array.astype(object))
    if array.dtype.kind not in "OMm":
        return Output(name, array)
    flat = plain(values) if array.ndim == 1 else plain(array.ravel())
    return _of_objects(name, [None if v != v else v for v in flat] if isinstance(flat, list) else [], array.shape)


def _of_objects(name: str, flat: list[JSON], shape: tuple[int, ...]) -> Output:
    kinds = {type(v) for v in flat}
    if kinds in ({bool}, {int}):
        return Output(name, np.array(flat).reshape(shape))
    if kinds <= {int, float, type(None)} and kinds - {type(None)}:
        return Output(name, np.array(flat, dtype=np.float64).reshape(shape))
    is_json = kinds != {str}
    texts = [json.dumps(v, ensure_ascii=False) for v in flat] if is_json else flat
    made = np.empty(len(flat), dtype=object)
    made[:] = texts
    return Output(name, made.reshape(shape), is_json=is_json and bool(flat))


def _numbers(tensor: InferInput) -> NDArray[np.generic]:
    dtype = to_np_dtype(tensor.datatype)
    if dtype is None:
        raise InvalidInput(f"The input {tensor.name!r} has the datatype {tensor.datatype!r}, which is not one of v2.")
    data = tensor.data
    if tensor._raw_data is None and isinstance(data, list) and any(_is_more(v) for v in _flat(data)):
        # A null would become 0 among whole numbers and booleans; large whole numbers, others among fractions.
        return np.asarray(data, dtype=object).reshape(tuple(tensor.shape))
    too_large = f"The input {tensor.name!r} has a number that is too large for {tensor.datatype}."
    try:
        with np.errstate(over="ignore"):
            values: NDArray[np.generic] = tensor.as_numpy()
    except OverflowError as error:
        raise InvalidInput(too_large) from error
    if tensor._raw_data is None and dtype in (np.float16, np.float32):
        given = np.asarray(data, dtype=np.float64).reshape(values.shape)
        if (np.isinf(values) & np.isfinite(given)).any():
            raise InvalidInput(too_large)
    return values


def _is_more(value: object) -> bool:
    """Whether a float would not be the same."""
    return value is None or (isinstance(value, int) and abs(value) > 2**53)


def _flat(data: list[object]) -> Iterator[object]:
    for item in data:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
