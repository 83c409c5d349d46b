"""Where the interpreter of a named environment is."""

from __future__ import annotations

from pathlib import Path


def interpreter(name: str, data_dir: Path) -> str:
    """The Python of the environment; empty where it is not set up."""
    found = data_dir / "environments" / name / "bin" / "python"
    return str(found) if found.exists() else ""
