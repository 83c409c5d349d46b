"""The metadata engine's environment, made ahead of its first use."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from steps import CACHE, ROOT, once

SOURCES = sorted((ROOT / "kale_serve_ext" / "environments").rglob("*.py"))
TESTS_DATA = CACHE / "tests"
"""A data directory for all that tests install by the product itself, kept between runs; ``tests/kept.py`` names it."""


def prepare_metadata(programs: Path) -> None:
    """For the user's own data. Where it cannot be had, the product works without, and says why."""
    _setup("metadata", programs, dict(os.environ), result=programs)


def prepare_for_tests(programs: Path) -> dict[str, str]:
    """For all tests together: the variables that tell them where it is."""
    _setup("metadata-tests", programs, {**os.environ, "KALE_SERVE_DATA_DIR": str(TESTS_DATA)}, result=TESTS_DATA)
    made = next(TESTS_DATA.glob("metadata/environment-*/bin/python"), None)
    return {"KALE_SERVE_METADATA_PYTHON": str(made)} if made else {}


def _setup(name: str, programs: Path, environ: dict[str, str], *, result: Path) -> None:
    def setup() -> bool:
        command = [str(programs / "kale-serve-ext"), "setup"]
        return subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, check=False).returncode == 0

    data = environ.get("KALE_SERVE_DATA_DIR", "") or str(Path.home())
    once(name, "Preparing the metadata engine", setup, inputs=SOURCES, result=result, also=data)
