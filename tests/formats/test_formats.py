"""Each format: told from objects and files, saved as the server reads it, described without being asked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from kale_serve_ext import formats, modelmeta
from kale_serve_ext.errors import InvalidInputError, UnsupportedModelError
from kale_serve_ext.formats.base import Format
from kale_serve_ext.ml import Column, Signature

DATA, LABELS = load_iris(return_X_y=True)
FRAME = load_iris(as_frame=True).data


def saved(model: object, folder: Path) -> Format:
    """Save as ``submit_artifact`` does, and check that the folder is what the format says it is."""
    format_ = formats.detect(model)
    folder.mkdir(exist_ok=True)
    format_.save(model, folder)
    assert format_.check(folder) == []
    assert formats.detect_path(folder) is format_
    return format_


def described(model: object) -> Signature:
    signature = formats.detect(model).signature(model)
    assert signature is not None
    return signature


class TestSklearn:
    @pytest.mark.parametrize(
        "model",
        [
            LogisticRegression(max_iter=500),
            make_pipeline(StandardScaler(), LogisticRegression()),
            GridSearchCV(LogisticRegression(max_iter=500), {"C": [1.0]}),
            make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2)),
        ],
        ids=lambda m: type(m).__name__,
    )
    def test_an_estimator_survives(self, model: LogisticRegression, tmp_path: Path) -> None:
        model.fit(DATA, LABELS)
        assert saved(model, tmp_path).name == "sklearn"
        assert [p.name for p in tmp_path.iterdir()] == ["model.joblib"]
        np.testing.assert_array_equal(joblib.load(tmp_path / "model.joblib").predict(DATA), model.predict(DATA))

    def test_the_signature_has_names_and_outputs(self) -> None:
        assert described(LogisticRegression(max_iter=500).fit(FRAME, LABELS)) == Signature(
            ["batch_size", 4],
            ["batch_size"],
            "float64",
            "int64",
            tuple(Column(name) for name in FRAME.columns),
            dict.fromkeys(FRAME.columns, 0.0),
        )
        assert described(LinearRegression().fit(DATA, DATA[:, :2])).output_dtype == "float64"
        assert described(KMeans(2, n_init=1).fit(DATA)).output_dtype == "int32"
        texts = described(LogisticRegression().fit(DATA, np.array(["a", "b"])[LABELS // 2]))
        assert (texts.sample, texts.columns, texts.output_dtype) == ([0.0] * 4, (), "object")

    def test_a_pipeline_of_texts_takes_a_text(self) -> None:
        model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], [1, 0])
        signature = described(model)
        assert signature.input_size == ["batch_size"]
        assert isinstance(signature.sample, str)
        model.predict([signature.sample])

    def test_the_sample_of_encoded_categories_is_one_that_the_model_takes(self) -> None:
        frame = pd.DataFrame({"colour": ["red", "blue", "red", "blue"], "size": [1.0, 2.0, 3.0, 4.0]})
        encode = ColumnTransformer([("encode", OneHotEncoder(), ["colour"])], remainder="passthrough")
        model = make_pipeline(encode, LogisticRegression()).fit(frame, [0, 1, 0, 1])
        signature = described(model)
        assert signature.columns == (Column("colour", "object"), Column("size", "float64"))
        assert signature.sample == {"colour": "blue", "size": 0.0}
        model.predict(pd.DataFrame([signature.sample]))

    def test_the_libraries_inside_are_named(self, tmp_path: Path) -> None:
        model = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1)).fit(DATA, LABELS)
        assert set(formats.detect(model).packages(model)) >= {"scikit-learn", "joblib", "numpy", "lightgbm"}

    def test_what_a_notebook_defines_goes_along(self, tmp_path: Path) -> None:
        (tmp_path / "beside.py").write_text("import numpy as np\ndef double(x):\n    return np.asarray(x) * 2\n")
        ran = subprocess.run(
            [sys.executable, "-c", _NOTEBOOK, tmp_path / "out"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "cloudpickle" in ran.stdout
        (tmp_path / "beside.py").unlink()
        load = (
            "import joblib, sys; sys.path.insert(0, 'code'); print(joblib.load('model.joblib').predict([[1.0], [2.0]]))"
        )
        loaded = subprocess.run(
            [sys.executable, "-c", load], cwd=tmp_path / "out", capture_output=True, text=True, check=True
        )
        assert loaded.stdout.strip() == "[1. 2.]"

    def test_an_unfitted_estimator_is_refused(self, tmp_path: Path) -> None:
        for model in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
            with pytest.raises(InvalidInputError, match="not fitted"):
                formats.detect(model).save(model, tmp_path)

    def test_what_cannot_be_pickled_is_told(self, tmp_path: Path) -> None:
        with (tmp_path / "open").open("w") as file:
            model = FunctionTransformer(kw_args={"file": file})
            with pytest.raises(InvalidInputError, match="cannot be pickled"):
                formats.detect(model).save(model, tmp_path)


_NOTEBOOK = """
import sys
from dataclasses import replace
from pathlib import Path
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from beside import double
from kale_serve_ext import formats, modelmeta

