"""Runs the benchmarks with the wheel, in the environment that it is tested in.

``runtimes`` alone runs in that of the model servers, which has what their models are made with.
"""

from __future__ import annotations

import os
import subprocess
import sys

from metadata import prepare_for_tests
from product import product_environment, runtimes_environment
from steps import ROOT

if __name__ == "__main__":
    wanted = sys.argv[1:]
    programs = runtimes_environment() if wanted == ["runtimes"] else product_environment()
    environ = {**os.environ, **prepare_for_tests(programs), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [str(programs / "python"), str(ROOT / "benchmarks"), *wanted]
    sys.exit(subprocess.run(command, env=environ, check=False).returncode)
