"""The Python that an artifact was made with, so that it can be run with the same."""

from __future__ import annotations

import platform
import re
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import metadata

from ..entities import Environment
from ..ml import JSON

MADE_WITH = "made_with"
"""The key of a record's details with the versions of libraries that stand in the model's file."""
ALWAYS = ("kserve", "numpy")
"""What every served artifact runs on."""


def this_environment(packages: Iterable[str]) -> Environment:
    """This interpreter, with the installed versions of ``packages`` (distribution names) and of :data:`ALWAYS`."""
    versions: dict[str, str] = {}
    for name in sorted({normalised(p) for p in (*packages, *ALWAYS)}):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Environment(sys.executable, platform.python_version(), socket.gethostname(), versions)


def other_environment(python: str, version: str, installed: Mapping[str, str], packages: Iterable[str]) -> Environment:
    """Another interpreter of this machine; ``installed`` has its versions by normalised name."""
    wanted = {normalised(p) for p in (*packages, *ALWAYS)}
    found = {name: installed[name] for name in sorted(wanted) if name in installed}
    return Environment(python, version, socket.gethostname(), found)


def made_with(environment: Environment, details: Mapping[str, JSON]) -> Environment:
    """The same with the versions of libraries that stand in the model's file: they made it, wherever that was."""
    told = details.get(MADE_WITH)
    versions = {str(k): str(v) for k, v in told.items()} if isinstance(told, Mapping) else {}
    return replace(environment, packages=dict(sorted({**environment.packages, **versions}.items())))


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it: ``scikit-learn``."""
    return re.sub(r"[-_.]+", "-", name).lower()
