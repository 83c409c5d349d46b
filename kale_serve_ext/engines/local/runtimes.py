"""The local runtimes: the model servers of this machine, under its interpreters or in environments of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ...entities import Artifact
from ..base import Runtime
from . import servers
from .servers.record import Server, StandsFor


def runtimes(artifact: Artifact | None, kernels: Sequence[tuple[str, str, str]]) -> list[Runtime]:
    """Every server, under every interpreter where it has no environment of its own.

    The bare name is the server under the interpreter that made the artifact, or under this one where none is recorded;
    under a kernel's interpreter it is ``NAME--KERNEL``.
    """
    return [
        runtime
        for server in servers.everyone()
        for stands in server.runtimes
        for runtime in _runtimes(server, stands, artifact, kernels)
    ]


def _runtimes(
    server: Server, stands: StandsFor, artifact: Artifact | None, kernels: Sequence[tuple[str, str, str]]
) -> list[Runtime]:
    if server.environment:
        return [_runtime(server, stands, stands.name, f"{stands.title} (an environment of its own)", "")]
    recorded = artifact.environment.python if artifact else ""
    version = artifact.environment.python_version if artifact and recorded else ""
    own = recorded or sys.executable
    version = version or ("" if recorded else f"{sys.version_info.major}.{sys.version_info.minor}")
    where = "recorded" if recorded else "this environment"
    label = f"Python {'.'.join(version.split('.')[:2])}, {where}" if version else where
    made = [_runtime(server, stands, stands.name, f"{stands.title} ({label})", own)]
    seen = {_real(own)}
    for kernel, shown, python in kernels:
        if _real(python) in seen:
            continue
        seen.add(_real(python))
        made.append(_runtime(server, stands, f"{stands.name}--{kernel}", f"{stands.title} ({shown})", python))
    return made


def _runtime(server: Server, stands: StandsFor, name: str, title: str, python: str) -> Runtime:
    return Runtime(
        name=name,
        display_name=title,
        formats=stands.formats,
        protocols=stands.protocols,
        python=python,
        foreign=server.program is not None,
        differs=stands.differs,
        upkeep=stands.upkeep,
    )


def _real(python: str) -> str:
    # Not resolved: the interpreters of two environments are often links to one file.
    return str(Path(python).absolute())
