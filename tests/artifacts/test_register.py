"""Registering a file that others made, on a real ML Metadata: what is opened, recorded, and refused with its reason."""

from __future__ import annotations

import asyncio
import os
import pickle
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import lightgbm
import psutil
import pytest
import sklearn
import skops.io
import xgboost
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model, modelmeta, session
from kale_serve_ext.artifacts import register_path
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Runtime
from kale_serve_ext.engines.local.checks import check_interpreter
from kale_serve_ext.engines.local.interpreters import inspect
from kale_serve_ext.entities import Artifact
from kale_serve_ext.errors import (
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    UnsupportedModelError,
)
from kale_serve_ext.locks import locked
from kale_serve_ext.metadata.provenance import Provenance
from kale_serve_ext.metadata.store import Metadata
from kale_serve_ext.ml import Column
from kale_serve_ext.stores import open_store
from kale_serve_ext.sync import run

DATA, LABELS = load_iris(return_X_y=True, as_frame=True)
SERVER = Provenance("server", name="panel")
ESTIMATOR = LogisticRegression(max_iter=500).fit(DATA, LABELS)


class Runs:
    """A pickle that runs a piece of code when it is loaded."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (self.code,)


@dataclass
class Shelf:
    """Registers on backends of this test's own."""

    settings: Settings
    metadata: Metadata

    async def register(self, path: Path, *, python: str = sys.executable, **fields: str) -> Artifact:
        given = {"settings": self.settings, "metadata": self.metadata, "provenance": SERVER}
        return await register_path(path, python=python, **given, **fields)  # type: ignore[arg-type]  # passed through

    def registered(self, path: Path, *, python: str = sys.executable, **fields: str) -> Artifact:
        async def once() -> Artifact:
            try:
                return await self.register(path, python=python, **fields)
            finally:
                await self.metadata.close()

        return asyncio.run(once())

    def refusal(self, path: Path, **fields: str) -> InvalidInputError:
        """The error that says why it is not taken; nothing is kept of it."""
        with pytest.raises(InvalidInputError) as caught:
            self.registered(path, **fields)
        assert self.kept() == []
        return caught.value

    def files(self, artifact: Artifact) -> list[str]:
        folder = open_store(self.settings).path(artifact.uri)
        return sorted(p.name for p in folder.iterdir() if p.name != modelmeta.NAME)

    def kept(self) -> list[str]:
        folder = self.settings.data_dir / "snapshots" / "sha256"
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def shelf(settings: Settings, metadata: Metadata) -> Shelf:
    return Shelf(settings, metadata)


def older(path: Path) -> Path:
    """A pickle that says that scikit-learn 1.2.2 made it."""
    data = pickle.dumps(ESTIMATOR, 2).replace(
        b"X\x05\x00\x00\x00" + sklearn.__version__.encode(), b"X\x05\x00\x00\x001.2.2"
    )
    assert b"1.2.2" in data
    path.write_bytes(data)
    return path


