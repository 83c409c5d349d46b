"""Starts NVIDIA's Triton Inference Server out of PyTriton's wheel, with the arguments of KServe's runtime.

The wheel has the server and the backend for Python; the backend beside this file is added to it. The image's Python
comes without the shared library that the backend needs, so that this lies here too.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Become the server. The first argument is its name."""
    here = Path(__file__).parent
    found = find_spec("pytriton")
    if found is None or found.origin is None:
        raise SystemExit("pytriton is not installed.")
    wheel = Path(found.origin).parent / "tritonserver"
    backends = Path(tempfile.mkdtemp()) / "backends"
    shutil.copytree(wheel / "backends" / "python", backends / "python")
    stub = wheel / "python_backend_stubs" / sysconfig.get_python_version() / "triton_python_backend_stub"
    Path(shutil.copy(stub, backends / "python")).chmod(0o755)
    shutil.copytree(here / "onnxruntime", backends / "onnxruntime")
    program = str(wheel / "bin" / "tritonserver")
    # Its own libraries last: there may be another Python's among them.
    libraries = f"{here}:{wheel.parent.parent / 'nvidia_pytriton.libs'}"
    environ = {**os.environ, "LD_LIBRARY_PATH": libraries}
    os.execve(program, [program, *arguments[1:], f"--backend-directory={backends}"], environ)


if __name__ == "__main__":
    main(sys.argv[1:])
