"""The messages of the Open Inference Protocol that are used, in a descriptor pool of their own.

Generated modules put their messages into the default pool of the process, where each name can stand once: a notebook
that had those of kserve there could not import ``tritonclient.grpc``, and the other way round. A pool of our own knows
neither. It also needs no kserve.

Names and numbers are those of
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from functools import cache
from typing import Protocol, cast

PACKAGE = "inference"


class Parameter(Protocol):
    """One of the three is set."""

    bool_param: bool
    int64_param: int
    string_param: str


class Contents(Protocol):
    """A tensor's values where they do not go as raw bytes: flat, in the field of its datatype."""

    bool_contents: MutableSequence[bool]
    int_contents: MutableSequence[int]
    int64_contents: MutableSequence[int]
    uint_contents: MutableSequence[int]
    uint64_contents: MutableSequence[int]
    fp32_contents: MutableSequence[float]
    fp64_contents: MutableSequence[float]
    bytes_contents: MutableSequence[bytes]


class Tensor(Protocol):
    """An input or output of a message."""

    name: str
    datatype: str
    shape: Sequence[int]
    contents: Contents

    @property
    def parameters(self) -> MutableMapping[str, Parameter]: ...


class Request(Protocol):
    """A ModelInferRequest."""

    model_name: str
    id: str
    inputs: Sequence[Tensor]
    raw_input_contents: MutableSequence[bytes]

    @property
    def parameters(self) -> MutableMapping[str, Parameter]: ...
    def SerializeToString(self) -> bytes: ...


class Response(Protocol):
    """A ModelInferResponse."""

    model_name: str
    id: str
    outputs: Sequence[Tensor]
    raw_output_contents: Sequence[bytes]

    @property
    def parameters(self) -> MutableMapping[str, Parameter]: ...
    def SerializeToString(self) -> bytes: ...


class TensorMetadata(Protocol):
    """What a model says of one of its inputs or outputs."""

    name: str
    datatype: str
    shape: Sequence[int]


class ModelMetadata(Protocol):
    """A ModelMetadataResponse."""

    inputs: Sequence[TensorMetadata]
    outputs: Sequence[TensorMetadata]


class MetadataClass(Protocol):
    def FromString(self, data: bytes) -> ModelMetadata: ...


class MetadataRequest(Protocol):
    """A ModelMetadataRequest."""

    def SerializeToString(self) -> bytes: ...


class RequestClass(Protocol):
    InferInputTensor: Callable[..., Tensor]
    InferRequestedOutputTensor: Callable[..., object]

    def __call__(self, *, model_name: str, inputs: list[Tensor]) -> Request: ...
    def FromString(self, data: bytes) -> Request: ...


class ResponseClass(Protocol):
    InferOutputTensor: Callable[..., Tensor]

    def __call__(self, *, model_name: str = "", id: str = "") -> Response: ...
    def FromString(self, data: bytes) -> Response: ...


class Messages(Protocol):
    """The classes of the messages, and of what stands in them."""

    @property
    def ModelInferRequest(self) -> RequestClass: ...
    @property
    def ModelInferResponse(self) -> ResponseClass: ...
    @property
    def ModelMetadataRequest(self) -> Callable[..., MetadataRequest]: ...
    @property
    def ModelMetadataResponse(self) -> MetadataClass: ...
    @property
    def InferParameter(self) -> Callable[..., Parameter]: ...
    @property
    def InferTensorContents(self) -> Callable[..., Contents]: ...


# A field's number and type: a scalar of Protocol Buffers or the path of a message, behind what it is one of.
_Fields = Mapping[str, tuple[int, str]]
_PARAMETERS = "map InferParameter"

