"""Python functions on this machine: logged from a notebook, and answered as they answer there, by each protocol."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError, PredictionError
from kale_serve_ext.ml import Signature, TensorSpec
from kale_serve_ext.sync import run


def distances(
    points: NDArray[np.float64], names: list[str], centre: tuple[float, float] = (5.0, 3.0)
) -> dict[str, object]:
    """How far each point is from the centre, and what it is called."""
    if not np.isfinite(points).all():
        raise ValueError("every point has two finite numbers")
    far = np.sqrt(((points - np.array(centre)) ** 2).sum(axis=1))
    return {
        "far": far,
        "label": [f"{name}: {'far' if one > 1 else 'near'}" for name, one in zip(names, far, strict=True)],
    }


POINTS = np.array([[5.0, 3.0], [8.0, 7.0], [5.5, 3.0]])
NAMES = ["a", "b", "ä"]
LABELS = ["a: near", "b: far", "ä: near"]


@pytest.fixture(scope="module")
def served(workspace: Settings) -> Iterator[tuple[Model, Endpoint]]:
    model = Model(distances, example={"points": POINTS, "names": NAMES}).submit_artifact()
    endpoint = serve(model.id, name="distances", timeout=300)
    yield model, endpoint
    endpoint.delete()


def test_it_is_recorded_with_its_inputs_and_outputs_and_what_it_answered(served: tuple[Model, Endpoint]) -> None:
    model, _ = served
    assert model.name == "distances"
    recorded = run(session.metadata().artifact(model.id or 0))
    assert recorded.format == "function"
    assert recorded.details["recorded_rows"] == 3
    assert recorded.signature is not None
    assert recorded.signature.inputs == (TensorSpec("points", "float64", [-1, 2]), TensorSpec("names", "str", [-1]))
    assert recorded.signature.outputs == (TensorSpec("far", "float64", [-1]), TensorSpec("label", "str", [-1]))
    assert recorded.signature.sample == {"points": [[5.0, 3.0]], "names": ["a"]}


@pytest.mark.parametrize("protocol", [None, "v1", "v2", "v2-binary", "grpc-v2"])
def test_it_answers_as_it_does_in_the_notebook(served: tuple[Model, Endpoint], protocol: str | None) -> None:
    _, endpoint = served
    answer = endpoint.predict({"points": POINTS, "names": NAMES}, protocol=protocol)
    assert isinstance(answer, dict)
    assert np.asarray(answer["far"]).tolist() == pytest.approx([0.0, 5.0, 0.5])
    assert list(np.asarray(answer["label"])) == LABELS


def test_what_it_refuses_is_told_in_its_own_words(served: tuple[Model, Endpoint]) -> None:
    _, endpoint = served
    with pytest.raises(PredictionError, match="every point has two finite numbers"):
        endpoint.predict({"points": np.full((1, 2), np.nan), "names": ["x"]}, protocol="v2-binary")
    with pytest.raises(InvalidInputError, match="input 'names' is missing"):
        endpoint.predict({"points": POINTS})


def test_a_lambda_with_a_name_and_one_input(workspace: Settings) -> None:
    with pytest.raises(InvalidInputError, match="no name of its own"):
        Model(lambda x: x * 2, example=[[1.0]]).submit_artifact()
    said = Signature(inputs=(TensorSpec("x", "float32", [-1, 2]),))
    model = Model(lambda x: x - np.array([5.0, 3.0]), name="centred", signature=said).submit_artifact()
    endpoint = serve(model.id, name="centred", protocol="v2", timeout=300)
    assert np.asarray(endpoint.predict([[5.0, 5.0]])).tolist() == [[0.0, 2.0]]
    endpoint.delete()
