"""What the local engine is and can do; imports nothing that weighs."""

from __future__ import annotations

from ..base import EngineInfo

CONTEXT = "localhost"


def info(namespace: str) -> EngineInfo:
    """The engine of this machine, for one namespace."""
    return EngineInfo(kind="local", context=CONTEXT, namespace=namespace, revisions=True)
