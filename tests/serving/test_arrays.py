"""What people pass to a model of named tensors, as the arrays that are sent, and what comes back as arrays."""

from __future__ import annotations

import io
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image
from scipy import sparse

from kale_serve_ext.engines.sync_http import Answer
from kale_serve_ext.errors import InvalidInputError, PredictionError
from kale_serve_ext.ml import JSON, TensorSpec
from kale_serve_ext.serving import outputs, protocols
from kale_serve_ext.serving.arrays import arrays_of, is_request
from kale_serve_ext.serving.described import Described, of_metadata


def made(data: object, dtype: str, shape: list[str | int]) -> np.ndarray:
    """The array of a model's only input."""
    return arrays_of(data, Described((TensorSpec("x", dtype, shape),)))["x"]


@pytest.mark.parametrize(
    ("data", "dtype", "wanted"),
    [
        ([1, 2], "float32", [1.0, 2.0]),
        ([1.5, None], "float32", [1.5, float("nan")]),
        ([1.0, 2.0], "int64", [1, 2]),
        ([0, 1], "bool", [False, True]),
        ([True, False], "uint8", [1, 0]),
        ([2**63 + 1, 1], "uint64", [2**63 + 1, 1]),
        ([[2**53 + 1], [1.0]], "int64", [[2**53 + 1], [1]]),
        ([-(2**63), 2**63 - 1], "int64", [-(2**63), 2**63 - 1]),
        ([np.int64(3), 2**63 + 1], "uint64", [3, 2**63 + 1]),
        (np.array([2**63 + 1, 1], dtype=object), "uint64", [2**63 + 1, 1]),
        ((1, 2), "float16", [1.0, 2.0]),
        ([np.float64(1.5), np.int64(2)], "float64", [1.5, 2.0]),
        ([np.array(1, dtype="i1"), np.array(2, dtype="i1")], "int32", [1, 2]),
        (np.array([1, 2]), "float32", [1.0, 2.0]),
        (np.array([1.5], dtype="f8"), "float16", [1.5]),
        (np.array([1, 2], dtype=">i4"), "int32", [1, 2]),
        (np.array([1, 2], dtype="u1"), "int8", [1, 2]),
        (np.array([1, 2.5], dtype=object), "float32", [1.0, 2.5]),
        (pd.Series([1, 2]), "float32", [1.0, 2.0]),
        (pd.Series([1, None], dtype="Int64"), "float64", [1.0, float("nan")]),
        (range(2), "int64", [0, 1]),
        (["a", b"b"], "str", ["a", b"b"]),
        (np.array(["a", "b"]), "str", ["a", "b"]),
        (pd.Series(["a", "b"], dtype="string"), "bytes", ["a", "b"]),
    ],
    ids=str,
)
def test_data_become_the_models_own_dtype(data: object, dtype: str, wanted: list[object]) -> None:
    array = made(data, dtype, [-1] * np.array(wanted, dtype=object).ndim)

    assert array.dtype == (object if dtype in ("str", "bytes") else dtype)
    assert repr(array.tolist()) == repr(wanted)


@pytest.mark.parametrize(
    ("data", "dtype", "said"),
    [
        ([1.5], "int64", "takes int64, and was given 1.5, which it cannot hold"),
        ([256], "uint8", "was given 256, which it cannot hold"),
        ([-1], "uint64", "was given -1"),
        ([2**63 + 1, -1], "uint64", "was given -1"),
        ([1, 2**64], "uint64", f"was given {2**64}, which it cannot hold"),
        ([1, 2**63], "int64", f"was given {2**63}, which it cannot hold"),
        ([1, 1e300], "int64", r"was given 1e[+]300"),
        ([2], "bool", "was given 2"),
        ([float("nan")], "int32", "was given nan"),
        ([None], "int32", "takes int32, and was given values of type NoneType"),
        ([1, 2.5, 10**400], "int64", "was given"),
        ([1e39], "float32", "was given 1e[+]39"),
        (["1"], "float32", r"takes float32, and was given texts\.\n.*Pass numbers\."),
        (np.array(["1", "2"], dtype=object), "float32", r"takes float32, and was given texts\."),
        (np.array([1.5]), "int64", r'was given float64\.\n.*astype\("int64"\)'),
        (np.array([1]), "uint8", "was given int64"),
        (np.array([300]), "int8", "was given values that it cannot hold"),
        (np.array([1e300]), "float16", "was given values that it cannot hold"),
        (np.array([1j]), "float32", "was given complex128"),
        (np.array(["2024-01-02"], dtype="M8[D]"), "int64", r"was given datetime64\[D\]"),
        (np.array([1]), "str", "takes texts, and was given int64"),
        (["a", 1], "str", r"takes texts, and was given values of type int\.\n.*Pass texts or bytes"),
        (["a", None], "int32", "takes int32, and was given values of type str"),
        ([10**30], "int32", "takes int32, and was given numbers that are too large"),
        ([None, "a"], "str", "takes texts, and was given values of type NoneType"),
        ([{"a": [1, 2]}, 3], "float32", "was given"),
        ([1], "bfloat16", r"takes bfloat16, which cannot be sent from here\.\n.*JSON text"),
    ],
    ids=str,
)
def test_a_cast_that_would_lose_something_is_refused(data: object, dtype: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"The input 'x' .*{said}") as caught:
        made(data, dtype, [-1])
    assert caught.value.field == "x"


