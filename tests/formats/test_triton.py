"""Triton's model repositories: their configuration in text form, which models they hold, and what the record says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kale_serve_ext import formats
from kale_serve_ext.engines.local.servers.layout import look
from kale_serve_ext.errors import InvalidInputError, UnsupportedModelError
from kale_serve_ext.formats import textproto
from kale_serve_ext.formats.tritonmodels import entry_of, models_of
from kale_serve_ext.ml import TensorSpec

CONFIG = """
name: "text"  # as its folder
backend: 'python'
max_batch_size: 8
input [
  { name: "IN" data_type: TYPE_STRING dims: [ 1 ] },
  { name: "ids", data_type: TYPE_INT64; dims: -1 dims: 4 }
]
output < name: "OUT" data_type: TYPE_FP32, dims: [ -1, 2 ] >
parameters: { key: "quo" "ted" value: { string_value: "a \\"b\\"\\n" } }
optimization { execution_accelerators { cpu_execution_accelerator: [ { name: "openvino" } ] } }
"""


def test_the_text_form_is_read() -> None:
    read = textproto.read(CONFIG)
    assert read["name"] == ["text"]
    assert read["max_batch_size"] == ["8"]
    assert read["input"][1] == {"name": ["ids"], "data_type": ["TYPE_INT64"], "dims": ["-1", "4"]}
    assert read["parameters"] == [{"key": ["quoted"], "value": [{"string_value": ['a "b"\n']}]}]
    assert textproto.read("") == {}
    assert textproto.without('a: 1 name: "x" b { name: "kept" }', "name") == 'a: 1  b { name: "kept" }'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb {", "line 2: .* stands where a field was expected"),
        ("a: }", "line 1: '}' stands where a value was expected"),
        ("a: [1", "stands where a value was expected"),
        ("a 1", "a colon is missing before '1'"),
        ('a: "open', "line 1: '\"' does not belong there"),
        ("}", "'}' stands where a field was expected"),
        ("a {" * 40, "nested too deeply"),
    ],
)
def test_what_is_no_text_form_is_told_by_its_line(text: str, words: str) -> None:
    with pytest.raises(textproto.MalformedError, match=words):
        textproto.read(text)


def test_a_signature_has_the_batch_that_triton_leaves_out() -> None:
    [model] = models_of(["text/config.pbtxt", "text/1/model.py"], {"text/config.pbtxt": CONFIG})
    assert model.signature is not None
    assert model.signature.inputs == (TensorSpec("IN", "str", (-1, 1)), TensorSpec("ids", "int64", (-1, -1, 4)))
    assert model.signature.outputs == (TensorSpec("OUT", "float32", (-1, -1, 2)),)


def test_models_and_their_backends_are_told_from_files_and_configurations() -> None:
    files = [
        "a/1/model.onnx",
        "b/2/model.savedmodel/saved_model.pb",
        "c/config.pbtxt",
        "notes/readme.md",
        ".git/1/model.py",
    ]
    found = models_of(files, {"c/config.pbtxt": 'platform: "pytorch_libtorch"'})
    assert {one.name: one.backend for one in found} == {"a": "onnxruntime", "b": "tensorflow", "c": "pytorch"}
    assert entry_of(found) is None
    assert entry_of(found, "b") is found[1]
    [alone] = models_of(["config.pbtxt", "1/model.py"], {})
    assert (alone.name, alone.backend) == ("", "python")


def test_a_repository_is_recognised_and_its_faults_told(tmp_path: Path) -> None:
    folder = tmp_path / "text"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.py").write_text("class TritonPythonModel: ...")
    (folder / "config.pbtxt").write_text(CONFIG)
    for path in (tmp_path, folder):
        assert formats.detect_path(path).name == "triton"
        assert formats.by_name("triton").check(path) == []
    triton = formats.by_name("triton")
    assert triton.path_details(tmp_path) == {"models": {"text": "python"}}
    signature = triton.path_signature(tmp_path)
    assert signature is not None
    assert [spec.name for spec in signature.inputs] == ["IN", "ids"]
    (folder / "config.pbtxt").write_text('name: "other"\nbackend: "python"')
    assert "is called 'other'" in triton.check(tmp_path)[0]
    (folder / "config.pbtxt").write_text("backend: {")
    assert triton.check(tmp_path)[0].startswith("text/config.pbtxt, line 1: ")
    (folder / "1" / "model.py").unlink()
    (folder / "config.pbtxt").write_text('backend: "python"')
    assert "no folder of a version" in triton.check(tmp_path)[0]
    (folder / "config.pbtxt").unlink()
    with pytest.raises(UnsupportedModelError):
        formats.detect_path(tmp_path)


def test_escapes_are_bytes_of_utf_8() -> None:
    read = textproto.read(r'a: "\303" "\244" b: "\xc3\xa4\u00e4" c: "\0611\t\'"')
    assert read == {"a": ["ä"], "b": ["ää"], "c": ["11\t'"]}
    for wrong in (r'"\303"', r'"\q"', r'"\ud800"', r'"\x"'):
        with pytest.raises(textproto.MalformedError, match=r"line 1: .* is no text"):
            textproto.read(f"a: {wrong}")


def test_a_configuration_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text" / "1").mkdir(parents=True)
    (tmp_path / "text" / "1" / "model.py").touch()
    file = tmp_path / "text" / "config.pbtxt"
    file.write_text(f'backend: "python"\n#{"x" * (1 << 20)}\n')
    assert formats.by_name("triton").check(tmp_path) == [
        "text/config.pbtxt cannot be read: config.pbtxt is larger than 1,048,576 bytes."
    ]
    with pytest.raises(InvalidInputError, match=r"Triton cannot read text/config\.pbtxt"):
        look("text", "triton", tmp_path)
    assert look("text", "onnx", tmp_path).texts == {}
    file.write_bytes(b'name: "\xff"')
    assert "cannot be read" in formats.by_name("triton").check(tmp_path)[0]
    file.unlink()
    os.mkfifo(file)
    assert "no regular file" in formats.by_name("triton").check(tmp_path)[0]
