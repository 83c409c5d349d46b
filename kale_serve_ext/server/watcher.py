"""Changes of services, seen by the engines, become events that browsers hear."""

from __future__ import annotations

import asyncio
from logging import Logger
from pathlib import Path
from typing import TYPE_CHECKING

from .closing import closing

if TYPE_CHECKING:
    from jupyter_events.logger import EventLogger

    from ..engines.base import EngineInfo, ServiceEvent
    from .backends import Backends

SCHEMA = Path(__file__).parent / "events" / "service.yaml"
SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/service/v1"

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0


async def watch(backends: Backends, events: EventLogger, log: Logger) -> None:
    """Emit an event for each change in any engine, until cancelled."""
    await asyncio.gather(*(_watch(info, backends, events, log) for info in backends.engine_infos))


async def _watch(info: EngineInfo, backends: Backends, events: EventLogger, log: Logger) -> None:
    """An engine that fails is watched again, ever less often.

    Nothing is lost by a gap: a new watch begins with every service there is, and browsers re-list.
    """
    delay = _FIRST_DELAY
    while True:
        try:
            async with closing(backends.open(info).watch()) as changes:
                async for event in changes:
                    delay = _FIRST_DELAY
                    emit(event, events)
        except Exception as error:  # whatever an engine can raise, the next try may do better
            log.warning("Watching the services of %s failed, again in %g s: %s", info.context, delay, error)
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY)


def emit(event: ServiceEvent, events: EventLogger) -> None:
    """Tell the listeners of one change."""
    from pydantic import TypeAdapter

    from ..serving.status import describe
    from ..serving.types import Service

    service = describe(event.state) if event.state else None
    ref = event.ref
    events.emit(
        schema_id=SCHEMA_ID,
        data={
            "kind": event.kind,
            "engine": ref.engine,
            "context": ref.context,
            "namespace": ref.namespace,
            "name": ref.name,
            "phase": service.phase if service else "",
            "reason": service.reason if service else "",
            "service": TypeAdapter(Service).dump_python(service, mode="json") if service else None,
        },
    )