def halve(x):
    return x / 4

model = make_pipeline(FunctionTransformer(double), FunctionTransformer(halve), LinearRegression())
model.fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])
folder = Path(sys.argv[1])
folder.mkdir()
found = formats.detect(model)
found.save(model, folder)
print(found.packages(model))
"""


class TestXGBoost:
    def test_a_booster_survives(self, tmp_path: Path) -> None:
        booster = xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(FRAME, LABELS), 3)
        assert saved(booster, tmp_path).name == "xgboost"
        loaded = xgboost.Booster(model_file=tmp_path / "model.ubj")
        np.testing.assert_array_equal(loaded.predict(xgboost.DMatrix(FRAME)), booster.predict(xgboost.DMatrix(FRAME)))
        assert loaded.feature_names == list(FRAME.columns)

    @pytest.mark.parametrize("cls", [xgboost.XGBClassifier, xgboost.XGBRegressor, xgboost.XGBRFRegressor])
    def test_an_estimator_is_saved_as_its_booster(self, cls: type[xgboost.XGBModel], tmp_path: Path) -> None:
        model = cls(n_estimators=3).fit(DATA, LABELS)
        assert saved(model, tmp_path).details(model)["estimator"] == cls.__name__
        np.testing.assert_array_equal(joblib.load(tmp_path / modelmeta.ESTIMATOR).predict(DATA), model.predict(DATA))
        answer = xgboost.Booster(model_file=tmp_path / "model.ubj").predict(xgboost.DMatrix(DATA))
        wanted = model.predict_proba(DATA) if cls is xgboost.XGBClassifier else model.predict(DATA)
        np.testing.assert_allclose(answer, wanted, rtol=1e-6)

    def test_early_stopping_is_kept_to(self, tmp_path: Path) -> None:
        model = xgboost.XGBRegressor(n_estimators=50, early_stopping_rounds=3, learning_rate=1.0)
        model.fit(DATA[:100], LABELS[:100], eval_set=[(DATA[100:], LABELS[100:])], verbose=False)
        assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
        saved(model, tmp_path)
        answer = xgboost.Booster(model_file=tmp_path / "model.ubj").predict(xgboost.DMatrix(DATA))
        np.testing.assert_allclose(answer, model.predict(DATA), rtol=1e-6)

    def test_the_signature_has_names_dtypes_and_outputs(self) -> None:
        frame = FRAME.assign(count=np.arange(150))
        signature = described(xgboost.XGBClassifier(n_estimators=2).fit(frame, LABELS))
        assert signature.columns[-1] == Column("count", "int64")
        assert signature.sample == {**dict.fromkeys(FRAME.columns, 0.0), "count": 0}
        assert (signature.output_size, signature.output_dtype) == (["batch_size"], "int64")
        plain = described(xgboost.XGBRegressor(n_estimators=2).fit(DATA, LABELS))
        assert (plain.columns, plain.sample, plain.output_size) == ((), [0.0] * 4, ["batch_size"])

    @pytest.mark.parametrize("name", ["model.json", "model.ubj", "model.bst"])
    def test_saved_files_are_known_by_their_content(self, name: str, tmp_path: Path) -> None:
        booster = xgboost.XGBClassifier(n_estimators=2).fit(FRAME, LABELS).get_booster()
        (tmp_path / name).write_bytes(booster.save_raw("json" if name.endswith("json") else "ubj"))
        found = formats.detect_path(tmp_path / name)
        assert found.name == "xgboost"
        signature = found.path_signature(tmp_path)
        assert (signature.columns if signature else ()) == (
            tuple(Column(c) for c in FRAME.columns) if name.endswith("json") else ()
        )

    def test_an_unfitted_estimator_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match="not fitted"):
            formats.detect(xgboost.XGBClassifier()).save(xgboost.XGBClassifier(), tmp_path)


class TestLightGBM:
    def test_a_booster_survives(self, tmp_path: Path) -> None:
        booster = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(DATA, LABELS), 3)
        assert saved(booster, tmp_path).name == "lightgbm"
        np.testing.assert_array_equal(
            lightgbm.Booster(model_file=tmp_path / "model.bst").predict(DATA), booster.predict(DATA)
        )

    @pytest.mark.parametrize("cls", [lightgbm.LGBMClassifier, lightgbm.LGBMRegressor])
    def test_an_estimator_is_saved_as_its_booster(self, cls: type[lightgbm.LGBMModel], tmp_path: Path) -> None:
        model = cls(n_estimators=5, verbosity=-1).fit(DATA, LABELS)
        assert saved(model, tmp_path).details(model)["estimator"] == cls.__name__
        np.testing.assert_array_equal(joblib.load(tmp_path / modelmeta.ESTIMATOR).predict(DATA), model.predict(DATA))
        answer = lightgbm.Booster(model_file=tmp_path / "model.bst").predict(DATA)
        wanted = model.predict_proba(DATA) if isinstance(model, lightgbm.LGBMClassifier) else model.predict(DATA)
        np.testing.assert_allclose(np.asarray(answer), np.asarray(wanted), rtol=1e-6)

    def test_the_signature_is_told_by_object_and_file_alike(self, tmp_path: Path) -> None:
        model = lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1).fit(FRAME, LABELS)
        signature = described(model)
        assert [c.name for c in signature.columns] == [c.replace(" ", "_") for c in FRAME.columns]
        assert (signature.output_size, signature.output_dtype) == (["batch_size"], str(LABELS.dtype))
        # Of the file alone nothing is known but that it is a booster, which answers probabilities.
        of_file = saved(model, tmp_path).path_signature(tmp_path)
        assert of_file == replace(signature, output_size=["batch_size", 3], output_dtype="float64")
        plain = described(lightgbm.LGBMRegressor(n_estimators=5, verbosity=-1).fit(DATA, LABELS))
        assert (plain.columns, plain.sample, plain.output_size) == ((), [0.0] * 4, ["batch_size"])

    def test_its_own_file_name_becomes_the_servers(self, tmp_path: Path) -> None:
        lightgbm.train({"verbosity": -1}, lightgbm.Dataset(DATA, LABELS), 2).save_model(tmp_path / "model.txt")
        found = formats.find(tmp_path / "model.txt")
        assert (found.format.name, found.name) == ("lightgbm", "model.bst")

    def test_an_unfitted_estimator_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match="not fitted"):
            formats.detect(lightgbm.LGBMClassifier()).save(lightgbm.LGBMClassifier(), tmp_path)


_CODE = """
import kserve as ks
from .other import helper

