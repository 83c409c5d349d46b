"""Arrays as gRPC's raw contents, there and back."""

from __future__ import annotations

import numpy as np
import pytest

from kale_serve_ext.errors import PredictionError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving import tensors
from kale_serve_ext.serving.messages import Response, messages


def response(*outputs: tuple[str, str, list[int], bytes]) -> Response:
    made = messages().ModelInferResponse
    message = made.FromString(b"")
    message.model_name = "iris"
    for name, datatype, shape, raw in outputs:
        message.outputs.add(name=name, datatype=datatype, shape=shape)  # type: ignore[attr-defined]  # a protobuf list
        message.raw_output_contents.append(raw)  # type: ignore[attr-defined]  # as above
    return message


@pytest.mark.parametrize(
    ("array", "datatype", "shape"),
    [
        (np.array([[1.5, 2.5]]), "FP64", [1, 2]),
        (np.array([1.5, 2.5], dtype="f4"), "FP32", [1, 2]),
        (np.array([[1], [2]]), "INT64", [2, 1]),
        (np.array([[True]]), "BOOL", [1, 1]),
        (np.array([[1]], dtype="u1"), "UINT8", [1, 1]),
        (np.array([[1.5, 2.5]], dtype=">f8"), "FP64", [1, 2]),
        (np.arange(6.0).reshape(2, 3)[:, ::2], "FP64", [2, 2]),
        (np.arange(6.0).reshape(2, 3).T, "FP64", [3, 2]),
        (np.zeros((300, 50)), "FP64", [300, 50]),
        (np.array([[0.5]], dtype="f2"), "FP16", [1, 1]),
    ],
    ids=str,
)
def test_an_array_is_sent_as_it_lies_in_memory(array: np.ndarray, datatype: str, shape: list[int]) -> None:
    assert tensors.fits(array)
    sent = tensors.encode(array, "iris")
    made = messages().ModelInferRequest.FromString(sent)

    assert made.model_name == "iris"
    assert (made.inputs[0].datatype, list(made.inputs[0].shape)) == (datatype, shape)
    kind = array.dtype.newbyteorder("<")
    assert np.array_equal(np.frombuffer(made.raw_input_contents[0], kind).reshape(shape), array.reshape(shape))


@pytest.mark.parametrize(
    "data",
    [
        [[1.5]],
        np.array([["a"]]),
        np.array([[object()]]),
        np.zeros((2, 2, 2)),
        np.zeros((0, 4)),
        np.array(1.0),
        np.array([["2024-01-02"]], dtype="datetime64[D]"),
        np.zeros((tensors.MAX_ARRAY_BYTES // 8 + 1, 1)),
    ],
    ids=lambda d: f"{type(d).__name__} {getattr(d, 'dtype', '')} {getattr(d, 'shape', '')}",
)
def test_other_data_go_by_rest(data: object) -> None:
    assert not tensors.fits(data)


@pytest.mark.parametrize(
    ("outputs", "predictions"),
    [
        ([("output-0", "INT64", [2], np.array([1, 2]).tobytes())], [1, 2]),
        ([("output-0", "FP32", [1, 2], np.array([0.5, 1.5], dtype="f4").tobytes())], [[0.5, 1.5]]),
        ([("output-0", "BOOL", [2], b"\x01\x00")], [True, False]),
        ([("output-0", "BYTES", [2], b"\x02\x00\x00\x00ab\x03\x00\x00\x00\xc3\xa9c")], ["ab", "éc"]),
        ([("output-0", "INT64", [0], b"")], []),
        (
            [("a", "INT64", [2], np.array([1, 2]).tobytes()), ("b", "BOOL", [2], b"\x01\x00")],
            [{"a": 1, "b": True}, {"a": 2, "b": False}],
        ),
    ],
)
def test_answers_read_as_by_rest(outputs: list[tuple[str, str, list[int], bytes]], predictions: JSON) -> None:
    assert tensors.decode_v1(response(*outputs)) == {"predictions": predictions}


@pytest.mark.parametrize(
    ("name", "own", "predictions"),
    [
        ("pca0", True, [{"pca0": 1.5}, {"pca0": 2.5}]),
        ("output-0", True, [1.5, 2.5]),
        ("predict", False, [1.5, 2.5]),
    ],
)
def test_a_single_output_with_a_name_of_its_own_is_a_column_of_our_server(
    name: str, own: bool, predictions: JSON
) -> None:
    made = response((name, "FP64", [2], np.array([1.5, 2.5]).tobytes()))

    assert tensors.decode_v1(made, own=own) == {"predictions": predictions}


def test_v2_answers_are_flat() -> None:
    made = response(("output-0", "FP64", [1, 2], np.array([0.5, 1.5]).tobytes()))

    assert tensors.decode_v2(made) == {
        "model_name": "iris",
        "id": "",
        "outputs": [{"name": "output-0", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 1.5]}],
    }


def test_typed_contents_are_read_too() -> None:
    made = response()
    made.outputs.add(name="o", datatype="FP32", shape=[2], contents={"fp32_contents": [0.5, 1.5]})  # type: ignore[attr-defined]
    made.outputs.add(name="t", datatype="BYTES", shape=[2], contents={"bytes_contents": [b"a", b"b"]})  # type: ignore[attr-defined]

    assert tensors.decode_v1(made) == {"predictions": [{"o": 0.5, "t": "a"}, {"o": 1.5, "t": "b"}]}


def test_an_unknown_datatype_is_told() -> None:
    with pytest.raises(PredictionError, match="BF16"):
        tensors.decode_v1(response(("o", "BF16", [1], b"\x00\x00")))


def test_a_shape_that_does_not_fit_is_told() -> None:
    with pytest.raises(PredictionError, match=r"'o' has 1 values, and the shape \[3, 1\]"):
        tensors.decode_v1(response(("o", "FP64", [3, 1], bytes(8))))