_TENSOR: _Fields = {
    "name": (1, "string"),
    "datatype": (2, "string"),
    "shape": (3, "repeated int64"),
    "parameters": (4, _PARAMETERS),
    "contents": (5, "InferTensorContents"),
}
_MESSAGES: Mapping[str, _Fields] = {
    "InferParameter": {
        "bool_param": (1, "oneof bool"),
        "int64_param": (2, "oneof int64"),
        "string_param": (3, "oneof string"),
    },
    "InferTensorContents": {
        "bool_contents": (1, "repeated bool"),
        "int_contents": (2, "repeated int32"),
        "int64_contents": (3, "repeated int64"),
        "uint_contents": (4, "repeated uint32"),
        "uint64_contents": (5, "repeated uint64"),
        "fp32_contents": (6, "repeated float"),
        "fp64_contents": (7, "repeated double"),
        "bytes_contents": (8, "repeated bytes"),
    },
    "ModelInferRequest": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, _PARAMETERS),
        "inputs": (5, "repeated ModelInferRequest.InferInputTensor"),
        "outputs": (6, "repeated ModelInferRequest.InferRequestedOutputTensor"),
        "raw_input_contents": (7, "repeated bytes"),
    },
    "ModelInferRequest.InferInputTensor": _TENSOR,
    "ModelInferRequest.InferRequestedOutputTensor": {"name": (1, "string"), "parameters": (2, _PARAMETERS)},
    "ModelInferResponse": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, _PARAMETERS),
        "outputs": (5, "repeated ModelInferResponse.InferOutputTensor"),
        "raw_output_contents": (6, "repeated bytes"),
    },
    "ModelInferResponse.InferOutputTensor": _TENSOR,
    "ModelMetadataRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelMetadataResponse": {
        "name": (1, "string"),
        "versions": (2, "repeated string"),
        "platform": (3, "string"),
        "inputs": (4, "repeated ModelMetadataResponse.TensorMetadata"),
        "outputs": (5, "repeated ModelMetadataResponse.TensorMetadata"),
    },
    "ModelMetadataResponse.TensorMetadata": {
        "name": (1, "string"),
        "datatype": (2, "string"),
        "shape": (3, "repeated int64"),
    },
}


@cache
def messages() -> Messages:
    """The messages' classes."""
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    pool = DescriptorPool()
    pool.AddSerializedFile(_file())
    tops = (path for path in _MESSAGES if "." not in path)
    classes = {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in tops}
    return cast("Messages", type("Messages", (), classes))


def varint(number: int) -> bytes:
    """A number, such as a length, as Protocol Buffers write it."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


# The descriptors are written out by hand: the module that has their classes takes 60 ms to load, and all of this 1 ms.
# What the numbers stand for is in https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto


def _file() -> bytes:
    """A FileDescriptorProto: name 1, package 2, messages 4, syntax 12."""
    tops = [_field(4, _message(path)) for path in _MESSAGES if "." not in path]
    return _field(1, "kale_serve_ext/inference.proto") + _field(2, PACKAGE) + b"".join(tops) + _field(12, "proto3")


def _message(path: str) -> bytes:
    """A DescriptorProto: name 1, fields 2, messages inside 3, options 7, oneofs 8."""
    written = _field(1, path.rpartition(".")[2])
    choices = False
    for name, (number, kind) in _MESSAGES[path].items():
        how, _, of = kind.rpartition(" ")
        choices = choices or how == "oneof"
        if how == "map":
            written += _field(3, _entry(f"{name.capitalize()}Entry", of))
            of = f"{path}.{name.capitalize()}Entry"
        written += _field(2, _described(name, number, of, repeated=how in ("repeated", "map"), choice=how == "oneof"))
    inside = [inner for inner in _MESSAGES if inner.rpartition(".")[0] == path]
    written += b"".join(_field(3, _message(inner)) for inner in inside)
    return written + (_field(8, _field(1, "parameter_choice")) if choices else b"")


def _entry(name: str, of: str) -> bytes:
    """What a map's entries are: a message of a key and a value, and the option 7 that says so."""
    return (
        _field(1, name)
        + _field(2, _described("key", 1, "string"))
        + _field(2, _described("value", 2, of))
        + _field(7, _field(7, 1))
    )


def _described(name: str, number: int, of: str, *, repeated: bool = False, choice: bool = False) -> bytes:
    """A FieldDescriptorProto: name 1, number 3, label 4, type 5, the type's name 6, the number of its oneof 9."""
    written = _field(1, name) + _field(3, number) + _field(4, 3 if repeated else 1) + _field(5, _TYPES.get(of, 11))
    if of not in _TYPES:
        written += _field(6, f".{PACKAGE}.{of}")
    return written + (_field(9, 0) if choice else b"")


_TYPES = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
"""Descriptors' numbers of the scalar types; a message is 11."""


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content