class TestWhatIsRecorded:
    def test_an_estimator_under_a_strange_name(self, shelf: Shelf, tmp_path: Path) -> None:
        joblib.dump(ESTIMATOR, tmp_path / "iris.sav", compress=("xz", 3))
        found = shelf.registered(tmp_path / "iris.sav")
        assert (found.name, found.format, shelf.files(found)) == ("iris", "sklearn", ["model.joblib"])
        assert found.details["estimator"] == "LogisticRegression"
        assert found.details["methods"] == ["predict", "predict_proba", "predict_log_proba", "decision_function"]
        assert found.signature is not None
        assert found.signature.columns == tuple(Column(name) for name in DATA.columns)
        assert found.signature.sample == dict.fromkeys(DATA.columns, 0.0)
        assert found.environment.python == sys.executable
        assert found.environment.packages["scikit-learn"] == sklearn.__version__
        assert "file_kind" not in found.details

    def test_a_file_of_skops(self, shelf: Shelf, tmp_path: Path) -> None:
        skops.io.dump(ESTIMATOR, tmp_path / "iris.zip")
        found = shelf.registered(tmp_path / "iris.zip")
        assert (found.format, shelf.files(found)) == ("sklearn", ["model.skops"])
        assert (found.details["file_kind"], found.details["estimator"]) == ("skops", "LogisticRegression")
        assert found.environment.packages["skops"] == skops.__version__

    def test_a_pickled_estimator_around_a_booster(self, shelf: Shelf, tmp_path: Path) -> None:
        model = xgboost.XGBClassifier(n_estimators=2, missing=-1.0).fit(DATA, LABELS)
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        found = shelf.registered(tmp_path / "model.pkl")
        assert (found.format, shelf.files(found)) == ("xgboost", ["model.pkl"])
        assert (found.details["file_kind"], found.details["estimator"]) == ("pickle", "XGBClassifier")
        assert found.details["parameters"] == {"missing": -1.0, "objective": "multi:softprob"}
        assert found.details["made_with"] == {"xgboost": xgboost.__version__}
        assert {"xgboost", "scikit-learn"} <= set(found.environment.packages)

    def test_a_booster_whose_file_says_little_of_it(self, shelf: Shelf, tmp_path: Path) -> None:
        booster = xgboost.train({}, xgboost.DMatrix(DATA, LABELS), 2)
        (tmp_path / "boosted").write_bytes(booster.save_raw("ubj"))
        found = shelf.registered(tmp_path / "boosted")
        assert (found.format, shelf.files(found), found.details["methods"]) == ("xgboost", ["model.ubj"], ["predict"])
        assert found.signature is not None
        assert [c.name for c in found.signature.columns] == list(DATA.columns)

    def test_a_folder_keeps_what_else_is_in_it(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "trained" / "code").mkdir(parents=True)
        (tmp_path / "trained" / "estimator").write_bytes(pickle.dumps(ESTIMATOR))
        (tmp_path / "trained" / "MLmodel").write_text("flavors: {}\n")
        (tmp_path / "trained" / "code" / "estimator").write_text("of another folder")
        found = shelf.registered(tmp_path / "trained")
        assert shelf.files(found) == ["MLmodel", "code", "model.joblib"]
        assert [p.name for p in (open_store(shelf.settings).path(found.uri) / "code").iterdir()] == ["estimator"]

    def test_a_text_file_of_lightgbm(self, shelf: Shelf, tmp_path: Path) -> None:
        lightgbm.train({"verbosity": -1}, lightgbm.Dataset(DATA.to_numpy(), LABELS), 2).save_model(tmp_path / "m.txt")
        found = shelf.registered(tmp_path / "m.txt")
        assert shelf.files(found) == ["model.bst"]
        assert found.signature is not None
        assert found.signature.sample == [0.0] * 4

    def test_custom_code(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "model.py").write_text("import kserve\nclass Mine(kserve.Model):\n    pass\n")
        found = shelf.registered(tmp_path / "model.py")
        assert found.details == {"module_name": "model", "class_name": "Mine", "requirements": []}

    def test_without_a_kernel_this_python_opens_it(self, shelf: Shelf, tmp_path: Path) -> None:
        joblib.dump(ESTIMATOR, tmp_path / "m.joblib")
        found = shelf.registered(tmp_path / "m.joblib", python="")
        assert (found.details["estimator"], found.environment.python) == ("LogisticRegression", "")

    def test_what_this_python_cannot_open_is_registered_and_says_so(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(Runs("import of_another_python")))
        found = shelf.registered(tmp_path / "m.pkl", python="")
        assert "needs the module of_another_python" in str(found.details["not_opened"])
        assert found.signature is None


