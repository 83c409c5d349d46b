"""A workspace with real metadata and a real local engine for a whole test module, and what is served in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model, Transformer
from kale_serve_ext.config import Settings


@pytest.fixture(scope="module")
def workspace(new_workspace: Callable[[Settings], AbstractContextManager[Settings]]) -> Iterator[Settings]:
    """Settings of this module, also in the environment; what was served goes with it."""
    with new_workspace(Settings.from_environ()) as made:
        yield made


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    """The iris data, with columns whose names are identifiers."""
    found: pd.DataFrame = load_iris(as_frame=True).data
    found.columns = pd.Index([name.replace(" (cm)", "").replace(" ", "_") for name in found.columns])
    return found


@pytest.fixture(scope="module")
def estimator(features: pd.DataFrame) -> LogisticRegression:
    """A classifier of them."""
    return LogisticRegression(max_iter=500).fit(features, load_iris().target)


@pytest.fixture(scope="module")
def iris(workspace: Settings, estimator: LogisticRegression) -> Model:
    """Version 1 of the model ``iris``."""
    return Model(model=estimator, name="iris").submit_artifact()


@pytest.fixture(scope="module")
def halving(workspace: Settings) -> Transformer:
    """A functional transformer that halves what it gets and marks what it gives back."""

    def preprocess(inputs: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
        return {**inputs, "instances": [[value / 2 for value in row] for row in inputs["instances"]]}

    def postprocess(outputs: dict[str, object]) -> dict[str, object]:
        return {**outputs, "transformed": True}

    return Transformer(name="halving", preprocess=preprocess, postprocess=postprocess).submit_artifact()