@pytest.mark.parametrize(
    ("given", "shape", "sent"),
    [
        ((2, 3), [-1, 3], (2, 3)),
        ((3,), [-1, 3], (1, 3)),
        ((3,), ["batch", 3], (1, 3)),
        ((3,), [1, 3], (1, 3)),
        ((), [-1], (1,)),
        ((), [], ()),
        ((0, 3), [-1, 3], (0, 3)),
        ((2, 5), ["n", "n2"], (2, 5)),
    ],
    ids=str,
)
def test_a_batch_is_added_where_it_is_all_that_lacks(
    given: tuple[int, ...], shape: list[str | int], sent: tuple[int, ...]
) -> None:
    assert made(np.zeros(given), "float64", shape).shape == sent
    if 0 not in given:  # an empty list says nothing of what would be in it
        assert made(np.zeros(given).tolist(), "float64", shape).shape == sent


@pytest.mark.parametrize(
    ("given", "shape"),
    [((4,), [-1, 3]), ((3,), [2, 3]), ((2, 3, 1), [-1, 3]), ((), [-1, 3]), ((2, 4), [-1, 3])],
    ids=str,
)
def test_another_shape_is_told_with_the_wanted_one(given: tuple[int, ...], shape: list[str | int]) -> None:
    words = f"'x' takes the shape [{', '.join('?' if n == -1 else str(n) for n in shape)}], and was given {list(given)}"
    with pytest.raises(InvalidInputError) as caught:
        made(np.zeros(given), "float64", shape)
    assert words in caught.value.message


def test_a_dimension_with_a_name_is_the_same_everywhere() -> None:
    takes = Described((TensorSpec("a", "float32", ["n", "m"]), TensorSpec("b", "float32", ["n"])))

    assert arrays_of({"a": [[1, 2]], "b": [1]}, takes)["a"].shape == (1, 2)
    with pytest.raises(InvalidInputError, match="'a' and 'b' share the dimension 'n', which is 1 in one and 2"):
        arrays_of({"a": [[1, 2]], "b": [1, 2]}, takes)


def test_a_batch_is_added_to_all_or_none() -> None:
    takes = Described((TensorSpec("a", "float32", [-1, 2]), TensorSpec("b", "float32", [-1])))

    assert {k: v.shape for k, v in arrays_of({"a": [1, 2], "b": 3}, takes).items()} == {"a": (1, 2), "b": (1,)}
    assert arrays_of({"a": [[1, 2]], "b": 3}, takes)["b"].shape == (1,)
    with pytest.raises(InvalidInputError, match=r"'b' takes the shape \[\?\], and was given \[\][\s\S]*number of rows"):
        arrays_of({"a": [[1, 2], [3, 4]], "b": 3}, takes)


