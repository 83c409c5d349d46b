"""Between the v2 protocol's tensors and arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import serialize_byte_tensor
from kserve.utils.numpy_codec import from_np_dtype, to_np_dtype

if TYPE_CHECKING:
    import pandas as pd
    from kserve import InferInput, InferRequest
    from numpy.typing import NDArray

    Rows: TypeAlias = "NDArray[np.generic] | pd.DataFrame | list[str]"
    """What models take: an array of shape (rows, features), a table, or texts."""


def rows(tensor: InferInput) -> Rows:
    """The tensor as an array; texts (BYTES) as a list of ``str``, as models of texts want them."""
    if tensor.datatype == "BYTES":
        texts = [_text(v) for v in _flat(tensor)]
        shape = tuple(tensor.shape)
        return texts if len(shape) < 2 or shape[1:] == (1,) * (len(shape) - 1) else np.reshape(texts, shape)
    if to_np_dtype(tensor.datatype) is None:
        raise InvalidInput(f"The input {tensor.name!r} has the datatype {tensor.datatype!r}, which is not one of v2.")
    values: NDArray[np.generic] = tensor.as_numpy()
    return values


def column(tensor: InferInput) -> object:
    """A tensor that holds one column of a table."""
    return np.ravel(np.asarray(rows(tensor), dtype=object if tensor.datatype == "BYTES" else None))


def asks_for_frame(request: InferRequest) -> bool:
    """Whether the request says ``content_type: pd``: its inputs are columns."""
    given = (request.parameters or {}).get("content_type", "")
    return str(getattr(given, "string_param", given)) == "pd"


def outputs(result: object) -> list[tuple[str, np.ndarray]]:
    """A model's result as named tensors: one, or one for each column of a DataFrame."""
    if hasattr(result, "columns") and hasattr(result, "to_numpy"):
        return [(str(name), _tensor(result[name])) for name in result.columns]  # type: ignore[index]  # a DataFrame
    return [("output-0", _tensor(result))]


def datatype(values: np.ndarray) -> str:
    """v2's name of the array's dtype."""
    return str(from_np_dtype(values.dtype))


def raw(values: np.ndarray, kind: str) -> bytes:
    """The array's bytes as v2 sends them: row-major, texts each behind their length."""
    if kind == "BYTES":
        packed = serialize_byte_tensor(values)
        return packed.item() if packed.size else b""
    return values.tobytes()


def plain(result: object) -> object:
    """A model's result as JSON values."""
    if hasattr(result, "to_dict") and hasattr(result, "columns"):
        return result.to_dict(orient="records")
    if hasattr(result, "toarray"):
        result = result.toarray()
    if hasattr(result, "tolist"):
        return result.tolist()
    return [v.tolist() if hasattr(v, "tolist") else v for v in result] if isinstance(result, (list, tuple)) else result


def _tensor(values: object) -> np.ndarray:
    if hasattr(values, "toarray"):
        values = values.toarray()
    array = np.asarray(values)
    # v2 knows texts as bytes only; kserve writes them from an array of objects.
    return array.astype(object) if array.dtype.kind in "US" else array


def _flat(tensor: InferInput) -> list[object]:
    if tensor._raw_data is not None:
        return list(np.ravel(tensor.as_numpy()))
    return list(np.ravel(np.asarray(tensor.data, dtype=object)))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