class Base(ks.Model):
    pass

class Mine(Base):
    def predict(self, payload, headers=None):
        return {"predictions": [1]}
"""


class TestCustom:
    def test_a_folder_of_code_is_read_without_running_it(self, tmp_path: Path) -> None:
        (tmp_path / "model.py").write_text(f"raise SystemExit('was run')\n{_CODE}")
        (tmp_path / "weights.joblib").write_bytes(b"")
        (tmp_path / "requirements.txt").write_text(
            "# for torch\n--index-url https://user:secret@host/simple\ntorch >= 2  # newest\nscikit-learn\n"
        )
        found = formats.detect_path(tmp_path)
        assert (found.name, found.check(tmp_path)) == ("custom", [])
        assert found.path_details(tmp_path) == {
            "module_name": "model",
            "class_name": "Mine",
            "requirements": ["torch >= 2", "scikit-learn"],
        }

    def test_requirements_that_never_end_are_none(self, tmp_path: Path) -> None:
        (tmp_path / "model.py").write_text(_CODE)
        os.mkfifo(tmp_path / "requirements.txt")
        os.mkfifo(tmp_path / "model.keras")
        assert formats.detect_path(tmp_path).path_details(tmp_path)["requirements"] == []

    def test_a_file_is_a_model_by_its_class(self, tmp_path: Path) -> None:
        (tmp_path / "served.py").write_text("from kserve import *\nclass M(Model): ...\n")
        (tmp_path / "other.py").write_text("class M: ...\n")
        assert formats.detect_path(tmp_path / "served.py").path_details(tmp_path / "served.py") == {
            "module_name": "served",
            "class_name": "M",
            "requirements": [],
        }
        with pytest.raises(UnsupportedModelError):
            formats.detect_path(tmp_path / "other.py")

    @pytest.mark.parametrize(
        ("code", "problem"),
        [
            ("x = 1\n", "no subclass"),
            ("from kserve import Model\nclass A(Model): ...\nclass B(Model): ...\n", "several"),
            ("class A(", "not Python"),
            ("\0", "not Python"),
        ],
    )
    def test_a_folder_that_cannot_be_served_says_why(self, code: str, problem: str, tmp_path: Path) -> None:
        (tmp_path / "code.py").write_text(code)
        (told,) = formats.by_name("custom").check(tmp_path)
        assert problem in told

    def test_a_class_of_a_notebook_is_written_out(self, tmp_path: Path) -> None:
        code = _CLASS.format(folder=str(tmp_path / "out"))
        subprocess.run([sys.executable, "-m", "IPython", "-c", code], check=True, cwd=tmp_path)
        text = (tmp_path / "out" / "model.py").read_text()
        assert "import numpy as np" in text
        ran = subprocess.run(
            [sys.executable, "-c", "import model; print(model.Doubling('m').predict({'instances': [1, 2]}))"],
            cwd=tmp_path / "out",
            capture_output=True,
            text=True,
            check=True,
        )
        assert "{'predictions': [2, 4]}" in ran.stdout


_CLASS = """
import kserve
import numpy as np

