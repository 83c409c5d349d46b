"""The v2 protocol over gRPC: numeric arrays as raw bytes, there and back.

The messages are kserve's own, loaded from their file: through the package they cost 2.3 s, like this 66 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

from ..errors import BackendUnavailableError, InvalidInputError, PredictionError
from ..ml import JSON

if TYPE_CHECKING:
    from typing import TypeGuard

    import numpy as np

METHOD = "/inference.GRPCInferenceService/ModelInfer"
_RAW_INPUT_CONTENTS = bytes([7 << 3 | 2])
"""What stands before the length of ``raw_input_contents``, field 7 of ModelInferRequest."""
MAX_ARRAY_BYTES = 3 * 2**20
"""Arrays above this go by REST: gRPC servers refuse messages over 4 MiB unless they are told otherwise."""

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


class Tensor(Protocol):
    """An input or output of a message."""

    name: str
    datatype: str
    shape: Sequence[int]
    contents: object


class Request(Protocol):
    def SerializeToString(self) -> bytes: ...


class Response(Protocol):
    model_name: str
    id: str
    outputs: Sequence[Tensor]
    raw_output_contents: Sequence[bytes]


class _RequestClass(Protocol):
    InferInputTensor: Callable[..., Tensor]

    def __call__(self, *, model_name: str, inputs: list[Tensor]) -> Request: ...


class _ResponseClass(Protocol):
    def FromString(self, data: bytes) -> Response: ...


class Messages(Protocol):
    """The part of kserve's message module that is used."""

    ModelInferRequest: _RequestClass
    ModelInferResponse: _ResponseClass


@cache
def messages() -> Messages:
    """kserve's message module.

    Raises:
        BackendUnavailableError: kserve is not installed here.
    """
    from importlib.util import find_spec, module_from_spec, spec_from_file_location
    from pathlib import Path

    loaded = sys.modules.get("kserve.protocol.grpc.grpc_predict_v2_pb2")
    if loaded is None:
        package = find_spec("kserve")
        for folder in (package.submodule_search_locations or ()) if package else ():
            file = Path(folder, "protocol", "grpc", "grpc_predict_v2_pb2.py")
            spec = spec_from_file_location("kale_serve_ext_grpc_predict_v2", file) if file.is_file() else None
            if spec and spec.loader:
                loaded = module_from_spec(spec)
                spec.loader.exec_module(loaded)
                break
    if loaded is None:
        raise BackendUnavailableError("gRPC needs kserve's messages, and kserve is not installed here.")
    return loaded


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
            f"By this protocol go arrays of numbers{limit}, with one or two dimensions.",
            hint="Pass such an array, or leave out protocol=.",
        )
    return array


def encode(array: np.ndarray, model: str) -> bytes:
    """The request with one input, as it goes over the wire. An array of one dimension is one row."""
    # Encoded messages merge by being joined: the array is copied once, and the rest is the same from call to call.
    head = _head(model, *form(array))
    return b"".join((head, _RAW_INPUT_CONTENTS, _varint(array.nbytes), raw(array)))


def form(array: np.ndarray) -> tuple[str, tuple[int, ...]]:
    """Datatype and shape as v2 tells them. An array of one dimension is one row."""
    return _DATATYPES[array.dtype.str[1:]], array.shape if array.ndim > 1 else (1, *array.shape)


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


def _varint(number: int) -> bytes:
    """A length as Protocol Buffers write it."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def decode_v1(response: Response) -> JSON:
    """The answer as v1 tells it: ``{"predictions": nested lists}``, or one object per row for several outputs."""
    columns = {output.name: _nested(output, i, response) for i, output in enumerate(response.outputs)}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    names = list(columns)
    rows = zip(*(c if isinstance(c, list) else [c] for c in columns.values()), strict=False)
    return {"predictions": [dict(zip(names, row, strict=True)) for row in rows]}


def decode_v2(response: Response) -> JSON:
    """The answer as v2's REST form tells it; data are flat."""
    outputs: list[JSON] = []
    for i, output in enumerate(response.outputs):
        data = _flat(output, i, response)
        outputs.append(
            {"name": output.name, "shape": list(output.shape), "datatype": output.datatype, "data": data.tolist()}
        )
    return {"model_name": response.model_name, "id": response.id, "outputs": outputs}


def _nested(output: Tensor, index: int, response: Response) -> JSON:
    flat = _flat(output, index, response)
    try:
        nested: JSON = flat.reshape(tuple(output.shape)).tolist()
    except ValueError as error:
        raise PredictionError(
            f"The model's output {output.name!r} has {flat.size} values, and the shape {list(output.shape)}.",
            hint="Look at the predictor's logs.",
        ) from error
    return nested


def _flat(output: Tensor, index: int, response: Response) -> np.ndarray:
    import numpy as np

    contents = response.raw_output_contents
    if len(contents) > index:
        values = of_raw(contents[index], output.datatype)
        if values is not None:
            return values
    elif output.datatype in _TYPED:
        typed = getattr(output.contents, _TYPED[output.datatype])
        if output.datatype == "BYTES":
            return np.array([v.decode(errors="replace") for v in typed], dtype=object)
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
