"""What a file is, by its bytes alone: models whatever they are called, and what is no model by its own name."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import pickle
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import cloudpickle
import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops.io
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kale_serve_ext import formats
from kale_serve_ext.errors import UnsupportedModelError
from kale_serve_ext.formats import content, pickles, streams
from kale_serve_ext.formats.base import Content

DATA, LABELS = load_iris(return_X_y=True)
TEXTS = np.array(["setosa", "versicolor", "virginica"], dtype=object)[LABELS]
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(DATA, TEXTS)
NEIGHBOURS = KNeighborsClassifier().fit(DATA, TEXTS)
XGB = xgboost.XGBClassifier(n_estimators=2).fit(DATA, LABELS)
LGB = lightgbm.LGBMClassifier(n_estimators=2, verbosity=-1).fit(DATA, LABELS)
DEPRECATED = zlib.decompress(
    base64.b64decode(
        "eNpLysxLY2BgsGdigABGKM0EZTMiidEa8EPppMy8xKJKq5z89MziksxkNqhwelJJUWoqPR1EDkB3H9MgcO9/JAAVaoBS9gg2wp2cUDo/KSs1"
        "uSSzLNUFKlCtlJeYm6pkpYQWRUo6SkWp6fE5+cXF8QWJRYm5SlbVSsXJiTmp8QX5xfHlqZnpGSVAbYZKtbUAIvE00A=="
    )
)
"""A binary model of one tree, as XGBoost 2.1 wrote it for the last time."""


def can_be(found: Content, name: str) -> bool:
    return content.can_be(found, formats.by_name(name))


def of(data: bytes, folder: Path, name: str = "whatever") -> Content:
    (folder / name).write_bytes(data)
    return content.look(folder / name)


def pickled(obj: object, protocol: int = pickle.HIGHEST_PROTOCOL) -> bytes:
    return pickle.dumps(obj, protocol)


def joblibbed(obj: object) -> bytes:
    made = io.BytesIO()
    joblib.dump(obj, made)
    return made.getvalue()


class TestPickles:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_of_every_protocol(self, protocol: int, tmp_path: Path) -> None:
        found = of(pickled(PIPELINE, protocol), tmp_path)
        assert (found.format, found.kind, found.outermost) == ("sklearn", "pickle", "sklearn.pipeline.Pipeline")
        assert found.made_with == {"scikit-learn": sklearn.__version__}

    @pytest.mark.parametrize("compress", [0, 3, *((name, 1) for name in ("zlib", "gzip", "bz2", "xz", "lzma", "lz4"))])
    @pytest.mark.parametrize("model", [PIPELINE, NEIGHBOURS], ids=["pipeline", "neighbours"])
    def test_of_joblib_with_any_compression(self, model: object, compress: object, tmp_path: Path) -> None:
        joblib.dump(model, tmp_path / "trained", compress=compress)
        found = content.look(tmp_path / "trained")
        assert (found.format, found.kind) == ("sklearn", "pickle")
        assert found.outermost == f"{type(model).__module__}.{type(model).__qualname__}"
        assert found.made_with == {"scikit-learn": sklearn.__version__}
        assert ("lz4" in found.packages) == (compress == ("lz4", 1))

    def test_of_cloudpickle_with_a_class_inside(self, tmp_path: Path) -> None:
        class Mine(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
            """Known here alone."""

        found = of(cloudpickle.dumps(Mine(max_iter=500).fit(DATA, LABELS)), tmp_path)
        assert (found.format, found.outermost) == ("sklearn", "__main__.Mine")
        assert "cloudpickle" in found.packages

    def test_of_boosters_and_their_estimators(self, tmp_path: Path) -> None:
        for model in (XGB, XGB.get_booster(), LGB, LGB.booster_):
            name = type(model).__module__.partition(".")[0]
            found = of(pickled(model), tmp_path)
            assert (found.format, found.kind) == (name, "pickle")
            assert (can_be(found, "sklearn"), can_be(found, name)) == (True, True)
        assert of(pickled(XGB), tmp_path, "xgb").made_with == {"xgboost": xgboost.__version__}

    def test_of_an_estimator_larger_than_what_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "MOST_BYTES", 20_000)
        joblib.dump(RandomForestClassifier(30).fit(DATA, LABELS), tmp_path / "forest", compress=1)
        found = content.look(tmp_path / "forest")
        assert (found.format, found.outermost) == ("sklearn", "sklearn.ensemble._forest.RandomForestClassifier")
        assert found.made_with == {"scikit-learn": sklearn.__version__}

    def test_of_more_opcodes_than_are_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pickles, "MOST_OPCODES", 10)
        assert of(pickled(PIPELINE), tmp_path).outermost == "sklearn.pipeline.Pipeline"

    def test_nothing_in_it_is_run(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",)

        for data in (pickled(Trap(), 0), pickled(Trap()), gzip.compress(pickled(Trap()))):
            assert of(data, tmp_path).outermost == "builtins.exec"
        assert not (tmp_path / "sprung").exists()

    def test_a_length_that_is_a_lie_costs_nothing(self, tmp_path: Path) -> None:
        for opcode in (b"\x96", b"\x8e", b"\x8d"):  # of bytearrays, bytes and texts of 8 bytes' length
            assert of(b"\x80\x05" + opcode + b"\xff" * 7 + b"\x00", tmp_path).outermost == ""

    def test_a_bomb_is_not_blown_up(self, tmp_path: Path) -> None:
        zeros = zlib.compress(b"\x80\x04]" + b"N" * (200 << 20), 9)
        assert of(zeros, tmp_path).what == "a pickled list, not a model"

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        seed=st.sampled_from(
            [*(pickled(PIPELINE, p) for p in range(6)), joblibbed(PIPELINE), zlib.compress(pickled(XGB))]
        ),
        changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(max_size=4)), min_size=1, max_size=5),
        end=st.integers(1, 1 << 20),
    )
    def test_what_is_damaged_is_told_or_taken_and_never_fails(
        self, seed: bytes, changes: list[tuple[int, bytes]], end: int, tmp_path: Path
    ) -> None:
        data = bytearray(seed)
        for place, put in changes:
            at = place % len(data)
            data[at : at + len(put)] = put
        (tmp_path / "damaged").write_bytes(bytes(data[: end % len(data) + 1]))
        found = content.look(tmp_path / "damaged")
        assert bool(found.format) != bool(found.what)


class TestOtherForms:
    def test_skops(self, tmp_path: Path) -> None:
        skops.io.dump(PIPELINE, tmp_path / "model.zip")
        found = content.look(tmp_path / "model.zip")
        assert (found.format, found.kind, found.outermost) == ("sklearn", "skops", "sklearn.pipeline.Pipeline")
        assert found.made_with == {"skops": skops.__version__, "scikit-learn": sklearn.__version__}
        assert "skops" in found.packages
        assert content.file_name(tmp_path / "model.zip", found) == "model.skops"
        skops.io.dump({"a": 1}, tmp_path / "dict")
        assert content.look(tmp_path / "dict").what == "a skops file of a dict, not a model"

    def test_boosters_of_xgboost(self, tmp_path: Path) -> None:
        booster = XGB.get_booster()
        for data, kind, version in (
            (booster.save_raw("json"), "json", xgboost.__version__),
            (booster.save_raw("ubj"), "ubjson", xgboost.__version__),
            (DEPRECATED, "binary", "2.1.0"),
        ):
            found = of(bytes(data), tmp_path)
            assert (found.format, found.kind, found.made_with) == ("xgboost", kind, {"xgboost": version})
            assert (can_be(found, "xgboost"), can_be(found, "sklearn")) == (True, False)
        pretty = json.dumps(json.loads(booster.save_raw("json")), indent=1).encode()
        assert of(pretty, tmp_path, "pretty").kind == "json"

    def test_a_model_of_lightgbm(self, tmp_path: Path) -> None:
        LGB.booster_.save_model(tmp_path / "x")
        found = content.look(tmp_path / "x")
        assert (found.format, found.kind) == ("lightgbm", "text")

    @pytest.mark.parametrize(
        ("name", "called"),
        [
            ("model.joblib", "model.joblib"),
            ("iris.pkl", "iris.pkl"),
            ("iris.PKL", "model.joblib"),
            ("model.sav", "model.joblib"),
            ("model.pkl.gz", "model.joblib"),
            ("model", "model.joblib"),
            ("model.json", "model.joblib"),
        ],
    )
    def test_a_pickle_is_called_as_servers_look_for_it(self, name: str, called: str) -> None:
        assert content.file_name(Path(name), Content("sklearn", "pickle")) == called

    @pytest.mark.parametrize(
        ("name", "kind", "called"),
        [
            ("model.json", "json", "model.json"),
            ("model.bst", "json", "model.json"),
            ("model.bst", "ubjson", "model.bst"),
            ("model.json", "ubjson", "model.ubj"),
            ("old.model", "binary", "model.bst"),
            ("model.txt", "text", "model.bst"),
        ],
    )
    def test_a_booster_too(self, name: str, kind: str, called: str) -> None:
        format_ = "lightgbm" if kind == "text" else "xgboost"
        assert content.file_name(Path(name), Content(format_, kind)) == called


def tar(name: str, mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as file:  # type: ignore[call-overload]  # the mode is not a literal
        file.addfile(tarfile.TarInfo(name), io.BytesIO())
    return made.getvalue()


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return made.getvalue()


def damaged(compression: int) -> bytes:
    """A skops file with a flipped run of bytes in its compressed schema."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        file.writestr("schema.json", json.dumps({"_skops_version": "0.1", "numbers": list(range(5000))}))
    data = bytearray(made.getvalue())
    data[60:260] = bytes(255 - byte for byte in data[60:260])
    return bytes(data)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
