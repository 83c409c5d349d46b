"""Changes of services, seen by the engines, become events that browsers hear."""

from __future__ import annotations

import asyncio
from logging import Logger
from pathlib import Path
from typing import TYPE_CHECKING

from ..engines.base import ServiceEvent
from .closing import closing

if TYPE_CHECKING:
    from jupyter_events.logger import EventLogger

    from ..engines.base import EngineInfo
    from ..records import ServiceRef
    from .backends import Backends

_EVENTS = Path(__file__).parent / "events"
SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/service/v1"
ENGINE_SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/engine/v1"
UPLOAD_SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/upload/v1"
SCHEMAS = [_EVENTS / f"{name}.yaml" for name in ("service", "engine", "upload")]

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0


async def watch(backends: Backends, events: EventLogger, log: Logger) -> None:
    """Emit an event for each change in any engine, and for each switch of engines, until cancelled."""
    await backends.find_engine()
    watched: dict[EngineInfo, asyncio.Task[None]] = {}
    try:
        while True:
            infos = backends.engine_infos
            for info in watched.keys() - set(infos):
                watched.pop(info).cancel()
            for info in infos:
                if info not in watched:
                    watched[info] = asyncio.create_task(_watch(info, backends, events, log))
            await backends.switched(infos)
            _emit_switch(backends.engine_infos[0], events)
    finally:
        for task in watched.values():
            task.cancel()
        await asyncio.gather(*watched.values(), return_exceptions=True)


async def _watch(info: EngineInfo, backends: Backends, events: EventLogger, log: Logger) -> None:
    """An engine that fails is watched again, ever less often.

    Nothing is lost by a gap: a new watch begins with every service there is, and those that went in it are told before.
    """
    delay = _FIRST_DELAY
    known: set[ServiceRef] = set()
    while True:
        try:
            engine = backends.open(info)
            for ref in known - {state.ref for state in await engine.services()} if known else ():
                known.discard(ref)
                emit(ServiceEvent("deleted", ref, None), events)
            async with closing(engine.watch()) as changes:
                async for event in changes:
                    delay = _FIRST_DELAY
                    (known.discard if event.kind == "deleted" else known.add)(event.ref)
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


def emit_upload(events: EventLogger, name: str, done: int, total: int) -> None:
    """Tell the listeners how many bytes of an artifact's files have gone."""
    events.emit(schema_id=UPLOAD_SCHEMA_ID, data={"artifact": name, "done": done, "total": total})


def _emit_switch(info: EngineInfo, events: EventLogger) -> None:
    data = {"engine": info.kind, "context": info.context, "namespace": info.namespace}
    events.emit(schema_id=ENGINE_SCHEMA_ID, data=data)
