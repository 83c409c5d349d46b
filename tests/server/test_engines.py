"""The panel's choice of an engine: what there is, what is permitted, and what a switch changes at once."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.cluster import credentials
from kale_serve_ext.server.backends import Backends
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.watcher import ENGINE_SCHEMA_ID, watch

if TYPE_CHECKING:
    from tests.conftest import ApiServer

Fetch = Callable[..., Awaitable[HTTPResponse]]

CLUSTER = ("cluster", "one", "team-a")
HERE = ("local", "localhost", "default")


@pytest.fixture(autouse=True)
def cluster(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    credentials.find_place.cache_clear()
    yield api_server
    credentials.find_place.cache_clear()


@pytest.fixture
def app_config() -> dict[str, object]:
    return {"engine": "", "action_timeout": 0.2}


async def read(api: Fetch, path: str, **more: object) -> dict[str, object]:
    found: dict[str, object] = json.loads((await api(path, **more)).body)
    return found


def places(*infos: object) -> list[tuple[object, ...]]:
    return [(i["kind"], i["context"], i["namespace"]) for i in infos if isinstance(i, dict)]


async def engines_now(api: Fetch) -> list[tuple[object, ...]]:
    found = (await read(api, "health"))["engines"]
    assert isinstance(found, list)
    return places(*found)


async def choose(api: Fetch, **body: str) -> dict[str, object]:
    return await read(api, "engines", method="POST", body=json.dumps(body))


async def refused(api: Fetch, **body: str) -> tuple[int, str]:
    with pytest.raises(HTTPClientError) as error:
        await choose(api, **body)
    assert error.value.response is not None
    return error.value.code, json.loads(error.value.response.body)["message"]


def rewrite_kubeconfig(text: str | None) -> None:
    path = Path(os.environ["KUBECONFIG"])
    path.unlink()
    if text is not None:
        path.write_text(text)


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("waited 20 s")


async def test_the_cluster_is_found_and_told(api: Fetch) -> None:
    told = await read(api, "health")
    assert places(told["engine"]) == [CLUSTER]
    assert await engines_now(api) == [CLUSTER, HERE]
    assert told["engine_by"] == "found"
    assert told["engine_reason"] == "The cluster of the context 'one' has InferenceServices."


async def test_what_there_is_to_choose_from_asks_no_cluster(api: Fetch, cluster: ApiServer) -> None:
    cluster.asked.clear()
    told = await read(api, "engines")
    assert isinstance(told["items"], list)
    away = ("cluster", "away", "default")
    assert places(*told["items"]) == [HERE, CLUSTER, ("cluster", "two", "default"), away]
    assert told["message"] == ""
    rewrite_kubeconfig("broken: [")
    told = await read(api, "engines")
    assert isinstance(told["items"], list)
    assert places(*told["items"]) == [HERE]
    assert str(told["message"]).startswith("No cluster is known here")
    rewrite_kubeconfig(None)
    assert (await read(api, "engines"))["message"] == ""


async def test_namespaces_are_listed_where_that_is_allowed(api: Fetch, cluster: ApiServer) -> None:
    listed = {"items": ["team-a", "team-b", "theirs"], "complete": True}
    assert await read(api, "engines/namespaces", params={"context": "two"}) == listed
    cluster.lists = False
    own = {"items": ["team-a"], "complete": False}
    assert await read(api, "engines/namespaces", params={"context": "one"}) == own


@pytest.mark.parametrize(
    ("context", "status", "message"),
    [("away", 503, "'away' cannot be reached"), ("gone", 503, "'gone'"), ("", 400, "No context")],
)
async def test_a_context_that_cannot_be_asked_is_told(api: Fetch, context: str, status: int, message: str) -> None:
    with pytest.raises(HTTPClientError) as error:
        await api("engines/namespaces", params={"context": context})
    assert error.value.code == status
    assert error.value.response is not None
    assert message in json.loads(error.value.response.body)["message"]


async def test_a_choice_holds_at_once_and_after_a_restart(api: Fetch, app: KaleServeApp) -> None:
    made = await choose(api, kind="cluster", context="two", namespace="team-b")
    assert places(made) == [("cluster", "two", "team-b")]
    assert await engines_now(api) == [("cluster", "two", "team-b"), HERE]
    assert (await read(api, "health"))["engine_by"] == "chosen"
    # What kernels are handed says nothing of it: they read it where it is kept.
    assert os.environ["KALE_SERVE_ENGINE"] == os.environ["KALE_SERVE_CONTEXT"] == ""
    again = Backends(Settings.from_environ(), logging.getLogger("test"))
    await again.find_engine()
    assert again.decision == app.backends.decision
    await again.close()
    assert places(await choose(api, kind="local")) == [HERE]
    assert await engines_now(api) == [HERE]
    assert places(await choose(api, kind="")) == [CLUSTER]
    assert (await read(api, "health"))["engine_by"] == "found"


async def test_the_context_s_namespace_is_taken_where_none_is_named(api: Fetch) -> None:
    assert places(await choose(api, kind="cluster", context="one")) == [CLUSTER]


async def test_what_is_not_permitted_is_not_chosen(api: Fetch, cluster: ApiServer) -> None:
    status, message = await refused(api, kind="cluster", context="one", namespace="theirs")
    assert status == 403
    assert "create inferenceservices" in message
    assert "'theirs'" in message
    cluster.allowed.add("nowhere")
    assert await refused(api, kind="cluster", context="one", namespace="nowhere") == (
        404,
        "'one' has no namespace 'nowhere'.",
    )
    assert (await refused(api, kind="cluster", context="one", namespace="../team-a"))[0] == 400
    assert (await refused(api, kind="cluster", context="away", namespace="team-a"))[0] == 503
    assert (await refused(api, kind="cluster"))[0] == 400
    cluster.kinds.clear()
    status, message = await refused(api, kind="cluster", context="one")
    assert status == 404
    assert "no InferenceServices" in message
    assert (await read(api, "health"))["engine_by"] == "found"


async def test_a_switch_is_told_and_the_old_engine_is_let_go_of(
    api: Fetch, app: KaleServeApp, cluster: ApiServer
) -> None:
    told: list[dict[str, object]] = []

    async def listen(logger: object, schema_id: str, data: dict[str, object]) -> None:
        told.append(data)

    app.events.add_listener(schema_id=ENGINE_SCHEMA_ID, listener=listen)
    watching = asyncio.create_task(watch(app.backends, app.events, app.log))
    await read(api, "services")
    await until(lambda: "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices" in cluster.asked)
    assert {info.kind for info in app.backends._engines} == {"cluster", "local"}
    await choose(api, kind="local")
    await until(lambda: bool(told))
    assert told == [{"engine": "local", "context": "localhost", "namespace": "default"}]
    await until(lambda: {info.kind for info in app.backends._engines} == {"local"})
    watching.cancel()
    await asyncio.wait({watching})
    assert watching.cancelled()


async def test_an_engine_that_was_switched_back_to_is_kept(api: Fetch, app: KaleServeApp) -> None:
    await read(api, "services")
    before = app.backends.engine
    await choose(api, kind="local")
    await choose(api, kind="")
    await until(lambda: not app.backends._closing)
    assert app.backends.engine is before
    assert json.loads((await api("services")).body) == {"items": []}


async def test_a_choice_of_another_server_is_followed(api: Fetch, app: KaleServeApp, settings: Settings) -> None:
    await read(api, "health")
    settings.data_dir.mkdir(exist_ok=True)
    (settings.data_dir / "engine.json").write_text('{"kind": "local"}')
    await read(api, "health")
    await until(lambda: app.backends.decision.info.kind == "local")


class TestFixed:
    @pytest.fixture
    def app_config(self) -> dict[str, object]:
        return {"engine": "local"}

    async def test_what_is_configured_is_not_chosen(self, api: Fetch, settings: Settings) -> None:
        assert (await read(api, "health"))["engine_by"] == "configured"
        assert (await refused(api, kind="cluster", context="one"))[0] == 403
        assert not (settings.data_dir / "engine.json").exists()


async def test_a_service_is_changed_where_it_is_and_not_where_new_ones_go(
    api: Fetch, settings: Settings, cluster: ApiServer
) -> None:
    folder = settings.data_dir / "services" / "default" / "iris"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("a service even so")
    container = {"predictor": {"containers": [{"image": "example.org/own:1"}]}}

    async def post(path: str, place: tuple[str, str, str] | None, name: str = "iris") -> tuple[int, dict[str, object]]:
        body: dict[str, object] = {"name": "iris", "config": container, "update": True}
        if place:
            body["ref"] = {"engine": place[0], "context": place[1], "namespace": place[2], "name": name}
            body["name"] = "iris" if name == "other" else ""
        response = await api(path, method="POST", body=json.dumps(body), raise_error=False)
        return response.code, json.loads(response.body)

    assert (await post("plan", None))[1]["exists"] is False
    cluster.asked.clear()
    assert (await post("plan", HERE))[1]["exists"] is True
    status, told = await post("services", HERE)
    assert (status, told["reason"]) == (422, "Plan")
    assert "the local engine runs logged artifacts only" in str(told["message"])
    for path in ("plan", "services"):
        status, told = await post(path, HERE, "gone")
        assert (status, told["message"]) == (404, "There is no service gone in the namespace default of this machine.")
        status, told = await post(path, ("cluster", "far", "team-a"))
        assert (status, str(told["message"])[:19]) == (404, "No engine 'cluster'")
        status, told = await post(path, HERE, "other")
        assert (status, told["field"]) == (400, "name")
    assert cluster.asked == []
