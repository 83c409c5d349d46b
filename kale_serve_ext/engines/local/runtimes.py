"""The local runtimes: KServe's servers, each under one of the interpreters of this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ...entities import Artifact
from ...formats import every
from ..base import Runtime


def runtimes(artifact: Artifact | None, kernels: Sequence[tuple[str, str, str]]) -> list[Runtime]:
    """Every server under every interpreter. Pure.

    The bare name is the server under the interpreter that made the artifact, or under this one where none is recorded;
    under a kernel's interpreter it is ``NAME--KERNEL``.
    """
    recorded = artifact.environment.python if artifact else ""
    version = artifact.environment.python_version if artifact and recorded else ""
    own = recorded or sys.executable
    version = version or ("" if recorded else f"{sys.version_info.major}.{sys.version_info.minor}")
    where = "recorded" if recorded else "this environment"
    made = []
    for (name, title), model_format in [(one.server, one.name) for one in every() if one.server]:
        label = f"Python {'.'.join(version.split('.')[:2])}, {where}" if version else where
        made.append(_runtime(name, f"{title} ({label})", model_format, own))
        seen = {_real(own)}
        for kernel, shown, python in kernels:
            if _real(python) in seen:
                continue
            seen.add(_real(python))
            made.append(_runtime(f"{name}--{kernel}", f"{title} ({shown})", model_format, python))
    return made


def _runtime(name: str, title: str, model_format: str, python: str) -> Runtime:
    return Runtime(name=name, display_name=title, formats=(model_format,), protocols=("v1", "v2"), python=python)


def _real(python: str) -> str:
    # Not resolved: the interpreters of two environments are often links to one file.
    return str(Path(python).absolute())
