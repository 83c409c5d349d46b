"""The gallery's short notebooks of this package's own runtimes run from top to bottom, with their own assertions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kale_serve_ext import Endpoint
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import NotFoundError

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"


@pytest.mark.parametrize(
    ("name", "service", "environment"),
    [
        ("function", "nearest", ""),
        ("catboost", "buyers", ""),
        ("mlflow", "diabetes", ""),
        ("pmml", "visitors", "pmml"),
    ],
)
def test_a_notebook_of_the_gallery_runs(
    workspace: Settings, needs: Callable[..., object], name: str, service: str, environment: str
) -> None:
    if environment:
        needs(environment)
    notebook = nbformat.read(GALLERY / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    try:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(GALLERY)}}).execute()
    finally:
        with suppress(NotFoundError):
            Endpoint(service).delete()
