"""Transformers of both forms, up to the runner that serves them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from kale_serve_ext import Transformer
from kale_serve_ext.artifacts.base import Written
from kale_serve_ext.artifacts.transformer import inspect_folder
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.stores.file import FileStore

VECTORIZER = TfidfVectorizer().fit(["good film", "bad film"])


def clean(text: str) -> str:
    return text.strip().lower()


def vectorize(inputs: dict[str, list[str]]) -> dict[str, object]:
    rows = VECTORIZER.transform([clean(text) for text in inputs["instances"]])
    return {**inputs, "instances": rows.toarray().tolist()}


async def label(answer: dict[str, list[int]]) -> dict[str, object]:
    return {"predictions": [{0: "bad", 1: "good"}[p] for p in answer["predictions"]]}


def written(transformer: Transformer, folder: Path) -> Written:
    folder.mkdir()
    return transformer._write(folder)


_SERVED = """
import asyncio, json, sys
from kale_serve_ext.runner.code import load_transformer
from kale_serve_ext.runner.task import Task
task = Task(name="t", component="transformer", kind="transformer", path=sys.argv[1], parent=0, http_fd=0, grpc_port=0)
model = load_transformer(task)

async def both():
    before = await model.preprocess({"instances": [" GOOD film"], "id": 1})
    after = await model.postprocess({"predictions": [1]})
    return [len(before["instances"][0]), before["id"], after]

print(json.dumps(asyncio.run(both())))
"""


def test_functions_are_served_by_the_runner(tmp_path: Path) -> None:
    transformer = Transformer(
        name="Vectorizer",
        preprocess=vectorize,
        postprocess=label,
        transformer_assets={"VECTORIZER": VECTORIZER, "clean": clean},
        is_statefull=True,
    )
    made = written(transformer, tmp_path / "stage")
    assert made.record.name == "Vectorizer"
    assert made.record.format == "functional"
    assert made.record.details == {
        "form": "functional",
        "module_name": "transformer",
        "class_name": "",
        "protocol": "v1",
        "stateful": True,
    }
    assert {"kserve", "scikit-learn"} <= set(made.packages)
    store = FileStore(tmp_path / "store")
    snapshot = store.put(made.source)
    ran = subprocess.run(
        [sys.executable, "-c", _SERVED, store.path(snapshot.uri)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip().splitlines()[-1] == '[3, 1, {"predictions": ["good"]}]'
    store.verify(snapshot.uri, snapshot.digest)


def test_a_protocol_may_be_said(tmp_path: Path) -> None:
    made = written(Transformer(postprocess=label, transformer_assets={"protocol": "v2"}), tmp_path / "a")
    assert (made.record.details["protocol"], made.record.name) == ("v2", "Transformer")
    with pytest.raises(InvalidInputError, match="sets protocol to 'v3'"):
        written(Transformer(postprocess=label, transformer_assets={"protocol": "v3"}), tmp_path / "b")


FUNCTIONS = "def preprocess(inputs): return inputs\n"
CLASS = "import kserve\nclass Mine(kserve.Model): ...\n"


@pytest.mark.parametrize(
    ("files", "arguments", "details"),
    [
        ({"transformer.py": FUNCTIONS}, {}, ("functional", "transformer", "", "v1")),
        ({"transformer.py": FUNCTIONS + "protocol = 'v2'\n"}, {}, ("functional", "transformer", "", "v2")),
        (
            {"transformer.py": "from lib import postprocess\n", "lib.py": ""},
            {},
            ("functional", "transformer", "", "v1"),
        ),
        ({"transformer.py": CLASS}, {}, ("subclass", "transformer", "Mine", "")),
        ({"transformer.py": CLASS, "broken.py": "("}, {}, ("subclass", "transformer", "Mine", "")),
        (
            {"base.py": CLASS, "transformer.py": "from base import Mine\nclass Own(Mine): ...\n"},
            {},
            ("subclass", "transformer", "Own", ""),
        ),
        ({"other.py": CLASS}, {"module_name": "other"}, ("subclass", "other", "Mine", "")),
        ({"other.py": CLASS}, {"class_name": "Mine"}, ("subclass", "other", "Mine", "")),
        (
            {"pack/inner.py": CLASS + "class Second(kserve.Model): ...\n"},
            {"module_name": "pack.inner", "class_name": "Second"},
            ("subclass", "pack.inner", "Second", ""),
        ),
        ({"transformer.py": CLASS + FUNCTIONS}, {"class_name": "Mine"}, ("subclass", "transformer", "Mine", "")),
    ],
)
def test_folders_are_read(
    files: dict[str, str], arguments: dict[str, str], details: tuple[str, ...], tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = inspect_folder(tmp_path, **arguments)
    assert (found["form"], found["module_name"], found["class_name"], found["protocol"]) == details


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, {}, "holds no transformer.py"),
        ({"other.py": CLASS}, {}, "holds no transformer.py"),
        ({"transformer.py": "x = 1\n"}, {}, "neither a subclass"),
        ({"transformer.py": "class Model: ...\n"}, {}, "neither a subclass"),
        ({"transformer.py": CLASS + FUNCTIONS}, {}, "both the class Mine and preprocess"),
        ({"transformer.py": CLASS + "class B(kserve.Model): ...\n"}, {}, "several subclasses of kserve.Model: Mine, B"),
        ({"transformer.py": "def"}, {}, "not Python"),
        ({"transformer.py": CLASS}, {"class_name": "Other"}, "defines Other in none"),
        ({"a.py": CLASS, "b.py": CLASS}, {"class_name": "Mine"}, "in a, b"),
        ({"transformer.py": CLASS}, {"module_name": "gone"}, "holds no module gone"),
        ({"transformer.py": CLASS}, {"module_name": "transformer", "class_name": "Other"}, "defines no Other"),
        ({"transformer.py": CLASS}, {"module_name": "../transformer"}, "not the name of a module"),
    ],
)
def test_a_folder_that_is_unclear_says_what_it_should_hold(
    files: dict[str, str], arguments: dict[str, str], message: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInputError, match=message) as caught:
        inspect_folder(tmp_path, **arguments)
    assert caught.value.hint


def test_the_folder_travels_as_it_is(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "transformer.py").write_text("import yaml\n" + CLASS)
    (folder / "vocabulary.txt").write_text("words")
    made = written(Transformer(transformer_dir=folder), tmp_path / "stage")
    assert (made.record.name, made.source, made.adopt) == ("Mine", folder, False)
    assert {"PyYAML", "kserve"} <= set(made.packages)


def test_an_async_preprocess_is_fine(tmp_path: Path) -> None:
    made = written(Transformer(preprocess=label), tmp_path / "stage")
    text = (made.source / "transformer.py").read_text()
    assert "async def label" in text
    assert "preprocess = label" in text
    assert asyncio.run(label({"predictions": [1]})) == {"predictions": ["good"]}
