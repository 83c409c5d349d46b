"""ONNX: told from bytes, described without ONNX, with its files of weights."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from kale_serve_ext import formats
from kale_serve_ext.errors import InvalidInputError, UnsupportedModelError
from kale_serve_ext.formats import onnxgraph
from kale_serve_ext.formats.base import Content
from kale_serve_ext.formats.content import look
from kale_serve_ext.formats.protobuf import DamagedError
from kale_serve_ext.formats.tensors import AnswerError, TensorModel, answers_of, check_dims, fitted, of_rows
from kale_serve_ext.ml import TensorSpec
from tests.onnx_models import IRIS, answers, classifier, columns, scores, with_external_data

ONNX = formats.by_name("onnx")


def of(content: bytes, folder: Path) -> Content:
    (folder / "some.file").write_bytes(content)
    return look(folder / "some.file")


class TestGraph:
    def test_inputs_and_outputs_are_read(self, tmp_path: Path) -> None:
        ONNX.save(scores(), tmp_path)
        graph = onnxgraph.of_file(tmp_path / "model.onnx")
        assert graph.inputs == (
            TensorSpec("matrix", "float32", ("batch", 3)),
            TensorSpec("offset", "int64", ("batch", 1)),
            TensorSpec("texts", "str", ("batch",)),
        )
        assert graph.outputs == (
            TensorSpec("scores", "float32", ("batch", 2)),
            TensorSpec("same", "str", ("batch",)),
        )
        assert (graph.opsets, graph.producer, graph.external) == ({"ai.onnx": 17}, "tests", ())

    def test_maps_of_a_classifier_are_a_table(self) -> None:
        signature = ONNX.signature(classifier())
        assert signature is not None
        assert signature.inputs == (TensorSpec("X", "float32", (-1, 4)),)
        assert signature.outputs[1] == TensorSpec("output_probability", "float32", (-1, -1))

    @pytest.mark.parametrize("kind", sorted(onnxgraph.DTYPES))
    def test_dtypes_are_numpys(self, kind: int) -> None:
        value = helper.make_tensor_value_info("x", kind, None)
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
        signature = ONNX.signature(helper.make_model(graph))
        assert signature is not None
        expected = "str" if kind == TensorProto.STRING else str(helper.tensor_dtype_to_np_dtype(kind))
        assert [spec.dtype for spec in signature.inputs] == [expected]

    def test_branches_and_constants_are_looked_into(self, tmp_path: Path) -> None:
        inside = helper.make_tensor("hidden", TensorProto.FLOAT, [2], [1.0, 2.0])
        inside.ClearField("float_data")
        inside.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "hidden.bin"), ("offset", "4"), ("length", "8")):
            entry = inside.external_data.add()
            entry.key, entry.value = key, value
        branch = helper.make_graph(
            [helper.make_node("Constant", [], ["c"], value=inside)],
            "branch",
            [],
            [helper.make_tensor_value_info("c", TensorProto.FLOAT, [2])],
        )
        node = helper.make_node("If", ["which"], ["y"], then_branch=branch, else_branch=branch)
        graph = helper.make_graph(
            [node],
            "outer",
            [helper.make_tensor_value_info("which", TensorProto.BOOL, [])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        )
        (tmp_path / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())
        found = onnxgraph.of_file(tmp_path / "model.onnx")
        assert found.external == (onnxgraph.External("hidden.bin", 12),)
        assert found.inputs == (TensorSpec("which", "bool", ()),)

    def test_graphs_without_end_in_each_other_are_refused(self, tmp_path: Path) -> None:
        content = b"\x0a\x00"
        for _ in range(200):
            for number in (6, 5, 1):  # a graph of an attribute of a node
                content = bytes([number << 3 | 2]) + _varint(len(content)) + content
        model = b"\x08\x08\x3a" + _varint(len(content)) + content
        assert of(model, tmp_path).what == "a damaged ONNX model"

    def test_long_lists_of_an_attribute_are_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kale_serve_ext.formats.protobuf._MOST_FIELDS", 2000)
        inside = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
        inside.data_location = TensorProto.EXTERNAL
        entry = inside.external_data.add()
        entry.key, entry.value = "location", "w.bin"
        node = helper.make_node(
            "TreeEnsembleRegressor",
            ["x"],
            ["y"],
            domain="ai.onnx.ml",
            nodes_values=[i / 7 for i in range(50_000)],
            nodes_nodeids=[*range(50_000), -1, 2**62],
            nodes_modes=["BRANCH_LEQ", "LEAF", "", "a name that is longer than the others"] * 200,
            after=inside,
        )
        # Lists and a tensor in one attribute: neither hides the other.
        node.attribute.add(name="both", floats=[1.5] * 50_000, ints=[300] * 50_000, tensors=[inside])
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
        content = helper.make_model(helper.make_graph([node], "g", [value], [])).SerializeToString()
        found = onnxgraph.read(io.BytesIO(content), len(content))
        assert [spec.name for spec in found.inputs] == ["x"]
        assert found.external == (onnxgraph.External("w.bin", 0),)

    @pytest.mark.parametrize("role", ["input", "output"])
    def test_more_inputs_or_outputs_than_anyone_sends_are_refused(self, tmp_path: Path, role: str) -> None:
        proto = scores()
        getattr(proto.graph, role).extend(
            helper.make_tensor_value_info(f"x{n}", TensorProto.FLOAT, [1]) for n in range(10_001)
        )
        assert of(proto.SerializeToString(), tmp_path).what == "a damaged ONNX model"
        for _ in range(2):  # the second time as it is remembered
            with pytest.raises(DamagedError, match=r"more than 10,000 inputs or outputs"):
                onnxgraph.of_file(tmp_path / "some.file")

    def test_too_many_parts_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kale_serve_ext.formats.protobuf._MOST_FIELDS", 20)
        assert of(scores().SerializeToString(), tmp_path).what == "a damaged ONNX model"


def _varint(number: int) -> bytes:
    made = b""
    while number > 0x7F:
        made += bytes([number & 0x7F | 0x80])
        number >>= 7
    return made + bytes([number])


class TestFiles:
    def test_a_model_is_told_by_its_bytes(self, tmp_path: Path) -> None:
        content = classifier().SerializeToString()
        assert of(content, tmp_path) == Content("onnx", "onnx")
        found = formats.find(tmp_path / "some.file")
        assert (found.format, found.name) == (ONNX, "model.onnx")

    def test_every_cut_is_told(self, tmp_path: Path) -> None:
        content = scores().SerializeToString()
        told = {of(content[:length], tmp_path / _made(tmp_path, length)).what for length in range(30, len(content) - 9)}
        assert told == {"a truncated ONNX model"}

    def test_no_damage_breaks_the_reading(self, tmp_path: Path) -> None:
        content = scores().SerializeToString()
        random = np.random.default_rng(0)
        for number in range(300):
            damaged = bytearray(content)
            for place in random.integers(0, len(content), 3):
                damaged[place] = random.integers(0, 256)
            found = of(bytes(damaged), tmp_path / _made(tmp_path, number))
            assert found.format in ("", "onnx")
            assert bool(found.what) is not bool(found.format)

    def test_other_messages_are_no_models(self, tmp_path: Path) -> None:
        saved_model = b"\x08\x01\x12\x9a\x01" + b"\x0a\x0b\x0a\x02xy" * 30
        assert not of(saved_model, tmp_path).format
        with pytest.raises(DamagedError):
            onnxgraph.of_file(tmp_path / "some.file")

    def test_reading_takes_no_weights(self, tmp_path: Path) -> None:
        path = tmp_path / "model.onnx"
        content = scores().SerializeToString()
        # Metadata that nobody reads, in the way of the graph.
        with path.open("wb") as file:
            file.write(content[:2] + b"\x72" + _varint(1 << 30))
            file.seek(1 << 30, 1)
            file.write(content[2:])
        assert len(onnxgraph.of_file(path).inputs) == 3

    def test_the_jupyter_server_imports_no_onnx(self, tmp_path: Path) -> None:
        ONNX.save(scores(), tmp_path)
        code = (
            "import sys; from pathlib import Path; from kale_serve_ext import formats;"
            "found = formats.find(Path(sys.argv[1])); found.format.path_signature(found.file);"
            "print(found.format.name, sorted(m for m in sys.modules if m.startswith(('onnx', 'numpy', 'google'))))"
        )
        told = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "onnx []"

    def test_it_may_be_asked_for_by_name_only_where_it_is_one(self, tmp_path: Path) -> None:
        ONNX.save(scores(), tmp_path)
        with pytest.raises(UnsupportedModelError, match="is ONNX, not scikit-learn"):
            formats.find(tmp_path, "sklearn")


def relocated(folder: Path, location: str) -> Path:
    """The path of a model whose file of weights is said to be elsewhere."""
    path = with_external_data(folder)
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[0].external_data[0].value = location
    path.write_bytes(proto.SerializeToString())
    return path


class TestExternalData:
    def test_its_files_are_named(self, tmp_path: Path) -> None:
        path = with_external_data(tmp_path)
        assert ONNX.companions(path) == ("weights/linear.bin",)
        assert formats.find(tmp_path).file == path

    def test_a_missing_one_is_named(self, tmp_path: Path) -> None:
        path = with_external_data(tmp_path)
        (tmp_path / "weights" / "linear.bin").unlink()
        with pytest.raises(InvalidInputError, match=r"in the file weights/linear\.bin, which is not there"):
            ONNX.companions(path)

    def test_a_truncated_one_is_named(self, tmp_path: Path) -> None:
        path = with_external_data(tmp_path)
        (tmp_path / "weights" / "linear.bin").write_bytes(b"\0" * 100)
        with pytest.raises(InvalidInputError, match=r"linear\.bin .* is truncated: it has 100 of 512 bytes"):
            ONNX.companions(path)

    def test_a_link_to_elsewhere_is_refused(self, tmp_path: Path) -> None:
        path = with_external_data(tmp_path / "model")
        data = tmp_path / "model" / "weights" / "linear.bin"
        data.rename(tmp_path / "secret")
        data.symlink_to(tmp_path / "secret")
        with pytest.raises(InvalidInputError, match="a link to a file that is outside the model's folder"):
            ONNX.companions(path)

    @pytest.mark.parametrize(
        "location", ["/etc/passwd", "../other/weights", "", ".", "./", "c:/weights", "..\\weights"]
    )
    def test_a_place_elsewhere_is_refused(self, tmp_path: Path, location: str) -> None:
        path = relocated(tmp_path, location)
        with pytest.raises(InvalidInputError, match=r"which is outside the model's folder"):
            ONNX.companions(path)

    @pytest.mark.parametrize("location", ["n" * 300, "folder/" * 2000 + "weights", "weights\0.bin", "weights"])
    def test_a_name_that_no_file_can_have_is_not_there(self, tmp_path: Path, location: str) -> None:
        path = relocated(tmp_path, location)
        with pytest.raises(InvalidInputError, match=r"which is not there") as caught:
            ONNX.companions(path)
        assert len(caught.value.message) < 400

    def test_an_object_without_its_weights_is_refused(self, tmp_path: Path) -> None:
        proto = onnx.load(with_external_data(tmp_path), load_external_data=False)
        with pytest.raises(InvalidInputError, match="were not loaded"):
            ONNX.save(proto, tmp_path)


class TestAsking:
    def test_the_object_answers_as_it_will_be_served(self) -> None:
        model = ONNX.tensor_model(scores())
        assert isinstance(model, TensorModel)
        rows = [
            {"matrix": [1, 2, 3.5], "offset": [2], "texts": "a"},
            {"matrix": [0, 0, 0], "offset": [1], "texts": "ß"},
        ]
        fed = of_rows(model.inputs, rows)
        expected = answers(scores(), **fed)
        told = answers_of(model.run(fed), 2)
        assert told == [
            {"scores": row.tolist(), "same": text}
            for row, text in zip(np.asarray(expected["scores"]), "aß", strict=True)
        ]

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([[1, 2, 3]], "Instance 0 is not an object with the inputs 'matrix', 'offset', 'texts'"),
            ([{"matrix": [1, 2, 3], "texts": "a"}], "Instance 0 has the inputs 'matrix', 'texts'; the model takes"),
            (
                [{"matrix": [1, 2], "offset": [1], "texts": "a"}],
                r"The input 'matrix' takes float32 \[batch, 3\], and int64 \[1, 2\] was sent",
            ),
            ([{"matrix": ["a", "b", "c"], "offset": [1], "texts": "a"}], "'matrix' .* something else than numbers"),
            (
                [{"matrix": [1, 2, 3], "offset": [1.5], "texts": "a"}],
                r"'offset' takes int64 .* float64 \[1, 1\] was sent",
            ),
            ([{"matrix": [1, 2, 3], "offset": [1], "texts": 5}], "'texts' takes str .* something else than texts"),
        ],
    )
    def test_what_does_not_fit_is_named(self, rows: list[object], said: str) -> None:
        model = ONNX.tensor_model(scores())
        assert model is not None
        with pytest.raises(InvalidInputError, match=said):
            of_rows(model.inputs, rows)

    def test_one_input_takes_rows_or_objects_of_its_name(self) -> None:
        specs = (TensorSpec("x", "float32", (-1, 2)),)
        for rows in ([[1, 2], [3, 4]], [{"x": [1, 2]}, {"x": [3, 4]}]):
            assert of_rows(specs, rows)["x"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert of_rows(specs, [])["x"].shape == (0, 2)

    def test_a_model_with_an_input_for_each_column_takes_rows_of_single_values(self) -> None:
        model = ONNX.tensor_model(columns())
        assert model is not None
        table = {"offset": [1.0, 2.0], "weight": [3.0, 5.0]}
        assert [spec.shape[1] for spec in model.inputs] == [1, 1]
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        for sent in (rows, [{name: [value] for name, value in row.items()} for row in rows]):
            told = model.run(of_rows(model.inputs, sent))
            assert np.asarray(told["variable"]).ravel().tolist() == pytest.approx([7.0, 12.0])

    def test_numbers_are_cast_where_nothing_is_lost_but_digits(self) -> None:
        small = TensorSpec("x", "uint8", (-1,))
        assert fitted(small, np.array([255])).dtype == np.uint8
        with pytest.raises(InvalidInputError, match="some numbers that were sent do not fit"):
            fitted(small, np.array([256]))
        with pytest.raises(InvalidInputError, match=r"takes uint8 \[\?\], and float64 \[1\] was sent"):
            fitted(small, np.array([1.0]))

    @pytest.mark.parametrize(
        ("dtype", "value"), [("float32", 1e39), ("float32", -1e300), ("float16", 70000), ("float16", 65520.0)]
    )
    def test_a_number_that_would_become_an_infinity_is_refused(self, dtype: str, value: float) -> None:
        spec = TensorSpec("x", dtype, (-1,))
        with pytest.raises(InvalidInputError, match="some numbers that were sent do not fit"):
            fitted(spec, np.array([value]))
        assert fitted(spec, np.array([float("inf")])).tolist() == [float("inf")]

    def test_dimensions_of_one_name_have_one_size(self) -> None:
        specs = (TensorSpec("a", "float32", ("n",)), TensorSpec("b", "float32", ("n",)))
        with pytest.raises(InvalidInputError, match="dimension 'n' is 2 in the input 'a' and 3 in 'b'"):
            check_dims(specs, {"a": np.zeros(2), "b": np.zeros(3)})

    def test_an_answer_for_all_rows_together_has_no_form(self) -> None:
        with pytest.raises(AnswerError, match="'total' has a single value for 2 instances"):
            answers_of({"total": np.float32(3)}, 2)

    def test_a_session_may_be_asked_from_several_threads(self) -> None:
        model = ONNX.tensor_model(classifier())
        assert model is not None
        found: list[object] = []
        workers = [threading.Thread(target=lambda: found.append(model.run({"X": IRIS}))) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
        expected = answers(classifier(), X=IRIS)["output_label"]
        assert [list(one["output_label"]) for one in found if isinstance(one, dict)] == [list(np.asarray(expected))] * 4


def _made(folder: Path, number: int) -> str:
    (folder / str(number)).mkdir()
    return str(number)
