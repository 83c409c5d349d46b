"""The server process stays light and never loads what could run a user's pickle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from kale_serve_ext.config import Settings

FORBIDDEN = {"kserve", "pandas", "joblib", "cloudpickle", "sklearn", "xgboost", "lightgbm", "ml_metadata", "kubernetes"}
LATE = {"pydantic", "grpc", "httpx", "numpy", "psutil"}
"""What a server without our panel has no use for; JupyterLab's own parts are not loaded in these tests."""

LOAD = """
import json, sys
from jupyter_server.serverapp import ServerApp
server = ServerApp.instance(jpserver_extensions={extensions!r})
server.initialize(["--ServerApp.port=0", "--ServerApp.token=t", "--allow-root"], find_extensions=False)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def test_loading_the_extension_loads_nothing_heavy(settings: Settings, tmp_path: Path) -> None:
    bare = loaded(LOAD.format(extensions={}), tmp_path)
    extended = loaded(LOAD.format(extensions={"kale_serve_ext": True}), tmp_path)
    assert "kale_serve_ext" in extended - bare
    assert not (extended - bare) & (FORBIDDEN | LATE)


def loaded(script: str, tmp_path: Path) -> set[str]:
    """The modules that a process which runs ``script`` has at its end."""
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **folders, "JUPYTER_NO_CONFIG": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
