"""The v2 protocol over gRPC: numeric arrays as raw bytes, there and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import InvalidInputError, PredictionError
from ..ml import JSON
from . import protocols
from .messages import Response, Tensor, messages, varint
from .tables import Cells, Table
from .values import Packed, pack

if TYPE_CHECKING:
    from typing import TypeGuard

    import numpy as np

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_RAW_INPUT_CONTENTS = bytes([7 << 3 | 2])
"""What stands before the length of ``raw_input_contents``, field 7 of ModelInferRequest."""
MAX_ARRAY_BYTES = 3 * 2**20
"""Arrays above this go by REST: gRPC servers refuse messages over 4 MiB unless they are told otherwise."""
USUAL_OUTPUT = "output-0"
"""What this package's server calls a single output that is no column of a frame."""

# v2's names of numpy's dtypes, by kind and size.
_DATATYPES = {
    "b1": "BOOL",
    "i1": "INT8",
    "i2": "INT16",
    "i4": "INT32",
    "i8": "INT64",
    "u1": "UINT8",
    "u2": "UINT16",
    "u4": "UINT32",
    "u8": "UINT64",
    "f2": "FP16",
    "f4": "FP32",
    "f8": "FP64",
}
_DTYPES = {datatype: f"<{code}" for code, datatype in _DATATYPES.items()}
_TYPED = {"BOOL": "bool_contents", "BYTES": "bytes_contents", "FP32": "fp32_contents", "FP64": "fp64_contents"}
_TYPED |= {name: "int_contents" for name in ("INT8", "INT16", "INT32")} | {"INT64": "int64_contents"}
_TYPED |= {name: "uint_contents" for name in ("UINT8", "UINT16", "UINT32")} | {"UINT64": "uint64_contents"}


def fits(data: object) -> TypeGuard[np.ndarray]:
    """Whether ``data`` is a numpy array of numbers that is worth sending, and can be sent, as raw bytes."""
    return is_numeric(data) and data.nbytes <= MAX_ARRAY_BYTES


def is_numeric(data: object) -> TypeGuard[np.ndarray]:
    """Whether ``data`` is a numpy array of numbers, with one or two dimensions and not empty."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(data, numpy.ndarray):
        return False
    return data.ndim in (1, 2) and data.nbytes > 0 and data.dtype.str[1:] in _DATATYPES


def as_array(data: object, most: int | None = None) -> np.ndarray:
    """``data`` as an array of numbers, with one or two dimensions, of at most so many bytes.

    Raises:
        InvalidInputError: it is none.
    """
    import numpy as np

    array = np.asarray(data)
    if not is_numeric(array) or (most and array.nbytes > most):
        limit = f" of up to {most >> 20} MiB" if most else ""
        raise InvalidInputError(
            f"This protocol takes arrays of numbers{limit}, with one or two dimensions.",
            hint="Pass such an array, or omit protocol=.",
        )
    return array


def encode(array: np.ndarray, model: str) -> bytes:
    """The request with one input, as it goes over the wire. An array of one dimension is one row."""
    # Encoded messages merge by being joined: the array is copied once, and the rest is the same from call to call.
    head = _head(model, *form(array))
    return b"".join((head, _RAW_INPUT_CONTENTS, varint(array.nbytes), raw(array)))


def pack_cells(cells: Cells, *, own: bool) -> list[tuple[str, list[int], Packed]]:
    """Rows as tensors with raw bytes: name, shape and values; one tensor, or one for each column.

    Args:
        own: whether the server is this package's, which understands more than v2 says.

    Raises:
        InvalidInputError: rows of different lengths or of objects, or values that have no such form.
    """
    if isinstance(cells, Table):
        return [(name, [len(values)], pack(values, own=own)) for name, values in cells.columns.items()]
    shape, flat = protocols.flatten(cells)
    return [("input-0", shape, pack(flat, own=own))]


def encode_cells(cells: Cells, model: str, *, own: bool) -> bytes:
    """The request of :func:`pack_cells`, as it goes over the wire.

    Raises:
        InvalidInputError: also where it is larger than gRPC servers take.
    """
    made = messages()
    packed = pack_cells(cells, own=own)
    if sum(len(one.content) for _, _, one in packed) > MAX_ARRAY_BYTES:
        raise InvalidInputError(
            f"gRPC takes rows of up to {MAX_ARRAY_BYTES >> 20} MiB.", hint="Send fewer, or omit protocol=."
        )
    request = made.ModelInferRequest(
        model_name=model,
        inputs=[
            made.ModelInferRequest.InferInputTensor(name=name, datatype=one.datatype, shape=shape)
            for name, shape, one in packed
        ],
    )
    if isinstance(cells, Table):
        request.parameters["content_type"].string_param = "pd"
    for tensor, (_, _, one) in zip(request.inputs, packed, strict=True):
        if one.is_json:
            tensor.parameters["content_type"].string_param = "json"
        request.raw_input_contents.append(one.content)
    return request.SerializeToString()


def of_json(texts: np.ndarray) -> np.ndarray:
    """The values that JSON texts say.

    Raises:
        PredictionError: one is no JSON.
    """
    import numpy as np

    made = np.empty(texts.size, dtype=object)
    made[:] = [_of_text(text) for text in texts]
    return made


def _of_text(text: JSON) -> JSON:
    try:
        value: JSON = json.loads(text) if isinstance(text, str) else text
    except ValueError as error:
        raise PredictionError(f"The model's answer has a value that is not JSON: {error}.") from error
    return value


def with_json(answer: JSON) -> JSON:
    """An answer in v2's form by JSON, with the values that its outputs tell as JSON texts."""
    outputs = answer.get("outputs") if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(outputs, list):
        return answer
    read: list[JSON] = []
    for output in outputs:
        parameters = output.get("parameters") if isinstance(output, Mapping) else None
        data = output.get("data") if isinstance(output, Mapping) else None
        told = isinstance(parameters, Mapping) and parameters.get("content_type") == "json"
        if told and isinstance(output, Mapping) and isinstance(data, list):
            rest = {k: v for k, v in output.items() if k != "parameters"}
            read.append({**rest, "data": [_of_text(v) for v in data]})
        else:
            read.append(output)
    return {**answer, "outputs": read}


