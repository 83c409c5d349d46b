"""MLflow's folders, read by their ``MLmodel`` file alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kale_serve_ext.engines.local.servers.layout import Layout, look
from kale_serve_ext.engines.local.servers.mlserver import layout
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.formats import find
from kale_serve_ext.formats.mlflow import FORMAT
from kale_serve_ext.formats.mlflowmodel import MLmodelError, read
from kale_serve_ext.ml import JSON, Signature, TensorSpec

COLUMNS: list[dict[str, JSON]] = [
    {"type": "double", "name": "age", "required": True},
    {"type": "string", "name": "city", "required": True},
    {"type": "integer", "name": "visits", "required": False},
]
TENSOR: list[dict[str, JSON]] = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}}]


def written(folder: Path, inputs: list[dict[str, JSON]] | None, flavor: str = "python_function") -> Path:
    """A folder as MLflow writes it, without the model itself."""
    folder.mkdir()
    signature = f"signature:\n  inputs: '{json.dumps(inputs)}'\n" if inputs is not None else ""
    (folder / "MLmodel").write_text(
        f"flavors:\n  {flavor}:\n    python_version: 3.11.7\n  sklearn:\n    code: null\n"
        f"mlflow_version: 3.1.0\n{signature}"
    )
    (folder / "requirements.txt").write_text("scikit-learn==1.6.0\n# why\ncloudpickle\n--index-url https://a:b@c/\n")
    (folder / "model.pkl").write_bytes(b"\x80\x04N.")
    return folder


def test_columns_are_inputs_by_name(tmp_path: Path) -> None:
    folder = written(tmp_path / "artifacts", COLUMNS)
    assert find(folder).format is FORMAT
    assert FORMAT.check(folder) == []
    assert FORMAT.path_signature(folder) == Signature(
        input_dtype="",
        inputs=(
            TensorSpec("age", "float64", [-1]),
            TensorSpec("city", "str", [-1]),
            TensorSpec("visits", "int32", [-1]),
        ),
    )
    assert FORMAT.path_details(folder) == {
        "flavors": ["sklearn"],
        "mlflow_version": "3.1.0",
        "optional_columns": ["visits"],
        "requirements": ["scikit-learn==1.6.0", "cloudpickle"],
    }
    assert {"scikit-learn", "cloudpickle"} <= set(FORMAT.packages_in(folder, None))


def test_tensors_are_inputs_with_the_names_of_mlserver(tmp_path: Path) -> None:
    found = read(written(tmp_path / "a", TENSOR))
    assert found.inputs == (TensorSpec("input-0", "float32", [-1, 28, 28]),)
    assert not found.is_table
    named: list[dict[str, JSON]] = [{**TENSOR[0], "name": "image"}]
    assert read(written(tmp_path / "b", named)).inputs[0].name == "image"


@pytest.mark.parametrize("inputs", [None, [{"type": "binary", "name": "picture"}], [{"type": "double"}]])
def test_without_a_signature_that_has_a_form_nothing_is_said(
    tmp_path: Path, inputs: list[dict[str, JSON]] | None
) -> None:
    assert FORMAT.path_signature(written(tmp_path / "model", inputs)) is None


def test_broken_folders_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "model", COLUMNS, flavor="mleap")
    assert FORMAT.check(folder) == [
        "It has no flavor python_function, by which models of MLflow are asked. It has mleap, sklearn."
    ]
    (folder / "MLmodel").write_text("flavors: [")
    with pytest.raises(MLmodelError, match="is no YAML"):
        read(folder)
    (folder / "MLmodel").write_text("!!python/object/apply:os.system [true]")
    with pytest.raises(MLmodelError, match="has no flavor"):
        read(folder)
    (folder / "MLmodel").unlink()
    with pytest.raises(MLmodelError, match="no file MLmodel"):
        read(folder)


def test_mlserver_gets_the_whole_folder(tmp_path: Path) -> None:
    folder = written(tmp_path / "model", COLUMNS)
    made = layout(look("flowers", "mlflow", folder))
    assert isinstance(made, Layout)
    assert made.links == {"flowers/model": ""}
    assert json.loads(made.files["flowers/model-settings.json"]) == {
        "name": "flowers",
        "implementation": "mlserver_mlflow.MLflowRuntime",
        "parameters": {"uri": "./model"},
    }
    with pytest.raises(InvalidInputError, match="no file at its top ends in"):
        layout(look("trees", "catboost", folder))


ALIASES = "a: &a [x, x]\nb: &b [*a, *a]\nflavors: {python_function: {}}\nmlflow_version: *b\n"
MERGED = "a: {x: y}\nflavors: {python_function: {<<: {python_version: '3'}}}\nmlflow_version: [3, 1]\n"


def test_a_description_cannot_grow(tmp_path: Path) -> None:
    folder = written(tmp_path / "model", COLUMNS)
    (folder / "MLmodel").write_text(ALIASES)
    with pytest.raises(MLmodelError, match="has aliases"):
        read(folder)
    (folder / "MLmodel").write_text(MERGED)
    found = read(folder)
    assert (found.version, found.python_version) == ("", "")
    (folder / "MLmodel").write_text("# " + "x" * (1 << 20))
    with pytest.raises(MLmodelError, match="larger than 1 MiB"):
        read(folder)
    # Numbers by sixties take the square of their length; they are texts here.
    (folder / "MLmodel").write_text(f"flavors: {{python_function: {{}}}}\nmlflow_version: 1{':10' * 300_000}\n")
    assert len(read(folder).version) == 900_001


@pytest.mark.parametrize("name", ["MLmodel", "requirements.txt"])
def test_what_never_ends_is_not_read(tmp_path: Path, name: str) -> None:
    for kind in ("device", "pipe"):
        folder = written(tmp_path / kind, COLUMNS)
        (folder / name).unlink()
        if kind == "device":
            (folder / name).symlink_to("/dev/zero")
        else:
            os.mkfifo(folder / name)
        if name == "MLmodel":
            with pytest.raises(MLmodelError, match="no file MLmodel"):
                read(folder)
        else:
            assert read(folder).requirements == ()
