"""Submitting, on a real ML Metadata: what is kept, what is recorded, and that a refusal leaves nothing."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Dataset, Model, Transformer, modelmeta, session
from kale_serve_ext.config import Settings
from kale_serve_ext.entities import Artifact
from kale_serve_ext.errors import (
    ConflictError,
    InvalidInputError,
    KaleServeError,
    MetadataUnavailableError,
    NotFoundError,
    StorageFullError,
    UnsupportedModelError,
)
from kale_serve_ext.metadata.provenance import Provenance
from kale_serve_ext.stores import open_store
from kale_serve_ext.sync import run

DATA, LABELS = load_iris(return_X_y=True, as_frame=True)
SERVER = Provenance("server", name="panel")


def fitted(c: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=500).fit(DATA, LABELS)


@pytest.fixture
def backends(settings: Settings) -> Iterator[Settings]:
    """The process's own backends, as a notebook uses them; closed at the end."""
    yield settings
    run(session.close())


def recorded(thing: Model | Transformer | Dataset) -> Artifact:
    assert thing.id is not None
    return run(session.metadata().artifact(thing.id))


def snapshots(settings: Settings) -> list[str]:
    folder = settings.data_dir / "snapshots" / "sha256"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def versions(name: str) -> list[str]:
    return [a.version for a in run(session.metadata().versions("kale.Model", name))]


def test_a_model_is_kept_and_recorded_with_all_that_is_known(backends: Settings) -> None:
    dataset = Dataset(features=DATA, targets=LABELS, name="iris")
    model = Model(
        model=fitted(),
        description="My model",
        version="1.0.0",
        author="Kale",
        tags={"stage": "development"},
        dataset=dataset,
    )

    assert model.submit_artifact() is model

    assert (model.name, model.version) == ("LogisticRegression", "1.0.0")
    found = recorded(model)
    assert (found.type, found.format) == ("kale.Model", "sklearn")
    assert found.details == {
        "estimator": "LogisticRegression",
        "methods": ["predict", "predict_proba", "predict_log_proba", "decision_function"],
        "recorded_rows": 20,
    }
    assert (found.description, found.author, found.tags) == ("My model", "Kale", {"stage": "development"})
    assert (found.environment.python, found.environment.python_version) == (sys.executable, platform.python_version())
    assert {"scikit-learn", "joblib", "numpy", "kserve"} <= set(found.environment.packages)
    assert found.signature is not None
    assert found.signature.sample == {k: float(v) for k, v in DATA.iloc[0].items()}
    store = open_store(backends)
    assert model.uri == found.uri
    store.verify(found.uri, found.digest)
    assert joblib.load(store.path(found.uri) / "model.joblib").predict(DATA[:1]).tolist() == [0]

    assert dataset.id is not None
    lineage = run(session.metadata().lineage(found.id))
    assert [step.inputs for step in lineage.produced_by] == [(dataset.id,)]
    assert recorded(dataset).details["features"] == {
        "file": "features.pkl",
        "shape": [150, 4],
        "columns": list(DATA.columns),
    }
    pd.testing.assert_frame_equal(pd.read_pickle(store.path(recorded(dataset).uri) / "features.pkl"), DATA)


def test_versions_numbers_and_conflicts(backends: Settings) -> None:
    first = Model(fitted(), name="m", version="1.0").submit_artifact()
    assert Model(fitted(), name="m", version="1.0").submit_artifact().id == first.id
    assert first.submit_artifact().id == Model(fitted(), name="m", version="1.0").submit_artifact().id

    with pytest.raises(ConflictError, match=r"1\.0"):
        Model(fitted(0.1), name="m", version="1.0").submit_artifact()
    assert len(snapshots(backends)) == 1, "the refused model's files stayed"

    numbered = Model(fitted(0.1), name="m").submit_artifact()
    assert numbered.version == "1"
    numbered.model = fitted(0.2)  # trained again in the same notebook
    assert numbered.submit_artifact().version == "2"
    assert versions("m") == ["2", "1", "1.0"]


def test_a_conflict_does_not_take_away_what_others_rely_on(backends: Settings) -> None:
    Model(fitted(), name="m", version="1").submit_artifact()
    other = Model(fitted(0.1), name="other").submit_artifact()
    with pytest.raises(ConflictError):
        Model(fitted(0.1), name="m", version="1").submit_artifact()
    open_store(backends).verify(recorded(other).uri, recorded(other).digest)


