"""v2's binary form, there and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kale_serve_ext.errors import PredictionError
from kale_serve_ext.serving import binary


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "f4", "i8", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_comes_back_as_it_was_sent(dtype: str, order: str) -> None:
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype).copy(order="F" if order == "F" else "C")
    body, length = binary.encode(array)
    [tensor] = json.loads(body[:length])["inputs"]
    assert tensor["parameters"] == {"binary_data_size": array.nbytes}
    answer = json.dumps({"outputs": [tensor]}).encode()
    told = binary.decode(answer + body[length:], str(len(answer)))
    assert told == {
        "outputs": [
            {"name": "input-0", "shape": [2, 3], "datatype": tensor["datatype"], "data": array.ravel().tolist()}
        ]
    }


def test_one_dimension_is_one_row() -> None:
    body, length = binary.encode(np.arange(3.0))
    assert json.loads(body[:length])["inputs"][0]["shape"] == [1, 3]


def test_outputs_of_both_kinds_are_read() -> None:
    texts = b"".join(len(t).to_bytes(4, "little") + t for t in (b"setosa", "größer".encode()))
    head = {
        "outputs": [
            {"name": "a", "shape": [1], "datatype": "INT64", "data": [7]},
            {"name": "b", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(texts)}},
            {"name": "c", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}},
        ]
    }
    text = json.dumps(head).encode()
    told = binary.decode(text + texts + np.float32(0.5).tobytes(), str(len(text)))
    assert [o["data"] for o in told["outputs"]] == [[7], ["setosa", "größer"], [0.5]]  # type: ignore[call-overload, index, union-attr]  # JSON


def test_a_server_may_answer_in_json() -> None:
    assert binary.decode(b'{"outputs": []}', "") == {"outputs": []}


@pytest.mark.parametrize(
    ("content", "length"),
    [
        (b'{"outputs": [{"name": "a", "datatype": "FP64", "parameters": {"binary_data_size": 8}}]}1234', "87"),
        (b'{"outputs": [{"name": "a", "datatype": "FP99", "parameters": {"binary_data_size": 4}}]}1234', "87"),
        (b'{"outputs": [{"name": "a", "datatype": "FP64", "parameters": {"binary_data_size": 4}}]}1234', "87"),
        (b'{"outputs": [{"name": "a", "datatype": "FP32", "parameters": {"binary_data_size": -4}}]}1234', "87"),
        (b'{"predictions": []}', "19"),
        (b'{"outputs": []}', "not a number"),
        (b'{"outputs": []}', "²"),
        (b'{"outputs": []}', "9" * 5000),
        (b'{"outputs": []}', "3"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_not_a_guess(content: bytes, length: str) -> None:
    with pytest.raises(PredictionError):
        binary.decode(content, length)
