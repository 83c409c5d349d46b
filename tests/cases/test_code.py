"""Situations of public reports about models that need code which only the notebook has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.cases.conftest import Served

Serve = Callable[..., Served]
Beside = Callable[[str, str], Callable[[str], Callable[..., object]]]
SHIFT = 7


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """Writes a file as if it lay beside the notebook, and gives a name of it."""
    folder = tmp_path / "beside"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    written: list[str] = []

    def write(path: str, text: str) -> Callable[[str], Callable[..., object]]:
        file = folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        module = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        written.append(module)
        return lambda name: getattr(import_module(module), name)

    yield write
    for module in written:
        sys.modules.pop(module, None)


def rows_of(rng: np.random.Generator) -> np.ndarray:
    return rng.random((40, 2)) + 1


def test_a_function_that_uses_one_of_a_file_beside_the_notebook(
    served: Serve, rng: np.random.Generator, beside: Beside
) -> None:
    """mlflow #1291, kserve PR #2004, sagemaker-scikit-learn-container #157."""
    fourfold = beside("cases_tools.py", "def fourfold(v):\n    return v * 4.0\n")("fourfold")

    def prepare(table: np.ndarray) -> object:
        return fourfold(table)

    rows = rows_of(rng)
    for function in (prepare, fourfold):
        model = make_pipeline(FunctionTransformer(function), LinearRegression()).fit(rows, rows[:, 0])
        served(model).assert_answers(rows[:2], model.predict(rows[:2]))


def test_a_class_of_a_package_with_relative_imports(served: Serve, rng: np.random.Generator, beside: Beside) -> None:
    """mlflow #1291, vetiver-python #215."""
    beside("cases_package/__init__.py", "")
    beside("cases_package/sums.py", "def fourfold(v):\n    return v * 4.0\n")
    text = (
        "from sklearn.base import BaseEstimator, TransformerMixin\n\nfrom .sums import fourfold\n\n\n"
        "class Fourfold(TransformerMixin, BaseEstimator):\n    def fit(self, X, y=None):\n        return self\n\n"
        "    def transform(self, X):\n        return fourfold(X)\n"
    )
    step = beside("cases_package/steps.py", text)("Fourfold")
    rows = rows_of(rng)
    model = make_pipeline(step(), LinearRegression()).fit(rows, rows[:, 0])

    served(model).assert_answers(rows[:2], model.predict(rows[:2]))


def test_an_import_inside_a_function(served: Serve, rng: np.random.Generator, beside: Beside) -> None:
    """mlflow #1291, fastai #3732: it is needed when the function runs, and not before."""
    beside("cases_inner.py", "def fourfold(v):\n    return v * 4.0\n")
    text = "def prepare(X):\n    from cases_inner import fourfold\n\n    return fourfold(X)\n"
    prepare = beside("cases_outer.py", text)("prepare")
    rows = rows_of(rng)
    model = make_pipeline(FunctionTransformer(prepare), LinearRegression()).fit(rows, rows[:, 0])

    served(model).assert_answers(rows[:2], model.predict(rows[:2]))


class Shifted(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step that reads a global of its module."""

    def fit(self, rows: np.ndarray, target: object = None) -> Shifted:
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        shifted: np.ndarray = rows + SHIFT
        return shifted


def test_a_class_and_a_lambda_with_a_global(served: Serve, rng: np.random.Generator) -> None:
    """vetiver-python #215, scikit-learn #22944."""
    rows = rows_of(rng)
    steps = Shifted(), FunctionTransformer(lambda table: np.log(table) + SHIFT)
    model = make_pipeline(*steps, LinearRegression()).fit(rows, rows[:, 0])

    served(model).assert_answers(rows[:2], model.predict(rows[:2]))
