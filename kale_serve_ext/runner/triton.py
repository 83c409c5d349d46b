"""Triton under the interpreter that runs its models.

Started as ``boot.py runner.triton REPOSITORY WORK OVERLAY HTTP GRPC PREFIX``. It prepares the folder of
backends and becomes the server. The wheel has the Python backend alone; those for ONNX, PyTorch and TensorFlow are
written in Python (:mod:`.triton_backend`), which Triton takes in the place of its own. It listens on unix sockets,
which an address with the prefix ``unix:`` is for its HTTP server and for gRPC's.
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..formats import textproto
from ..formats.tritonmodels import CONFIG

FORMATS: Mapping[str, str] = {
    "onnxruntime": "onnx",
    "pytorch": "pytorch",
    "tensorflow": "tensorflow",
    "function": "function",
}
"""The format whose models a backend of this package loads; Triton's own, but for the last, have these names too."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # where Linux has it
_BOOT = Path(__file__).with_name("boot.py")
_BACKEND = """import runpy

TritonPythonModel = runpy.run_path({boot!r})["load"]("runner.triton_backend").TritonPythonModel
"""
_PORT = 1
"""gRPC makes it the end of the socket's name; any will do."""


def main(argv: Sequence[str]) -> None:
    """Become the server. Its models are those of ``REPOSITORY``, all of them and for good.

    Raises:
        SystemExit: as :func:`prepared`.
    """
    parser = argparse.ArgumentParser(prog="kale-serve-ext triton")
    for name in ("repository", "work", "overlay", "http", "grpc", "prefix"):
        parser.add_argument(name)
    given = parser.parse_args(argv)
    backends = Path(given.work) / "backends"
    program, environ = prepared(Path(given.overlay), backends)
    Path(given.grpc).symlink_to(f"{given.grpc}:{_PORT}")
    options = [
        f"--model-repository={given.repository}",
        f"--backend-directory={backends}",
        f"--http-address=unix:{given.http}",
        f"--grpc-address=unix:{given.grpc}",
        f"--grpc-port={_PORT}",
        "--allow-metrics=false",
        # Whoever may ask a model could otherwise have another one loaded, whose code is the request's.
        "--model-control-mode=none",
        "--exit-timeout-secs=2",
        f"--backend-config=python,shm-region-prefix-name={given.prefix}",
        *(["--disable-auto-complete-config"] if _is_complete(Path(given.repository)) else []),
    ]
    os.execve(program, [str(program), *options], environ)  # noqa: S606  # the point of it


def prepared(overlay: Path, backends: Path) -> tuple[Path, dict[str, str]]:
    """The server and its environment, for models of this interpreter.

    Args:
        overlay: where the wheel is.
        backends: a new folder, for ``--backend-directory``.

    Raises:
        SystemExit: this Python has no shared library.
    """
    library = shared_library()
    if not library:
        version = sysconfig.get_python_version()
        raise SystemExit(f"{sys.executable} has no shared library (libpython{version}.so.1.0), which Triton loads.")
    place = overlay / "pytriton" / "tritonserver"
    _make_backends(backends, place)
    return place / "bin" / "tritonserver", _environ(overlay, library)


def shared_library() -> str:
    """The path of this Python's shared library; empty where it has none."""
    name = f"libpython{sysconfig.get_python_version()}.so.1.0"
    folder = sysconfig.get_config_var("LIBDIR") or ""
    places = [Path(folder, name), Path(folder, sysconfig.get_config_var("MULTIARCH") or "", name)]
    return next((str(place) for place in places if place.is_file()), "")


def _make_backends(folder: Path, wheel: Path) -> None:
    python = folder / "python"
    python.mkdir(parents=True)
    stub = wheel / "python_backend_stubs" / sysconfig.get_python_version() / "triton_python_backend_stub"
    # Copies, since Triton takes no library that is a link out of the folder. The stub has to be executable, which a
    # wheel's files need not be.
    for file in (*(wheel / "backends" / "python").iterdir(), stub):
        (python / file.name).write_bytes(file.read_bytes())
    (python / stub.name).chmod(0o700)
    utilities = python / "triton_python_backend_utils.py"
    original = utilities.read_text("utf-8")
    guard = Path(__file__).with_name("triton_utils.py").read_text("utf-8")
    utilities.write_text(f"{original}\n{guard}", "utf-8")
    for name in FORMATS:
        (folder / name).mkdir()
        (folder / name / "model.py").write_text(_BACKEND.format(boot=str(_BOOT)), "utf-8")


def _is_complete(repository: Path) -> bool:
    """Whether every model tells its inputs and outputs: it is not opened once more then, to find them out."""
    for model in repository.iterdir():
        config = model / CONFIG
        told = textproto.read(config.read_text("utf-8")) if config.is_file() else {}
        if not (told.get("input") and told.get("output") and told.get("max_batch_size")):
            return False
    return True


def _environ(wheel: Path, library: str) -> dict[str, str]:
    # The stub finds its interpreter's packages by PATH, and its library before another one that the wheel brings.
    own = os.environ
    path = [str(Path(sys.executable).parent), *filter(None, [own.get("PATH")])]
    libraries = [str(Path(library).parent), str(wheel / "nvidia_pytriton.libs")]
    libraries += filter(None, [own.get("LD_LIBRARY_PATH")])
    return {**own, "PATH": os.pathsep.join(path), "LD_LIBRARY_PATH": os.pathsep.join(libraries)}
