"""The imports of a folder of code, checked against the interpreter that will run it."""

from __future__ import annotations

import asyncio
import sys
import venv
from pathlib import Path

import pytest

from kale_serve_ext.engines.base import Check, Runtime
from kale_serve_ext.engines.local.engine import LocalEngine
from kale_serve_ext.engines.local.imports import check_modules
from kale_serve_ext.engines.local.interpreters import missing_modules
from kale_serve_ext.entities import TRANSFORMER, Artifact, Environment
from kale_serve_ext.source.needs import Needs


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with nothing but Python."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return str(folder / "bin" / "python")


def test_an_interpreter_is_asked_what_it_lacks(bare_python: str) -> None:
    async def ask() -> list[list[str]]:
        names = ["json", "numpy", "surely_not_there", "not a name"]
        return [await missing_modules(python, names) for python in (sys.executable, bare_python, sys.executable)]

    assert asyncio.run(ask()) == [["surely_not_there"], ["numpy", "surely_not_there"], ["surely_not_there"]]


def test_what_is_installed_later_is_seen(bare_python: str) -> None:
    (place,) = Path(bare_python).parent.parent.glob("lib/python*/site-packages")
    assert asyncio.run(missing_modules(bare_python, ["added"])) == ["added"]
    (place / "added.py").write_text("")
    assert asyncio.run(missing_modules(bare_python, ["added"])) == []


def test_a_missing_python_is_told_elsewhere(tmp_path: Path) -> None:
    assert asyncio.run(missing_modules(str(tmp_path / "python"), ["json"])) == []


def test_the_plan_names_module_interpreter_and_package(tmp_path: Path) -> None:
    (tmp_path / "transformer.py").write_text(
        "import json, kale_serve_ext, numpy, surely_not_there\ndef preprocess(inputs):\n    import not_there_either\n"
    )
    artifact = Artifact(
        TRANSFORMER, "mine", uri=tmp_path.as_uri(), format="functional", details={"module_name": "transformer"}
    )
    from kale_serve_ext.config import Settings

    async def checked() -> list[Check]:
        engine = LocalEngine(Settings.from_environ(), "default")
        try:
            return await engine.check(artifact, Runtime("local", "Local", ("functional",), ("v1",), sys.executable))
        finally:
            await engine.close()

    found = [c for c in asyncio.run(checked()) if c.code == "ModuleMissing"]
    assert [(c.level, c.field) for c in found] == [("warning", "runtime"), ("error", "runtime")]
    assert f"imports surely_not_there, which the Python {sys.executable} does not have" in found[1].message
    assert found[1].hint == f"Run: {sys.executable} -m pip install 'surely_not_there'"
    assert "may import not_there_either" in found[0].message


def test_distributions_are_named_and_not_told_twice() -> None:
    artifact = Artifact(TRANSFORMER, "mine", environment=Environment(packages={"scikit-learn": "1.9.1"}))
    needs = Needs(frozenset({"sklearn", "yaml", "far"}))
    checks = check_modules(artifact, "/python", needs, ["sklearn", "yaml", "far"], {"far": ["Far_Away"]})
    assert [c.hint for c in checks] == [
        "Run: /python -m pip install 'Far_Away'",
        "Run: /python -m pip install 'PyYAML'",
    ]
