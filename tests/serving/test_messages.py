"""The messages of gRPC: those of the protocol, and none that another library could stumble over."""

from __future__ import annotations

import subprocess
import sys

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from kale_serve_ext.serving.messages import messages

_NAMES = ["InferParameter", "InferTensorContents", "ModelInferRequest", "ModelInferResponse"]
_NAMES += ["ModelMetadataRequest", "ModelMetadataResponse"]


def descriptor_of(made: object) -> Descriptor:
    assert isinstance(made, type)
    assert issubclass(made, Message)
    described = made.DESCRIPTOR
    assert isinstance(described, Descriptor)
    return described


def told(message: Descriptor) -> object:
    """All that the wire depends on, of a message and what is in it."""
    fields = {field.name: told_of(field) for field in message.fields}
    inside = {inner.name: told(inner) for inner in message.nested_types}
    oneofs = {oneof.name: [field.name for field in oneof.fields] for oneof in message.oneofs}
    return message.full_name, fields, inside, oneofs, message.GetOptions().map_entry


def told_of(field: FieldDescriptor) -> object:
    of = field.message_type.full_name if field.message_type else ""
    return field.number, field.type, field.is_repeated, of, field.has_presence, field.is_packed


@pytest.mark.parametrize("name", _NAMES)
def test_a_message_is_that_of_kserve(name: str) -> None:
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as theirs

    ours = descriptor_of(getattr(messages(), name))

    assert told(ours) == told(theirs.DESCRIPTOR.message_types_by_name[name])
    assert ours.file.pool is not theirs.DESCRIPTOR.pool


def test_parameters_and_contents_go_there_and_back() -> None:
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as theirs

    made = messages()
    contents = made.InferTensorContents(bytes_contents=[b"\xff\x00"], fp64_contents=[0.5])
    tensor = made.ModelInferRequest.InferInputTensor(name="a", datatype="BYTES", shape=[1], contents=contents)
    tensor.parameters["null"].bool_param = True
    sent = made.ModelInferRequest(model_name="iris", inputs=[tensor])
    sent.parameters["rows"].int64_param = 2**40
    sent.parameters["kind"].string_param = "pandas"

    read = theirs.ModelInferRequest.FromString(sent.SerializeToString())
    again = made.ModelInferRequest.FromString(read.SerializeToString())

    assert again == sent
    assert (again.inputs[0].contents.bytes_contents[0], again.parameters["rows"].int64_param) == (b"\xff\x00", 2**40)
    assert again.inputs[0].parameters["null"].bool_param


def run(*lines: str) -> str:
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True).stdout


_ARRAY = "from kale_serve_ext.serving import tensors; import numpy; tensors.encode(numpy.ones((1, 2)), 'iris')"
_METADATA = "from kale_serve_ext.metadata import store, writer, index"
_TRITON = "import tritonclient.grpc"
_KSERVE = "from kserve.protocol.grpc import grpc_predict_v2_pb2"
# As upstream's generated module, which only Linux and macOS have a package of, registers it.
_MLMD = """
from google.protobuf import descriptor_pb2, descriptor_pool
file = descriptor_pb2.FileDescriptorProto(name="ml_metadata/proto/metadata_store.proto", package="ml_metadata")
for name in ("Value", "Artifact", "ArtifactType", "Execution", "ExecutionType", "Context", "ContextType", "Event"):
    file.message_type.add(name=name)
file.enum_type.add(name="PropertyType").value.add(name="PROPERTY_UNKNOWN", number=0)
descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
"""


@pytest.mark.parametrize("other", [_TRITON, _KSERVE, _MLMD], ids=["tritonclient", "kserve", "ml_metadata"])
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_other_libraries_load_their_messages_in_the_same_process(other: str, first: str) -> None:
    ours = f"{_ARRAY}\n{_METADATA}"

    assert run(*((ours, other) if first == "ours" else (other, ours)), "print('both')") == "both\n"


def test_the_messages_come_without_kserve_and_without_the_slow_descriptors() -> None:
    loaded = run(
        "import sys", _ARRAY, "print('kserve' in sys.modules, 'google.protobuf.descriptor_pb2' in sys.modules)"
    )

    assert loaded == "False False\n"
