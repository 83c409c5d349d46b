"""Changes of services, seen by the engines, become events that browsers hear."""

from __future__ import annotations

import asyncio
from logging import Logger
from pathlib import Path
from typing import TYPE_CHECKING

from ..engines.base import ServiceEvent
from ..entities import ServiceRef
from .closing import closing

if TYPE_CHECKING:
    from jupyter_events.logger import EventLogger

    from ..engines.base import EngineInfo
    from ..environments import State
    from ..serving.types import Service
    from .backends import Backends
    from .installations import Key

_EVENTS = Path(__file__).parent / "events"
SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/service/v1"
ENGINE_SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/engine/v1"
UPLOAD_SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/upload/v1"
ENVIRONMENT_SCHEMA_ID = "https://schema.jupyter.org/kale_serve_ext/environment/v1"
SCHEMAS = [_EVENTS / f"{name}.yaml" for name in ("service", "engine", "upload", "environment")]

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
            log.warning("Watching the services of %s failed; trying again in %g s: %s", info.context, delay, error)
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY)


def emit(event: ServiceEvent, events: EventLogger) -> None:
    """Tell the listeners of one change, by name: whoever may read events need not be allowed to read services."""
    from ..serving.status import describe

    service = describe(event.state) if event.state else None
    _emit(events, event.kind, event.ref, service.phase if service else "", service.reason if service else "")


def emit_change(events: EventLogger, changed: Service | ServiceRef) -> None:
    """Tell the listeners that an upload began or ended; a name alone is that of a service that is not to come."""
    if isinstance(changed, ServiceRef):
        _emit(events, "deleted", changed, "", "")
    else:
        _emit(events, "modified", changed.ref, changed.phase, changed.reason)


def emit_upload(events: EventLogger, ref: ServiceRef, artifact: str, done: int, total: int) -> None:
    """Tell the listeners how many bytes of an artifact's files have gone."""
    data = {**_named(ref), "artifact": artifact, "done": done, "total": total}
    events.emit(schema_id=UPLOAD_SCHEMA_ID, data=data)


def emit_environment(events: EventLogger, key: Key, state: State) -> None:
    """Tell the listeners how far an environment is that this server installs or has removed."""
    name, python_version = key
    data = {"name": name, "python_version": python_version, "state": state.state}
    data |= {"message": state.message, "hint": state.hint}
    events.emit(schema_id=ENVIRONMENT_SCHEMA_ID, data=data)


def _emit(events: EventLogger, kind: str, ref: ServiceRef, phase: str, reason: str) -> None:
    events.emit(schema_id=SCHEMA_ID, data={"kind": kind, **_named(ref), "phase": phase, "reason": reason})


def _named(ref: ServiceRef) -> dict[str, str]:
    return {"engine": ref.engine, "context": ref.context, "namespace": ref.namespace, "name": ref.name}


def _emit_switch(info: EngineInfo, events: EventLogger) -> None:
    data = {"engine": info.kind, "context": info.context, "namespace": info.namespace}
    events.emit(schema_id=ENGINE_SCHEMA_ID, data=data)
