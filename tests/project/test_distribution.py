"""What the wheel holds, and where its version comes from."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import kale_serve_ext

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed() -> list[str]:
    """Paths of the installed wheel's files, below the environment or its site-packages."""
    try:
        files = [str(file) for file in distribution("kale-serve-ext").files or ()]
    except PackageNotFoundError:
        files = []
    if "kale_serve_ext/__init__.py" not in files:
        pytest.skip("the product is not installed from its wheel: `make test` does that")
    return files


def test_the_version_is_that_of_package_json() -> None:
    assert kale_serve_ext.__version__ == json.loads((ROOT / "package.json").read_text("utf-8"))["version"]


def test_the_wheel_brings_the_panel_its_server_and_the_hook(installed: list[str]) -> None:
    panel = "share/jupyter/labextensions/kale-serve-ext/"
    for wanted in (
        f"{panel}package.json",
        f"{panel}install.json",
        f"{panel}static/style.js",
        "etc/jupyter/jupyter_server_config.d/kale_serve_ext.json",
        "kale_serve_ext/py.typed",
        "kale_serve_ext/server/openapi.json",
    ):
        assert any(file.endswith(wanted) for file in installed), wanted
    assert "kale_serve_ext.pth" in installed
    assert "kale_serve_ext_hook.py" in installed


def test_the_wheel_puts_nothing_where_kubeflow_kale_lives(installed: list[str]) -> None:
    assert not [file for file in installed if file.startswith("kale/")]


def test_the_wheel_has_no_sources_of_the_panel_and_no_tests(installed: list[str]) -> None:
    assert not [file for file in installed if file.startswith(("tests/", "src/", "node_modules/", "scripts/"))]


def test_the_public_names_are_those_that_are_promised() -> None:
    assert sorted(kale_serve_ext.__all__) == [
        "Dataset",
        "Endpoint",
        "Model",
        "ServeConfig",
        "Signature",
        "TensorSpec",
        "Transformer",
        "__version__",
        "serve",
    ]
    for name in kale_serve_ext.__all__:
        assert getattr(kale_serve_ext, name) is not None


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["grpc", "google.protobuf", "httpx", "kserve", "numpy", "pandas", "pydantic", "sklearn", "tornado"]
    program = f"import kale_serve_ext, sys\nprint([name for name in {heavy} if name in sys.modules])"

    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert out == "[]\n"
