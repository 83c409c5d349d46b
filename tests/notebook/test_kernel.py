"""In a fresh kernel: the published lines, word for word, the progress that is shown, and the magics."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from kale_serve_ext.config import Settings

Outputs = list[Mapping[str, object]]
Run = Callable[[str], Outputs]

PREPARE = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

features, target = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=500).fit(features.to_numpy(), target)
"""
TRANSFORMER = """
import json
from pathlib import Path

WORDS = json.loads(Path(__file__).with_name("words.json").read_text())


def preprocess(inputs):
    return {**inputs, "instances": [list(row.values()) for row in inputs["instances"]]}


def postprocess(outputs):
    return {**outputs, "words": [WORDS[p] for p in outputs["predictions"]]}
"""


@pytest.fixture(scope="module")
def cell(workspace: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs a cell in one kernel for this module; its outputs. An error in it is raised."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "vectorizer").mkdir()
    (folder / "vectorizer" / "transformer.py").write_text(TRANSFORMER)
    (folder / "vectorizer" / "words.json").write_text('["setosa", "versicolor", "virginica"]')
    notebook = nbformat.v4.new_notebook()
    client = NotebookClient(notebook, timeout=170, kernel_name="python3", resources={"metadata": {"path": str(folder)}})

    def run_cell(source: str) -> Outputs:
        made = nbformat.v4.new_code_cell(dedent(source).strip())
        notebook.cells.append(made)
        client.execute_cell(made, len(notebook.cells) - 1)
        outputs: Outputs = made.outputs
        return outputs

    with client.setup_kernel():
        run_cell(PREPARE)
        yield run_cell


def text(outputs: Outputs) -> str:
    """All that a cell printed, and its value as plain text."""
    found = []
    for output in outputs:
        data = output.get("data")
        found.append(str(data.get("text/plain", "")) if isinstance(data, dict) else str(output.get("text", "")))
    return "\n".join(found)


def html(outputs: Outputs) -> str:
    return "\n".join(str(d.get("text/html", "")) for o in outputs if isinstance(d := o.get("data"), dict))


def test_the_published_lines(cell: Run) -> None:
    cell(
        """
        from kale.common import artifacts
        from kale.common.artifacts import Model
        transformer_artifact = artifacts.Transformer(name="Vectorizer", transformer_dir="vectorizer")
        transformer_artifact.submit_artifact()
        model_artifact = Model(
            model=model, description="My model", version="1.0.0", author="Kale", tags={"stage": "development"}
        )
        model_artifact.submit_artifact()
        model_artifact_id, transformer_artifact_id = model_artifact.id, transformer_artifact.id
        """
    )
    shown = cell(
        """
        from kale.serve import serve
        isvc = serve(model_artifact_id, transformer_artifact_id)
        """
    )
    cell("model_server_name = isvc.name")
    told = cell(
        """
        from kale.serve import Endpoint
        endpoint = Endpoint(model_server_name)
        predictions = endpoint.predict(features)
        endpoint
        """
    )

    # One output, updated in place, that ends with every step done.
    assert len(shown) == 1
    assert "Ready" in html(shown)
    assert "Answer requests" in html(shown)
    assert 'data-state="active"' not in html(shown)
    assert re.search(r"logistic-regression: Ready \(\d+\.\d s\)", text(shown))
    assert "InferenceService logistic-regression: Ready" in text(told)
    assert "Vectorizer" in html(told)
    same = cell("predictions['predictions'] == model.predict(features.to_numpy()).tolist(), predictions['words'][:1]")
    assert text(same) == "(True, ['setosa'])"


def test_it_works_inside_the_kernels_own_loop(cell: Run) -> None:
    same = cell("(await endpoint.predict_async(features)) == predictions")

    assert text(same) == "True"


def test_magics_serve_and_ask(cell: Run) -> None:
    cell("%load_ext kale_serve_ext")
    made = cell("%serve model_artifact --name by-magic")
    listed = cell("%services")
    logged = cell("%service_logs by-magic --tail 5")
    by_json = cell('%%predict by-magic\n{"instances": [[5.1, 3.5, 1.4, 0.2]]}')
    by_expression = cell("%%predict by-magic\nfeatures.to_numpy()[:2]")

    assert "InferenceService by-magic: Ready" in text(made)
    assert re.search(r"^by-magic +Ready +LogisticRegression 1\.0\.0 +http://127\.0\.0\.1:", text(listed), re.MULTILINE)
    assert "<table" in html(listed)
    assert isinstance(logged, list)
    # As text: of JSON, JupyterLab shows a tree that is folded.
    assert [list(output["data"]) for output in by_json] == [["text/plain"]]  # type: ignore[call-overload]  # a bundle
    assert text(by_json) == '{"predictions": [0]}'
    assert text(by_expression) == '{"predictions": [0, 0]}'


def test_the_plans_warnings_and_the_recorded_rows_are_shown_with_the_progress(cell: Run) -> None:
    cell(
        """
        from kale.common.artifacts import Model

        recorded = Model(model, name="recorded", example=features.to_numpy()).submit_artifact()
        limited = {"limits": {"nvidia.com/gpu": "1"}}
        %load_ext kale_serve_ext
        """
    )
    made = cell("%serve recorded --name recorded --verify require --config limited")
    assert re.search(r"⚠</span> [^<]*nvidia.com/gpu", html(made))
    assert "20 recorded rows answered as in the notebook" in html(made)
    assert "✓ 20 recorded rows answered as in the notebook" in text(made)

    made = cell("%serve recorded --name recorded --method predict_proba")
    assert "recorded rows answered" not in html(made)
    likely = cell("endpoint = Endpoint('recorded'); endpoint.service.method, endpoint.verify()")
    assert "predict_proba" in text(likely)
    assert "the answers of predict are recorded, and predict_proba answers" in text(likely)
    cell("endpoint.delete()")


def test_a_cell_becomes_a_transformer(cell: Run) -> None:
    cell("factor = 10.0")
    made = cell(
        """
        %%transformer shrink --asset factor
        def preprocess(inputs):
            return {**inputs, "instances": [shrink(row) for row in inputs["instances"]]}

        def shrink(row):
            return [value / factor for value in row]
        """
    )
    cell("%serve model_artifact --transformer shrink --name shrunk")
    answer = cell("Endpoint('shrunk').predict((features * 10).to_numpy())['predictions'] == predictions['predictions']")

    assert "shrink" in text(made)
    assert text(cell("preprocess({'instances': [[10.0]]})")) == "{'instances': [[1.0]]}"
    assert text(answer) == "True"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("%serve", "the following arguments are required: model"),
        ("%serve nothing_like_it", "neither a variable, nor an id, nor the name of a logged Model"),
        ("%serve model", "is a LogisticRegression, not a submitted artifact"),
        ("%serve 999999", "There is no artifact 999999"),
        ("%serve model_artifact --name Illegal", "not a valid InferenceService name"),
        ("%serve model_artifact --protocol v9", "invalid choice"),
        ("%serve model_artifact --config }{", "neither JSON nor a Python expression"),
        ("%serve model_artifact --config nothing_like_it", "name 'nothing_like_it' is not defined"),
        ("%service_logs by-magik", "Did you mean 'by-magic'"),
        ("%%predict by-magic\n", "cell body is empty"),
        ("%%predict by-magic\n \n", "the cell is empty"),
        ("%%predict by-magic\n{]", "neither JSON nor a Python expression"),
        ("%%transformer t\nx = 1", "defines neither a function preprocess nor postprocess"),
        ("%%transformer t\ndef preprocess(:", "not valid Python"),
        ("%%transformer t --asset gone\ndef preprocess(i): return i", "no variable 'gone'"),
        ("%%transformer t\ndef preprocess(i): return undefined_thing(i)", "undefined_thing"),
        ('%serve "unclosed', "No closing quotation"),
    ],
)
def test_bad_use_gets_one_clear_line(cell: Run, source: str, told: str) -> None:
    cell("import sys\nsys.last_value = None")
    program = f"get_ipython().run_cell({source!r});"
    printed = text(cell(program))

    assert "UsageError" in printed or "error:" in printed
    assert told in printed
    assert "Traceback" not in printed


