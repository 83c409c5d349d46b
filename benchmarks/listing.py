"""The first page of 100,000 artifacts, at the server; against a bare request and an untyped page of MLMD."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from jupyter import server
from report import Row

from kale_serve_ext.config import Settings
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.metadata import convert, open_metadata, schema
from kale_serve_ext.metadata.client import MetadataClient
from kale_serve_ext.metadata.engine import socket_path
from kale_serve_ext.metadata.proto import mlmd_pb2 as pb
from kale_serve_ext.metadata.store import Metadata

ARTIFACTS = 100_000
BATCH = 500
CALLS = 50
INDEXING = 120.0
"""Seconds that the first reading of all of them may take."""


def measure(folder: Path) -> list[Row]:
    page_of_mlmd = asyncio.run(_fill())
    with server(folder) as running:
        start = time.perf_counter()
        while running.client.get("/kale-serve-ext/models").raise_for_status().json()["total"] < ARTIFACTS:
            if time.perf_counter() - start > INDEXING:
                raise SystemExit("The index did not come to hold every artifact.")
            time.sleep(0.2)
        indexed = time.perf_counter() - start
        page = _median(running.client, "/kale-serve-ext/models")
        search = _median(running.client, "/kale-serve-ext/models?search=model-99")
        bare = _median(running.client, "/api")
    return [
        Row("first page of 100,000 artifacts", page, "ms", "bare /api request", bare, limit=50),
        Row("first page of 100,000 artifacts", page, "ms", "untyped MLMD page", page_of_mlmd),
        Row("first page of a search in them", search, "ms", "bare /api request", bare),
        Row("reading all of them once", 1e3 * indexed, "ms", "untyped MLMD page", page_of_mlmd),
    ]


async def _fill() -> float:
    """Write the artifacts, many to a call; the median time of an untyped page, in ms."""
    settings = Settings.from_environ()
    metadata = open_metadata(settings)
    await metadata.prepare()
    client = MetadataClient(f"unix:{socket_path(settings)}", title="The engine", timeout=60)
    try:
        types = schema.types()
        ids = schema.type_ids(types, await client.call(types, pb.PutTypesResponse))
        for start in range(0, ARTIFACTS, BATCH):
            pairs = []
            for number in range(start, start + BATCH):
                artifact = Artifact(MODEL, f"model-{number}", format="sklearn", tags={"team": f"t{number % 7}"})
                row = convert.to_proto(artifact, "1", type_id=ids[MODEL], submission="")
                pairs.append(
                    pb.PutExecutionRequest.ArtifactAndEvent(artifact=row, event=pb.Event(type=pb.Event.OUTPUT))
                )
            made = pb.Execution(type_id=ids[schema.LOG], name=f"fill-{start}")
            await client.call(
                pb.PutExecutionRequest(execution=made, artifact_event_pairs=pairs), pb.PutExecutionResponse
            )
        return await _median_of(lambda: _page(metadata))
    finally:
        await client.close()
        await metadata.close()


async def _page(metadata: Metadata) -> None:
    await metadata.newest_updates()


async def _median_of(call: Callable[[], Awaitable[None]]) -> float:
    times: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        await call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def _median(client: httpx.Client, path: str) -> float:
    times: list[float] = []
    for _ in range(CALLS):
        start = time.perf_counter()
        client.get(path).raise_for_status()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)
