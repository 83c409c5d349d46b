"""Where InferenceServices run: ``base`` says what an engine is, each folder beside it is one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from ..config import Settings
    from .base import Engine


def open_engine(settings: Settings, *, kind: str = "", context: str = "", namespace: str = "") -> Engine:
    """The engine that ``kind`` and ``context`` name, for one namespace; what is left out is as ``choice`` decides.

    With a kind it is cheap: the engine connects on first use. Without one, a cluster may be asked: call it on a thread
    where a loop runs.

    Raises:
        InvalidInputError: there is no such engine.
    """
    if not context:
        from .selection import target

        kind, context, namespace = target(settings, kind, namespace)
    if kind == "local" and context in ("", "localhost"):
        if sys.platform == "win32":
            raise BackendUnavailableError(
                "The local engine runs on Linux and macOS.", hint="Use it inside the Windows Subsystem for Linux."
            )
        from .local.engine import LocalEngine
        from .selection import local_info

        return LocalEngine(settings, namespace or local_info(settings).namespace)
    if kind == "cluster":
        from .cluster.engine import ClusterEngine

        return ClusterEngine(settings, context, namespace)
    named = f"{kind}/{context}" if context else kind
    raise InvalidInputError(
        f"There is no engine {named[:80]!r}.", hint="Known engines: local, cluster.", field="engine"
    )
