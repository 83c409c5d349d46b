"""Whether the libraries here are those that a model was made with: an image cannot be asked before it runs."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib import metadata

from ..formats import same_library


def skews(made_with: str, installed: Callable[[str], str] | None = None) -> list[str]:
    """What differs in its major or minor version, or is absent: ``scikit-learn 1.9.1 (here: 1.5.2)``.

    Args:
        made_with: the versions that the model was made with: ``scikit-learn==1.9.1 python==3.11.7``.
        installed: gives the version that is here, empty where there is none; by default of this interpreter.
    """
    has = installed or _installed
    found = []
    for one in made_with.split():
        name, _, version = one.partition("==")
        here = next(filter(None, (has(same) for same in (name, *same_library(name)))), "")
        if version and _line(here) != _line(version):
            found.append(f"{name} {version} (here: {here or 'none'})")
    return found


def _installed(name: str) -> str:
    if name == "python":
        return platform.python_version()
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _line(version: str) -> list[str]:
    """The major and minor number."""
    return re.findall(r"\d+", version)[:2]
