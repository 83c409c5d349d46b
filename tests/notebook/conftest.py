"""A workspace with real metadata and a real local engine for a whole test module, and what is served in it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model, Transformer, session
from kale_serve_ext.config import Settings
from kale_serve_ext.sync import run


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, metadata_python: str) -> Iterator[Settings]:
    """Settings of this module, also in the environment; what was served goes with it."""
    # Unix sockets need a short path.
    runtime = tempfile.mkdtemp(prefix="ks-")
    made = replace(
        Settings.from_environ(),
        data_dir=tmp_path_factory.mktemp("workspace") / "data",
        runtime_dir=runtime,
        metadata_python=metadata_python,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.to_environ().items():
            patch.setenv(name, value)
        yield made
        engine = session.engine()
        for state in run(engine.services()):
            run(engine.delete(state.ref.name))
        run(session.close())
    for lock in Path(runtime).rglob("metadata.lock"):
        # The metadata engine is nobody's child and would end by itself a little later.
        with suppress(ValueError, ProcessLookupError):
            os.kill(int(lock.read_text()), signal.SIGTERM)
    shutil.rmtree(runtime, ignore_errors=True)


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
