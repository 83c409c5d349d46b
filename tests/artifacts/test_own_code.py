"""Transformers and custom models of every kind of notebook, served where nothing of the notebook is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_WRITE = """
from pathlib import Path as _Path
from kale_serve_ext.artifacts import Model as _Model, Transformer as _Transformer
_stage = _Path(OUT)
_stage.mkdir()
_thing = _Model(model) if "model" in dir() else _Transformer(preprocess=preprocess)
_written = _thing._write(_stage)
print(_written.source)
"""
_SERVE = """
import asyncio, json, sys
from kale_serve_ext.runner.code import load_custom, load_transformer
from kale_serve_ext.runner.task import Task
from kale_serve_ext.artifacts.transformer import inspect_folder
from kale_serve_ext.formats import custom
from pathlib import Path
kind = sys.argv[2]
details = inspect_folder(Path(sys.argv[1])) if kind == "transformer" else custom.FORMAT.path_details(Path(sys.argv[1]))
task = Task("t", kind, kind, sys.argv[1], parent=0, http_fd=0, grpc_port=0,
            module_name=details["module_name"], class_name=details["class_name"])
model = (load_transformer if kind == "transformer" else load_custom)(task)
made = model.preprocess({"n": 2}) if kind == "transformer" else model.predict({"n": 2})
print(json.dumps(asyncio.run(made) if asyncio.iscoroutine(made) else made))
"""


@dataclass(frozen=True)
class Case:
    files: dict[str, str]
    """What lies beside the notebook."""
    made: str
    """The notebook: it binds ``preprocess`` or ``model``, which makes ``{"n": 6}`` of ``{"n": 2}``."""


TRIPLE = "def triple(v):\n    return v * 3\n"
CLASS = (
    "import kserve\nclass Mine(kserve.Model):\n    def __init__(self, name):\n        super().__init__(name)\n"
    "        self.ready = True\n    def predict(self, payload, headers=None):\n        return {'n': BODY}\n"
)
CASES = {
    "a helper and a constant of the notebook": Case(
        {}, "FACTOR = 3\ndef times(v): return v * FACTOR\ndef preprocess(inputs): return {'n': times(inputs['n'])}"
    ),
    "a function of another module": Case(
        {"tools.py": TRIPLE}, "from tools import triple\ndef preprocess(inputs): return {'n': triple(inputs['n'])}"
    ),
    "another module": Case(
        {"tools.py": TRIPLE}, "import tools as t\ndef preprocess(inputs): return {'n': t.triple(inputs['n'])}"
    ),
    "an import in the body": Case(
        {"tools.py": TRIPLE},
        "def preprocess(inputs):\n    from tools import triple\n    return {'n': triple(inputs['n'])}",
    ),
    "a function of a package that imports relatively": Case(
        {"pack/__init__.py": "", "pack/maths.py": TRIPLE}
        | {"pack/pre.py": "def first(inputs):\n    from .maths import triple\n    return {'n': triple(inputs['n'])}\n"},
        "from pack.pre import first as preprocess",
    ),
    "a module called transformer": Case(
        {"transformer.py": TRIPLE}, "import transformer\npreprocess = lambda i: {'n': transformer.triple(i['n'])}"
    ),
    "the name of a module of Python": Case(
        {"this.py": TRIPLE}, "from this import triple\ndef preprocess(inputs): return {'n': triple(inputs['n'])}"
    ),
    "a class of the notebook": Case({}, CLASS.replace("BODY", "payload['n'] * 3") + "model = Mine"),
    "a class of the notebook that uses a module": Case(
        {"tools.py": TRIPLE},
        f"import tools\n{CLASS.replace('BODY', 'tools.triple(payload[chr(110)])')}model = Mine('m')",
    ),
    "a class of a package": Case(
        {"pack/__init__.py": "", "pack/maths.py": TRIPLE}
        | {"pack/served.py": f"from .maths import triple\n{CLASS.replace('BODY', 'triple(payload[chr(110)])')}"},
        "from pack.served import Mine as model",
    ),
}


@pytest.mark.parametrize("script", [False, True], ids=["command", "script"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_served_where_nothing_else_is(case: Case, script: bool, tmp_path: Path) -> None:
    beside, out = tmp_path / "beside", tmp_path / "out"
    beside.mkdir()
    for name, text in case.files.items():
        (beside / name).parent.mkdir(exist_ok=True)
        (beside / name).write_text(text)
    notebook = f"{case.made}\nOUT = {str(out)!r}\n{_WRITE}"
    (beside / "notebook.py").write_text(notebook)
    wrote = run(beside, *(["notebook.py"] if script else ["-c", notebook]))
    kind = "custom" if "model" in case.made.rpartition("\n")[2] else "transformer"
    (beside / "notebook.py").unlink()
    assert json.loads(run(tmp_path, "-c", _SERVE, wrote, kind)) == {"n": 6}
    assert not list(out.rglob("__pycache__"))


def run(folder: Path, *arguments: str) -> str:
    ran = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().rpartition("\n")[2]
