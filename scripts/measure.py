"""Runs the benchmarks with the wheel, in the environment that it is tested in."""

from __future__ import annotations

import os
import subprocess
import sys

from metadata import prepare_for_tests
from product import product_environment
from steps import ROOT

if __name__ == "__main__":
    programs = product_environment()
    environ = {**os.environ, **prepare_for_tests(programs), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    command = [str(programs / "python"), str(ROOT / "benchmarks"), *sys.argv[1:]]
    sys.exit(subprocess.run(command, env=environ, check=False).returncode)
