"""The worked example runs from top to bottom, with its own assertions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, serve
from kale_serve_ext.config import Settings

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


def test_the_quickstart_runs_and_leaves_a_service_that_answers(settings: Settings) -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)

    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(QUICKSTART.parent)}}).execute()

    endpoint = Endpoint("iris-species")
    try:
        assert endpoint.phase == "Ready"
        assert endpoint.predict([[5.9, 3.0, 5.1, 1.8]]) == {"predictions": ["virginica"]}
        # Its last step: another version under the same name.
        measured = load_iris()
        other = LogisticRegression(C=0.5, max_iter=1000).fit(measured.data, measured.target)
        served = serve(Model(other, name="iris", version="1.1.0").submit_artifact(), name="iris-species")
        assert served.plan is not None
        assert served.plan.changes == ("model iris 1.0.0 → 1.1.0",)
        assert endpoint.predict([[5.9, 3.0, 5.1, 1.8]]) == {"predictions": ["virginica"]}
    finally:
        endpoint.delete()


def test_the_quickstart_is_committed_without_outputs() -> None:
    # As git has it: whoever tried the example with `make lab` has outputs in the file.
    command = ["git", "show", f"HEAD:./{QUICKSTART.name}"]
    committed = subprocess.run(command, cwd=QUICKSTART.parent, capture_output=True, text=True, check=True)
    notebook = nbformat.reads(committed.stdout, as_version=4)

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert not any(cell.outputs or cell.execution_count for cell in cells)
