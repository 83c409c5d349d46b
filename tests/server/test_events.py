"""Changes of services reach whoever listens, whole, and go on after the engine failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TypeAlias, cast

from jupyter_events import EventLogger
from pydantic import TypeAdapter

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Engine, EngineInfo, ServiceEvent, ServiceState
from kale_serve_ext.errors import BackendUnavailableError
from kale_serve_ext.records import ServiceRef
from kale_serve_ext.server.backends import Backends
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.watcher import SCHEMA_ID, SCHEMAS, UPLOAD_SCHEMA_ID, emit, emit_upload, watch
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import Service

Data: TypeAlias = dict[str, object]

REF = ServiceRef("local", "localhost", "default", "iris")
OTHER = ServiceRef("local", "localhost", "default", "other")
STATE = ServiceState(
    ref=REF,
    manifest={
        "metadata": {"name": "iris", "labels": {"kale-serve-ext/model-id": "3"}},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "protocolVersion": "v1"}}},
    },
    revision=1,
    serving_revision=0,
    components=(),
)


async def test_a_listener_is_told_the_whole_service(app: KaleServeApp) -> None:
    told = heard(app.events)
    emit(ServiceEvent("added", REF, STATE), app.events)
    emit(ServiceEvent("deleted", REF, None), app.events)
    added, deleted = await next_of(told), await next_of(told)
    service = describe(STATE)
    assert added | {"service": None} == {
        "kind": "added",
        "engine": "local",
        "context": "localhost",
        "namespace": "default",
        "name": "iris",
        "phase": service.phase,
        "reason": service.reason,
        "service": None,
    }
    assert TypeAdapter(Service).validate_python(added["service"]) == service
    assert (deleted["kind"], deleted["phase"], deleted["service"]) == ("deleted", "", None)


class Flaky:
    """An engine that cannot be watched at first."""

    def __init__(self) -> None:
        self.tries = 0

    async def watch(self) -> AsyncIterator[ServiceEvent]:
        self.tries += 1
        if self.tries == 1:
            raise BackendUnavailableError("away")
        if self.tries == 2:
            yield ServiceEvent("added", REF, STATE)
            raise RuntimeError("broken in the middle")
        yield ServiceEvent("added", OTHER, replace(STATE, ref=OTHER))
        await asyncio.Event().wait()

    async def services(self) -> list[ServiceState]:
        return []


async def test_watching_goes_on_after_failures() -> None:
    events = EventLogger()
    for schema in SCHEMAS:
        events.register_event_schema(schema)
    told = heard(events)
    flaky = cast("Engine", Flaky())
    info = EngineInfo("local", "localhost", "default")
    backends = Backends(Settings(engine="local"), logging.getLogger("test"))
    backends._engines[info] = flaky
    task = asyncio.create_task(watch(backends, events, logging.getLogger("test")))
    try:
        seen = [(event["kind"], event["name"]) for event in [await next_of(told) for _ in range(3)]]
    finally:
        task.cancel()
        await asyncio.wait({task})
    # What went while nobody looked is told too.
    assert seen == [("added", "iris"), ("deleted", "iris"), ("added", "other")]
    assert task.cancelled()


async def test_an_upload_is_told() -> None:
    events = EventLogger()
    for schema in SCHEMAS:
        events.register_event_schema(schema)
    told = heard(events, UPLOAD_SCHEMA_ID)
    emit_upload(events, "iris", 1 << 20, 3 << 20)
    event = await next_of(told)
    assert {key: event[key] for key in ("artifact", "done", "total")} == {
        "artifact": "iris",
        "done": 1 << 20,
        "total": 3 << 20,
    }


def heard(events: EventLogger, schema_id: str = SCHEMA_ID) -> asyncio.Queue[Data]:
    """What is told from now on, of services unless it is said of what."""
    told: asyncio.Queue[Data] = asyncio.Queue()

    async def listen(logger: EventLogger, schema_id: str, data: Data) -> None:
        told.put_nowait(data)

    events.add_listener(schema_id=schema_id, listener=listen)
    return told


async def next_of(told: asyncio.Queue[Data]) -> Data:
    return await asyncio.wait_for(told.get(), 20)
