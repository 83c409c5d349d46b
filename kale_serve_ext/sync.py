"""A blocking face for the async core, usable from a notebook whose kernel already runs a loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The one background loop of this process; started on first use, on a daemon thread."""
    global _loop
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="kale-serve-loop", daemon=True).start()
        return _loop


def run(work: Coroutine[object, object, T]) -> T:
    """Run ``work`` on the background loop and wait for it; an interrupt (Ctrl-C) cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
