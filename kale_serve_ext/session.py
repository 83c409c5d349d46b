"""The backends of this process, for notebooks and scripts: opened once, on the background loop that ``sync`` runs.

Settings come from the environment (the Jupyter server hands its own to the kernels); when they change, new backends
are opened.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from .config import Settings

if TYPE_CHECKING:
    from .engines.base import Engine
    from .metadata.store import Metadata

_lock = threading.Lock()
_metadata: dict[Settings, Metadata] = {}
_engines: dict[tuple[Settings, str, str, str], Engine] = {}


def metadata(progress: Callable[[str], None] | None = None) -> Metadata:
    """The metadata; nothing is started before the first call.

    Args:
        progress: called with what a long first call is doing (making the engine's environment); printed by default.
    """
    from .metadata import open_metadata

    settings = Settings.from_environ()
    with _lock:
        if settings not in _metadata:
            _metadata[settings] = open_metadata(settings, progress=progress or _print)
        return _metadata[settings]


def engine(kind: str = "", namespace: str = "") -> Engine:
    """An engine; where ``kind`` is empty, the one that is configured, chosen in the panel or found."""
    from .engines import open_engine
    from .engines.selection import decide, target

    settings = Settings.from_environ()
    if not kind and (decision := decide(settings)).failed:
        warnings.warn(f"Services run on this machine. {decision.reason}", stacklevel=3)
    kind, context, namespace = target(settings, kind, namespace)
    key = (settings, kind, context, namespace)
    with _lock:
        if key not in _engines:
            _engines[key] = open_engine(settings, kind=kind, context=context, namespace=namespace)
        return _engines[key]


async def close() -> None:
    """Let go of every backend; the services run on."""
    with _lock:
        engines, stores = list(_engines.values()), list(_metadata.values())
        _engines.clear()
        _metadata.clear()
    for opened in engines:
        await opened.close()
    for store in stores:
        await store.close()


def _print(message: str) -> None:
    print(message, flush=True)
