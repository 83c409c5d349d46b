"""Loading the user's own code from the folder of its snapshot."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kserve import InferInput, InferOutput, InferRequest, InferResponse

from kale_serve_ext.runner.code import load_custom, load_transformer
from kale_serve_ext.runner.task import Task

MODEL = """
import kserve

class {name}(kserve.Model):
    def __init__(self, name{arguments}):
        super().__init__(name)
        self.seen = dict(locals())

    async def load(self):
        self.ready = True
        return True
"""


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is loaded here must not be found by the next test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    known = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(known):
        del sys.modules[name]


def task(folder: Path, **more: str) -> Task:
    return Task("m", "predictor", "custom", str(folder), parent=0, http_fd=0, grpc_port=0, **more)  # type: ignore[arg-type]  # fields by name


def test_the_only_subclass_is_found_and_given_what_it_asks_for(tmp_path: Path) -> None:
    source = MODEL.format(name="Mine", arguments=", predictor_host, model_dir=None, extra=1")
    (tmp_path / "model.py").write_text(source)
    model = load_custom(task(tmp_path, predictor_host="127.0.0.1:9"))
    assert type(model).__name__ == "Mine"
    assert (model.name, model.ready) == ("m", True)
    assert (model.seen["predictor_host"], model.seen["model_dir"]) == ("127.0.0.1:9", str(tmp_path))
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("files", "more", "error", "words"),
    [
        ({}, {}, FileNotFoundError, "0 modules"),
        ({"a.py": "", "b.py": ""}, {}, FileNotFoundError, "2 modules"),
        ({"a.py": ""}, {}, TypeError, "found: none"),
        ({"a.py": MODEL.format(name="A", arguments="") + MODEL.format(name="B", arguments="")}, {}, TypeError, "A, B"),
        ({"a.py": MODEL.format(name="A", arguments=", key")}, {}, TypeError, "'key'"),
        ({"a.py": "X = 1"}, {"class_name": "X"}, TypeError, "X"),
        ({"a.py": ""}, {"module_name": "gone"}, FileNotFoundError, "gone"),
        ({"a.py": "import surely_not_there"}, {}, ModuleNotFoundError, "surely_not_there"),
    ],
)
def test_code_that_cannot_be_used_is_told(
    tmp_path: Path, files: dict[str, str], more: dict[str, str], error: type[Exception], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=words):
        load_custom(task(tmp_path, **more))


def test_a_module_with_the_name_of_a_library_is_the_user_s(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(MODEL.format(name="Mine", arguments=""))
    model = load_custom(task(tmp_path, module_name="json", class_name="Mine"))
    assert type(model).__name__ == "Mine"
    assert sys.modules["json"] is json


@pytest.mark.parametrize("init", [None, "", "from .transformer import preprocess\nSTEP = 1\n"])
def test_the_folder_is_on_the_path_and_a_package(tmp_path: Path, init: str | None) -> None:
    if init is not None:
        (tmp_path / "__init__.py").write_text(init)
    (tmp_path / "plain.py").write_text("ONE = 1\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "__init__.py").write_text("from ..plain import ONE\nTWO = ONE + ONE\n")
    (tmp_path / "transformer.py").write_text(
        "import plain\nfrom .inner import TWO\nfrom . import plain as same\n"
        "def preprocess(request):\n    return {'n': plain.ONE + TWO + same.ONE}\n"
    )
    model = load_transformer(task(tmp_path))
    assert asyncio.run(model.preprocess({})) == {"n": 4}
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_custom_predictor_imports_what_lies_beside_it_both_ways(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("ONE = 1\n")
    beside = "import plain\nfrom .plain import ONE\nTWO = plain.ONE + ONE\n"
    (tmp_path / "model.py").write_text(beside + MODEL.format(name="Mine", arguments=""))
    model = load_custom(task(tmp_path, module_name="model", class_name="Mine"))
    assert sys.modules[type(model).__module__].__dict__["TWO"] == 2


def test_functions_get_v2_requests_as_dicts(tmp_path: Path) -> None:
    (tmp_path / "transformer.py").write_text(
        "def preprocess(request):\n"
        "    tensor = request['inputs'][0]\n"
        "    return {**request, 'inputs': [{**tensor, 'data': [2 * v for v in tensor['data']]}]}\n"
        "def postprocess(answer):\n"
        "    output = answer['outputs'][0]\n"
        "    return {**answer, 'outputs': [{**output, 'data': [v + 1 for v in output['data']]}]}\n"
    )
    model = load_transformer(task(tmp_path))
    made = asyncio.run(model.preprocess(InferRequest("m", [InferInput("x", [2], "FP64", [1.0, 2.0])])))
    assert made["inputs"][0]["data"] == [2.0, 4.0]
    answer = InferResponse("id", "m", [InferOutput("y", [2], "INT64", [1, 2])])
    after = asyncio.run(model.postprocess(answer))
    assert isinstance(after, InferResponse)
    assert after.outputs[0].data == [2, 3]


def test_preprocess_has_to_return_the_request(tmp_path: Path) -> None:
    (tmp_path / "transformer.py").write_text("def preprocess(request):\n    pass\n")
    model = load_transformer(task(tmp_path))
    with pytest.raises(TypeError, match="NoneType"):
        asyncio.run(model.preprocess({"instances": []}))
    assert asyncio.run(model.postprocess({"predictions": [1]})) == {"predictions": [1]}
