"""The protocol's messages: generated from the .proto, true to the wheel's, and at peace with the wheel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor

from kale_serve_ext.metadata.proto import mlmd_pb2

ROOT = Path(mlmd_pb2.__file__).parents[3]
PROTO = "kale_serve_ext/metadata/proto/mlmd.proto"


def test_generated_code_is_what_the_proto_says(tmp_path: Path) -> None:
    out = tmp_path / "set.bin"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(ROOT), f"--descriptor_set_out={out}", PROTO]
    subprocess.run(command, check=True, cwd=ROOT)
    wanted = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]
    for message in wanted.message_type:
        _without_json_names(message)
    committed = descriptor_pb2.FileDescriptorProto()
    mlmd_pb2.DESCRIPTOR.CopyToProto(committed)
    assert committed == wanted


def test_messages_have_the_field_numbers_of_the_wheel(metadata_python: str) -> None:
    code = """if True:
        import json
        from ml_metadata.proto import metadata_store_pb2 as a, metadata_store_service_pb2 as b
        out = {}
        def take(prefix, message):
            out[prefix + message.name] = {f.name: [f.number, f.type, f.label == 3] for f in message.fields}
            for enum in message.enum_types:
                out[prefix + message.name + "." + enum.name] = {v.name: v.number for v in enum.values}
            for inner in message.nested_types:
                take(prefix + message.name + ".", inner)
        for file in (a.DESCRIPTOR, b.DESCRIPTOR):
            for message in file.message_types_by_name.values():
                take("", message)
        print(json.dumps(out))
    """
    told = subprocess.run([metadata_python, "-I", "-W", "ignore", "-c", code], check=True, capture_output=True)
    theirs = json.loads(told.stdout)
    ours = {name: m for name, m in mlmd_pb2.DESCRIPTOR.message_types_by_name.items()}
    assert len(ours) > 30
    for name, message in ours.items():
        _compare(name.replace("ListOptions", "ListOperationOptions"), message, theirs)


def test_the_wheel_in_the_same_process_clashes_with_nothing(metadata_python: str) -> None:
    """In this environment, with its newer protobuf: the wheel's modules come from the engine's environment."""
    code = "import sysconfig, sys; print(sysconfig.get_path('purelib'), sys.version_info[:2] == %r)"
    told = subprocess.run(
        [metadata_python, "-I", "-c", code % (sys.version_info[:2],)], check=True, capture_output=True, text=True
    ).stdout.split()
    packages, same_python = told[0], told[1] == "True"
    # The compiled part of the wheel loads in its own Python only; descriptors, which could clash, load in any.
    engine = "from ml_metadata.metadata_store import metadata_store" if same_python else ""
    ours = "from kale_serve_ext.metadata.proto import mlmd_pb2"
    wheel = f"sys.path.append({packages!r}); from ml_metadata.proto import metadata_store_pb2; {engine}"
    check = """
sent = mlmd_pb2.Artifact(id=7, name="iris/1", properties={"name": mlmd_pb2.Value(string_value="iris")})
read = metadata_store_pb2.Artifact.FromString(sent.SerializeToString())
assert (read.id, read.name, read.properties["name"].string_value) == (7, "iris/1", "iris"), read
assert mlmd_pb2.Artifact.FromString(read.SerializeToString()) == sent
print("both")
"""
    for first, second in ((ours, wheel), (wheel, ours)):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"import sys\n{first}\n{second}\n{check}"],
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "both", done.stderr


def _compare(name: str, message: Descriptor, theirs: dict[str, dict[str, object]]) -> None:
    for field in message.fields:
        assert theirs[name][field.name] == [field.number, field.type, field.is_repeated], f"{name}.{field.name}"
    for enum in message.enum_types:
        for value in enum.values:
            assert theirs[f"{name}.{enum.name}"][value.name] == value.number
    for inner in message.nested_types:
        _compare(f"{name}.{inner.name}", inner, theirs)


def _without_json_names(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")
    for inner in message.nested_type:
        _without_json_names(inner)


@pytest.mark.parametrize("module", ["ml_metadata", "grpc", "kserve", "pandas"])
def test_importing_the_package_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, kale_serve_ext.metadata; print({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
