"""Transformers in a cluster: the user's functions, run by this package's image in front of the predictor."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, Transformer, serve
from kale_serve_ext.config import Settings


@pytest.fixture(scope="module")
def endpoint(workspace: Settings) -> Endpoint:
    def preprocess(inputs: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
        return {**inputs, "instances": [[value / 2 for value in row] for row in inputs["instances"]]}

    def postprocess(outputs: dict[str, object]) -> dict[str, object]:
        return {**outputs, "transformed": True}

    features, target = load_iris(return_X_y=True)
    model = Model(LogisticRegression(max_iter=500).fit(features, target), name="halved").submit_artifact()
    halving = Transformer(name="halving", preprocess=preprocess, postprocess=postprocess).submit_artifact()
    return serve(model.id, halving.id, name="halved", runtime="kale-sklearn", timeout=150)


def test_requests_and_answers_go_through_the_transformer(endpoint: Endpoint) -> None:
    row = [13.0, 6.0, 11.0, 4.2]
    assert endpoint.predict([row]) == {"predictions": [2], "transformed": True}


def test_both_components_are_told(endpoint: Endpoint) -> None:
    service = endpoint.service
    assert service.components == ("predictor", "transformer")
    assert (service.replicas_ready, service.replicas_wanted) == (2, 2)
    assert service.transformer is not None
    assert service.transformer.name == "halving"
    assert endpoint.logs("transformer").strip()
