"""Serving that has files to upload: accepted at once, seen by every window, cancelled at will, and nothing is left."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias, cast

import pytest
from sklearn.linear_model import LogisticRegression
from tornado.httpclient import HTTPResponse

from kale_serve_ext import Model, session, sync
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import AS_LOGGED, Manifest, OnProgress, ServiceState, Staged, Use, Version
from kale_serve_ext.engines.local.engine import LocalEngine
from kale_serve_ext.entities import Artifact, ServiceRef
from kale_serve_ext.errors import StorageFullError
from kale_serve_ext.server import uploads
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.watcher import SCHEMA_ID, UPLOAD_SCHEMA_ID
from kale_serve_ext.serving.deploy import serve
from kale_serve_ext.serving.types import ServeRequest

Fetch = Callable[..., Awaitable[HTTPResponse]]
Body: TypeAlias = dict[str, object]

IRIS = "services/local/localhost/default/iris"
DEADLINE = 60.0


class Slow(LocalEngine):
    """The local engine, to which files take a while."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "default")
        self.go_on = asyncio.Event()
        self.failure: Exception | None = None
        self.is_quick = False
        """Whether files are there at once, without an upload."""
        self.is_cancelled_at_once = False
        self.cancelled = 0
        self.unstaged = 0
        self.applying: asyncio.Event | None = None
        """Where there is one, it is set when a service is applied, which then takes for ever."""
        self.clearing: asyncio.Event | None = None
        """Where there is one, what is cancelled is cleared away only when it is set."""
        self.cleared = 0
        self.read = asyncio.Event()
        self.holds_reading = False
        """Whether the next reading of services is told only when it is let go."""
        self.let_go = asyncio.Event()

    async def stage(self, artifact: Artifact, on_progress: OnProgress | None = None, use: Use = AS_LOGGED) -> Staged:
        if self.is_quick:
            return await super().stage(artifact)
        assert on_progress is not None
        on_progress(0, 300)
        on_progress(100, 300)
        task = asyncio.current_task()
        if self.is_cancelled_at_once and task:
            task.cancel()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            if self.clearing:
                await self.clearing.wait()
            self.cleared += 1
            raise
        if self.failure:
            raise self.failure
        return await super().stage(artifact, on_progress)

    async def get(self, name: str) -> ServiceState:
        try:
            return await super().get(name)
        finally:
            await self._hold()

    async def services(self) -> list[ServiceState]:
        found = await super().services()
        await self._hold()
        return found

    async def _hold(self) -> None:
        if self.holds_reading:
            self.holds_reading = False
            self.read.set()
            await self.let_go.wait()

    async def unstage(self, staged: Staged) -> None:
        self.unstaged += 1

    async def apply(
        self,
        manifest: Manifest,
        staged: Sequence[Staged] = (),
        *,
        force: bool = False,
        over: Version | None = None,
        by: str = "",
        back_to: int = 0,
    ) -> ServiceState:
        if self.applying:
            self.applying.set()
            await asyncio.Event().wait()
        return await super().apply(manifest, staged, force=force, over=over, by=by, back_to=back_to)


@pytest.fixture
def slow(app: KaleServeApp, settings: Settings, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Slow]:
    made = Slow(settings)

    async def end() -> None:
        await app.uploads.close()
        for state in await made.services():
            await made.delete(state.ref.name)

    jp_asyncio_loop.run_until_complete(app.backends.find_engine())
    app.backends._engines[app.backends.engine_infos[0]] = made
    yield made
    jp_asyncio_loop.run_until_complete(end())


@pytest.fixture
def model_id(slow: Slow) -> Iterator[int]:
    model = LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    yield Model(model, name="iris").submit_artifact().id or 0
    sync.run(session.close())


async def call(api: Fetch, path: str, verb: str = "GET", body: Body | None = None) -> tuple[int, Body]:
    answer = await api(path, method=verb, body=json.dumps(body) if body is not None else None, raise_error=False)
    return answer.code, json.loads(answer.body or b"{}")


async def until(api: Fetch, seen: Callable[[Body], object]) -> Body:
    end = time.monotonic() + DEADLINE
    while True:
        _, service = await call(api, IRIS)
        if seen(service):
            return service
        assert time.monotonic() < end, service
        await asyncio.sleep(0.05)


