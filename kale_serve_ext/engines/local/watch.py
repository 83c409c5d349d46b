"""Changes of services, by watching their folder and by looking again every so often."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from ...config import private_dir
from ...entities import ServiceRef
from ..base import ServiceEvent, ServiceState

LOOK_AGAIN = 2.0
"""Seconds between looks without a notice: a supervisor that died changes no file."""
_QUIET_MS = 50
_FILES = ("spec.json", "status.json")


async def watch_services(
    folder: Path, look: Callable[[], Awaitable[list[ServiceState]]]
) -> AsyncGenerator[ServiceEvent, None]:
    """An ``added`` for each service that exists, then what changes, until the reader goes away."""
    changed = asyncio.Event()
    stop = asyncio.Event()
    private_dir(folder)
    notices = asyncio.create_task(_notices(folder, changed, stop))
    known: dict[ServiceRef, ServiceState] = {}
    try:
        while True:
            changed.clear()
            found = {s.ref: s for s in await look()}
            for event in _differences(known, found):
                yield event
            known = found
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), LOOK_AGAIN)
    finally:
        stop.set()
        notices.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await notices


def _differences(before: dict[ServiceRef, ServiceState], now: dict[ServiceRef, ServiceState]) -> list[ServiceEvent]:
    events = [ServiceEvent("added", r, s) for r, s in now.items() if r not in before]
    events += [ServiceEvent("modified", r, s) for r, s in now.items() if r in before and before[r] != s]
    return events + [ServiceEvent("deleted", r, None) for r in before if r not in now]


async def _notices(folder: Path, changed: asyncio.Event, stop: asyncio.Event) -> None:
    from watchfiles import awatch

    def of_interest(_: object, path: str) -> bool:
        return path.endswith(_FILES)

    # Looking again covers what a file system does not tell, such as a home on a network share.
    with contextlib.suppress(OSError, RuntimeError):
        async for _ in awatch(folder, watch_filter=of_interest, step=_QUIET_MS, debounce=200, stop_event=stop):
            changed.set()
