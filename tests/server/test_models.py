"""Models as the panel reads them, from a real MLMD."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

from kale_serve_ext.entities import KFP_MODEL, MODEL, TRANSFORMER, Artifact
from kale_serve_ext.metadata.provenance import Provenance
from kale_serve_ext.ml import Column, Signature
from kale_serve_ext.server.extension import KaleServeApp

Fetch = Callable[..., Awaitable[HTTPResponse]]

NOTEBOOK = Provenance("notebook", "work/train.ipynb", run="kernel-1")


async def log(app: KaleServeApp, name: str, version: str = "", type: str = MODEL, **more: object) -> Artifact:
    artifact = Artifact(type=type, name=name, version=version, uri=f"file:///{name}", **more)  # type: ignore[arg-type]
    return await app.backends.metadata.put_artifact(artifact, provenance=NOTEBOOK)


async def test_models_come_newest_first_with_their_newest_version_whole(api: Fetch, app: KaleServeApp) -> None:
    signature = Signature(["batch_size", 2], ["batch_size"], columns=(Column("a"), Column("b")), sample=[1.5, None])
    await log(app, "iris", "1.0.0", digest="sha256:1", format="sklearn", tags={"stage": "development"})
    await log(app, "wine", digest="sha256:2", format="xgboost")
    newest = await log(
        app, "iris", "2.0.0", digest="sha256:3", format="sklearn", signature=signature, description="<b>My</b> model"
    )
    await log(app, "vectorizer", type=TRANSFORMER, digest="sha256:4")

    page = json.loads((await api("models")).body)
    assert [(item["latest"]["name"], item["versions"]) for item in page["items"]] == [("iris", 2), ("wine", 1)]
    assert (page["total"], page["next_cursor"]) == (2, "")
    latest = page["items"][0]["latest"]
    assert (latest["id"], latest["version"], latest["description"]) == (newest.id, "2.0.0", "<b>My</b> model")
    assert latest["signature"]["sample"] == [1.5, None]
    assert [(c["name"], c["dtype"]) for c in latest["signature"]["columns"]] == [("a", "float64"), ("b", "float64")]

    page = json.loads((await api("transformers")).body)
    assert [item["latest"]["name"] for item in page["items"]] == ["vectorizer"]


async def test_models_are_filtered_and_paged(api: Fetch, app: KaleServeApp) -> None:
    for number in range(5):
        await log(app, f"model-{number}", digest=f"sha256:{number}", format="sklearn", tags={"even": str(number % 2)})
    await log(app, "vectorizer", type=TRANSFORMER, digest="sha256:t")

    async def names(**params: str) -> list[str]:
        page = json.loads((await api("models", params=params)).body)
        return [item["latest"]["name"] for item in page["items"]]

    assert len(await names(type=MODEL)) == 5
    assert await names(type=KFP_MODEL) == []
    assert await names(type=TRANSFORMER) == []
    assert await names(tag="even:1") == ["model-3", "model-1"]
    assert await names(search="MODEL-4") == ["model-4"]
    assert await names(format="xgboost") == []
    assert await names(name="model-2") == ["model-2"]

    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = json.loads((await api("models", params={"limit": "2", "type": MODEL, "cursor": cursor})).body)
        assert page["total"] == 5
        seen += [item["latest"]["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"model-{number}" for number in reversed(range(5))]
    assert cursor == ""


async def test_a_bad_cursor_is_a_400(api: Fetch) -> None:
    with pytest.raises(HTTPClientError) as error:
        await api("models", params={"cursor": "made up"})
    assert error.value.code == 400
    assert error.value.response is not None
    assert json.loads(error.value.response.body)["field"] == "cursor"


async def test_one_model_tells_its_versions_and_where_it_came_from(api: Fetch, app: KaleServeApp) -> None:
    first = await log(app, "iris", digest="sha256:1")
    second = await log(app, "iris", digest="sha256:2")
    told = json.loads((await api(f"models/{first.id}")).body)
    assert told["artifact"]["id"] == first.id
    assert [(one["id"], one["version"]) for one in told["versions"]] == [(second.id, "2"), (first.id, "1")]
    (made,) = told["lineage"]["produced_by"]
    assert made["context"] == NOTEBOOK.name
    assert told["services"] == []


async def test_an_unknown_id_is_a_404(api: Fetch) -> None:
    for id in ("0", "1", "999999999999", "9" * 18, "9" * 19, "9" * 200, "x"):
        with pytest.raises(HTTPClientError) as error:
            await api(f"models/{id}")
        assert error.value.code == 404, id