async def eventually(seen: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE
    while not seen():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def heard(app: KaleServeApp, schema_id: str) -> list[tuple[object, ...]]:
    """What is told from now on."""
    told: list[tuple[object, ...]] = []

    async def listen(logger: object, schema_id: str, data: Body) -> None:
        told.append(tuple(data.get(key) for key in ("kind", "name", "phase", "done", "total")))

    app.events.add_listener(schema_id=schema_id, listener=listen)
    return told


async def test_it_is_accepted_at_once_and_seen_until_it_is_served(
    api: Fetch, app: KaleServeApp, slow: Slow, model_id: int
) -> None:
    changes, moves = heard(app, SCHEMA_ID), heard(app, UPLOAD_SCHEMA_ID)
    status, made = await call(api, "services", "POST", {"model_id": model_id})

    assert (status, made["phase"]) == (202, "Uploading")
    assert made["ref"] == {"engine": "local", "context": "localhost", "namespace": "default", "name": "iris"}
    upload = {"artifact": "iris", "done": 100, "total": 300, "error": ""}
    listed = cast("list[Body]", (await call(api, "services"))[1]["items"])
    assert [(s["ref"], s["phase"], s["upload"]) for s in listed] == [(made["ref"], "Uploading", upload)]
    assert (await call(api, IRIS))[1]["upload"] == upload
    # Nobody serves another thing under its name meanwhile.
    status, told = await call(api, "services", "POST", {"model_id": model_id})
    assert (status, told["reason"]) == (409, "Conflict")
    assert "being uploaded" in str(told["message"])

    slow.go_on.set()
    service = await until(api, lambda s: s["upload"] is None)
    assert service["phase"] != "Uploading"
    assert service["revision"] == 1
    assert ("modified", "iris", "Uploading", None, None) in changes
    assert (None, "iris", None, 100, 300) in moves


async def test_what_the_plan_says_against_it_is_told_at_once(api: Fetch, slow: Slow, model_id: int) -> None:
    status, told = await call(api, "services", "POST", {"model_id": model_id, "runtime": "kserve-torchserve"})

    assert (status, told["field"]) == (422, "runtime")
    assert (await call(api, "services"))[1]["items"] == []


@pytest.mark.parametrize("path", [IRIS, f"{IRIS}/upload"])
async def test_it_is_cancelled_and_nothing_is_left(
    api: Fetch, app: KaleServeApp, slow: Slow, model_id: int, path: str
) -> None:
    changes = heard(app, SCHEMA_ID)
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202

    assert (await call(api, path, "DELETE"))[0] == 204

    assert slow.cancelled == 1
    assert (await call(api, "services"))[1]["items"] == []
    assert (await call(api, IRIS))[0] == 404
    assert (await call(api, path, "DELETE"))[0] == 404
    assert changes[-1][:2] == ("deleted", "iris")
    assert await slow.services() == []


async def test_a_failure_stays_until_it_is_dismissed_or_served_again(api: Fetch, slow: Slow, model_id: int) -> None:
    slow.failure = StorageFullError("The claim is full.", hint="Name a larger one.")
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202
    slow.go_on.set()

    failed = await until(api, lambda s: s["phase"] == "Failed")
    assert failed["reason"] == "The claim is full. Name a larger one."
    assert (await call(api, IRIS, "DELETE"))[0] == 204
    assert (await call(api, IRIS))[0] == 404

    slow.go_on.clear()
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202
    slow.go_on.set()
    await until(api, lambda s: s["phase"] == "Failed")
    slow.failure = None
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] in (201, 202)
    await until(api, lambda s: s["upload"] is None and s["revision"] == 1)


async def test_an_update_is_uploaded_beside_what_answers(api: Fetch, slow: Slow, model_id: int) -> None:
    slow.go_on.set()
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] in (201, 202)
    await until(api, lambda s: s.get("upload", 0) is None)
    slow.go_on.clear()

    status, made = await call(api, IRIS, "PATCH", {"model_id": model_id, "method": "predict_proba"})
    assert status == 202
    assert made["phase"] not in ("Uploading", "Failed")
    assert cast("Body", made["upload"])["done"] == 100
    assert (await call(api, f"{IRIS}/upload", "DELETE"))[0] == 204
    service = (await call(api, IRIS))[1]
    assert (service["upload"], service["revision"], service["method"]) == (None, 1, "predict")

    # What fails is told beside it, and can be dismissed.
    slow.failure = StorageFullError("The claim is full.")
    assert (await call(api, IRIS, "PATCH", {"model_id": model_id, "method": "predict_proba"}))[0] == 202
    slow.go_on.set()
    service = await until(api, lambda s: cast("Body", s["upload"])["error"])
    assert service["phase"] != "Failed"
    assert (await call(api, f"{IRIS}/upload", "DELETE"))[0] == 204
    assert (await call(api, IRIS))[1]["upload"] is None