def test_one_input_takes_what_has_no_names() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3.5, 4]})

    assert made(frame, "float32", [-1, 2]).tolist() == [[1.0, 3.5], [2.0, 4.0]]
    assert made(pd.DataFrame({"x": [1, 2]}), "int64", [-1]).tolist() == [1, 2]
    assert made(sparse.csr_matrix(np.eye(2)), "float32", [-1, 2]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert made([{"x": 1}, {"x": 2}], "int64", [-1]).tolist() == [1, 2]


@pytest.mark.parametrize("count", [1, 3])
def test_columns_and_rows_of_single_values_fit_inputs_of_one_column_each(count: int) -> None:
    takes = Described((TensorSpec("age", "float32", [-1, 1]), TensorSpec("port", "str", ["n", 1])))
    ages, ports = [54, 60.5, 3][:count], ["Kiel", "Oslo", "Bergen"][:count]
    frame = pd.DataFrame({"port": ports, "number": range(count), "age": ages})
    rows = [{"age": age, "port": port} for age, port in zip(ages, ports, strict=True)]
    for data in (frame, pl.DataFrame(frame.to_dict("list")), rows, {"age": ages, "port": ports}):
        found = arrays_of(data, takes)
        assert {name: array.shape for name, array in found.items()} == {"age": (count, 1), "port": (count, 1)}
        assert (found["age"].ravel().tolist(), found["port"].ravel().tolist()) == (ages, ports)
    with pytest.raises(InvalidInputError, match="The model's input 'age' is missing"):
        arrays_of(frame.drop(columns="age"), takes)


def test_one_row_of_single_values_is_a_batch_of_one() -> None:
    takes = Described((TensorSpec("age", "float32", [-1, 1]), TensorSpec("pixels", "float32", [-1, 3])))
    assert {k: v.shape for k, v in arrays_of({"age": 54, "pixels": [1, 2, 3]}, takes).items()} == {
        "age": (1, 1),
        "pixels": (1, 3),
    }
    assert made([1, 2, 3], "float32", [-1, 1]).shape == (3, 1)


def test_rows_with_different_inputs_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="do not all have the same inputs"):
        made([{"x": 1}, {"y": 2}], "int64", [-1])


