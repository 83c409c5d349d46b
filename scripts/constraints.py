"""Writes ``constraints.txt``: the newest versions that fit ``pyproject.toml``, for every Python and platform."""

from __future__ import annotations

from pathlib import Path

from machine import uv_environ
from product import CONSTRAINTS, OVERRIDES, UV
from steps import ROOT, run

HEAD = """\
# The versions that the tests ran with; made by `make constraints`. Names and versions only: the package index is the
# machine's own. The metadata engine is not here, as it lives in an environment of its own.
"""


def main() -> None:
    """Resolve anew, from nothing, so that every bound moves up."""
    frameworks: list[str | Path] = ["--extra", "frameworks", "--overrides", OVERRIDES]
    _write(CONSTRAINTS, "--extra", "dev", *frameworks, "--python-version", "3.10")
    compat = ROOT / "tests" / "compat"
    # kubeflow-kale wants Python 3.11 or newer.
    requirements = str(compat / "requirements.txt")
    _write(compat / "constraints.txt", requirements, "--extra", "examples", "--python-version", "3.11")


def _write(path: Path, *wanted: str | Path) -> None:
    path.unlink(missing_ok=True)
    plain = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command: list[str | Path] = [
        UV,
        "pip",
        "compile",
        "--universal",
        *plain,
        ROOT / "pyproject.toml",
        *wanted,
        "-o",
        path,
    ]
    run(command, env=uv_environ())
    path.write_text(HEAD + path.read_text())


if __name__ == "__main__":
    main()
