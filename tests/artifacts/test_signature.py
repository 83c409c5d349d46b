"""The recorded signature: what was said, then the example, then the model."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from kale_serve_ext.artifacts.example import from_rows
from kale_serve_ext.artifacts.signature import complete, slim
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.estimators import tabular
from kale_serve_ext.ml import JSON, Column, Signature, TensorSpec

FRAME = pd.DataFrame(
    {
        "age": [np.nan, 40.0],
        "count": [1, 2],
        "name": ["a", "b"],
        "flag": [True, False],
        "when": pd.to_datetime(["2024-01-01", "2024-01-02"]),
        "kind": pd.Series(["x", "y"], dtype="category"),
    }
)


@pytest.mark.parametrize("frame", [FRAME, pl.DataFrame({c: FRAME[c].tolist() for c in FRAME if c != "when"})])
def test_a_frame_gives_names_dtypes_and_its_first_whole_row(frame: pd.DataFrame | pl.DataFrame) -> None:
    found = from_rows(frame)
    assert found is not None
    dtypes = {c.name: c.dtype for c in found.columns}
    assert dtypes["age"] == ("float64" if isinstance(frame, pd.DataFrame) else "Float64")
    assert dtypes["count"] == ("int64" if isinstance(frame, pd.DataFrame) else "Int64")
    assert dtypes["name"] == ("object" if isinstance(frame, pd.DataFrame) else "String")
    assert found.input_kind == type(frame).__module__.partition(".")[0]
    assert found.input_size == ["batch_size", len(frame.columns)]
    assert isinstance(found.sample, dict)
    assert (found.sample["age"], found.sample["count"], found.sample["flag"]) == (40.0, 2, False)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("rows", "size", "dtype", "sample"),
    [
        (np.array([[1.5, 2.0]], dtype="float32"), 2, "float32", [1.5, 2.0]),
        (np.array([[np.nan, 1.0], [2.0, 3.0]]), 2, "float64", [2.0, 3.0]),
        ([[1, 2, 3]], 3, "int64", [1, 2, 3]),
        ([[1, 2.5]], 2, "float64", [1, 2.5]),
        (((1, "a"),), 2, "object", [1, "a"]),
        (scipy.sparse.csr_matrix([[0.0, 1.0]]), 2, "float64", [0.0, 1.0]),
        (np.zeros((3, 2, 2)), 2, "float64", [[0.0, 0.0], [0.0, 0.0]]),
    ],
)
def test_arrays_and_lists(rows: object, size: int, dtype: str, sample: JSON) -> None:
    found = from_rows(rows)
    assert found is not None
    assert (found.input_size[:2], found.input_dtype, found.sample) == (["batch_size", size], dtype, sample)


def test_texts_and_objects() -> None:
    texts = from_rows(pd.Series(["some", "words"]))
    assert texts == Signature(["batch_size"], [], "object", sample="some", input_kind="texts")
    assert from_rows(["some"]) == texts
    rows = from_rows([{"a": 1, "b": "x"}])
    assert rows == from_rows({"a": 1, "b": "x"})
    assert rows == Signature(
        ["batch_size", 2],
        input_dtype="object",
        columns=(Column("a", "int64"), Column("b", "object")),
        sample={"a": 1, "b": "x"},
        input_kind="objects",
    )


@pytest.mark.parametrize(
    "nothing", [None, 1, "text", b"", object(), [], {}, np.zeros(0), np.float64(1), FRAME[:0], iter([])]
)
def test_what_is_no_rows_gives_nothing(nothing: object) -> None:
    assert from_rows(nothing) is None


def test_odd_cells_become_json() -> None:
    found = from_rows([[np.int8(1), datetime.date(2024, 1, 2), b"x", float("inf"), {"k": (1, np.nan)}]])
    assert found is not None
    assert found.sample == [1, "2024-01-02", "x", None, {"k": [1, None]}]


def test_a_frame_with_repeated_names_is_an_array() -> None:
    found = from_rows(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert found is not None
    assert (found.columns, found.sample) == ((), [1, 2])


def test_the_example_gives_dtypes_and_sample_to_the_models_names() -> None:
    model = tabular(2, ["a", "b"], output_size=["batch_size"], output_dtype="int64")
    found = complete(None, model, example=pd.DataFrame({"b": [2], "a": [1.5]}))
    assert found is not None
    assert found.columns == (Column("a", "float64"), Column("b", "int64"))
    assert found.sample == {"a": 1.5, "b": 2}
    assert (found.output_size, found.output_dtype) == (["batch_size"], "int64")
    array = complete(None, model, example=np.array([[5.0, 6.0]]))
    assert array is not None
    assert array.sample == {"a": 5.0, "b": 6.0}
    assert complete(None, model, example=pd.DataFrame({"x": [2], "y": [1.5]})) == model


def test_an_example_of_another_width_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="example has 3 columns; the model takes 2"):
        complete(None, tabular(2), example=[[1, 2, 3]])
    with pytest.raises(InvalidInputError, match="does not hold rows"):
        complete(None, None, example=42)


def test_training_data_from_before_preprocessing_is_passed_over() -> None:
    model = tabular(2)
    assert complete(None, model, features=FRAME) == model
    fits = complete(None, model, features=[[1.0, 7.0]], targets=np.array(["x"]))
    assert fits is not None
    assert (fits.sample, fits.output_dtype) == ([1.0, 7.0], "object")


def test_what_the_user_said_wins() -> None:
    said = Signature(["batch_size", 64], ["batch_size", 1], "float64", "float32")
    assert complete(said, None) == Signature(
        ["batch_size", 64], ["batch_size", 1], "float64", "float32", (), [0.0] * 64
    )
    found = complete(Signature(output_dtype="int8"), tabular(2, ["a", "b"], output_dtype="int64"))
    assert found is not None
    assert (found.output_dtype, found.sample) == ("int8", {"a": 0.0, "b": 0.0})


def test_a_shape_alone_gives_a_row_of_zeros() -> None:
    image = complete(Signature(["batch_size", 2, 3], input_dtype="uint8"), None)
    assert image is not None
    assert image.sample == [[0, 0, 0], [0, 0, 0]]
    unknowns: list[list[str | int]] = [
        [],
        ["batch_size"],
        ["batch_size", "width", 3],
        ["batch_size", -1],
        ["batch_size", 10**9],
    ]
    for unknown in unknowns:
        found = complete(Signature(unknown), None)
        assert found is not None
        assert found.sample is None


def test_a_very_wide_table_is_recorded_without_its_names() -> None:
    whole = complete(None, tabular(20_000, [f"column {i}" for i in range(20_000)]))
    assert whole is not None
    assert len(whole.columns) == 20_000  # which is what lies beside the model
    wide = slim(whole)
    assert wide.input_size == ["batch_size", 20_000]
    assert len(json.dumps(wide.to_dict())) < 250_000


def test_nothing_known_is_nothing() -> None:
    assert complete(None, None) is None


TENSORS = Signature(
    input_dtype="",
    inputs=(TensorSpec("image", "uint8", [-1, 2, 2]), TensorSpec("label", "str", ["batch"])),
    outputs=(TensorSpec("mask", "bool", [-1]),),
)


def test_tensors_go_into_the_record_and_come_back() -> None:
    told = TENSORS.to_dict()

    assert told["inputs"] == [
        {"name": "image", "dtype": "uint8", "shape": [-1, 2, 2]},
        {"name": "label", "dtype": "str", "shape": ["batch"]},
    ]
    assert Signature.from_dict(json.loads(json.dumps(told))) == TENSORS
    assert Signature.from_dict({"inputs": [{"name": "x", "dtype": "int8", "shape": [None, 3]}, "?", {}]}).inputs == (
        TensorSpec("x", "int8", [-1, 3]),
    )
    # Records, and the hashes of snapshots, of models without tensors stay as they were.
    assert not {"inputs", "outputs"} & Signature(["batch_size", 2]).to_dict().keys()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TensorSpec(""),
        lambda: TensorSpec("x", "float32", [-2]),
        lambda: TensorSpec("x", "float32", "abc"),
        lambda: TensorSpec("x", 3),  # type: ignore[arg-type]
        lambda: Signature(inputs={"x": "float32"}),  # type: ignore[arg-type]
        lambda: Signature(inputs=[("x", "float32")]),  # type: ignore[arg-type]
        lambda: Signature(outputs=(TensorSpec("x"), TensorSpec("x"))),
    ],
)
def test_tensors_that_are_none_are_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        wrong()
    assert caught.value.hint


def test_an_example_of_arrays_by_name_tells_the_tensors() -> None:
    example = {"image": np.arange(8, dtype="u1").reshape(2, 2, 2), "label": ["a", "b"]}

    found = complete(None, None, example=example)

    assert found is not None
    assert [t.to_dict() for t in found.inputs] == [
        {"name": "image", "dtype": "uint8", "shape": [-1, 2, 2]},
        {"name": "label", "dtype": "str", "shape": [-1]},
    ]
    assert found.sample == {"image": [[[0, 1], [2, 3]]], "label": ["a"]}
    assert (found.columns, found.input_size) == ((), [])


def test_what_the_model_says_of_its_tensors_wins_over_the_example() -> None:
    example = {"label": ["a", "b"], "image": np.zeros((2, 2, 2))}

    found = complete(None, TENSORS, example=example)

    assert found is not None
    assert (found.inputs, found.outputs) == (TENSORS.inputs, TENSORS.outputs)
    assert found.sample == {"image": [[[0.0, 0.0], [0.0, 0.0]]], "label": ["a"]}
    only = Signature(input_dtype="", inputs=TENSORS.inputs[:1])
    one = complete(None, only, example=np.ones((3, 2, 2)))
    assert one is not None
    assert one.sample == {"image": [[[1.0, 1.0], [1.0, 1.0]]]}
    said = Signature(outputs=(TensorSpec("other"),), input_dtype="")
    merged = complete(said, TENSORS)
    assert merged is not None
    assert (merged.inputs, merged.outputs) == (TENSORS.inputs, said.outputs)


@pytest.mark.parametrize(
    ("example", "said"),
    [
        ({"a": np.zeros((2, 1)), "b": np.zeros(3)}, r"same number of rows: a \[2, 1\], b \[3\]"),
        ({"a": np.zeros((2, 1)), "b": 3}, r"same number of rows"),
        ({"a": np.zeros((2, 1)), "b": [[1], [1, 2]]}, "lists that make no array"),
    ],
)
def test_arrays_that_make_no_example_are_told(example: object, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        complete(None, None, example=example)


def test_objects_of_plain_values_are_rows_still() -> None:
    found = complete(None, None, example={"a": 1.5, "b": "x"})

    assert found is not None
    assert (found.inputs, [c.name for c in found.columns]) == ((), ["a", "b"])