@pytest.fixture
def full_disk(tmp_path: Path, backends: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a full disk needs the right to mount a small one: {mounted.stderr.strip()}")
    monkeypatch.setenv("KALE_SERVE_STORE", folder.as_uri())
    yield folder
    run(session.close())
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_neither_files_nor_a_record(full_disk: Path) -> None:
    from lightgbm import LGBMRegressor
    from xgboost import XGBRegressor

    big = fitted()
    big.weights_ = np.random.default_rng(0).random(100_000)
    rows, targets = np.random.default_rng(1).random((5000, 4)), np.random.default_rng(2).random(5000)
    for name, model in {
        "sklearn": big,
        "xgboost": XGBRegressor(n_estimators=60, max_depth=8, n_jobs=1).fit(rows, targets),
        "lightgbm": LGBMRegressor(n_estimators=60, num_leaves=200, verbosity=-1, n_jobs=1).fit(rows, targets),
    }.items():
        with pytest.raises(StorageFullError, match="No space"):
            Model(model, name=name).submit_artifact()
        assert versions(name) == []
    assert [p for p in full_disk.rglob("*") if p.is_file()] == []
    assert Model(fitted(), name="small").submit_artifact().version == "1"


def test_without_metadata_nothing_is_written(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALE_SERVE_METADATA", "grpc://127.0.0.1:9")
    try:
        with pytest.raises(MetadataUnavailableError):
            Model(fitted()).submit_artifact()
    finally:
        run(session.close())
    assert not settings.data_dir.exists() or snapshots(settings) == []


def test_what_cannot_be_logged_says_why_and_leaves_nothing(backends: Settings, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    for name in ("a.pkl", "b.pkl"):
        joblib.dump(fitted(), tmp_path / "two" / name)
    cases: list[tuple[Model | Transformer | Dataset, type[KaleServeError], str]] = [
        (Model(None, model_type="sklearn"), InvalidInputError, "no model to log"),
        (Model(42), UnsupportedModelError, "builtins.int cannot be saved"),
        (Model(LogisticRegression()), InvalidInputError, "not fitted"),
        (Model(fitted(), model_type="xgboost"), InvalidInputError, "is scikit-learn, not XGBoost"),
        (Model(fitted(), example=[[1, 2]]), InvalidInputError, "example has 2 columns; the model takes 4"),
        (Model(artifact_uri=tmp_path / "gone"), NotFoundError, "no file or folder"),
        (Model(artifact_uri="s3://bucket/model"), InvalidInputError, "not a path on this machine"),
        (Model(artifact_uri="x" * 1_000_000), InvalidInputError, "path cannot be used"),
        (Model(artifact_uri="a\0b"), InvalidInputError, "path cannot be used"),
        (Model(artifact_uri=tmp_path / "two"), InvalidInputError, "2 model files"),
        (Model(artifact_uri=tmp_path / "two", model_type="custom"), InvalidInputError, "no subclass of kserve.Model"),
        (Transformer(name="t"), InvalidInputError, "neither a folder nor functions"),
        (Transformer(transformer_dir=tmp_path / "gone"), InvalidInputError, "not a folder"),
        (Transformer(preprocess=needs_more), InvalidInputError, "preprocess uses missing_helper"),
        (Dataset(), InvalidInputError, "no data"),
        (Dataset(features=(x for x in [1])), InvalidInputError, "features, a generator, cannot be pickled"),
    ]
    for thing, kind, message in cases:
        with pytest.raises(kind) as caught:
            thing.submit_artifact()
        assert message in caught.value.message
        assert len(str(caught.value)) < 3000
        assert thing.id is None
    assert snapshots(backends) == []


SECRET = object()


def needs_more(inputs: dict[str, object]) -> dict[str, object]:
    return missing_helper(inputs, SECRET)  # type: ignore[name-defined,no-any-return]  # noqa: F821  # the very point


def test_a_saved_model_is_kept_as_it_is(backends: Settings, tmp_path: Path) -> None:
    joblib.dump(fitted(), tmp_path / "iris.pkl")
    model = Model(artifact_uri=(tmp_path / "iris.pkl").as_uri()).submit_artifact()
    assert (model.name, recorded(model).format) == ("iris", "sklearn")
    kept = open_store(backends).path(recorded(model).uri)
    assert {p.name for p in kept.iterdir()} == {"iris.pkl", modelmeta.NAME}
    assert (kept / "iris.pkl").read_bytes() == (tmp_path / "iris.pkl").read_bytes()
    # It was opened once, so that its methods are known.
    assert "predict" in (modelmeta.read(kept) or modelmeta.ModelMeta()).methods

    both = Model(fitted(), artifact_uri=tmp_path / "iris.pkl").submit_artifact()
    assert both.name == "LogisticRegression"
    assert recorded(both).signature is not None

    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "model.py").write_text("import kserve\nclass Served(kserve.Model): ...\n")
    (tmp_path / "code" / "requirements.txt").write_text("scikit-learn>=1.4\n")
    custom = Model(model=None, model_type="custom", artifact_uri=tmp_path / "code").submit_artifact()
    assert recorded(custom).details == {
        "module_name": "model",
        "class_name": "Served",
        "requirements": ["scikit-learn>=1.4"],
    }
    assert "scikit-learn" in recorded(custom).environment.packages


def test_datasets_of_arrays_are_saved_as_arrays(backends: Settings) -> None:
    values = np.arange(6.0).reshape(3, 2)
    dataset = Dataset(features=values, targets=["a", "b", "c"]).submit_artifact()
    found = recorded(dataset)
    assert found.name == "Dataset"
    assert found.details["features"] == {"file": "features.npy", "shape": [3, 2], "dtype": "float64"}
    folder = open_store(backends).path(found.uri)
    np.testing.assert_array_equal(np.load(folder / "features.npy"), values)
    assert sorted(p.name for p in folder.iterdir()) == ["features.npy", "targets.pkl"]


def test_settings_are_read_at_each_submit(backends: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = replace(backends, store=(tmp_path / "elsewhere").as_uri())
    monkeypatch.setenv("KALE_SERVE_STORE", moved.store)
    assert recorded(Model(fitted()).submit_artifact()).uri.startswith(moved.store)