def test_an_error_tells_what_is_wrong_and_where_it_was_asked(cell: Run) -> None:
    with pytest.raises(CellExecutionError) as raised:
        cell(
            """
            from kale.serve import Endpoint
            def ask(name):
                return Endpoint(name).predict([[1.0]])
            ask("nobody")
            """
        )
    shown = raised.value.traceback.rpartition("------------------")[2].strip()
    assert re.match(r"NotFoundError: .*'nobody'", shown), shown
    assert "return Endpoint(name).predict([[1.0]])" in shown
    assert 'ask("nobody")' in shown
    assert "kale_serve_ext" not in shown


@pytest.mark.parametrize("magic", ["%serve", "%services", "%service_logs", "%%transformer", "%%predict"])
def test_help_is_there(cell: Run, magic: str) -> None:
    told = text(cell(f"{magic} --help\n1" if magic.startswith("%%") else f"{magic} --help"))

    assert told.startswith(f"Usage: {magic}")
    assert len(told.splitlines()) >= 3


def test_names_of_services_are_completed(cell: Run) -> None:
    program = "get_ipython().complete('by', {line!r}, {at})[1]"
    line = "%service_logs by"

    assert "by-magic" in text(cell(program.format(line=line, at=len(line))))


def test_the_deprecated_api_still_serves(cell: Run) -> None:
    out = cell(
        """
        import json, warnings
        from kale.common import serveutils

        def shift(inputs):
            return {**inputs, "instances": [[v - offset for v in row] for row in inputs["instances"]]}

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            server = serveutils.serve(
                model, name="legacy", preprocessing_fn=shift, preprocessing_assets={"offset": 1.0}
            )
        rows = (features.to_numpy() + 1.0).tolist()
        answer = server.predict(json.dumps({"instances": rows}))
        same = answer["predictions"] == predictions["predictions"]
        kinds = {w.category.__name__ for w in caught}
        spec = serveutils.get_inference_service("legacy")["spec"]["predictor"]["model"]["modelFormat"]["name"]
        phase = serveutils.monitor_inference_service("legacy").phase
        shown = "legacy" in server._repr_html_()
        server.delete()
        print(same, "DeprecationWarning" in kinds, spec, phase, shown)
        """
    )

    assert "True True sklearn Ready True" in text(out)


def test_a_folder_of_nothing_is_told(cell: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = cell(
        f"""
        from kale_serve_ext.errors import InvalidInputError
        try:
            artifacts.Transformer(name="none", transformer_dir={str(tmp_path / "empty")!r}).submit_artifact()
        except InvalidInputError as error:
            print(error.message)
        """
    )

    assert "holds no transformer.py" in text(out)