class TestVersions:
    def test_those_that_made_the_file_are_compared_with_what_will_load_it(self, shelf: Shelf, tmp_path: Path) -> None:
        found = shelf.registered(older(tmp_path / "m.pkl"))
        assert found.details["made_with"] == {"scikit-learn": "1.2.2"}
        assert found.environment.packages["scikit-learn"] == "1.2.2"
        runtime = Runtime("local", "", (), (), python=sys.executable)
        checks = check_interpreter(found, runtime, asyncio.run(inspect(sys.executable)))
        (skew,) = [check for check in checks if check.code == "VersionSkew"]
        assert f"scikit-learn 1.2.2; {sys.executable} has {sklearn.__version__}" in skew.message

    def test_they_are_named_where_it_cannot_be_loaded(self, shelf: Shelf, tmp_path: Path) -> None:
        data = older(tmp_path / "m.pkl").read_bytes()
        (tmp_path / "m.pkl").write_bytes(
            data.replace(b"sklearn.linear_model._logistic", b"sklearn.linear_model._formerly")
        )
        error = shelf.refusal(tmp_path / "m.pkl")
        assert "needs the module sklearn.linear_model._formerly, which the installed sklearn does not" in error.message
        assert f"It was made with scikit-learn 1.2.2; that Python has {sklearn.__version__}." in error.message
        assert (error.field, "a kernel that has scikit-learn 1.2.2" in error.hint) == ("kernel", True)

    def test_the_form_that_xgboost_reads_no_more(self, shelf: Shelf, tmp_path: Path) -> None:
        # The header of a binary model of XGBoost 2.1, which no version of today goes on reading.
        (tmp_path / "old").write_bytes(b"binf" + struct.pack("<fIiiiII", 0.5, 2, 0, 0, 1, 2, 1) + bytes(200))
        error = shelf.refusal(tmp_path / "old")
        assert "removed" in error.message
        assert f"made with xgboost 2.1.0; that Python has {xgboost.__version__}" in error.message
        assert "Stack trace" not in error.message
        assert "kale-serve-opening" not in error.message


class TestWhatIsRefused:
    def test_what_is_no_model(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        error = shelf.refusal(tmp_path / "model.pkl")
        assert (error.field, error.hint) == ("path", "Get the file: git lfs pull.")
        assert "model.pkl is a Git LFS pointer" in error.message

    def test_what_fails_when_it_is_loaded(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Runs("raise ValueError('wrong')")))
        error = shelf.refusal(tmp_path / "model.pkl")
        assert error.message.startswith("model.pkl cannot be opened with Python ")
        assert error.message.endswith("ValueError: wrong")

    def test_what_needs_a_module_that_the_kernel_lacks(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Runs("import of_another_python")))
        error = shelf.refusal(tmp_path / "model.pkl")
        assert (error.field, "needs the module of_another_python" in error.message) == ("kernel", True)

    def test_code_whose_requirements_name_what_the_kernel_lacks_is_kept(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "model.py").write_text(
            "import kserve\nimport surely_not_there.part\nclass Mine(kserve.Model):\n    pass\n"
        )
        assert "surely_not_there" in shelf.refusal(tmp_path / "code").message
        (tmp_path / "code" / "requirements.txt").write_text("Surely.Not-There>=2\n")
        assert "surely_not_there" in str(shelf.registered(tmp_path / "code").details["not_opened"])

    def test_a_module_of_one_s_own_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "beside_it.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Runs("import beside_it")))
        with pytest.raises(InvalidInputError) as caught:
            Model(artifact_uri=tmp_path / "model.pkl").submit_artifact()
        assert caught.value.field == "artifact_uri"
        assert caught.value.hint.startswith("beside_it is a module of your own: log the object")

    def test_what_only_its_notebook_has(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(b"\x80\x04\x8c\x08__main__\x8c\x04Mine\x93)R.")
        error = shelf.refusal(tmp_path / "model.pkl")
        assert "needs Mine of the notebook" in error.message
        assert "Model(model)" in error.hint

    def test_what_loads_and_cannot_answer(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Path("x")))
        assert "Path, which has no method to serve" in shelf.refusal(tmp_path / "model.pkl").message

    def test_two_files_that_a_server_would_take(self, shelf: Shelf, tmp_path: Path) -> None:
        (tmp_path / "both").mkdir()
        joblib.dump(ESTIMATOR, tmp_path / "both" / "model.joblib")
        joblib.dump(DATA, tmp_path / "both" / "data.pkl")
        assert "(model.joblib, data.pkl)" in shelf.refusal(tmp_path / "both").message

    def test_a_named_format_that_it_cannot_be(self, shelf: Shelf, tmp_path: Path) -> None:
        joblib.dump(ESTIMATOR, tmp_path / "m.joblib")
        error = shelf.refusal(tmp_path / "m.joblib", format="xgboost")
        assert (error.field, "is scikit-learn, not XGBoost" in error.message) == ("format", True)

    def test_what_cannot_be_recorded(self, shelf: Shelf, tmp_path: Path) -> None:
        joblib.dump(ESTIMATOR, tmp_path / "m.joblib")
        (tmp_path / "empty").mkdir()

        async def all_of_it() -> None:
            await shelf.register(tmp_path / "m.joblib", name="n", version="1")
            before = shelf.kept()
            joblib.dump(LogisticRegression(max_iter=400).fit(DATA, LABELS), tmp_path / "m.joblib")
            with pytest.raises(ConflictError):
                await shelf.register(tmp_path / "m.joblib", name="n", version="1")
            with pytest.raises(InvalidInputError, match="no Python interpreter"):
                await shelf.register(tmp_path / "m.joblib", python="/nowhere/python")
            with pytest.raises(InvalidNameError):
                await shelf.register(tmp_path / "m.joblib", name="x" * 1_000_000)
            with pytest.raises(NotFoundError):
                await shelf.register(tmp_path / "gone.pkl")
            with pytest.raises(UnsupportedModelError, match="it has no files"):
                await shelf.register(tmp_path / "empty")
            assert shelf.kept() == before
            await shelf.metadata.close()

        asyncio.run(all_of_it())


