"""Opens JupyterLab on the worked example, with the panel beside it. Arguments go on to ``jupyter lab``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from metadata import prepare_metadata
from product import VENV, install_checkout
from steps import CACHE, ROOT

EXAMPLE = "examples/quickstart.ipynb"
PANEL_ID = "kale-serve-panel"


def main(arguments: list[str]) -> None:
    """Set up what is missing, then become the Jupyter server."""
    install_checkout("examples")
    prepare_metadata(VENV / "bin")
    command = [str(VENV / "bin" / "jupyter"), "lab", f"--ServerApp.root_dir={ROOT}"]
    command += [f"--LabApp.default_url=/lab/tree/{EXAMPLE}", f"--LabApp.workspaces_dir={_workspaces()}"]
    if os.getuid() == 0:
        command.append("--allow-root")
    # The kernels' programs (and the interpreter that serves the models) are those of this environment.
    environ = {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    print("Starting JupyterLab: open the address that it prints below.", flush=True)
    os.execve(command[0], [*command, *arguments], environ)


def _workspaces() -> Path:
    """A folder of workspaces of our own, whose first one has the panel open; the user's own stay as they are."""
    folder = CACHE / "lab" / "workspaces"
    first = folder / "default-37a8.jupyterlab-workspace"
    if not first.exists():
        folder.mkdir(parents=True, exist_ok=True)
        layout = {
            "main": {
                "dock": {"type": "tab-area", "currentIndex": 0, "widgets": [f"notebook:{EXAMPLE}"]},
                "current": f"notebook:{EXAMPLE}",
            },
            "left": {"collapsed": False, "visible": True, "current": PANEL_ID, "widgets": [PANEL_ID]},
            "relativeSizes": [0.3, 0.7, 0],
        }
        notebook = {"data": {"path": EXAMPLE, "factory": "Notebook"}}
        data = {"layout-restorer:data": layout, f"notebook:{EXAMPLE}": notebook}
        first.write_text(json.dumps({"data": data, "metadata": {"id": "default"}}))
    return folder


if __name__ == "__main__":
    main(sys.argv[1:])
