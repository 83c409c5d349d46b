"""Where InferenceServices run: ``base`` says what an engine is, each folder beside it is one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from ..config import Settings
    from .base import Engine, EngineInfo


LOCAL_NAMESPACE = "default"


def open_engine(settings: Settings, *, kind: str = "", context: str = "", namespace: str = "") -> Engine:
    """The engine of the settings, or the one that ``kind`` and ``context`` name, for one namespace.

    Cheap: it connects on first use.

    Raises:
        InvalidInputError: there is no such engine.
    """
    kind = kind or settings.engine
    if kind == "local" and context in ("", "localhost"):
        if sys.platform == "win32":
            raise BackendUnavailableError(
                "The local engine runs on Linux and macOS.", hint="Use it inside the Windows Subsystem for Linux."
            )
        from .local.engine import LocalEngine

        return LocalEngine(settings, namespace or settings.namespace or LOCAL_NAMESPACE)
    if kind == "cluster":
        from .cluster.engine import ClusterEngine

        return ClusterEngine(settings, context, namespace)
    named = f"{kind}/{context}" if context else kind
    raise InvalidInputError(
        f"There is no engine {named[:80]!r}.", hint="Known engines: local, cluster.", field="engine"
    )


def engines(settings: Settings) -> list[EngineInfo]:
    """The engines that can be opened, the one of the settings first."""
    from .base import EngineInfo

    here = EngineInfo(kind="local", context="localhost", namespace=settings.namespace or LOCAL_NAMESPACE)
    if settings.engine != "cluster":
        return [here]
    from .cluster.credentials import find_place
    from .cluster.engine import info

    return [info(find_place(settings.kubeconfig, settings.context), settings.namespace), here]
