"""Rows that are kept with what the model answered to them, and the record beside the model's file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
from onnx import ModelProto, TensorProto, helper
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kale_serve_ext import formats, modelmeta
from kale_serve_ext.artifacts import Dataset, Model
from kale_serve_ext.artifacts.recording import record, record_tensors
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.ml import JSON, Column, Signature
from kale_serve_ext.modelmeta import ModelMeta, Recorded, RowDifference, compare
from tests.onnx_models import scores

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"port": pd.Categorical(RNG.choice(["kiel", "oslo"], 60)), "tons": RNG.random(60)})
TONS = TABLE["tons"].to_numpy()
DOUBLE = LinearRegression().fit([[0.0], [1.0]], [0, 2])
INFINITE = np.array([[1], [np.inf], [2]])


def kept(model: Model, workspace: Path) -> ModelMeta:
    """What would lie beside the model in its snapshot."""
    workspace.mkdir()
    content = model._write(workspace).beside[modelmeta.NAME]
    (workspace / modelmeta.NAME).write_bytes(content)
    found = modelmeta.read(workspace)
    assert found is not None
    return found


def test_rows_of_the_example_are_kept_with_their_answers(tmp_path: Path) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(TABLE, np.where(TONS > 0.5, "much", "little"))
    found = kept(Model(model, example=TABLE), tmp_path / "stage")
    assert (found.estimator, found.methods[:2]) == ("LGBMClassifier", ("predict", "predict_proba"))
    assert found.signature is not None
    assert found.signature.columns == (
        Column("port", "category", ("kiel", "oslo"), "object"),
        Column("tons", "float64"),
    )
    assert found.recorded is not None
    assert found.recorded.rows[:1] == ({"port": TABLE["port"][0], "tons": TONS[0]},)
    assert list(found.recorded.answers) == np.asarray(model.predict(TABLE.head(20))).tolist()


def test_the_setting_and_the_argument_say_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearRegression().fit(TABLE[["tons"]], TONS)
    example = TABLE[["tons"]]
    monkeypatch.setenv("KALE_SERVE_RECORDED_ROWS", "3")
    assert len((kept(Model(model, example=example), tmp_path / "a").recorded or Recorded((), ())).rows) == 3
    assert (
        len((kept(Model(model, example=example, record_rows=5), tmp_path / "b").recorded or Recorded((), ())).rows) == 5
    )
    assert kept(Model(model, example=example, record_rows=0), tmp_path / "c").recorded is None
    monkeypatch.setenv("KALE_SERVE_RECORDED_ROWS", "0")
    assert kept(Model(model, example=example), tmp_path / "d").recorded is None
    for wrong in ("-1", "many", "1001"):
        monkeypatch.setenv("KALE_SERVE_RECORDED_ROWS", wrong)
        with pytest.raises(InvalidInputError, match="RECORDED_ROWS"):
            Settings.from_environ()


@pytest.mark.parametrize("wrong", [-1, 1001, 2.5, True, "20"])
def test_a_number_of_rows_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidInputError, match="record_rows"):
        Model(LinearRegression(), record_rows=wrong)  # type: ignore[arg-type]  # on purpose


def test_an_example_that_the_model_does_not_take_is_told(tmp_path: Path) -> None:
    model = make_pipeline(LinearRegression()).fit(TABLE[["tons"]], TONS)
    with pytest.warns(UserWarning, match="does not take its example"):
        found = kept(Model(model, example=pd.DataFrame({"other": [1.0]})), tmp_path / "stage")
    assert found.recorded is None


def test_training_data_from_before_the_models_own_steps_is_passed_over(tmp_path: Path) -> None:
    model = LinearRegression().fit(TABLE[["tons"]], TONS)
    dataset = Dataset(features=TABLE)
    dataset.id = 1  # as if it was submitted
    assert kept(Model(model, dataset=dataset), tmp_path / "stage").recorded is None


@pytest.mark.parametrize(
    ("model", "data", "method", "rows", "answers"),
    [
        (LinearRegression().fit([[0.0], [1.0]], [0, 2]), [[0.5]], "predict", [[0.5]], [1.0]),
        (
            LinearRegression().fit([[0.0], [1.0]], [0, 2]),
            np.array([[0.5], [1.0]]),
            "predict",
            [[0.5], [1.0]],
            [1.0, 2.0],
        ),
        (PCA(1).fit([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 0.0]]), "transform", [[1.0, 0.0]], [[0.0]]),
        (
            make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["one two", "three four"], ["x", "y"]),
            ["one two"],
            "predict",
            ["one two"],
            ["x"],
        ),
        (
            make_pipeline(DictVectorizer(), LogisticRegression()).fit([{"a": 1}, {"b": 1}], [0, 1]),
            [{"a": 1}],
            "predict",
            [{"a": 1}],
            [0],
        ),
    ],
)
def test_every_kind_of_rows(model: object, data: object, method: str, rows: object, answers: object) -> None:
    found = record(model, method, data, 20)
    assert found is not None
    assert (list(found.rows), found.method) == (rows, method)
    assert compare(found.answers, json.loads(json.dumps(answers))) == []


def test_rows_that_no_json_carries_are_left_out_and_large_ones_are_fewer() -> None:
    class Lenient:
        def predict(self, rows: list[list[float]]) -> np.ndarray:
            return np.zeros(len(rows))

    found = record(Lenient(), "predict", [[float("inf")], [1.0]], 20)
    assert found is not None
    assert found.rows == ([1.0],)
    wide = record(Lenient(), "predict", [[0.123456789] * 50_000] * 4, 20)
    assert wide is not None
    assert len(wide.rows) == 1
    assert record(DOUBLE, "", [[1.0]], 20) is None
    assert record(DOUBLE, "predict", iter([[1.0]]), 20) is None


def test_a_model_that_changes_its_input_does_not_change_what_is_recorded() -> None:
    data = TABLE[["tons"]].to_numpy() * 10
    before = data.copy()
    model = make_pipeline(StandardScaler(copy=False), LinearRegression()).fit(data.copy(), TONS)
    found = record(model, "predict", data, 3)
    assert found is not None
    np.testing.assert_array_equal(data, before)
    assert found.rows == tuple(before[:3].tolist())


def test_of_a_very_wide_sparse_matrix_few_rows_are_looked_at() -> None:
    wide = sparse.csr_matrix((3, 600_000))

    class Zero:
        def predict(self, rows: sparse.csr_matrix) -> np.ndarray:
            return np.zeros(rows.shape[0])

    found = record(Zero(), "predict", wide, 20)
    assert found is None or len(found.rows) == 1
    assert record(Zero(), "predict", sparse.csr_matrix((3, 2_000_000)), 20) is None


def test_tensors_are_recorded_as_json_has_them() -> None:
    model = formats.by_name("onnx").tensor_model(scores())
    assert model is not None
    matrix = np.array([[1, np.nan, 0], [np.inf, 0, 0], [1, 0, 0]])
    found = record_tensors(model, {"matrix": matrix, "offset": np.array([[1], [2], [3]]), "texts": ["a", "b", "c"]}, 9)
    assert found is not None
    assert found.rows == (
        {"matrix": [1.0, None, 0.0], "offset": [1], "texts": "a"},
        {"matrix": [1.0, 0.0, 0.0], "offset": [3], "texts": "c"},
    )
    assert found.answers == ({"scores": [None, None], "same": "a"}, {"scores": [3.0, 4.0], "same": "c"})


def of_batch(batch: int | str, width: int) -> ModelProto:
    """Doubles rows, in batches of this size."""
    value, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, width]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", [value], [answer])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize(("batch", "count"), [(32, 20), (2, 20), (1, 20)])
def test_a_model_of_one_batch_size_is_asked_with_such_a_batch(tmp_path: Path, batch: int, count: int) -> None:
    data = np.arange(80, dtype=np.float32).reshape(40, 2)
    found = kept(Model(of_batch(batch, 2), name="b", example=data, record_rows=count), tmp_path / "stage").recorded
    assert found is not None
    assert list(found.rows) == [{"x": row} for row in data[:batch].tolist()]
    assert list(found.answers) == (2 * data[:batch]).tolist()


@pytest.mark.parametrize(
    ("batch", "width", "rows", "said"),
    [
        (32, 2, np.ones((31, 2)), "the model takes batches of 32 rows, and there are 31."),
        (
            3,
            1,
            INFINITE,
            "the model takes batches of 3 rows, and there are 2 without infinities.",
        ),
        (8, 100_000, np.ones((8, 100_000)), "the model takes batches of 8 rows, which are too many to be kept."),
        (8, 60_000, np.ones((8, 60_000)), "the model takes batches of 8 rows, which are too large to be kept."),
    ],
    ids=["few", "infinite", "many", "large"],
)
def test_why_a_batch_is_not_recorded_is_told(
    tmp_path: Path, batch: int, width: int, rows: np.ndarray, said: str
) -> None:
    with pytest.warns(UserWarning, match=f"^No rows are recorded: {re.escape(said)}$"):
        found = kept(Model(of_batch(batch, width), name="b", example=rows), tmp_path / "stage")
    assert found.recorded is None


def test_rows_of_many_values_are_few() -> None:
    model = formats.by_name("onnx").tensor_model(of_batch("n", 50_000))
    assert model is not None
    found = record_tensors(model, np.ones((50, 50_000), dtype=np.float32), 50)
    assert found is not None
    assert len(found.rows) == 2
    assert record_tensors(model, np.ones((2, 600_000), dtype=np.float32), 2) is None


def test_the_same_model_and_rows_give_the_same_bytes(tmp_path: Path) -> None:
    model = LinearRegression().fit(TABLE[["tons"]], TONS)
    first, second = (Model(model, example=TABLE[["tons"]])._write(tmp_path / n) for n in _folders(tmp_path, "a", "b"))
    assert first.beside == second.beside


def test_the_librarys_own_settings_are_recorded(tmp_path: Path) -> None:
    model = PCA(1).fit(TABLE[["tons"]])
    with sklearn.config_context(transform_output="pandas"):
        found = kept(Model(model, example=TABLE[["tons"]]), tmp_path / "stage")
    assert found.sklearn_config == {"transform_output": "pandas"}


@pytest.mark.parametrize(
    ("expected", "got", "rows"),
    [
        ([1, "a", None], [1, "a", None], []),
        ([1.0, 2.0], [1.0000001, 2.1], [1]),
        ([[0.1, 0.9]], [[0.1, 0.8]], [0]),
        ([{"a": 1.0}], [{"a": 1}], []),
        ([{"a": 1.0}], [{"b": 1.0}], [0]),
        ([True], [1], []),
        (["1"], [1], [0]),
        ([1, 2], [1], [0, 1]),
        ([1], "1", [0]),
        ([float("inf")], [float("inf")], []),
    ],
)
def test_answers_are_compared_as_numbers_texts_and_lists(expected: list[JSON], got: JSON, rows: list[int]) -> None:
    assert [d.row for d in compare(expected, got)] == rows


def test_a_difference_has_both_answers() -> None:
    assert compare(["setosa"], ["virginica"]) == [RowDifference(0, "setosa", "virginica")]


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    assert modelmeta.read(tmp_path) is None
    for text in ("", "{", "[]", '{"signature": {"columns": [{"name": "a", "dtype": 5}]}, "recorded": 3}', "\x00"):
        (tmp_path / modelmeta.NAME).write_text(text)
        assert modelmeta.read(tmp_path) in (
            None,
            ModelMeta(signature=Signature(input_dtype="", columns=(Column("a", "5"),))),
        )


def _folders(base: Path, *names: str) -> list[str]:
    for name in names:
        (base / name).mkdir()
    return list(names)
