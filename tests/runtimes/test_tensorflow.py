"""TensorFlow's models, logged and served by this package: the answers are those of the notebook's own objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kale_serve_ext import Endpoint, Model, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.formats import by_name
from kale_serve_ext.ml import TensorSpec
from kale_serve_ext.sync import run
from tests.runtimes.conftest import Running, Serving
from tests.runtimes.tf_models import FED, Lengths, two_heads

PROTOCOLS = ["v1", "v2", "v2-binary", "grpc-v2"]
TENSORFLOW = by_name("tensorflow")


@pytest.fixture(scope="module")
def heads() -> keras.Model:
    return two_heads()


@pytest.fixture(scope="module")
def logged(workspace: Settings, heads: keras.Model) -> Model:
    return Model(heads, name="heads", example=FED).submit_artifact()


@pytest.fixture(scope="module")
def running(serving: Serving, logged: Model) -> Iterator[Running]:
    assert logged.id is not None
    with serving(logged.id, "heads") as made:
        yield made


@pytest.fixture(scope="module")
def lengths(serving: Serving, workspace: Settings) -> Iterator[Endpoint]:
    model = Model(Lengths(), name="lengths").submit_artifact()
    assert model.id is not None
    with serving(model.id, "lengths") as made:
        yield made.endpoint


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_keras_model_answers_as_in_the_notebook(running: Running, heads: keras.Model, protocol: str) -> None:
    score, doubled = heads.predict([FED["left"], FED["right"]], verbose=0)
    answer = running.endpoint.predict(FED, protocol=protocol)
    assert isinstance(answer, dict)
    np.testing.assert_allclose(np.asarray(answer["output_0"]), score, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(answer["output_1"]), doubled)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_texts_and_numbers_of_a_module(lengths: Endpoint, protocol: str) -> None:
    fed = {"text": np.array(["a", "zwölf", ""], dtype=object), "scale": np.array([1, 2, 3], dtype=np.float32)}
    answer = lengths.predict(fed, protocol=protocol)
    assert isinstance(answer, dict)
    np.testing.assert_array_equal(np.asarray(answer["length"]), [1, 12, 0])
    assert list(answer["same"]) == ["a", "zwölf", ""]
    assert [bool(one) for one in answer["long"]] == [False, True, False]


def test_the_record_tells_tensors_and_signatures(logged: Model) -> None:
    assert logged.id is not None
    found = run(session.metadata().artifact(logged.id))
    assert found.format == "tensorflow"
    assert found.signature is not None
    assert found.signature.inputs == (TensorSpec("left", "float32", (-1, 3)), TensorSpec("right", "int64", (-1, 2)))
    assert found.details["signatures"] == ["serve", "serving_default"]
    assert {name.partition("-")[0] for name in found.environment.packages} >= {"tensorflow", "numpy"}


def test_the_snapshot_is_what_tensorflow_serving_looks_for(logged: Model) -> None:
    assert logged.uri is not None
    folder = Path(logged.uri.removeprefix("file://"))
    assert (folder / "1" / "saved_model.pb").is_file()
    assert (folder / "1" / "variables" / "variables.index").is_file()


def test_recorded_rows_are_answered_again(running: Running) -> None:
    verdict = running.endpoint.verify()
    assert (verdict.ok, verdict.rows, verdict.error) == (True, 2, "")


def test_an_input_that_does_not_fit_is_told(running: Running) -> None:
    with pytest.raises(InvalidInputError, match=r"'left'.*\[\?, 3\]"):
        running.endpoint.predict({**FED, "left": np.ones((2, 4), dtype=np.float32)})


class TestFiles:
    """What was saved before, loaded as the model server loads it."""

    def test_a_saved_model_goes_into_a_numbered_folder(self, workspace: Settings, tmp_path: Path) -> None:
        module = Lengths()
        tf.saved_model.save(module, str(tmp_path / "net"), signatures=module.__call__)
        model = Model(artifact_uri=tmp_path / "net", name="net").submit_artifact()
        assert model.uri is not None
        folder = Path(model.uri.removeprefix("file://"))
        assert (folder / "1" / "saved_model.pb").is_file()
        loaded = TENSORFLOW.load(folder)
        assert [spec.name for spec in loaded.inputs] == ["scale", "text"]  # type: ignore[attr-defined]
        # A snapshot that is logged again stays as it is.
        again = Model(artifact_uri=folder, name="again").submit_artifact()
        assert again.uri == model.uri

    def test_a_keras_file(self, workspace: Settings, heads: keras.Model, tmp_path: Path) -> None:
        heads.save(tmp_path / "heads.keras")
        model = Model(artifact_uri=tmp_path / "heads.keras", name="file").submit_artifact()
        assert model.id is not None
        found = run(session.metadata().artifact(model.id))
        assert found.signature is not None
        assert [spec.name for spec in found.signature.inputs] == ["left", "right"]
        loaded = TENSORFLOW.load(tmp_path)
        answer = loaded.run(FED)  # type: ignore[attr-defined]
        np.testing.assert_allclose(answer["output_0"], heads([FED["left"], FED["right"]])[0], rtol=1e-5)

    def test_what_has_no_signature_is_refused(self, workspace: Settings, tmp_path: Path) -> None:
        tf.saved_model.save(tf.Module(), str(tmp_path / "net"))
        with pytest.raises(InvalidInputError, match="no signature 'serving_default', none at all"):
            Model(artifact_uri=tmp_path / "net", name="none").submit_artifact()

    def test_missing_variables_are_told(self, workspace: Settings, heads: keras.Model, tmp_path: Path) -> None:
        heads.export(tmp_path / "net", verbose=False)
        for file in (tmp_path / "net" / "variables").glob("variables.data-*"):
            file.unlink()
        with pytest.raises(InvalidInputError, match="variables are missing"):
            Model(artifact_uri=tmp_path / "net", name="none").submit_artifact()


class TestObjects:
    """What is logged of an object that does not say what it is called with."""

    class Linear(tf.Module):  # type: ignore[misc]  # tensorflow has no types
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(np.arange(8, dtype=np.float32).reshape(4, 2))

        @tf.function  # type: ignore[untyped-decorator]
        def __call__(self, x: tf.Tensor) -> tf.Tensor:
            return x @ self.weights

    ROWS = np.eye(3, 4, dtype=np.float32)

    def answer(self, obj: object, folder: Path, example: object = None) -> np.ndarray:
        folder.mkdir()
        TENSORFLOW.save(TENSORFLOW.prepared(obj, None, example), folder)
        loaded = TENSORFLOW.load(folder)
        (name,) = (spec.name for spec in loaded.inputs)  # type: ignore[attr-defined]
        found: np.ndarray = loaded.run({name: self.ROWS})["output_0"]  # type: ignore[attr-defined]
        return found

    def test_an_example_tells_it(self, tmp_path: Path) -> None:
        module = self.Linear()
        with pytest.raises(InvalidInputError, match="Nothing tells what this Linear is called with"):
            TENSORFLOW.prepared(module, None, None)
        for name, example in (("array", self.ROWS[:1]), ("dict", {"x": self.ROWS[:1]}), ("list", [[1, 2, 3, 4]])):
            given = [[1.0, 2.0, 3.0, 4.0]] if name == "list" else example
            np.testing.assert_array_equal(self.answer(module, tmp_path / name, given), module(self.ROWS))

    def test_a_call_tells_it_for_batches_of_any_size(self, tmp_path: Path) -> None:
        module = self.Linear()
        module(self.ROWS[:2])
        np.testing.assert_array_equal(self.answer(module, tmp_path / "called"), module(self.ROWS))

    def test_what_was_loaded_is_logged_again(self, tmp_path: Path) -> None:
        module = self.Linear()
        self.answer(module, tmp_path / "first", self.ROWS)
        loaded = tf.saved_model.load(str(tmp_path / "first" / "1"))
        np.testing.assert_array_equal(self.answer(loaded, tmp_path / "second"), module(self.ROWS))

    def test_a_subclassed_keras_model(self, tmp_path: Path) -> None:
        class Net(keras.Model):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.dense = keras.layers.Dense(2)

            def call(self, x: tf.Tensor) -> tf.Tensor:
                return self.dense(x)

        model = Net()
        with pytest.raises(InvalidInputError, match="has not been built"):
            TENSORFLOW.prepared(model, None, None)
        np.testing.assert_allclose(self.answer(model, tmp_path / "net", self.ROWS), model(self.ROWS), rtol=1e-5)