def is_json(output: Tensor) -> bool:
    """Whether each value of the output is JSON text."""
    return "content_type" in output.parameters and output.parameters["content_type"].string_param == "json"


def listed(values: np.ndarray) -> JSON:
    """An output's values as a list; what is no number is null, as by JSON."""
    plain: JSON = values.tolist()
    if values.dtype.kind != "f":
        return plain
    import numpy as np

    return _without_nan(plain) if np.isnan(values).any() else plain


def _without_nan(values: JSON) -> JSON:
    if isinstance(values, list):
        return [_without_nan(v) for v in values]
    return None if values != values else values


def form(array: np.ndarray) -> tuple[str, tuple[int, ...]]:
    """Datatype and shape as v2 tells them. An array of one dimension is one row."""
    return _DATATYPES[array.dtype.str[1:]], array.shape if array.ndim > 1 else (1, *array.shape)


def datatype_of(array: np.ndarray) -> str:
    """What v2 calls the array's dtype; objects are texts or bytes."""
    return "BYTES" if array.dtype.kind == "O" else _DATATYPES[array.dtype.str[1:]]


def raw(array: np.ndarray) -> bytes | memoryview:
    """The values as they go over the wire: little-endian and row-major."""
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.data if array.flags.c_contiguous else array.tobytes()


def of_raw(content: bytes, datatype: str) -> np.ndarray | None:
    """An output's values; None where the datatype is unknown, or these are not values of it."""
    import numpy as np

    if datatype == "BYTES":
        return np.array(_texts(content), dtype=object)
    if datatype not in _DTYPES or len(content) % np.dtype(_DTYPES[datatype]).itemsize:
        return None
    return np.frombuffer(content, dtype=_DTYPES[datatype])


@lru_cache(maxsize=64)
def _head(model: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """Everything of a request but the values."""
    made = messages().ModelInferRequest
    tensor = made.InferInputTensor(name="input-0", datatype=datatype, shape=shape)
    return made(model_name=model, inputs=[tensor]).SerializeToString()


def decode_v1(response: Response, *, own: bool = False) -> JSON:
    """The answer as v1 tells it: ``{"predictions": nested lists}``, or one object per row for columns of a frame.

    Args:
        own: whether the server is this package's. Its single output is a frame's column where it has a name of its own;
            others give single outputs any name.
    """
    columns = {output.name: _nested(output, i, response) for i, output in enumerate(response.outputs)}
    names = list(columns)
    if len(names) == 1 and (not own or names == [USUAL_OUTPUT]):
        return {"predictions": columns[names[0]]}
    if names == [f"output-{i}" for i in range(len(names))]:  # of a model with several outputs, not columns of a frame
        return {"predictions": list(columns.values())}
    rows = zip(*(c if isinstance(c, list) else [c] for c in columns.values()), strict=False)
    return {"predictions": [dict(zip(names, row, strict=True)) for row in rows]}


def decode_v2(response: Response) -> JSON:
    """The answer as v2's REST form tells it; data are flat."""
    outputs: list[JSON] = []
    for i, output in enumerate(response.outputs):
        data = flat(output, i, response)
        outputs.append(
            {"name": output.name, "shape": list(output.shape), "datatype": output.datatype, "data": listed(data)}
        )
    return {"model_name": response.model_name, "id": response.id, "outputs": outputs}


def _nested(output: Tensor, index: int, response: Response) -> JSON:
    values = flat(output, index, response)
    try:
        nested = listed(values.reshape(tuple(output.shape)))
    except ValueError as error:
        raise PredictionError(
            f"The model's output {output.name!r} has {values.size} values, and the shape {list(output.shape)}.",
            hint="Look at the predictor's logs.",
        ) from error
    return nested


def flat(output: Tensor, index: int, response: Response) -> np.ndarray:
    """The values of one output, texts as objects.

    Args:
        index: which of the answer's outputs it is.

    Raises:
        PredictionError: an unknown datatype, or bytes that are not values of it.
    """
    import numpy as np

    contents = response.raw_output_contents
    if len(contents) > index:
        values = of_raw(contents[index], output.datatype)
        if values is not None:
            return of_json(values) if is_json(output) else values
    elif output.datatype in _TYPED:
        typed = getattr(output.contents, _TYPED[output.datatype])
        if output.datatype == "BYTES":
            texts = np.array([v.decode(errors="replace") for v in typed], dtype=object)
            return of_json(texts) if is_json(output) else texts
        return np.array(typed, dtype=_DTYPES[output.datatype])
    raise PredictionError(f"The output {output.name!r} has the datatype {output.datatype!r}, which cannot be read.")


def _texts(raw: bytes) -> list[str]:
    """v2's BYTES: each text behind its length in four bytes."""
    texts: list[str] = []
    at = 0
    while at + 4 <= len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        texts.append(raw[at + 4 : at + 4 + length].decode(errors="replace"))
        at += 4 + length
    return texts
