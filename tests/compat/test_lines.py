"""The original's own lines, as they were published, in a fresh kernel; with and without kubeflow-kale beside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from kale_serve_ext import Endpoint
from kale_serve_ext.config import Settings

TRAIN = """
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

texts = ["rocket orbit moon", "orbit launch rocket", "goal match team", "team goal score"]
vectorizer = TfidfVectorizer().fit(texts)
model = LogisticRegression().fit(vectorizer.transform(texts).toarray(), ["space", "space", "sport", "sport"])
"""

FOLDER = """
import json, pathlib
folder = pathlib.Path("vectorizer")
folder.mkdir()
(folder / "vocabulary.json").write_text(json.dumps({w: int(i) for w, i in vectorizer.vocabulary_.items()}))
(folder / "idf.json").write_text(json.dumps(list(vectorizer.idf_)))
(folder / "transformer.py").write_text('''
import json, pathlib
import numpy as np

HERE = pathlib.Path(__file__).parent
VOCABULARY = json.loads((HERE / "vocabulary.json").read_text())
IDF = np.array(json.loads((HERE / "idf.json").read_text()))

def preprocess(inputs):
    rows = []
    for text in inputs["instances"]:
        row = np.zeros(len(VOCABULARY))
        for word in text.split():
            if word in VOCABULARY:
                row[VOCABULARY[word]] += 1
        row *= IDF
        rows.append((row / (np.linalg.norm(row) or 1)).tolist())
    return {"instances": rows}
''')
"""

# One cell each; where the published lines had `...` for a folder, and two names that they take for granted, it is said.
LINES = [
    "from kale.common import artifacts",
    "from kale.common.artifacts import Model",
    'transformer_artifact = artifacts.Transformer(name="Vectorizer", transformer_dir="vectorizer")',
    "transformer_artifact.submit_artifact()",
    'model_artifact = Model(model=model, description="My model", version="1.0.0", author="Kale",'
    ' tags={"stage": "development"})',
    "model_artifact.submit_artifact()",
    "from kale.serve import serve",
    "model_artifact_id, transformer_artifact_id = model_artifact.id, transformer_artifact.id",
    "isvc = serve(model_artifact_id, transformer_artifact_id)",
    "from kale.serve import Endpoint",
    'model_server_name, features = isvc.name, ["moon rocket", "team match"]',
    "endpoint = Endpoint(model_server_name)",
    "predictions = endpoint.predict(features)",
    "import json, sys; print(json.dumps([model_server_name, predictions, 'kfp' in sys.modules]))",
]


def test_the_published_lines_run_in_a_fresh_kernel(settings: Settings, tmp_path: Path) -> None:
    name, predictions, kubeflow = _run_lines(Path(sys.executable), tmp_path)

    try:
        assert predictions == {"predictions": ["space", "sport"]}
        assert not kubeflow
    finally:
        Endpoint(name).delete()


def test_the_published_lines_run_beside_kubeflow_kale(
    settings: Settings, tmp_path: Path, kubeflow_environment: Path
) -> None:
    name, predictions, kubeflow = _run_lines(kubeflow_environment / "python", tmp_path)

    try:
        assert predictions == {"predictions": ["space", "sport"]}
        assert kubeflow, "kubeflow-kale's own package was not the parent of our names"
    finally:
        Endpoint(name).delete()


def test_the_import_lines_run_under_every_python(run_bare: Callable[[str], str]) -> None:
    program = "\n".join(line for line in LINES if line.startswith("from kale")) + "\nfrom kale.ml import Signature\n"

    assert run_bare(program) == ""


def test_kubeflow_kale_still_compiles_a_notebook(
    tmp_path: Path, kubeflow_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "kubeflow_notebook": {"experiment_name": "compat", "pipeline_name": "compat", "volumes": []},
        }
    )
    for source, tags in [
        ("from kale.serve import serve\nimport random", ["imports"]),
        ("x = random.random()", ["step:draw"]),
        ("print(x)", ["step:show", "prev:draw"]),
    ]:
        notebook.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
    nbformat.write(notebook, tmp_path / "pipeline.ipynb")
    monkeypatch.setenv("HOSTNAME", "notebook-0")

    command = [str(kubeflow_environment / "kale"), "--nb", "pipeline.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    (pipeline,) = tmp_path.glob(".kale/*.yaml")
    assert {"draw-step", "show-step"} <= set(pipeline.read_text().replace(":", "").split())


def _run_lines(python: Path, folder: Path) -> tuple[str, object, bool]:
    """Run the lines in a kernel of this interpreter: the service's name, the predictions, whether kfp got loaded."""
    kernels = folder / "kernels"
    spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "fresh"}
    (kernels / "fresh").mkdir(parents=True)
    (kernels / "fresh" / "kernel.json").write_text(json.dumps({**spec, "language": "python"}))
    manager = AsyncKernelManager(
        kernel_name="fresh",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(kernels)], ensure_native_kernel=False),
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in [TRAIN, FOLDER, *LINES]])
    NotebookClient(notebook, km=manager, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    (printed,) = [output for output in notebook.cells[-1].outputs if output.name == "stdout"]
    name, predictions, kubeflow = json.loads(printed.text)
    return name, predictions, kubeflow
