"""Every notebook of the gallery runs from top to bottom, with its own assertions, and leaves no service behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kale_serve_ext import session
from kale_serve_ext.config import Settings
from kale_serve_ext.sync import run

GALLERY = Path(__file__).parents[2] / "examples" / "gallery"
ENVIRONMENTS = {"onnx-triton": "triton", "pmml": "pmml"}
"""What the product installs for a notebook's runtime, and not every machine can have."""


@pytest.mark.parametrize("name", sorted(path.stem for path in GALLERY.glob("*.ipynb")))
def test_a_notebook_of_the_gallery_runs(workspace: Settings, needs: Callable[[str], object], name: str) -> None:
    if name in ENVIRONMENTS:
        needs(ENVIRONMENTS[name])
    notebook = nbformat.read(GALLERY / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(GALLERY)}}
    left: list[str] = []
    try:
        NotebookClient(notebook, timeout=300, startup_timeout=300, resources=resources).execute()
    finally:
        for one in run(session.engine().services()):
            left.append(one.ref.name)
            run(session.engine().delete(one.ref.name))
    assert left == []
