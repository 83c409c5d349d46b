"""The package's own environments of model servers, made from the package index, once for all runs of the tests."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest

from kale_serve_ext import environments
from kale_serve_ext.config import Settings
from kale_serve_ext.environments import Ready
from kale_serve_ext.environments.pythons import platform_of, probe
from kale_serve_ext.environments.records.triton import TRITON
from tests.kept import KEPT


@pytest.fixture(scope="module")
def made() -> Settings:
    """Settings whose environments are kept between runs."""
    return replace(Settings.from_environ(), data_dir=KEPT)


def said_by(ready: Ready, program: str) -> str:
    command = [ready.python, "-I", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.timeout(900)
def test_mlserver_answers_for_a_model_without_the_libraries_of_gpus(made: Settings) -> None:
    ready = asyncio.run(environments.ensure(made, environments.by_name("mlserver"), print))
    assert ready.version == "1.7.1"
    assert ready.megabytes < 900
    names = said_by(ready, "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))").split()
    assert not [name for name in names if name.startswith("nvidia")]
    assert {f"mlserver{of}" for of in ("", "-catboost", "-lightgbm", "-mlflow", "-sklearn", "-xgboost")} <= set(names)
    program = """
import asyncio, tempfile, os
import joblib
from mlserver.codecs import NumpyRequestCodec
from mlserver.settings import ModelParameters, ModelSettings
from mlserver_sklearn import SKLearnModel
from sklearn.linear_model import LogisticRegression
import numpy as np
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.joblib")
    joblib.dump(LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1]), path)
    settings = ModelSettings(name="iris", implementation=SKLearnModel, parameters=ModelParameters(uri=path))
    async def ask():
        model = SKLearnModel(settings)
        await model.load()
        return await model.predict(NumpyRequestCodec.encode_request(np.array([[0.0, 1.0], [1.0, 0.0]])))
    print(asyncio.run(ask()).outputs[0].data.root)
"""
    assert said_by(ready, program) == "[0, 1]"


@pytest.mark.timeout(600)
def test_triton_lies_beside_the_interpreter(made: Settings) -> None:
    running = asyncio.run(probe(sys.executable))
    assert running is not None
    if platform_of(TRITON, running) is None:
        pytest.skip("Triton has no wheel for this system")
    ready = asyncio.run(environments.ensure(made, TRITON, print))
    assert (ready.python, ready.version) == (sys.executable, "0.7.0")
    assert ready.megabytes < 200
