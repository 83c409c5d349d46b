"""TensorFlow's files: what their bytes and names tell, without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kale_serve_ext import formats
from kale_serve_ext.errors import UnsupportedModelError
from kale_serve_ext.formats import savedmodel
from kale_serve_ext.formats.protobuf import DamagedError, TruncatedError
from kale_serve_ext.ml import TensorSpec

FLOAT, STRING, INT64 = 1, 7, 9
Tensors = Mapping[str, tuple[int, Sequence[int] | None]]
"""Type and shape by name; None is an unknown rank."""


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*made, value))


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, *parts: bytes | str) -> bytes:
    content = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(kind: int, shape: Sequence[int] | None) -> bytes:
    dims = [number(3, 1)] if shape is None else [message(2, number(1, size) if size else b"") for size in shape]
    return message(1, "op:0") + number(2, kind) + message(3, *dims)


def signature(inputs: Tensors, outputs: Tensors) -> bytes:
    entries = [
        message(field, message(1, name), message(2, tensor(*form)))
        for field, tensors in ((1, inputs), (2, outputs))
        for name, form in tensors.items()
    ]
    return b"".join(entries) + message(3, "tensorflow/serving/predict")


def saved_model(signatures: Mapping[str, bytes], *tags: str) -> bytes:
    about = message(1, *(message(4, tag) for tag in tags), message(5, "2.21.0"))
    graph = message(2, b"\x0a\x05" + b"nodes")  # which is not read
    defs = [message(5, message(1, name), message(2, value)) for name, value in signatures.items()]
    return number(1, 1) + message(2, about, graph, *defs)


TWO = signature(
    {"right": (STRING, (-1,)), "left": (FLOAT, (-1, 4))},
    {"output_10": (INT64, (-1, 0)), "output_2": (FLOAT, None)},
)
WHOLE = saved_model({"serving_default": TWO, "__saved_model_init_op": b""}, "serve")


def written(folder: Path, content: bytes = WHOLE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(content)
    (folder / "variables").mkdir()
    (folder / "variables" / "variables.index").write_bytes(b"index")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"data")
    return folder


def keras_file(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            file.writestr(name, "{}")
    return path


class TestReading:
    def test_names_dtypes_and_shapes(self, tmp_path: Path) -> None:
        graph = savedmodel.of_file(written(tmp_path) / "saved_model.pb")
        assert (set(graph.tags), graph.version) == ({"serve"}, "2.21.0")
        served = graph.signatures["serving_default"]
        assert served.inputs == (TensorSpec("left", "float32", (-1, 4)), TensorSpec("right", "str", (-1,)))
        # Numbers in names count as numbers; an unknown rank is told as such.
        assert served.outputs == (
            TensorSpec("output_2", "float32", ("...",)),
            TensorSpec("output_10", "int64", (-1, 0)),
        )
        assert graph.signatures["__saved_model_init_op"].method == ""

    def test_of_several_graphs_the_one_for_serving_counts(self, tmp_path: Path) -> None:
        other = saved_model({"serving_default": b""}, "train")
        graph = savedmodel.of_file(written(tmp_path, other + WHOLE[2:]) / "saved_model.pb")
        assert set(graph.tags) == {"train", "serve"}
        assert len(graph.signatures["serving_default"].inputs) == 2

    @pytest.mark.parametrize("end", [len(WHOLE) - 1, len(WHOLE) // 2, 6])
    def test_truncated(self, tmp_path: Path, end: int) -> None:
        with pytest.raises(TruncatedError):
            savedmodel.of_file(written(tmp_path, WHOLE[:end]) / "saved_model.pb")

    @pytest.mark.parametrize("content", [b"", b"\x08\x01", b"<html>", number(7, 1), message(1, "text")])
    def test_something_else(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(DamagedError):
            savedmodel.of_file(written(tmp_path, content) / "saved_model.pb")


class TestRecognising:
    def test_a_folder_goes_into_a_numbered_one(self, tmp_path: Path) -> None:
        found = formats.find(written(tmp_path))
        assert (found.format.name, found.file) == ("tensorflow", None)
        assert found.format.below(tmp_path) == "1"
        assert found.format.check(tmp_path) == []
        told = found.format.path_signature(tmp_path)
        assert told is not None
        assert [spec.name for spec in told.inputs] == ["left", "right"]

    def test_of_numbered_folders_the_highest_counts(self, tmp_path: Path) -> None:
        for name in ("2", "10", "notes"):
            written(tmp_path / name)
        (tmp_path / "11").mkdir()
        found = formats.find(tmp_path)
        assert found.format.name == "tensorflow"
        assert found.format.below(tmp_path) == ""
        assert savedmodel.root(tmp_path) == tmp_path / "10"

    def test_a_keras_file(self, tmp_path: Path) -> None:
        path = keras_file(tmp_path / "net.keras")
        for place in (path, tmp_path):
            found = formats.find(place)
            assert found.format.name == "tensorflow"
            assert found.format.check(place) == []
            assert found.format.path_details(place) == {"kind": "keras"}

    def test_its_graph_alone(self, tmp_path: Path) -> None:
        written(tmp_path)
        with pytest.raises(UnsupportedModelError, match="one part of a SavedModel") as caught:
            formats.find(tmp_path / "saved_model.pb")
        assert caught.value.hint == "Choose the folder that it lies in."

    def test_an_older_keras_file(self, tmp_path: Path) -> None:
        (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
        with pytest.raises(UnsupportedModelError, match="HDF5 file") as caught:
            formats.find(tmp_path / "net.h5")
        assert "keras.models.load_model" in caught.value.hint

    def test_tensorflow_is_not_imported_for_it(self, tmp_path: Path) -> None:
        written(tmp_path)
        code = (
            "import sys; from pathlib import Path; from kale_serve_ext import formats\n"
            f"found = formats.find(Path({str(tmp_path)!r})).format\n"
            f"print(found.name, found.path_signature(Path({str(tmp_path)!r})).inputs[0].name)\n"
            "print({'tensorflow', 'keras', 'google.protobuf', 'numpy'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.split("\n")[:2] == ["tensorflow left", "set()"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (WHOLE[:-3], "saved_model.pb is truncated"),
        (b"<html>", "damaged, or no SavedModel's"),
        (saved_model({"serving_default": TWO}, "train"), "no graph with the tag 'serve'"),
        (saved_model({"other": TWO}, "serve"), "no signature 'serving_default', only other"),
        (saved_model({}, "serve"), "no signature 'serving_default', none at all"),
    ],
)
def test_what_cannot_be_served_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    [told] = formats.by_name("keras").check(written(tmp_path, content))
    assert said in told


@pytest.mark.parametrize(
    ("gone", "said"), [("variables.index", "variables.index is missing"), ("variables.data-00000-of-00001", "missing")]
)
def test_missing_variables_are_told(tmp_path: Path, gone: str, said: str) -> None:
    (written(tmp_path) / "variables" / gone).unlink()
    [told] = formats.by_name("tf").check(tmp_path)
    assert said in told