STRANGERS = {
    "Git LFS pointer": (LFS, "Git LFS pointer"),
    "DVC pointer": (b"outs:\n- md5: 0a1b\n  path: model.pkl\n", "DVC pointer"),
    "HTML": (b"<!DOCTYPE html>\n<html><head><title>Sign in\n</title>", "HTML page ('Sign in')"),
    "HTML after a comment": (b"\n<!-- x --><html><body>404", "HTML page"),
    "JSON": (b'{"error": "not found", "status": 404}', "JSON with the keys error, status"),
    "JSON list": (b"[1, 2]", "JSON file"),
    "XGBoost's configuration": (XGB.get_booster().save_config().encode(), "configuration of an XGBoost model"),
    "XGBoost's dump": (json.dumps(XGB.get_booster().get_dump(dump_format="json")).encode(), "dump of an XGBoost"),
    "LightGBM's dump": (json.dumps(LGB.booster_.dump_model()).encode(), "dump of a LightGBM"),
    "notebook": (b'{"cells": [], "metadata": {}, "nbformat": 4}', "notebook"),
    "dict": (pickled({"model": PIPELINE, "columns": ["a"]}), "pickled dict with the keys model, columns"),
    "list": (pickled([PIPELINE]), "pickled list"),
    "tuple": (pickled((PIPELINE, 1)), "pickled tuple"),
    "text pickle": (pickled("hello"), "pickled str"),
    "number": (pickled(1.5), "pickled float"),
    "array": (pickled(DATA), "pickled array"),
    "array by joblib": (joblibbed(DATA), "pickled array"),
    "objects by joblib": (joblibbed(TEXTS), "pickled array"),
    "data frame": (pickled(pd.DataFrame(DATA)), "pickled DataFrame"),
    "series": (pickled(pd.Series(LABELS), 0), "pickled Series"),
    "sparse": (pickled(csr_matrix(DATA)), "pickled csr_matrix"),
    "class": (pickled(LogisticRegression), "class or function (sklearn.linear_model._logistic.LogisticRegression)"),
    "truncated pickle": (pickled(PIPELINE)[:-30], "truncated pickle"),
    "damaged pickle": (b"\x80\x04\xff\xff", "damaged pickle"),
    "truncated gzip": (gzip.compress(pickled(PIPELINE))[:-200], "truncated"),
    "damaged bzip2": (b"BZh9" + b"x" * 100, "damaged bzip2 file"),
    "tar": (tar("model.pkl"), "archive (tar)"),
    "tar.gz": (tar("model.pkl", "w:gz"), "archive (tar, compressed with gzip)"),
    "zip": (zipped("model.pkl", "MLmodel"), "archive (zip)"),
    "truncated zip": (zipped("model.pkl")[:-10], "zip file"),
    "damaged zip": (damaged(zipfile.ZIP_DEFLATED), "damaged zip file"),
    "damaged zip by LZMA": (damaged(zipfile.ZIP_LZMA), "damaged zip file"),
    "damaged zip by bzip2": (damaged(zipfile.ZIP_BZIP2), "damaged zip file"),
    "PyTorch": (zipped("archive/data.pkl", "archive/version", "archive/data/0"), "PyTorch checkpoint"),
    "old PyTorch": (pickled(0x1950A86A20F9469CFC6C, 2) + pickled(1001, 2), "PyTorch checkpoint"),
    "Keras": (zipped("config.json", "metadata.json", "model.weights.h5"), "Keras model"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5 file"),
    "npz": (zipped("a.npy", "b.npy"), ".npz"),
    "npy": (b"\x93NUMPY\x01\x00" + bytes(50), ".npy"),
    "ONNX": (b"\x08\x08\x12\x08skl2onnx\x1a\x061.17.0" + bytes(9), "ONNX model"),
    "PMML": (b'<?xml version="1.0"?><PMML xmlns="http://www.dmg.org/PMML-4_4"/>', "PMML document without a model"),
    "safetensors": ((40).to_bytes(8, "little") + b'{"weight":{"dtype":"F32"}}', "safetensors"),
    "CatBoost": (b"CBM1" + (99).to_bytes(4, "little") + bytes(20), "truncated CatBoost model"),
    "empty": (b"", "empty file"),
    "zeros": (bytes(5000), "file of zeros"),
    "text": (b"# How to use this\n", "text file"),
    "looks like an old pickle": (b"copyright\nSomebody\nand so on\n", "text file"),
    "tree": (b"tree", "text file"),
    "binary": (b"\x01\x02\x00\x03" * 20, "binary file"),
    "gzip of a booster": (gzip.compress(bytes(XGB.get_booster().save_raw("json"))), "a model, compressed with gzip"),
    "xz of text": (lzma.compress(b"hello"), "a text file, compressed with xz"),
    "bzip2 of a page": (bz2.compress(b"<html>"), "an HTML page, compressed with bzip2"),
    "truncated booster": (bytes(XGB.get_booster().save_raw("ubj"))[:-40], "truncated XGBoost model"),
}


class TestWhatIsNoModel:
    @pytest.mark.parametrize("kind", STRANGERS)
    def test_it_is_said_for_what_it_is(self, kind: str, tmp_path: Path) -> None:
        data, said = STRANGERS[kind]
        (tmp_path / "model.pkl").write_bytes(data)
        with pytest.raises(UnsupportedModelError) as caught:
            formats.find(tmp_path / "model.pkl")
        assert said in caught.value.message
        assert "model.pkl is " in caught.value.message
        assert caught.value.hint
        with pytest.raises(UnsupportedModelError, match=r"model\.pkl is "):  # nor where somebody says that it is
            formats.find(tmp_path / "model.pkl", "sklearn")

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        assert "No such file" in content.look(tmp_path / "gone").what


class TestFinding:
    def test_the_named_format_is_taken_where_it_can_be(self, tmp_path: Path) -> None:
        (tmp_path / "model").write_bytes(pickled(XGB))
        assert formats.find(tmp_path / "model").format.name == "xgboost"
        assert formats.find(tmp_path / "model", "sklearn").format.name == "sklearn"
        with pytest.raises(UnsupportedModelError, match="is XGBoost, not LightGBM"):
            formats.find(tmp_path / "model", "lightgbm")

    def test_a_folder_with_one_model_under_a_strange_name(self, tmp_path: Path) -> None:
        (tmp_path / "trained.sav").write_bytes(pickled(PIPELINE))
        (tmp_path / "MLmodel").write_text("flavors: {}\n")
        (tmp_path / "requirements.txt").write_text("scikit-learn\n")
        found = formats.find(tmp_path)
        assert (found.format.name, found.file, found.name) == ("sklearn", tmp_path / "trained.sav", "model.joblib")

    def test_usual_names_come_before_strange_ones(self, tmp_path: Path) -> None:
        (tmp_path / "model.pkl").write_bytes(pickled(PIPELINE))
        (tmp_path / "before").write_bytes(pickled(XGB))
        found = formats.find(tmp_path)
        assert (found.file, found.name) == (tmp_path / "model.pkl", "model.pkl")

    def test_a_folder_without_a_model_says_what_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("# Model\n")
        (tmp_path / "model.joblib").write_bytes(LFS)
        with pytest.raises(UnsupportedModelError, match=r"no model.*model\.joblib is a Git LFS pointer") as caught:
            formats.find(tmp_path)
        assert "git lfs pull" in caught.value.hint

    def test_a_folder_of_tensorflow(self, tmp_path: Path) -> None:
        (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x04abcd")
        found = formats.find(tmp_path).format
        assert found.name == "tensorflow"
        assert "saved_model.pb is truncated" in found.check(tmp_path)[0]

    def test_nothing_is_imported_for_it(self, tmp_path: Path) -> None:
        import subprocess

        joblib.dump(PIPELINE, tmp_path / "model", compress=3)
        code = (
            "import sys; from pathlib import Path; from kale_serve_ext import formats\n"
            f"print(formats.find(Path({str(tmp_path / 'model')!r})).format.name)\n"
            "print({'sklearn', 'xgboost', 'lightgbm', 'joblib', 'numpy', 'skops', 'lz4', 'kserve'} & set(sys.modules))"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert ran.stdout.split("\n")[:2] == ["sklearn", "set()"]