class Tensor:
    """As torch's, which is not installed here: numpy refuses those that want a gradient, or lie on another device."""

    def __init__(self, values: np.ndarray, *steps: str, dtype: str = "torch.float32") -> None:
        self.values = values
        self.steps = steps
        self.dtype = dtype
        self.shape = values.shape

    def detach(self) -> Tensor:
        return Tensor(self.values, *self.steps, "detach", dtype=self.dtype)

    def cpu(self) -> Tensor:
        return Tensor(self.values, *self.steps, "cpu", dtype=self.dtype)

    def float(self) -> Tensor:
        return Tensor(self.values, *self.steps, dtype="torch.float32")

    def resolve_conj(self) -> Tensor:
        return self

    def resolve_neg(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        if self.steps != ("detach", "cpu") or self.dtype == "torch.bfloat16":
            raise RuntimeError("Can't convert it to numpy.")
        return self.values

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
def test_a_tensor_of_torch_is_detached_and_brought_here(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    module = ModuleType("torch")
    monkeypatch.setattr(module, "Tensor", Tensor, raising=False)
    monkeypatch.setitem(sys.modules, "torch", module)
    tensor = Tensor(np.array([1.5], dtype="f4"), dtype=dtype)

    assert made(tensor, "float32", [-1]).tolist() == [1.5]
    assert made([tensor, tensor], "float32", [-1, 1]).tolist() == [[1.5], [1.5]]


def test_torch_is_not_imported_for_others() -> None:
    made([1.5], "float32", [-1])
    assert "torch" not in sys.modules


PIXELS = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
COLOURS = Image.fromarray(PIXELS)


@pytest.mark.parametrize(
    ("image", "dtype", "shape", "wanted"),
    [
        (COLOURS, "uint8", [-1, 2, 5, 3], PIXELS[np.newaxis]),
        (COLOURS, "float32", [-1, 3, 2, 5], PIXELS.transpose(2, 0, 1)[np.newaxis]),
        (COLOURS, "uint8", [-1, -1, -1, 3], PIXELS[np.newaxis]),
        (COLOURS, "uint8", ["n", 3, "h", "w"], PIXELS.transpose(2, 0, 1)[np.newaxis]),
        (COLOURS, "uint8", [2, 5, 3], PIXELS),
        (COLOURS, "uint8", [3, 2, 5], PIXELS.transpose(2, 0, 1)),
        (Image.fromarray(PIXELS[..., 0]), "uint8", [-1, 2, 5], PIXELS[np.newaxis, ..., 0]),
        (Image.fromarray(PIXELS[..., 0]), "uint8", [-1, 1, 2, 5], PIXELS[np.newaxis, np.newaxis, ..., 0]),
        (Image.fromarray(PIXELS[..., 0]), "uint8", [-1, 2, 5, 3], np.stack([PIXELS[..., 0]] * 3, -1)[np.newaxis]),
        (COLOURS.convert("RGBA"), "uint8", [-1, 2, 5, 3], PIXELS[np.newaxis]),
        ([COLOURS, COLOURS], "uint8", [-1, 2, 5, 3], np.stack([PIXELS, PIXELS])),
    ],
    ids=lambda value: str(getattr(value, "mode", value))[:40],
)
def test_an_image_lies_as_the_shape_says(image: object, dtype: str, shape: list[str | int], wanted: np.ndarray) -> None:
    array = made(image, dtype, shape)

    assert array.dtype == dtype
    assert array.shape == wanted.shape
    assert (array == wanted).all()


@pytest.mark.parametrize(
    ("image", "dtype", "shape", "said"),
    [
        (COLOURS, "uint8", [-1, 3, 5, 3], "does not say which dimension is the colour"),
        (COLOURS, "uint8", [-1, -1, -1, -1], "does not say which dimension is the colour"),
        (COLOURS, "uint8", [-1, -1, -1], "does not say which dimension is the colour"),
        (COLOURS, "int64", [-1, 2, 5, 3], "which is not an image"),
        (COLOURS, "uint8", [-1, 5], "which is not an image"),
        (COLOURS, "uint8", [-1, 9, 5, 3], r"is 5×2; the model takes 5×9[\s\S]*image.resize\(\(5, 9\)\)"),
        (COLOURS, "uint8", [-1, 2, 5], r"has the mode RGB; the model takes L[\s\S]*convert\(\"L\"\)"),
        (Image.new("RGBA", (5, 2)), "uint8", [-1, 2, 5, 3], "has the mode RGBA; the model takes RGB"),
    ],
    ids=lambda value: str(getattr(value, "mode", value))[:40],
)
def test_an_image_that_does_not_fit_is_told(image: object, dtype: str, shape: list[str | int], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        made(image, dtype, shape)


def test_an_image_is_upright_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    file = io.BytesIO()
    COLOURS.save(file, "PNG", exif=exif)

    found = made(Image.open(file), "uint8", [-1, -1, -1, 3])

    np.testing.assert_array_equal(found, np.rot90(PIXELS, -1)[np.newaxis])
    with pytest.raises(InvalidInputError, match=r"is 2×5; the model takes 5×2"):
        made(Image.open(file), "uint8", [-1, 2, 5, 3])


TAKES = Described((TensorSpec("a"), TensorSpec("inputs")))


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        ('{"instances": []}', True),
        (b"{}", True),
        ({"instances": [[1]]}, True),
        ({"inputs": [{"name": "a", "shape": [1], "datatype": "FP32", "data": [1]}]}, True),
        ({"signature_name": "f", "inputs": [[1]]}, True),
        ({"inputs": [1.0]}, False),
        ({"a": [1.0], "inputs": [1.0]}, False),
        ({"prompt": "x"}, False),
        ([[1.0]], False),
    ],
    ids=str,
)
def test_a_whole_request_is_told_from_inputs(data: object, whole: bool) -> None:
    assert is_request(data, TAKES) is whole


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}], "outputs": []},
            Described((TensorSpec("x", "float32", [-1, 4]),)),
        ),
        (
            {
                "inputs": [{"name": "x", "datatype": "BYTES", "shape": ["-1"]}],
                "outputs": [{"name": "y", "datatype": "INT64", "shape": []}],
            },
            Described((TensorSpec("x", "str", [-1]),), (TensorSpec("y", "int64", []),)),
        ),
        ({"inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}]}, None),
        (
            {"inputs": [{"name": "input-0", "datatype": "FP32", "shape": [-1, 2, 2]}]},
            Described((TensorSpec("input-0", "float32", [-1, 2, 2]),)),
        ),
        ({"inputs": []}, None),
        ({"inputs": [{"name": "x"}]}, None),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}] * 2}, None),
        (
            {
                "inputs": [
                    {"name": "a", "datatype": "FP64", "shape": [-1, 1], "parameters": {"content_type": "pd"}},
                ]
            },
            None,
        ),
        (
            {
                "parameters": {"content_type": "pd"},
                "inputs": [
                    {"name": "a", "datatype": "FP64", "shape": [-1]},
                    {"name": "b", "datatype": "INT64", "shape": [-1]},
                ],
            },
            None,
        ),
        ({"error": "x"}, None),
        (["x"], None),
        (None, None),
    ],
    ids=str,
)
def test_what_a_server_says_of_its_tensors(answer: JSON, wanted: Described | None) -> None:
    assert of_metadata(answer) == wanted


