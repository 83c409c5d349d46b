"""Assembles what images are built from: the one for code in a cluster, for ``docker build`` and its like, and those
that only the tests use."""

from __future__ import annotations

import json
import shutil
import sysconfig
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

from machine import uv_environ
from product import CONSTRAINTS, UV, build_wheel
from steps import CACHE, ROOT, run

IMAGES = ROOT / "images"
CONTEXT = CACHE / "image"
OF_TESTS = ROOT / "tests" / "cluster" / "images"
METADATA = "kale-serve-ext/test-metadata:1"
NOTEBOOK = "kale-serve-ext/test-notebook:1"
STOCK = "kale-serve-ext/test-stock:1"
MLSERVER = "docker.io/seldonio/mlserver:1.7.1"
TRITON = "nvcr.io/nvidia/tritonserver:23.05-py3"
PYTHON = "3.11"
"""Of the test cluster's base."""
_LIBRARIES = (Path("/usr/lib/x86_64-linux-gnu"), Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib"))


def load(starter: str) -> list[str]:
    """Make the images known in the tests' cluster, which the program ``starter`` has started.

    Returns:
        Those that go by upstream's names: of the runtimes that KServe brings.
    """
    triton = _triton()
    of_runtimes = [(MLSERVER, OF_TESTS / "mlserver"), *([(TRITON, triton)] if triton else [])]
    for name, context in (
        (image("transformer"), assemble()),
        (METADATA, _metadata()),
        (NOTEBOOK, _notebook()),
        (STOCK, _stock()),
        *of_runtimes,
    ):
        run([starter, "load-image", name, context])
    return [name for name, _ in of_runtimes]


def image(role: str) -> str:
    """The name that manifests give the image of this role."""
    version: str = json.loads((ROOT / "package.json").read_text("utf-8"))["version"]
    return f"kale-serve-ext/{role}:{version}"


def assemble() -> Path:
    """A folder that both ``docker build`` and the test cluster's ``load-image`` read."""
    _copy(IMAGES / "cluster", CONTEXT, build_wheel(), CONSTRAINTS, IMAGES / "Dockerfile")
    _pin(CONTEXT / "requirements.txt")
    # One image has both names: the program tells its role from the arguments.
    settings = {
        "base": "kserve",
        "env": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
        "aliases": [image("predictor")],
    }
    (CONTEXT / "image.json").write_text(json.dumps(settings, indent=2) + "\n")
    return CONTEXT


def _pin(requirements: Path) -> None:
    """Write the constraints' versions into requirements, for the Python of the test cluster's base."""
    files = (requirements, "--constraint", CONSTRAINTS, "--output-file", requirements)
    plain = ("--no-deps", "--no-header", "--no-annotate", "--quiet")
    run([UV, "pip", "compile", *files, "--python-version", PYTHON, *plain], env=uv_environ())


def _metadata() -> Path:
    context = CACHE / "image-metadata"
    _copy(OF_TESTS / "metadata", context, ROOT / "kale_serve_ext" / "metadata" / "engine_server.py")
    (context / "requirements.txt").write_text("ml-metadata>=1.17.1,<1.22\n")
    (context / "image.json").write_text('{"base": "python"}\n')
    return context


def _notebook() -> Path:
    context = CACHE / "image-notebook"
    wheel = build_wheel()
    _copy(OF_TESTS / "notebook", context, wheel)
    # The cluster's base installs wheels without what they require.
    (context / "requirements.txt").write_text("\n".join([*_required_by(wheel), "scikit-learn", "ipykernel"]) + "\n")
    return context


def _stock() -> Path:
    context = CACHE / "image-stock"
    _copy(OF_TESTS / "stock", context)
    _pin(context / "requirements.txt")
    return context


def _triton() -> Path | None:
    """None where this machine has not the shared library that models are run by, which the cluster's base lacks."""
    name = f"libpython{PYTHON}.so.1.0"
    library = next((folder / name for folder in _LIBRARIES if (folder / name).is_file()), None)
    if library is None:
        print(f"There is no {name} on this machine: the tests of Triton in a cluster are skipped.", flush=True)
        return None
    context = CACHE / "image-triton"
    _copy(OF_TESTS / "triton", context, library)
    return context


def _required_by(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    return [one for one in told if "extra ==" not in one]


def _copy(folder: Path, context: Path, *files: Path) -> None:
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(folder, context, ignore=shutil.ignore_patterns("__pycache__"))
    for file in files:
        shutil.copy(file, context)


if __name__ == "__main__":
    print(assemble())
