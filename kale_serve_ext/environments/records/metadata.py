"""The metadata engine's: the wheel ``ml-metadata``, which does not fit beside a current KServe.

The wheels that exist (https://pypi.org/project/ml-metadata/#files): 1.17.1 for CPython 3.9-3.11 on x86-64 Linux with
glibc 2.17 or later; 1.21.0 for CPython 3.10-3.13 on x86-64 Linux with glibc 2.39 or later, and on arm64 macOS 11 or
later.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from ...config import Settings
from ...errors import EnvironmentUnavailableError
from ..record import Environment, Platform, Ready


def installed(settings: Settings) -> Ready | None:
    """The Python that the settings name, or the running one where it has the wheel.

    Raises:
        EnvironmentUnavailableError: ``settings.metadata_python`` names no program.
    """
    if settings.metadata_python:
        # Made absolute and not resolved: a virtual environment's interpreter is known by its link's place.
        named = Path(settings.metadata_python).expanduser().absolute()
        if not os.access(named, os.X_OK) or named.is_dir():
            raise EnvironmentUnavailableError(
                f"The metadata engine's Python, {named}, does not exist.",
                hint="Correct KALE_SERVE_METADATA_PYTHON, or leave it empty.",
            )
        return Ready(str(named), named.parent.parent)
    if importlib.util.find_spec("ml_metadata") is not None:
        return Ready(sys.executable, Path(sys.prefix))
    return None


_TO_13 = ((3, 13), (3, 12), (3, 11), (3, 10))

METADATA = Environment(
    name="metadata",
    title="Metadata engine",
    phrase="the metadata engine",
    purpose="Records models, their versions and lineage with ML Metadata.",
    platforms=(
        Platform("Linux", ("x86_64", "amd64"), (2, 39), _TO_13),
        Platform("Linux", ("x86_64", "amd64"), (2, 17), ((3, 11), (3, 10), (3, 9))),
        Platform("Darwin", ("arm64",), (11,), _TO_13),
    ),
    megabytes=50,
    requirements=("ml-metadata>=1.17.1,<1.22",),
    smoke="import grpc, ml_metadata, ml_metadata.metadata_store.metadata_store; print(ml_metadata.__version__)",
    revision="1",
    place="metadata/environment",
    installed=installed,
    otherwise="let KALE_SERVE_METADATA_PYTHON (the server's trait metadata_python) name a Python that has ml-metadata",
    instead="Use an MLMD server instead: set KALE_SERVE_METADATA=grpc://HOST:PORT.",
)
