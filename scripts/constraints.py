"""Writes ``constraints.txt``: the newest versions that fit ``pyproject.toml``, for every Python and platform."""

from __future__ import annotations

from machine import uv_environ
from product import CONSTRAINTS, UV
from steps import ROOT, run

HEAD = """\
# The versions that the tests ran with; made by `make constraints`. Names and versions only: the package index is the
# machine's own. The metadata engine is not here, as it lives in an environment of its own.
"""


def main() -> None:
    """Resolve anew, from nothing, so that every bound moves up."""
    CONSTRAINTS.unlink(missing_ok=True)
    extras = ["--extra", "dev", "--universal", "--python-version", "3.10"]
    plain = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    run([UV, "pip", "compile", ROOT / "pyproject.toml", *extras, *plain, "-o", CONSTRAINTS], env=uv_environ())
    CONSTRAINTS.write_text(HEAD + CONSTRAINTS.read_text())


if __name__ == "__main__":
    main()
