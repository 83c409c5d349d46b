"""Changes of services reach whoever listens, by name, and go on after the engine failed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TypeAlias, cast

from jupyter_events import EventLogger

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Engine, ServiceEvent, ServiceState
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import BackendUnavailableError
from kale_serve_ext.server.backends import Backends
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.watcher import SCHEMA_ID, SCHEMAS, UPLOAD_SCHEMA_ID, emit, emit_upload, watch
from kale_serve_ext.serving.status import describe

Data: TypeAlias = dict[str, object]

REF = ServiceRef("local", "localhost", "default", "iris")
OTHER = ServiceRef("local", "localhost", "default", "other")
STATE = ServiceState(
    ref=REF,
    manifest={
        "metadata": {"name": "iris", "labels": {"kale-serve-ext/model-id": "3"}},
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "sklearn"},
                    "protocolVersion": "v1",
                    "env": [{"name": "DB_PASSWORD", "value": "hunter2"}],
                }
            }
        },
    },
    revision=1,
    serving_revision=0,
    components=(),
)


async def test_a_listener_is_told_which_service_changed_and_how(app: KaleServeApp) -> None:
    """And no more: the manifest has the values of environment variables, and who reads events may not read it."""
    told = heard(app.events)
    emit(ServiceEvent("added", REF, STATE), app.events)
    emit(ServiceEvent("deleted", REF, None), app.events)
    added, deleted = await next_of(told), await next_of(told)
    assert "hunter2" not in json.dumps(added)
    service = describe(STATE)
    named = {"engine": "local", "context": "localhost", "namespace": "default", "name": "iris"}
    assert _without_metadata(added) == {"kind": "added", **named, "phase": service.phase, "reason": service.reason}
    assert _without_metadata(deleted) == {"kind": "deleted", **named, "phase": "", "reason": ""}


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
    backends = Backends(Settings(engine="local"), logging.getLogger("test"))
    await backends.find_engine()
    backends._engines[backends.engine_infos[0]] = flaky
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
    emit_upload(events, REF, "iris", 1 << 20, 3 << 20)
    event = await next_of(told)
    assert _without_metadata(event) == {
        "engine": "local",
        "context": "localhost",
        "namespace": "default",
        "name": "iris",
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


def _without_metadata(data: Data) -> Data:
    """Without what the logger adds."""
    return {key: value for key, value in data.items() if not key.startswith("__")}


async def next_of(told: asyncio.Queue[Data]) -> Data:
    return await asyncio.wait_for(told.get(), 20)
