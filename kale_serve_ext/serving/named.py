"""Named tensors over the wire: the same arrays in, and the same out, by v1, v2, v2 in binary form and gRPC. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ..errors import InvalidInputError
from ..ml import JSON
from . import binary, images, protocols, rest, tensors
from .messages import messages

if TYPE_CHECKING:
    import numpy as np

    from .arrays import Arrays
    from .described import Described


def fits_grpc(arrays: Arrays) -> bool:
    """Whether gRPC servers take a message of that size."""
    return sum(_size(array) for array in arrays.values()) <= tensors.MAX_ARRAY_BYTES


def has_bytes(arrays: Arrays) -> bool:
    """Whether there are bytes among the values that are no text."""
    return not all(_has_json(array) for array in arrays.values() if array.dtype.kind == "O")


def encode(arrays: Arrays, protocol: str, model: str, takes: Described) -> rest.Request:
    """What asks ``model`` by REST.

    Args:
        protocol: ``v1``, ``v2`` or ``v2-binary``, which v2 becomes where its JSON has no form for an input or output.
        takes: what the model takes and gives.

    Raises:
        InvalidInputError: arrays that are no rows, which v1 has no form for.
    """
    path = protocols.path(protocol, model)
    if protocol == "v2" and (
        any(s.dtype == "float16" for s in takes.outputs) or not all(map(_has_json, arrays.values()))
    ):
        protocol = "v2-binary"
    if protocol == "v1":
        return rest.of_json(path, protocols.dumps(_as_v1(arrays)))
    if protocol == "v2":
        inputs: list[JSON] = [
            _described(name, array) | {"data": _texts(array.ravel().tolist())} for name, array in arrays.items()
        ]
        return rest.of_json(path, protocols.dumps({"inputs": inputs}))
    described: list[JSON] = []
    contents = [_raw(array) for array in arrays.values()]
    for (name, array), content in zip(arrays.items(), contents, strict=True):
        described.append(_described(name, array) | {"parameters": {"binary_data_size": memoryview(content).nbytes}})
    head = protocols.dumps({"parameters": {"binary_data_output": True}, "inputs": described})
    headers = {"Content-Type": "application/octet-stream", binary.LENGTH: str(len(head))}
    return rest.Request(path, b"".join((head, *contents)), headers)


def encode_grpc(arrays: Arrays, model: str) -> bytes:
    """What asks ``model`` by gRPC.

    Raises:
        InvalidInputError: it is larger than gRPC servers take.
    """
    if not fits_grpc(arrays):
        raise InvalidInputError(
            f"gRPC takes inputs of up to {tensors.MAX_ARRAY_BYTES >> 20} MiB.", hint="Send fewer, or omit protocol=."
        )
    made = messages()
    inputs = [
        made.ModelInferRequest.InferInputTensor(
            name=name, datatype=tensors.datatype_of(array), shape=[int(n) for n in array.shape]
        )
        for name, array in arrays.items()
    ]
    request = made.ModelInferRequest(model_name=model, inputs=inputs)
    for array in arrays.values():
        request.raw_input_contents.append(bytes(_raw(array)))
    return request.SerializeToString()


def _as_v1(arrays: Arrays) -> JSON:
    """One input as nested lists; several as one object for each row."""
    if len(arrays) == 1:
        (array,) = arrays.values()
        if not array.ndim:
            raise InvalidInputError("v1 sends rows, and the input is a single value.", hint='Use protocol="v2".')
        return {"instances": _nested(array)}
    sizes = {name: len(array) if array.ndim else None for name, array in arrays.items()}
    if len(set(sizes.values())) != 1 or None in sizes.values():
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise InvalidInputError(
            f"v1 sends rows, and the inputs do not have the same number of them: {told}.", hint='Use protocol="v2".'
        )
    columns = {name: _nested(array) for name, array in arrays.items()}
    listed = [column for column in columns.values() if isinstance(column, list)]
    return {"instances": [dict(zip(columns, row, strict=True)) for row in zip(*listed, strict=True)]}


def _described(name: str, array: np.ndarray) -> dict[str, JSON]:
    return {"name": name, "shape": list(array.shape), "datatype": tensors.datatype_of(array)}


def _has_json(array: np.ndarray) -> bool:
    """Whether v2 has a form for the values in JSON: not for FP16, infinities, nor bytes that are no text."""
    if array.dtype.kind != "O":
        import numpy as np

        return not (array.dtype == "float16" or (array.dtype.kind == "f" and bool(np.isinf(array).any())))
    try:
        _texts(array.ravel().tolist())
    except UnicodeDecodeError:
        return False
    return True


def _texts(values: list[JSON | bytes]) -> list[JSON]:
    return [v.decode() if isinstance(v, bytes) else v for v in values]


def _nested(array: np.ndarray) -> JSON:
    values: JSON = array.tolist()
    return _plain(values) if array.dtype.kind == "O" else values


def _plain(value: object) -> JSON:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return images.as_json(value) if isinstance(value, bytes) else str(value)


def _raw(array: np.ndarray) -> bytes | memoryview:
    """The values as they go over the wire: texts and bytes each behind their length."""
    if array.dtype.kind != "O":
        return tensors.raw(array)
    encoded = [v if isinstance(v, bytes) else str(v).encode() for v in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(e)) + e for e in encoded)


def _size(array: np.ndarray) -> int:
    if array.dtype.kind != "O":
        return int(array.nbytes)
    return sum(4 + len(v if isinstance(v, bytes) else str(v).encode()) for v in array.ravel().tolist())
