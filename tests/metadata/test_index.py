"""Lists: newest first, searched, filtered and paged from memory, and true again after any change of MLMD."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.backup import back_up, restore
from kale_serve_ext.config import Settings
from kale_serve_ext.entities import DATASET, MODEL, TRANSFORMER
from kale_serve_ext.errors import DeadlineExceededError, InvalidInputError
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.index import Index
from kale_serve_ext.metadata.proto import mlmd_pb2 as pb
from kale_serve_ext.metadata.store import Metadata
from tests.metadata.conftest import NOTEBOOK, engine_pid, model, stopped


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Metadata]:
    metadata = open_metadata(settings)
    try:
        yield metadata
    finally:
        await metadata.close()


def test_names_are_listed_once_by_their_newest_version(metadata: Metadata) -> None:
    async def work() -> None:
        put = metadata.put_artifact
        for name in ("a", "b", "a", "c"):
            await put(model(name), provenance=NOTEBOOK)
        await put(replace(model("t"), type=TRANSFORMER), provenance=NOTEBOOK)
        await put(replace(model("d"), type=DATASET), provenance=NOTEBOOK)
        index = metadata.index
        assert (await index.page(types={MODEL}))[2] == 0
        await index.refresh()
        assert index.complete
        rows, cursor, total = await index.page(types={MODEL})
        assert [(r.latest.name, r.latest.version, r.versions) for r in rows] == [
            ("c", "1", 1),
            ("a", "2", 2),
            ("b", "1", 1),
        ]
        assert (cursor, total) == ("", 3)
        both, _, total = await index.page(types={MODEL, TRANSFORMER})
        assert ([r.latest.name for r in both], total) == (["t", "c", "a", "b"], 4)
        assert (await index.page(types=set())) == ([], "", 0)
        # A new version brings its name to the top; rows are whole.
        await put(model("b", description="The second", details={"x": 1}), provenance=NOTEBOOK)
        await index.refresh()
        (first, *_), _, _ = await index.page(types={MODEL})
        assert (first.latest.name, first.versions, first.latest.details) == ("b", 2, {"x": 1})

    asyncio.run(work())


def test_search_and_filters(metadata: Metadata) -> None:
    async def work() -> None:
        put = metadata.put_artifact
        await put(
            model("Straße", description="Predicts RENT", format="sklearn", tags={"stage": "dev"}), provenance=NOTEBOOK
        )
        await put(model("iris", format="xgboost", tags={"stage": "prod", "team": "a:b"}), provenance=NOTEBOOK)
        await put(model("iris", format="sklearn", tags={"stage": "dev"}), provenance=NOTEBOOK)
        index = metadata.index
        await index.refresh()

        async def names(search: str = "", tag: str = "", format: str = "", name: str = "") -> list[str]:
            rows, _, total = await index.page(types={MODEL}, search=search, tag=tag, format=format, name=name)
            assert total == len(rows)
            return [row.latest.name for row in rows]

        assert await names(search="STRASSE") == ["Straße"]
        assert await names(search="rent") == ["Straße"]
        assert await names(search="%") == []
        assert await names(tag="stage") == ["iris", "Straße"]
        assert await names(tag="stage:prod") == ["iris"]
        assert await names(tag="stage:pro") == []
        assert await names(tag="team:a:b") == ["iris"]
        assert await names(format="sklearn") == ["iris", "Straße"]
        assert await names(format="xgboost") == ["iris"]
        assert await names(name="iris") == ["iris"]
        assert await names(name="iri") == []
        assert await names(name="iris", format="lightgbm") == []
        # Both conditions on one version, not one each on two.
        assert await names(format="xgboost", tag="stage:dev") == []

    asyncio.run(work())


def test_pages_join_to_the_whole_list_while_it_grows(metadata: Metadata) -> None:
    async def work() -> None:
        for number in range(25):
            await metadata.put_artifact(model(f"m{number}", tags={"k": "v"}), provenance=NOTEBOOK)
        await metadata.index.refresh()
        for query in ({}, {"search": "m"}, {"tag": "k"}):
            seen: list[str] = []
            cursor = ""
            while True:
                rows, cursor, total = await metadata.index.page(types={MODEL}, cursor=cursor, limit=10, **query)
                seen += [row.latest.name for row in rows]
                assert total >= 25
                if not cursor:
                    break
                await metadata.put_artifact(model(f"later {len(seen)} {query}"), provenance=NOTEBOOK)
                await metadata.index.refresh()
            old = [name for name in seen if not name.startswith("later")]
            assert old == [f"m{number}" for number in reversed(range(25))]

    asyncio.run(work())


def test_many_pages_of_mlmd_load_and_one_change_is_found(metadata: Metadata, settings: Settings) -> None:
    async def work() -> None:
        await asyncio.gather(*(_batch(metadata, start) for start in range(0, 450, 50)))
        index = Index(metadata)
        await index.refresh(wait=None)
        assert (await index.page(types={MODEL}, limit=1))[2] == 450
        other = open_metadata(settings)
        await other.put_artifact(model("m7", description="changed"), provenance=NOTEBOOK)
        await other.close()
        await index.refresh()
        rows, _, total = await index.page(types={MODEL}, search="CHANGED")
        assert ([r.latest.name for r in rows], total, rows[0].versions) == (["m7"], 1, 2)
        assert (await index.page(types={MODEL}, limit=1))[0][0].latest.name == "m7"

    asyncio.run(work())


async def _batch(metadata: Metadata, start: int) -> None:
    for number in range(start, start + 50):
        await metadata.put_artifact(model(f"m{number}", version="one"), provenance=NOTEBOOK)


def test_a_change_of_an_artifact_itself_is_found(metadata: Metadata) -> None:
    """Another program may rename, retag or retire what is there."""

    async def work() -> None:
        kept = await metadata.put_artifact(model("kept"), provenance=NOTEBOOK)
        gone = await metadata.put_artifact(model("gone"), provenance=NOTEBOOK)
        await metadata.index.refresh()
        found = (
            await metadata._client.call(pb.GetArtifactsByIDRequest(artifact_ids=[kept.id, gone.id]), _BY_ID)
        ).artifacts
        for artifact in found:
            if artifact.id == kept.id:
                artifact.properties["name"].string_value = "renamed"
            else:
                artifact.state = pb.Artifact.MARKED_FOR_DELETION
            execution = pb.Execution(type_id=await metadata._writer._type("kale.Log"))
            pair = pb.PutExecutionRequest.ArtifactAndEvent(artifact=artifact)
            request = pb.PutExecutionRequest(execution=execution, artifact_event_pairs=[pair])
            await metadata._client.call(request, pb.PutExecutionResponse)
        await metadata.index.refresh()
        rows, _, total = await metadata.index.page(types={MODEL})
        assert ([row.latest.name for row in rows], total) == (["renamed"], 1)

    asyncio.run(work())


_BY_ID = pb.GetArtifactsByIDResponse


def test_another_database_is_noticed(settings: Settings) -> None:
    async def work() -> None:
        async with opened(settings) as metadata:
            for name in ("a", "b"):
                await metadata.put_artifact(model(name), provenance=NOTEBOOK)
            await metadata.index.refresh()
            assert (await metadata.index.page(types={MODEL}))[2] == 2
            await _replace_database(settings)
            await metadata.index.refresh()
            assert (await metadata.index.page(types={MODEL})) == ([], "", 0)
            # The ids begin anew, and so does what is known of them.
            await metadata.put_artifact(model("c"), provenance=NOTEBOOK)
            await metadata.index.refresh()
            assert [r.latest.name for r in (await metadata.index.page(types={MODEL}))[0]] == ["c"]

    asyncio.run(work())


def test_a_model_under_pages_of_other_artifacts_is_found(metadata: Metadata) -> None:
    """As those of a pipeline's run, of which no type is listed."""

    async def work() -> None:
        await metadata.put_artifact(model("first"), provenance=NOTEBOOK)
        await metadata.index.refresh()
        await metadata.put_artifact(model("second"), provenance=NOTEBOOK)
        await _put_others(metadata, 250)
        await metadata.index.refresh()
        rows, _, total = await metadata.index.page(types={MODEL})
        assert ([row.latest.name for row in rows], total) == (["second", "first"], 2)

    asyncio.run(work())


