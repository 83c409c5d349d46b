"""Pythons to try the import hook under, and the environment that has kubeflow-kale too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import kale_serve_ext_hook
import pytest
import typing_extensions

import kale_serve_ext

VERSIONS = ("3.10", "3.11", "3.12", "3.13")


@cache
def find_python(version: str) -> str:
    """An interpreter of this version on this machine, or empty."""
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions", Path("/opt")]
    installed = [str(path) for root in roots for path in sorted(root.glob(f"*{version}*/bin/python"))]
    for candidate in [sys.executable, shutil.which(f"python{version}"), *installed]:
        if candidate is None:
            continue
        asked = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if re.match(rf"Python {re.escape(version)}\.\d", asked.stdout):
            return candidate
    return ""


@pytest.fixture(scope="session", params=VERSIONS)
def bare_environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the package and its hook, and nothing else but typing-extensions."""
    version: str = request.param
    python = find_python(version)
    if not python:
        pytest.skip(f"no Python {version} on this machine")
    folder = tmp_path_factory.mktemp(f"python{version}")
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = folder / "lib" / f"python{version}" / "site-packages"
    # As pip lays them out: the package, the hook and the line that starts it, side by side.
    for given in (kale_serve_ext, kale_serve_ext_hook, typing_extensions):
        source = Path(given.__file__ or "")
        source = source.parent if source.name == "__init__.py" else source
        (packages / source.name).symlink_to(source)
    (packages / "kale_serve_ext.pth").write_text("import kale_serve_ext_hook\n")
    return folder / "bin" / "python"


@pytest.fixture
def run_bare(bare_environment: Path) -> Callable[[str], str]:
    """Runs a program in a fresh interpreter of the bare environment; its standard output."""
    return lambda program: _run(bare_environment, program)


@pytest.fixture(scope="session")
def kubeflow_environment() -> Path:
    """The programs of the environment with kubeflow-kale, kfp and the product's wheel, which ``make test`` makes."""
    given = os.environ.get("KUBEFLOW_ENVIRONMENT", "")
    if not given:
        pytest.skip("no environment with kubeflow-kale: `make test` makes it")
    return Path(given)


@pytest.fixture
def run_kubeflow(kubeflow_environment: Path) -> Callable[[str], str]:
    """The same in the environment with kubeflow-kale."""
    return lambda program: _run(kubeflow_environment / "python", program)


def _run(python: Path, program: str) -> str:
    """Run a program with no path but the interpreter's own; a failing one fails the test with its traceback."""
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [python, "-c", program],
        capture_output=True,
        text=True,
        env=environ,
        cwd=python.parent,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