class Doubling(kserve.Model):
    def predict(self, payload, headers=None):
        return {{"predictions": (np.asarray(payload["instances"]) * 2).tolist()}}

from pathlib import Path
from kale_serve_ext import formats, modelmeta
folder = Path({folder!r})
folder.mkdir()
found = formats.detect(Doubling)
assert found.name == "custom" and formats.detect(Doubling("m")) is found
found.save(Doubling, folder)
assert found.path_details(folder)["class_name"] == "Doubling"
"""


class TestChoosing:
    @pytest.mark.parametrize("thing", [42, {"a": 1}, object(), LogisticRegression, np.zeros(3), None])
    def test_anything_else_is_refused_with_what_is_supported(self, thing: object) -> None:
        with pytest.raises(UnsupportedModelError) as caught:
            formats.detect(thing)
        assert "scikit-learn" in caught.value.message
        assert "kserve.Model" in caught.value.hint

    def test_names_and_their_aliases(self) -> None:
        assert {"custom", "huggingface", "lightgbm", "onnx", "sklearn", "tensorflow", "xgboost"} <= set(formats.names())
        assert list(formats.names()) == sorted(formats.names())
        assert formats.by_name("Scikit-Learn").name == "sklearn"
        with pytest.raises(UnsupportedModelError, match="Unknown model format 'mxnet'"):
            formats.by_name("mxnet")

    def test_files_that_are_no_models_are_refused(self, tmp_path: Path) -> None:
        for name, content in {"data.json": b'{"a": 1}', "notes.txt": b"tree", "x.bst": b"", "y.ubj": b"xx"}.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(UnsupportedModelError, match=f"{name} is "):
                formats.detect_path(tmp_path / name)
        with pytest.raises(UnsupportedModelError, match="holds no model"):
            formats.detect_path(tmp_path)

    def test_a_folder_with_two_kinds_of_models_is_ambiguous(self, tmp_path: Path) -> None:
        (tmp_path / "a.joblib").write_bytes(pickle.dumps(KMeans(2, n_init=1).fit(DATA)))
        lightgbm.train({"verbosity": -1}, lightgbm.Dataset(DATA, LABELS), 2).save_model(tmp_path / "b.bst")
        with pytest.raises(UnsupportedModelError, match="several formats: LightGBM, scikit-learn"):
            formats.detect_path(tmp_path)

    def test_two_files_of_one_kind_are_ambiguous_too(self, tmp_path: Path) -> None:
        for name in ("a.joblib", "b.pkl"):
            (tmp_path / name).write_bytes(pickle.dumps(KMeans(2, n_init=1).fit(DATA)))
        with pytest.raises(UnsupportedModelError, match=r"2 model files \(a.joblib, b.pkl\)"):
            formats.detect_path(tmp_path)

    def test_a_pickle_is_never_opened_to_tell_its_format(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",)

        (tmp_path / "model.pkl").write_bytes(pickle.dumps(Trap()))
        found = formats.detect_path(tmp_path / "model.pkl")
        assert (found.name, found.check(tmp_path), found.path_signature(tmp_path)) == ("sklearn", [], None)
        assert not (tmp_path / "sprung").exists()

    def test_no_framework_is_imported_to_tell_an_objects_format(self) -> None:
        code = (
            "import sys; from kale_serve_ext import formats, errors\n"
            "try: formats.detect(object())\n"
            "except errors.UnsupportedModelError: pass\n"
            "print({'sklearn', 'xgboost', 'lightgbm', 'kserve', 'joblib', 'numpy', 'cloudpickle'} & set(sys.modules))"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == "set()"


def test_a_path_in_the_place_of_a_model_is_pointed_the_right_way() -> None:
    with pytest.raises(UnsupportedModelError, match="is a path") as error:
        formats.detect("models/iris.joblib")
    assert "artifact_uri='models/iris.joblib'" in error.value.hint