def test_another_database_is_noticed_under_pages_of_other_artifacts(settings: Settings) -> None:
    async def work() -> None:
        async with opened(settings) as metadata:
            for name in ("a", "b", "c"):
                await metadata.put_artifact(model(name), provenance=NOTEBOOK)
            await metadata.index.refresh()
            await _replace_database(settings)
            await metadata.put_artifact(model("new"), provenance=NOTEBOOK)
            await _put_others(metadata, 150)
            await metadata.index.refresh()
            rows, _, total = await metadata.index.page(types={MODEL})
            assert ([row.latest.name for row in rows], total) == (["new"], 1)

    asyncio.run(work())


def test_an_earlier_state_of_the_database_leaves_no_ghosts(settings: Settings, tmp_path: Path) -> None:
    """The artifact that was updated last is in it, and others are not."""

    async def work() -> None:
        async with opened(settings) as metadata:
            first = await metadata.put_artifact(model("first"), provenance=NOTEBOOK)
            await asyncio.to_thread(back_up, settings, tmp_path / "b")
            for name in ("lost", "lost too"):
                await metadata.put_artifact(model(name), provenance=NOTEBOOK)
            await metadata._client.call(await _update(metadata, first.id), pb.PutExecutionResponse)
            await metadata.index.refresh()
            assert (await metadata.index.page(types={MODEL}))[2] == 3
            await asyncio.to_thread(restore, settings, tmp_path / "b", overwrite=True)
            await metadata.index.refresh()
            rows, _, total = await metadata.index.page(types={MODEL})
            assert ([row.latest.name for row in rows], total) == (["first"], 1)

    asyncio.run(work())