def by_v1(predictions: JSON, *specs: TensorSpec) -> object:
    body = protocols.dumps({"predictions": predictions})
    return outputs.of_rest(Answer(200, {}, body), Described(TAKES.inputs, specs))


@pytest.mark.parametrize(
    ("predictions", "specs", "dtype", "wanted"),
    [
        ([1, 2], [], "int64", [1, 2]),
        ([1.5, None], [], "float64", [1.5, None]),
        ([[1], [2]], [TensorSpec("y", "float32")], "float32", [[1.0], [2.0]]),
        ([1.5, 2], [TensorSpec("y", "int64")], "float64", [1.5, 2.0]),
        ([True, False], [], "bool", [True, False]),
        (["a", "b"], [TensorSpec("y", "str")], "object", ["a", "b"]),
        ([[1], [2, 3]], [], "object", [[1], [2, 3]]),
        ([], [TensorSpec("y", "int64")], "int64", []),
        (
            [{"b": 0.25, "a": 0.75}, {"b": 1, "a": None}],
            [TensorSpec("y", "float32", [-1, -1])],
            "float32",
            [[0.25, 0.75], [1.0, None]],
        ),
        ([{"y": 0.5}, {"y": 1.5}], [TensorSpec("y", "float32", [-1, -1])], "float32", [0.5, 1.5]),
        ([None, None], [TensorSpec("y", "float32")], "float32", [None, None]),
        ([2**63 + 1, 1], [], "uint64", [2**63 + 1, 1]),
        ([[2**63 + 1], [1]], [TensorSpec("y", "uint64")], "uint64", [[2**63 + 1], [1]]),
        ([2**53 + 1, -1], [TensorSpec("y", "int64")], "int64", [2**53 + 1, -1]),
    ],
    ids=str,
)
def test_the_answer_by_v1_is_an_array(predictions: JSON, specs: list[TensorSpec], dtype: str, wanted: JSON) -> None:
    answer = by_v1(predictions, *specs)

    assert isinstance(answer, np.ndarray)
    assert answer.dtype == dtype
    assert repr(answer.tolist()).replace("nan", "None") == repr(wanted)


def test_answers_by_v1_in_other_forms() -> None:
    rows = by_v1([{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}], TensorSpec("a", "int8"))
    columns = by_v1({"a": [1, 2], "b": ["x", "y"]})

    assert isinstance(rows, dict)
    assert isinstance(columns, dict)
    assert {k: (v.dtype.name, v.tolist()) for k, v in rows.items()} == {
        "a": ("int8", [1, 2]),
        "b": ("int64", [[1, 2], [3, 4]]),
    }
    assert {k: v.tolist() for k, v in columns.items()} == {"a": [1, 2], "b": ["x", "y"]}
    assert outputs.of_rest(Answer(200, {}, b'{"verdict":"yes"}'), TAKES) == {"verdict": "yes"}


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"name": "y", "shape": [3], "datatype": "FP32", "data": [1]}, r"'y' has 1 values, and the shape \[3\]"),
        ({"name": "y", "shape": [1], "datatype": "BF16", "data": [1]}, "BF16"),
        ({"name": "y", "shape": [1], "datatype": "INT8", "data": ["x"]}, "values that are not INT8"),
    ],
)
def test_an_answer_that_contradicts_itself_is_told(output: JSON, said: str) -> None:
    with pytest.raises(PredictionError, match=said):
        outputs.of_rest(Answer(200, {}, protocols.dumps({"outputs": [output]})), TAKES)