async def test_what_is_staged_is_left_to_the_engine_that_is_cancelled(api: Fetch, slow: Slow, model_id: int) -> None:
    """It alone knows whether the service has come to use it."""
    slow.applying = asyncio.Event()
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202
    slow.go_on.set()
    await asyncio.wait_for(slow.applying.wait(), DEADLINE)

    assert (await call(api, IRIS, "DELETE"))[0] == 204

    assert slow.unstaged == 0


@pytest.mark.parametrize("again", ["cancel", "close"])
async def test_what_clears_away_is_not_cut_short_by_a_second_cancel(
    api: Fetch, app: KaleServeApp, slow: Slow, model_id: int, again: str
) -> None:
    slow.clearing = asyncio.Event()
    _, made = await call(api, "services", "POST", {"model_id": model_id})
    ref = ServiceRef(**cast("dict[str, str]", made["ref"]))
    first = asyncio.create_task(app.uploads.cancel(ref))
    await eventually(lambda: slow.cancelled)

    second = asyncio.create_task(app.uploads.cancel(ref) if again == "cancel" else app.uploads.close())
    await asyncio.wait({second}, timeout=0.1)
    slow.clearing.set()
    await asyncio.gather(first, second)

    assert slow.cleared == 1


async def test_what_failed_is_forgotten_when_it_is_served_without_an_upload(
    api: Fetch, slow: Slow, model_id: int
) -> None:
    slow.is_quick = True
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 201
    slow.is_quick, slow.failure = False, StorageFullError("The claim is full.")
    assert (await call(api, IRIS, "PATCH", {"model_id": model_id, "method": "predict_proba"}))[0] == 202
    slow.go_on.set()
    await until(api, lambda s: cast("Body", s["upload"])["error"])

    assert (await call(api, IRIS, "PATCH", {"replicas": 1}))[0] == 200
    assert (await call(api, IRIS))[1]["upload"] is not None
    slow.is_quick = True
    assert (await call(api, IRIS, "PATCH", {"model_id": model_id, "method": "predict_proba"}))[0] == 200
    assert (await call(api, IRIS))[1]["upload"] is None


async def test_a_service_goes_though_its_upload_had_failed_before_somebody_else_served_it(
    api: Fetch, app: KaleServeApp, slow: Slow, model_id: int
) -> None:
    slow.failure = StorageFullError("The claim is full.")
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202
    slow.go_on.set()
    await until(api, lambda s: s["phase"] == "Failed")
    slow.is_quick = True
    request = ServeRequest(model_id=model_id)
    await serve(request, slow, app.backends.metadata, provenance=app.backends.provenance())

    assert (await call(api, IRIS, "DELETE"))[0] == 204

    assert await slow.services() == []


@pytest.mark.parametrize("path", ["services", IRIS])
async def test_a_service_that_comes_while_they_are_read_is_not_missed(
    api: Fetch, app: KaleServeApp, slow: Slow, model_id: int, path: str
) -> None:
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202
    slow.holds_reading = True
    asked = asyncio.create_task(call(api, path))
    await asyncio.wait_for(slow.read.wait(), DEADLINE)
    slow.go_on.set()
    await eventually(lambda: not app.uploads.refs())
    slow.let_go.set()

    status, told = await asked

    (service,) = cast("list[Body]", told["items"]) if path == "services" else [told]
    assert (status, service["revision"]) == (200, 1)


async def test_one_that_comes_while_they_are_counted_counts(
    api: Fetch, app: KaleServeApp, slow: Slow, model_id: int
) -> None:
    app.max_services = 1
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202
    slow.holds_reading = True
    asked = asyncio.create_task(call(api, "services", "POST", {"model_id": model_id, "name": "second"}))
    await asyncio.wait_for(slow.read.wait(), DEADLINE)
    slow.go_on.set()
    await eventually(lambda: not app.uploads.refs())
    slow.let_go.set()

    status, told = await asked

    assert (status, told["reason"]) == (403, "PermissionDenied")


async def test_what_does_not_end_holds_up_no_server(
    api: Fetch,
    app: KaleServeApp,
    slow: Slow,
    model_id: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(uploads, "_ENDS_WITHIN", 0.1)
    slow.clearing = asyncio.Event()
    assert (await call(api, "services", "POST", {"model_id": model_id}))[0] == 202

    await asyncio.wait_for(app.uploads.close(), DEADLINE)

    assert "The upload for iris was cancelled but is still running" in caplog.text
    slow.clearing.set()
    await eventually(lambda: slow.cleared)


async def test_what_is_cancelled_before_it_is_answered_is_told_as_that(api: Fetch, slow: Slow, model_id: int) -> None:
    slow.is_cancelled_at_once = True

    status, told = await call(api, "services", "POST", {"model_id": model_id})

    assert (status, told["message"]) == (409, "The upload for iris was cancelled.")
    assert (await call(api, IRIS))[0] == 404