async def _update(metadata: Metadata, id_: int) -> pb.PutExecutionRequest:
    """A new time of update for an artifact."""
    found = await metadata.found(id_)
    assert found is not None
    found.custom_properties["seen"].string_value = "yes"
    execution = pb.Execution(type_id=await metadata._writer._type("kale.Log"))
    pair = pb.PutExecutionRequest.ArtifactAndEvent(artifact=found)
    return pb.PutExecutionRequest(execution=execution, artifact_event_pairs=[pair])


async def _put_others(metadata: Metadata, count: int) -> None:
    types = pb.PutTypesRequest(artifact_types=[pb.ArtifactType(name="system.Metrics")])
    type_id = (await metadata._client.call(types, pb.PutTypesResponse)).artifact_type_ids[0]
    execution = pb.Execution(type_id=await metadata._writer._type("kale.Log"))
    pair = pb.PutExecutionRequest.ArtifactAndEvent
    pairs = [pair(artifact=pb.Artifact(type_id=type_id, uri=f"file:///metrics/{n}")) for n in range(count)]
    request = pb.PutExecutionRequest(execution=execution, artifact_event_pairs=pairs)
    await metadata._client.call(request, pb.PutExecutionResponse)


async def _replace_database(settings: Settings) -> None:
    import os
    import signal

    os.kill(engine_pid(settings), signal.SIGKILL)
    for file in (settings.data_dir / "metadata").glob("mlmd.db*"):
        file.unlink()


def test_a_load_that_was_cut_off_is_made_good(settings: Settings) -> None:
    async def work() -> None:
        async with opened(replace(settings, metadata_timeout=3.0)) as metadata:
            for number in range(3):
                await metadata.put_artifact(model(f"m{number}"), provenance=NOTEBOOK)
            with stopped(engine_pid(settings)), pytest.raises(DeadlineExceededError):
                await metadata.index.refresh(wait=None)
            assert not metadata.index.complete
            await metadata.index.refresh()
            assert (await metadata.index.page(types={MODEL}))[2] == 3

    asyncio.run(work())


@pytest.mark.parametrize(
    "cursor",
    [
        *("junk", "====", "\u0000", "é", "bm90IGpzb24", "x" * 100_000),
        base64.urlsafe_b64encode(json.dumps([1, "0" * 12]).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps({"a": 1}).encode()).decode(),
        base64.urlsafe_b64encode(json.dumps([True, "x", 3]).encode()).decode(),
    ],
)
def test_a_bad_cursor_is_refused(metadata: Metadata, cursor: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        asyncio.run(metadata.index.page(types={MODEL}, cursor=cursor))
    assert error.value.field == "cursor"


def test_a_cursor_belongs_to_its_query(metadata: Metadata) -> None:
    async def work() -> None:
        for name in ("a", "b", "c"):
            await metadata.put_artifact(model(name), provenance=NOTEBOOK)
        await metadata.index.refresh()
        _, cursor, _ = await metadata.index.page(types={MODEL}, limit=1)
        assert [r.latest.name for r in (await metadata.index.page(types={MODEL}, limit=5, cursor=cursor))[0]] == [
            "b",
            "a",
        ]
        for query in ({"types": {MODEL}, "search": "a"}, {"types": {DATASET}}):
            with pytest.raises(InvalidInputError):
                await metadata.index.page(cursor=cursor, **query)
        for limit in (0, -1, 501):
            with pytest.raises(InvalidInputError):
                await metadata.index.page(types={MODEL}, limit=limit)

    asyncio.run(work())
