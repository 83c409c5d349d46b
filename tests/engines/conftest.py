"""Local services for tests: real supervisors and model servers, in folders of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import sync
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest, ServiceState
from kale_serve_ext.engines.local.engine import LocalEngine
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.engines.local.state import Status, read_status
from kale_serve_ext.ml import JSON
from tests.engines import tiny

DEADLINE = 90.0


@dataclass
class Bench:
    """An engine with a clean home, and what tests ask of it."""

    engine: LocalEngine
    settings: Settings
    models: Path

    def manifest(self, name: str, snapshot: Path, **model: JSON) -> Manifest:
        """A predictor of the scikit-learn model in ``snapshot``."""
        notes = model.pop("annotations", {})
        spec: dict[str, JSON] = {
            "modelFormat": {"name": "sklearn"},
            "runtime": "kserve-sklearnserver",
            "protocolVersion": "v1",
            "storageUri": snapshot.as_uri(),
            **model,
        }
        return {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": name, "namespace": "default", "annotations": notes},
            "spec": {"predictor": {"model": spec}},
        }

    def with_transformer(
        self, manifest: Manifest, snapshot: Path, *args: str, env: dict[str, str] | None = None
    ) -> Manifest:
        variables = {"STORAGE_URI": snapshot.as_uri(), **(env or {})}
        container: JSON = {
            "name": "kserve-container",
            "image": "kale-serve-ext/transformer:test",
            "args": ["--model_name", "x", *args],
            "env": [{"name": k, "value": v} for k, v in variables.items()],
        }
        spec = manifest["spec"]
        assert isinstance(spec, dict)
        return {**manifest, "spec": {**spec, "transformer": {"containers": [container]}}}

    def apply(self, manifest: Manifest) -> ServiceState:
        return sync.run(self.engine.apply(manifest))

    def get(self, name: str) -> ServiceState:
        return sync.run(self.engine.get(name))

    def until(self, name: str, wanted: Callable[[ServiceState], object], deadline: float = DEADLINE) -> ServiceState:
        """Look until ``wanted`` is true of the service."""
        end = time.monotonic() + deadline
        while True:
            state = self.get(name)
            if wanted(state):
                return state
            assert time.monotonic() < end, f"not within {deadline} s: {state}"
            time.sleep(0.05)

    def until_ready(self, name: str, revision: int = 0) -> ServiceState:
        return self.until(
            name, lambda s: s.serving_revision == (revision or s.revision) and all(c.ready for c in s.components)
        )

    def post(self, state: ServiceState, path: str, body: JSON | bytes, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with httpx.Client(base_url=state.url, trust_env=False, timeout=30) as client:
            return client.post(path, content=content, headers={"content-type": "application/json", **headers})

    def status(self, name: str) -> Status:
        status = read_status(Home.of(self.settings, "default", name))
        assert status is not None
        return status

    def snapshot(self, name: str, model: object) -> Path:
        folder = self.models / name
        folder.mkdir()
        joblib.dump(model, folder / "model.joblib")
        return folder


@pytest.fixture(scope="session")
def iris() -> tuple[np.ndarray, np.ndarray]:
    features, targets = load_iris(return_X_y=True)
    return features, targets


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, iris: tuple[np.ndarray, np.ndarray]) -> Iterator[Bench]:
    runtime = tempfile.mkdtemp(prefix="ks-")
    home = tmp_path_factory.mktemp("home")
    settings = replace(Settings.from_environ(), data_dir=home / "data", runtime_dir=runtime, namespace="default")
    engine = LocalEngine(settings, "default")
    bench = Bench(engine, settings, tmp_path_factory.mktemp("models"))
    yield bench
    for state in sync.run(engine.services()):
        sync.run(engine.delete(state.ref.name))
    sync.run(engine.close())
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="module")
def iris_model(bench: Bench, iris: tuple[np.ndarray, np.ndarray]) -> Path:
    return bench.snapshot("iris", LogisticRegression(max_iter=1000).fit(*iris))


@pytest.fixture(scope="module")
def tiny_server(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tiny.Tiny]:
    """The tiny server, installed."""
    with tiny.installed(tmp_path_factory.mktemp("site")):
        made = tiny.Tiny(bench, bench.models / "factor")
        made.folder("factor", {"factor.json": "10"})
        yield made
        made.delete_all()


@pytest.fixture
def tiny_services(tiny_server: tiny.Tiny) -> Iterator[tiny.Tiny]:
    """Services of the tiny server that are gone after the test."""
    made = tiny.Tiny(tiny_server.bench, tiny_server.model)
    yield made
    made.delete_all()
