"""Where code runs is told from its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kale_serve_ext.metadata import schema
from kale_serve_ext.metadata.provenance import Provenance, here

_TELL = """
import dataclasses, json
from kale_serve_ext.metadata.provenance import here
print(json.dumps(dataclasses.asdict(here())))
"""


def test_a_script_tells_its_path(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(_TELL)
    told = json.loads(subprocess.run([sys.executable, str(script)], check=True, capture_output=True).stdout)
    assert told == {"kind": "script", "name": str(script), "run": "", "step": ""}
    told = json.loads(subprocess.run([sys.executable, "-c", _TELL], check=True, capture_output=True).stdout)
    assert told["name"] == "interactive"


def test_a_notebook_tells_its_path_and_kernel() -> None:
    from jupyter_client.manager import start_new_kernel

    environ = os.environ | {"JPY_SESSION_NAME": "work/iris.ipynb"}
    manager, client = start_new_kernel(kernel_name="python3", env=environ)
    try:
        told: list[str] = []
        client.execute_interactive(
            _TELL, timeout=60, output_hook=lambda message: told.append(message["content"].get("text", ""))
        )
        found = json.loads("".join(told))
        assert (found["kind"], found["name"]) == ("notebook", "work/iris.ipynb")
        assert found["run"]
        assert found["run"] in Path(manager.connection_file).stem
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {
                "KFP_POD_NAME": "train-7xkq2-system-container-impl-123",
                "ARGO_NODE_ID": "train-7xkq2-123",
                "ARGO_TEMPLATE": json.dumps({"name": "fit"}),
            },
            Provenance("pipeline", "train-7xkq2", run="train-7xkq2", step="fit"),
        ),
        (
            {"KFP_POD_NAME": "train-7xkq2-system-container-impl-123"},
            Provenance("pipeline", "train-7xkq2", run="train-7xkq2", step="train-7xkq2-system-container-impl-123"),
        ),
        (
            {"KFP_RUN_ID": "0b9c", "KFP_RUN_NAME": "Nightly", "KFP_POD_NAME": "p", "ARGO_TEMPLATE": "no json"},
            Provenance("pipeline", "Nightly", run="0b9c", step="p"),
        ),
    ],
)
def test_a_pipelines_step_tells_its_run(
    environ: dict[str, str], expected: Provenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KFP_POD_NAME", "KFP_RUN_ID", "KFP_RUN_NAME", "ARGO_NODE_ID", "ARGO_TEMPLATE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert here() == expected


def test_a_context_has_a_name_that_the_database_keeps() -> None:
    long = [schema.place(Provenance("script", "/d" * 500 + end), 1) for end in ("a", "b", "a")]
    assert all(len(context.name) == 255 for context in long)
    assert long[0].name == long[2].name != long[1].name
    assert schema.place(Provenance("notebook", "a.ipynb", run="k"), 1).name == "a.ipynb#k"
