"""Every notebook of the gallery says what to install for it, and is committed without outputs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import nbformat
import pytest

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"
NOTEBOOKS = sorted(GALLERY.glob("*.ipynb"))
INSTALL = "# %pip install "
COMES_ALONG = {"IPython", "kale", "numpy"}
"""What this package depends on, or is."""
PACKAGES = {
    "keras": "tensorflow",
    "mlflow": "mlflow-skinny",
    "sklearn": "scikit-learn",
    "tokenizers": "transformers",
}
"""The distribution that brings a module, where its name is another."""


def code(path: Path) -> list[str]:
    cells: list[str] = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    return cells


def imported(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 8


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_its_first_cell_installs_what_it_imports(self, path: Path) -> None:
        first, *others = code(path)
        line = first.splitlines()[-1]
        assert line.startswith(INSTALL)
        named = set(line.removeprefix(INSTALL).split())
        needed = {PACKAGES.get(name, name) for name in imported("\n".join(others)) - COMES_ALONG}
        assert needed <= named

    def test_its_last_cell_deletes_each_service_that_it_serves(self, path: Path) -> None:
        cells = code(path)
        served = {
            target.id
            for node in ast.walk(ast.parse("\n".join(cells)))
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id == "serve"
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        assert served
        assert set(cells[-1].splitlines()) == {f"{name}.delete()" for name in served}

    def test_it_has_no_outputs(self, path: Path) -> None:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in cells)
