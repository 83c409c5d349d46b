"""TensorFlow Serving's JSON: what becomes an array, what is refused and how, and what answers look like."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kale_serve_ext.ml import JSON, TensorSpec
from kale_serve_ext.runner import tfjson
from kale_serve_ext.runner.tfrefusal import Refusal

DEEP: JSON = 1
for _ in range(40):
    DEEP = [DEEP]


def of(dtype: str, value: JSON) -> np.ndarray:
    return tfjson.array_of(value, dtype)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", [[1, 2.5], [float("nan"), -3]]),
        ("float64", 0.1),
        ("int64", [2**62, -(2**62)]),
        ("uint64", [2**64 - 1, 0]),
        ("uint8", [[0, 255]]),
        ("bool", [True, False]),
        ("float32", []),
        ("float16", [0.5]),
        ("float32", [[1, 2.5], [3, 4]]),
    ],
)
def test_numbers_become_an_array_of_the_inputs_dtype(dtype: str, value: JSON) -> None:
    found = of(dtype, value)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.array(value, dtype=dtype))


def test_texts_and_base64_become_bytes() -> None:
    found = of("str", ["zwölf", {"b64": "_wD-"}, {"b64": "/wD+"}, {"b64": "YQ"}])
    assert found.tolist() == ["zwölf".encode(), b"\xff\x00\xfe", b"\xff\x00\xfe", b"a"]


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        ("float32", ["a"], 'JSON Value: "a" Type: String is not of expected type: float'),
        ("float32", [None], "JSON Value: null Type: Null is not of expected type: float"),
        ("float64", True, "JSON Value: true Type: True is not of expected type: double"),
        ("int32", [1, 2.0], "JSON Value: 2.0 Type: Number is not of expected type: int32"),
        ("int8", 128, "JSON Value: 128 Type: Number is not of expected type: int8"),
        ("uint64", [-1], "JSON Value: -1 Type: Number is not of expected type: uint64"),
        ("bool", [1], "JSON Value: 1 Type: Number is not of expected type: bool"),
        ("str", [1], "JSON Value: 1 Type: Number is not of expected type: string"),
        ("str", [{"b64": "a", "c": 1}], "not formatted correctly for base64 data"),
        ("str", [{"b64": "a"}], "Unable to base64 decode"),
        ("int32", {"b64": "YQ=="}, "Type: Object is not of expected type: int32"),
        ("float32", [2**24], "Cannot convert JSON value: 16777216 to float without loss of precision."),
        ("float32", [1e300], "Cannot convert JSON value: 1e+300 to float without loss of precision."),
        ("int32", [[1, 2], [3]], "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ("int32", [1, [2]], "Encountered list at unexpected level: 1 expected < 1"),
        ("float32", [True, 1.5], "JSON Value: true Type: True is not of expected type: float"),
        ("int32", [[True], [2]], "JSON Value: true Type: True is not of expected type: int32"),
        ("float32", [0.5, 16777217], "Cannot convert JSON value: 16777217 to float without loss of precision."),
        ("bfloat16", [1.0], "Values of the type bfloat16 have no form in JSON"),
        ("object", [1.0], "Values of the type object have no form in JSON"),
        ("complex64", [1.0], "Values of the type complex64 have no form in JSON"),
        ("float32", DEEP, "has lists at 40 levels, more than 31"),
        ("str", DEEP, "has lists at 40 levels, more than 31"),
        ("int32", [[1], 2], "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    ],
)
def test_what_is_of_another_form_is_refused(dtype: str, value: JSON, said: str) -> None:
    with pytest.raises(Refusal) as caught:
        of(dtype, value)
    assert said in caught.value.message
    assert caught.value.status == 400


X = {"x": TensorSpec("x", "float32", (-1, 2))}
TWO = {**X, "text": TensorSpec("text", "str", (-1,))}


class TestRows:
    def test_of_one_input_they_may_be_plain_or_named(self) -> None:
        for rows in ([[1, 2], [3, 4]], [{"x": [1, 2]}, {"x": [3, 4]}]):
            found = tfjson.arrays_of({"instances": rows}, X)
            np.testing.assert_array_equal(found["x"], [[1, 2], [3, 4]])

    def test_of_several_they_are_named(self) -> None:
        found = tfjson.arrays_of({"instances": [{"x": [1, 2], "text": "a"}, {"text": "b", "x": [3, 4]}]}, TWO)
        assert found["text"].tolist() == [b"a", b"b"]
        np.testing.assert_array_equal(found["x"], [[1, 2], [3, 4]])

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([{"x": [1, 2]}], "keys must be equal to: text,x"),
            ([{"x": [1, 2], "y": 1}], "Failed to process element: 0 key: y of 'instances' list."),
            ([{"x": [1, 2], "text": "a"}, [1]], "Expecting object but got list at item 1 of input list"),
            ([[1, 2]], "instances is a plain list, but expecting list of objects"),
            (
                [{"x": [1, 2], "text": "a"}, {"x": [1, 2, 3], "text": "a"}],
                "Failed to process element: 1 key: x of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor "
                "size: 2 but got: 3",
            ),
            (
                [{"x": [1, 2], "text": "a"}, {"x": [[1], [2]], "text": "a"}],
                "Expecting shape [2] but got: [2,1]",
            ),
        ],
    )
    def test_others_are_refused(self, rows: list[JSON], said: str) -> None:
        with pytest.raises(Refusal) as caught:
            tfjson.arrays_of({"instances": rows}, TWO)
        assert said in caught.value.message

    def test_an_object_among_values(self) -> None:
        with pytest.raises(Refusal, match="Expecting value/list but got object at item 1"):
            tfjson.arrays_of({"instances": [[1, 2], {"x": [1, 2]}]}, X)


class TestAnswers:
    def test_by_row_and_by_column(self) -> None:
        outputs = {"b": np.array([0.1, 2], dtype=np.float32), "a": np.array([[1], [2]])}
        rows = json.loads(tfjson.answer(outputs, by_row=True))
        assert rows == {"predictions": [{"a": [1], "b": 0.1}, {"a": [2], "b": 2.0}]}
        assert json.loads(tfjson.answer(outputs, by_row=False)) == {"outputs": {"a": [[1], [2]], "b": [0.1, 2.0]}}
        one = {"a": outputs["a"]}
        assert json.loads(tfjson.answer(one, by_row=True)) == {"predictions": [[1], [2]]}
        assert json.loads(tfjson.answer(one, by_row=False)) == {"outputs": [[1], [2]]}

    def test_bytes_are_in_base64_by_their_name_or_where_they_are_no_text(self) -> None:
        texts = np.array([b"a", b"\xff"], dtype=object)
        assert tfjson.listed("texts", texts) == ["a", {"b64": "/w=="}]
        assert tfjson.listed("texts_bytes", texts) == [{"b64": "YQ=="}, {"b64": "/w=="}]

    def test_rows_that_are_none(self) -> None:
        with pytest.raises(Refusal, match="Tensor name: a has no shape information"):
            tfjson.answer({"a": np.array(1)}, by_row=True)
        with pytest.raises(Refusal, match="inconsistent batch size: 3 expecting: 2"):
            tfjson.answer({"a": np.zeros(2), "b": np.zeros(3)}, by_row=True)

    def test_what_is_not_a_number_stays_so(self) -> None:
        told = tfjson.answer({"a": np.array([np.nan, np.inf], dtype=np.float32)}, by_row=False)
        assert told == b'{"outputs": [NaN, Infinity]}'


@pytest.mark.parametrize("body", [b"", b" ", b"[]", b'{"a": ', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_object_are_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="JSON"):
        tfjson.parsed(body)
