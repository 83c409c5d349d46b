"""Functions of a notebook written out: they run elsewhere, or it is said what they miss."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.ml import JSON
from kale_serve_ext.source.functional import write_module
from kale_serve_ext.source.objects import check_callable, open_names


@dataclass
class Multiply:
    factor: int

    def __call__(self, inputs: dict[str, list[int]]) -> dict[str, list[int]]:
        return {"instances": [self.factor * x for x in inputs["instances"]]}

    def apply(self, inputs: dict[str, list[int]]) -> dict[str, list[int]]:
        return self(inputs)


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The neighbouring ``sample_functions.py``, as a file beside a notebook is imported."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("sample_functions")


def written(folder: Path, function: object, assets: Mapping[str, object] | None = None) -> frozenset[str]:
    checked = check_callable(function, "preprocess")
    return write_module(folder, "transformer", {"preprocess": checked}, assets or {}, assets_field="transformer_assets")


def run(folder: Path, body: JSON) -> JSON:
    """The written ``preprocess`` in a process that knows nothing but the folder."""
    code = "import json, sys, transformer; print(json.dumps(transformer.preprocess(json.loads(sys.argv[1]))))"
    ran = subprocess.run(
        [sys.executable, "-c", code, json.dumps(body)], cwd=folder, capture_output=True, text=True, check=True
    )
    answer: JSON = json.loads(ran.stdout)
    return answer


def test_imports_are_written_as_the_user_wrote_them(functions: ModuleType, tmp_path: Path) -> None:
    assert written(tmp_path, functions.uses_imports) == {"numpy", "sklearn"}
    text = (tmp_path / "transformer.py").read_text()
    for line in ("import numpy as np", "import json as j", "from math import pi as PI", "import collections.abc"):
        assert f"{line}\n" in text
    assert "from sklearn.base import clone\n" in text
    assert run(tmp_path, {"instances": [1.5], "id": 7}) == {"instances": [5.5], "id": 7}


def test_what_a_file_beside_the_notebook_defines_goes_along(functions: ModuleType, tmp_path: Path) -> None:
    written(tmp_path, functions.uses_assets)
    assert "from sample_functions import uses_assets as preprocess\n" in (tmp_path / "transformer.py").read_text()
    assert run(tmp_path, {"instances": [" GOOD", "odd"]}) == {"instances": [1, 3]}
    assert [p.name for p in (tmp_path / "code").iterdir()] == ["sample_functions.py"]


def test_an_asset_stands_in_for_what_the_file_defines(functions: ModuleType, tmp_path: Path) -> None:
    written(tmp_path, functions.uses_assets, {"VOCABULARY": {"good": 5}})
    assert run(tmp_path, {"instances": [" GOOD", "odd"]}) == {"instances": [5, 3]}


def test_names_that_stand_for_nothing_are_all_told(tmp_path: Path) -> None:
    def preprocess(inputs: JSON) -> JSON:
        return helper(inputs, RATE)  # type: ignore[name-defined, no-any-return]  # noqa: F821

    def other(inputs: JSON) -> JSON:
        return {"sum": LIMIT}  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidInputError, match="preprocess uses RATE, helper") as caught:
        written(tmp_path, preprocess)
    assert 'transformer_assets={"RATE": RATE, "helper": helper}' in caught.value.hint
    with pytest.raises(InvalidInputError, match="helper uses LIMIT"):
        written(tmp_path, preprocess, {"RATE": 2, "helper": other})
    with pytest.raises(InvalidInputError, match="preprocess uses LIMIT"):
        written(tmp_path, lambda inputs: {"sum": LIMIT})  # type: ignore[name-defined]  # noqa: F821


def test_assets_are_functions_values_and_objects(functions: ModuleType, tmp_path: Path) -> None:
    assets = {"VOCABULARY": functions.VOCABULARY, "clean": functions.clean, "LIMIT": functions.LIMIT}
    written(tmp_path, functions.uses_assets, assets)
    assert run(tmp_path, {"instances": [" GOOD", "odd"]}) == {"instances": [1, 3]}
    assert not (tmp_path / "assets").exists()


def test_objects_of_classes_that_only_the_notebook_knows_go_along(functions: ModuleType, tmp_path: Path) -> None:
    assert "numpy" in written(tmp_path, functions.uses_object, {"scaler": functions.scaler})
    assert (tmp_path / "code" / "sample_functions.py").is_file()
    assert run(tmp_path, {"instances": [1.0, 2.0]}) == {"instances": [2.0, 4.0]}


def test_fitted_objects_say_which_library_they_need(functions: ModuleType, tmp_path: Path) -> None:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit([[0.0], [2.0]])
    modules = written(tmp_path, functions.uses_object, {"scaler": scaler})
    assert "sklearn" in modules
    assert "cloudpickle" not in modules


def test_a_function_may_keep_a_global(functions: ModuleType, tmp_path: Path) -> None:
    written(tmp_path, functions.counts)
    assert run(tmp_path, {"instances": []}) == {"instances": []}


def test_a_module_beside_the_notebook_goes_along(functions: ModuleType, tmp_path: Path) -> None:
    def preprocess(inputs: dict[str, list[str]]) -> dict[str, list[str]]:
        return {"instances": [sample_functions.clean(x) for x in inputs["instances"]]}  # type: ignore[name-defined]  # noqa: F821

    preprocess.__globals__["sample_functions"] = functions
    try:
        written(tmp_path, preprocess)
    finally:
        del preprocess.__globals__["sample_functions"]
    assert run(tmp_path, {"instances": [" A"]}) == {"instances": ["a"]}


FACTOR = 3


@pytest.mark.parametrize(
    "function",
    [
        lambda inputs: {"instances": [FACTOR * x for x in inputs["instances"]]},
        partial(lambda factor, inputs: {"instances": [factor * x for x in inputs["instances"]]}, 3),
        Multiply(3),
        Multiply(3).apply,
    ],
)
def test_what_has_no_text_of_its_own_goes_as_a_pickle(function: object, tmp_path: Path) -> None:
    written(tmp_path, function)
    assert "preprocess = _asset(" in (tmp_path / "transformer.py").read_text()
    assert run(tmp_path, {"instances": [1, 2]}) == {"instances": [3, 6]}


def test_a_lambda_sees_the_assets(tmp_path: Path) -> None:
    written(tmp_path, lambda inputs: {"instances": [FACTOR * x for x in inputs["instances"]]}, {"FACTOR": 10})
    assert run(tmp_path, {"instances": [1, 2]}) == {"instances": [10, 20]}


def test_a_closure_takes_along_what_it_closes_over(functions: ModuleType, tmp_path: Path) -> None:
    written(tmp_path, functions.make_closure())
    assert run(tmp_path, {"instances": [1]}) == {"instances": [42]}


def test_a_function_without_source_goes_as_a_pickle(tmp_path: Path) -> None:
    space: dict[str, object] = {}
    exec("def preprocess(inputs): return {'sum': sum(inputs['instances'])}", space)
    written(tmp_path, space["preprocess"])
    assert run(tmp_path, {"instances": [1, 2]}) == {"sum": 3}


@pytest.mark.parametrize(("function", "message"), [("text", "is a str"), (dict, "is a type"), (None, "is a NoneType")])
def test_only_what_can_be_called_can_be_written(function: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        check_callable(function, "preprocess")
    assert "def preprocess(inputs)" in caught.value.hint


def test_an_asset_that_cannot_be_pickled_is_told(functions: ModuleType, tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as file, pytest.raises(InvalidInputError, match="scaler, a TextIOWrapper"):
        written(tmp_path, functions.uses_object, {"scaler": file})


@pytest.mark.parametrize("name", ["not a name", "class", "", "a.b", "a\nimport os"])
def test_an_assets_name_must_be_one(functions: ModuleType, name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="not a valid Python identifier"):
        written(tmp_path, functions.uses_imports, {name: 1})


def test_swapped_names_are_refused(tmp_path: Path) -> None:
    def one(inputs: JSON) -> JSON:
        return inputs

    def two(inputs: JSON) -> JSON:
        return inputs

    with pytest.raises(InvalidInputError, match="share or swap"):
        written(tmp_path, one, {"one": two, "two": one})


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(x): return [y + z for y in x]", {"z"}),
        ("def f(x: A, *, k: B = c) -> C: y: D = x; return y", {"c"}),
        ("@decorate\ndef f(x): return f(x - 1) + len(x)", {"decorate"}),
        ("def f(x):\n  import os\n  def g(): return os.path, h\n  return g", {"h"}),
        ("async def f(x): return await g(x)", {"g"}),
        ("class K(Base):\n  a = b\n  def m(self): return self.a, c, K", {"Base", "b", "c"}),
        ("def f(x):\n  try: pass\n  except E as e: raise e\n  with o() as p: return p", {"E", "o"}),
    ],
)
def test_open_names(source: str, names: set[str]) -> None:
    assert open_names(source) == names


_CELLS = '''
cells = [
    "import numpy as np\\nfrom string import punctuation as marks\\nthreshold = 0.5\\ntable = np.ones(2)",
    "def helper(x):\\n    return float(np.round(x))",
    """def preprocess(inputs):
    assert '!' in marks
    return {**inputs, "instances": [helper(x) * float(table[0]) > threshold for x in inputs["instances"]]}""",
    """from pathlib import Path
from kale_serve_ext.source.functional import write_module
write_module(Path(FOLDER), "transformer", {"preprocess": preprocess}, {}, assets_field="transformer_assets")""",
]
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns["FOLDER"] = sys.argv[1]
for cell in cells:
    shell.run_cell(cell, store_history=True).raise_error()
'''


def test_cells_of_a_notebook_are_written_out(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    script = tmp_path / "cells.py"
    script.write_text(f"import sys\n{_CELLS}")
    subprocess.run([sys.executable, script, folder], check=True, capture_output=True, text=True)
    assert "from string import punctuation as marks\n" in (folder / "transformer.py").read_text()
    assert run(folder, {"instances": [0.2, 0.9]}) == {"instances": [False, True]}