class TestProcesses:
    def test_this_one_loads_nothing(self, shelf: Shelf, tmp_path: Path) -> None:
        mark = tmp_path / "loaded-by"
        code = f"import os; open({str(mark)!r}, 'a').write(str(os.getpid()) + ' ')"
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Runs(code)))
        assert "NoneType, which has no method to serve" in shelf.refusal(tmp_path / "model.pkl").message
        (one,) = mark.read_text().split()
        assert int(one) != os.getpid()

    def test_one_that_is_given_up_while_it_is_opened_ends(self, shelf: Shelf, tmp_path: Path) -> None:
        mark = tmp_path / "loaded-by"
        code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Runs(code)))

        async def give_up() -> None:
            work = asyncio.create_task(shelf.register(tmp_path / "model.pkl"))
            await until(lambda: mark.exists() and bool(mark.read_text()))
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work

        asyncio.run(give_up())
        assert not psutil.pid_exists(int(mark.read_text()))
        assert shelf.kept() == []

    def test_one_that_is_given_up_while_it_is_copied_keeps_nothing(self, shelf: Shelf, tmp_path: Path) -> None:
        """The copying thread, held up here at its last step, has no caller any more when it ends."""
        joblib.dump(ESTIMATOR, tmp_path / "model.joblib")
        root = shelf.settings.data_dir / "snapshots"
        root.mkdir(parents=True)

        async def give_up() -> None:
            work = asyncio.create_task(shelf.register(tmp_path / "model.joblib"))
            with locked(root / "lock"):
                await until(lambda: bool(list(root.glob("staging/*/tree/model.joblib"))))
                work.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await work
            await until(lambda: not list(root.glob("staging/*")) and shelf.kept() == [])

        asyncio.run(give_up())


class TestInANotebook:
    @pytest.fixture
    def backends(self, settings: Settings) -> Iterator[Settings]:
        """The process's own backends, as a notebook uses them; closed at the end."""
        yield settings
        run(session.close())

    def test_a_file_is_opened_with_its_own_python(self, backends: Settings, tmp_path: Path) -> None:
        logged = Model(artifact_uri=older(tmp_path / "m.pkl")).submit_artifact()
        assert logged.id is not None
        found = run(session.metadata().artifact(logged.id))
        assert found.details["estimator"] == "LogisticRegression"
        assert found.environment.packages["scikit-learn"] == "1.2.2"
        assert found.signature is not None
        assert [c.name for c in found.signature.columns] == list(DATA.columns)

    def test_what_is_no_model_is_refused(self, backends: Settings, tmp_path: Path) -> None:
        joblib.dump({"model": ESTIMATOR}, tmp_path / "m.joblib")
        with pytest.raises(UnsupportedModelError, match="a pickled dict with the keys model, not a model"):
            Model(artifact_uri=tmp_path / "m.joblib").submit_artifact()


async def until(check: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    end = time.monotonic() + 120
    while not check():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
