"""Triton Inference Server, from the wheel of NVIDIA's PyTriton, laid beside the interpreter that runs the models.

The wheel needs none of its dependencies. It has the server and the Python backend, with one stub for each version of
Python; the stub loads that Python's own shared library, so an interpreter without one cannot run models in it.
"""

from __future__ import annotations

from ..record import Environment, Platform

_SMOKE = """
import importlib.metadata, os, subprocess, sys, sysconfig

version = sysconfig.get_python_version()
place = os.path.join(sys.argv[1], "pytriton", "tritonserver")
stub = os.path.join(place, "python_backend_stubs", version, "triton_python_backend_stub")
library = os.path.join(sysconfig.get_config_var("LIBDIR"), f"libpython{version}.so.1.0")
if not os.path.exists(library):
    sys.exit(f"{sys.executable} has no shared library {library}")
os.chmod(stub, 0o755)
libraries = [os.path.dirname(library), os.path.join(sys.argv[1], "nvidia_pytriton.libs")]
environ = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)}
# What each of the two says once it is loaded, and it ends with an error then.
for program, words in (([os.path.join(place, "bin", "tritonserver"), "--help"], "Usage"), ([stub], "arguments")):
    done = subprocess.run(program, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if words not in done.stdout:
        sys.exit(f"error: {done.stdout.strip()[-300:]}")
print(importlib.metadata.version("nvidia-pytriton"))
"""

TRITON = Environment(
    name="triton",
    title="Triton Inference Server",
    purpose="Serves model repositories of Triton, with models in the Python that trained them.",
    platforms=(Platform("Linux", ("x86_64", "amd64"), (2, 35), ((3, 12), (3, 11), (3, 10), (3, 13))),),
    megabytes=150,
    without_dependencies=("nvidia-pytriton==0.7.0",),
    kind="overlay",
    smoke=_SMOKE,
    revision="1",
    otherwise="set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder that holds the wheel",
    instead="Use a Python of 3.10 to 3.13 with a shared library, such as Debian's with the package libpython3.11.",
)
