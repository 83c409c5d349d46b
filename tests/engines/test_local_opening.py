"""Opening a model once: what it tells, and that nothing which the file does can hold up the caller or stay behind."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from pathlib import Path

import joblib
import lightgbm
import pandas as pd
import psutil
import pytest
import skops.io
import xgboost
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kale_serve_ext.engines.local.opening import Opened, open_once

DATA, LABELS = load_iris(return_X_y=True)
FRAME = load_iris(as_frame=True).data


class Runs:
    """A pickle that runs a piece of code when it is loaded."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (self.code,)


def opened(path: Path, kind: str = "sklearn", *, seconds: float = 170, memory: int = 4 << 30) -> Opened:
    return asyncio.run(open_once(path, kind, sys.executable, seconds=seconds, memory=memory))


def names_of(told: Opened) -> list[str]:
    return [column.name for column in told.signature.columns] if told.signature else []


def running(code: str, folder: Path, *, seconds: float = 170, memory: int = 4 << 30) -> Opened:
    (folder / "model.pkl").write_bytes(pickle.dumps(Runs(code)))
    return opened(folder, seconds=seconds, memory=memory)


def marked(mark: str) -> list[psutil.Process]:
    """The processes that have this among their arguments."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if mark in " ".join(process.info["cmdline"] or ()):
            found.append(process)
    return found


class TestWhatIsTold:
    def test_an_estimator(self, tmp_path: Path) -> None:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(FRAME, LABELS)
        joblib.dump(model, tmp_path / "model.joblib", compress=3)
        told = opened(tmp_path)
        assert (told.ok, told.message, told.is_model) == (True, "", True)
        assert told.estimator == "sklearn.pipeline.Pipeline"
        assert told.methods == ("predict", "predict_proba", "predict_log_proba", "decision_function")
        assert names_of(told) == list(FRAME.columns)
        assert told.packages["scikit-learn"] == version_of("scikit-learn")
        assert told.python_version == sys.version.split()[0]

    def test_one_that_only_transforms(self, tmp_path: Path) -> None:
        joblib.dump(PCA(2).fit(DATA), tmp_path / "model.joblib")
        told = opened(tmp_path / "model.joblib")
        assert (told.is_model, set(told.methods)) == (True, {"transform", "score_samples"})
        assert told.signature is not None
        assert (told.signature.input_size, told.signature.columns) == (["batch_size", 4], ())

    def test_boosters_in_their_own_files(self, tmp_path: Path) -> None:
        for name in ("xgb", "lgb"):
            (tmp_path / name).mkdir()
        booster = xgboost.train({}, xgboost.DMatrix(FRAME, LABELS), 2)
        (tmp_path / "xgb" / "model.ubj").write_bytes(booster.save_raw("ubj"))
        lightgbm.train({"verbosity": -1}, lightgbm.Dataset(DATA, LABELS), 2).save_model(tmp_path / "lgb" / "model.bst")
        told = opened(tmp_path / "xgb", "xgboost")
        assert (told.is_model, told.estimator, told.methods) == (True, "xgboost.core.Booster", ("predict",))
        assert names_of(told) == list(FRAME.columns)
        found = opened(tmp_path / "lgb", "lightgbm").signature
        assert found is not None
        assert found.input_size == ["batch_size", 4]

    def test_a_pickled_wrapper_and_a_skops_file(self, tmp_path: Path) -> None:
        model = xgboost.XGBClassifier(n_estimators=2).fit(FRAME, LABELS)
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        told = opened(tmp_path / "model.pkl", "xgboost")
        assert (told.estimator, told.is_model) == ("xgboost.sklearn.XGBClassifier", True)
        assert "predict_proba" in told.methods
        assert names_of(told) == list(FRAME.columns)
        skops.io.dump(LogisticRegression(max_iter=500).fit(FRAME, LABELS), tmp_path / "model.skops")
        told = opened(tmp_path / "model.skops")
        assert (told.message, told.estimator) == ("", "sklearn.linear_model._logistic.LogisticRegression")

    @pytest.mark.parametrize("thing", [{"a": 1}, FRAME, DATA, "text", [1, 2]], ids=lambda t: type(t).__name__)
    def test_what_loads_and_is_no_model(self, thing: dict[str, int] | pd.DataFrame, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(thing))
        told = opened(tmp_path)
        assert (told.ok, told.is_model) == (True, False)
        assert told.estimator.endswith(type(thing).__name__)

    def test_custom_code_is_imported_and_not_loaded(self, tmp_path: Path) -> None:
        (tmp_path / "model.py").write_text(
            "import kserve\nfrom beside import NAME\n\nclass Mine(kserve.Model):\n    def load(self):\n        1 / 0\n"
        )
        told = opened(tmp_path, "custom")
        assert (told.ok, told.missing, told.message) == (
            False,
            "beside",
            "It needs the module beside, which is not installed.",
        )
        (tmp_path / "beside.py").write_text("NAME = 'x'\n")
        told = opened(tmp_path, "custom")
        assert (told.ok, told.is_model, told.estimator) == (True, True, "model.Mine")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["beside.py", "model.py"]

    def test_a_transformers_functions(self, tmp_path: Path) -> None:
        (tmp_path / "transformer.py").write_text("def preprocess(body):\n    return body\n")
        assert opened(tmp_path, "transformer").methods == ("preprocess",)
        (tmp_path / "transformer.py").write_text("def preprocess(body:\n")
        assert opened(tmp_path, "transformer").message.startswith("SyntaxError: ")

    def test_a_file_by_the_name_that_it_shall_have(self, tmp_path: Path) -> None:
        joblib.dump(PCA(2).fit(DATA), tmp_path / "trained", compress=("gzip", 3))
        told = asyncio.run(open_once(tmp_path / "trained", "sklearn", sys.executable, seconds=170, name="m.joblib"))
        assert (told.message, told.is_model) == ("", True)


class TestWhatGoesWrong:
    def test_an_exception(self, tmp_path: Path) -> None:
        told = running("raise ValueError('wrong\\nnumbers')", tmp_path)
        assert (told.ok, told.message) == (False, "ValueError: wrong numbers")
        assert running("raise SystemExit('bye')", tmp_path).message == "SystemExit: bye"

    def test_a_missing_module(self, tmp_path: Path) -> None:
        told = running("import nowhere_to_be_found.sub", tmp_path)
        assert (told.ok, told.missing) == (False, "nowhere_to_be_found")

    def test_what_only_its_notebook_has(self, tmp_path: Path) -> None:
        for content in (b"c__main__\ndouble\n.", b"\x80\x04\x8c\x08__main__\x8c\x06double\x93."):
            (tmp_path / "model.pkl").write_bytes(content)
            told = opened(tmp_path)
            assert told.missing == "__main__"
            assert "needs double of the notebook" in told.message

    def test_a_truncated_file(self, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(PCA(2).fit(DATA))[:-20])
        told = opened(tmp_path)
        assert not told.ok
        assert told.message.startswith(("EOFError", "UnpicklingError"))

    def test_one_that_sleeps_for_ever(self, tmp_path: Path) -> None:
        told = running("import time; time.sleep(1000)", tmp_path, seconds=3)
        assert (told.ok, told.limit) == (False, "time")
        assert "3 s" in told.message

    def test_one_that_eats_memory_bit_by_bit(self, tmp_path: Path) -> None:
        code = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(8 << 20)); time.sleep(0.01)"
        told = running(code, tmp_path, memory=512 << 20)
        assert (told.ok, told.limit) == (False, "memory")
        assert "the limit is 512 MiB" in told.message

    @pytest.mark.skipif(sys.platform != "linux", reason="the system does not limit it")
    def test_one_that_eats_memory_at_once(self, tmp_path: Path) -> None:
        told = running("bytes(16 << 30)", tmp_path, memory=512 << 20)
        assert (told.ok, told.limit) == (False, "memory")

    def test_one_that_ends_its_process(self, tmp_path: Path) -> None:
        assert running("import os; os._exit(3)", tmp_path).message == "It ended with exit code 3."
        assert running("import os; os.abort()", tmp_path).message == "It was killed by SIGABRT."

    def test_the_last_words_of_one_that_ends_its_process(self, tmp_path: Path) -> None:
        told = running("import os; print('x'); print('no such device', flush=True); os._exit(3)", tmp_path)
        assert told.message == "It ended with exit code 3. The last it wrote: no such device"

    def test_no_more_than_two_at_once(self, tmp_path: Path) -> None:
        said = tmp_path / "said"
        note = f"note = lambda sign: open({str(said)!r}, 'a').write(sign)"
        folders = [tmp_path / str(number) for number in range(4)]
        for folder in folders:
            folder.mkdir()
            code = f"import time; {note}; note('+'); time.sleep(0.3); note('-')"
            (folder / "model.pkl").write_bytes(pickle.dumps(Runs(code)))

        async def all_of_them() -> list[Opened]:
            return await asyncio.gather(*(open_once(folder, "sklearn", sys.executable) for folder in folders))

        assert [told.limit for told in asyncio.run(all_of_them())] == [""] * 4
        signs = said.read_text()
        running_then = [signs[:end].count("+") - signs[:end].count("-") for end in range(len(signs))]
        assert (signs.count("+"), max(running_then) <= 2) == (4, True)

    def test_one_that_prints_megabytes(self, tmp_path: Path) -> None:
        told = running("print('x' * (32 << 20)); raise ValueError('after it')", tmp_path)
        assert told.message == "ValueError: after it"
        assert set(told.log) == {"x"}
        assert len(told.log) <= 4096

    def test_one_that_writes_an_answer_of_its_own(self, tmp_path: Path) -> None:
        # Whatever number the answer's descriptor has: this process may have many open.
        code = (
            "import os\n"
            "for fd in map(int, os.listdir('/dev/fd')):\n"
            "    try: fd > 2 and os.write(fd, b'not json\\n')\n"
            "    except OSError: pass"
        )
        told = running(code, tmp_path)
        assert not told.ok
        assert told.message

    def test_an_interpreter_that_is_none(self, tmp_path: Path) -> None:
        joblib.dump(1, tmp_path / "model.joblib")
        told = asyncio.run(open_once(tmp_path, "sklearn", str(tmp_path / "python")))
        assert not told.ok
        assert "cannot be started" in told.message


class TestWhatStaysBehind:
    def test_forks_end_with_it_also_outside_its_group(self, tmp_path: Path) -> None:
        mark = f"left-by-{os.getpid()}"
        code = (
            "import subprocess, sys, time\n"
            f"wait = [sys.executable, '-c', 'import time; time.sleep(600)', {mark!r}]\n"
            "subprocess.Popen(wait); subprocess.Popen(wait, start_new_session=True)\n"
            "time.sleep(1.5)"
        )
        told = running(code, tmp_path)
        assert (told.ok, told.is_model) == (True, False)
        assert marked(mark) == []

    def test_a_fork_of_the_loader_does_not_answer_too(self, tmp_path: Path) -> None:
        told = running("import os; os.fork()", tmp_path)
        assert (told.ok, told.estimator) == (True, "builtins.NoneType")

    def test_a_caller_that_gives_up_ends_it(self, tmp_path: Path) -> None:
        mark = tmp_path / "started"
        code = f"open({str(mark)!r}, 'w').write(str(__import__('os').getpid())); __import__('time').sleep(600)"
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Runs(code)))

        async def give_up() -> None:
            task = asyncio.create_task(open_once(tmp_path, "sklearn", sys.executable, seconds=300))
            while not mark.exists() or not mark.read_text():  # noqa: ASYNC110 # a file tells of itself by nothing else
                await asyncio.sleep(0.05)
            task.cancel()
            await task

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(give_up())
        assert not psutil.pid_exists(int(mark.read_text()))

    def test_it_runs_in_an_empty_folder_without_input(self, tmp_path: Path) -> None:
        told = running(
            "import os, sys; raise ValueError(f'{os.listdir()} {sys.stdin.read()!r} {os.environ[\"TMPDIR\"]}')",
            tmp_path,
        )
        assert told.message.startswith("ValueError: [] '' ")
        assert not Path(told.message.rpartition(" ")[2]).exists()


def version_of(name: str) -> str:
    from importlib.metadata import version

    return version(name)
