"""The walk along events from an artifact to what made it and what used it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..entities import Lineage
from . import convert, schema
from .client import MetadataClient
from .proto import mlmd_pb2 as pb
from .reader import Reader

MOST_STEPS = 200
"""Executions of one artifact that a lineage shows, the newest first."""
_OUTPUTS = frozenset({pb.Event.OUTPUT, pb.Event.DECLARED_OUTPUT, pb.Event.INTERNAL_OUTPUT})
_INPUTS = frozenset({pb.Event.INPUT, pb.Event.DECLARED_INPUT, pb.Event.INTERNAL_INPUT})


async def lineage(reader: Reader, client: MetadataClient, id: int) -> Lineage:
    """The lineage of artifact ``id``: one step back and one forward."""
    artifact = await reader.artifact(id)
    around = await client.call(pb.GetEventsByArtifactIDsRequest(artifact_ids=[id]), pb.GetEventsByArtifactIDsResponse)
    ids = sorted({event.execution_id for event in around.events}, reverse=True)[:MOST_STEPS]
    if not ids:
        return Lineage(artifact)
    executions, events = await asyncio.gather(
        client.call(pb.GetExecutionsByIDRequest(execution_ids=ids), pb.GetExecutionsByIDResponse),
        client.call(pb.GetEventsByExecutionIDsRequest(execution_ids=ids), pb.GetEventsByExecutionIDsResponse),
    )
    ordered = sorted(executions.executions, key=lambda execution: execution.id, reverse=True)
    contexts = await asyncio.gather(*(_contexts(client, execution) for execution in ordered))
    steps = {
        execution.id: convert.step(
            execution,
            _artifacts(events.events, execution.id, _INPUTS),
            _artifacts(events.events, execution.id, _OUTPUTS),
            around_it,
        )
        for execution, around_it in zip(ordered, contexts, strict=True)
    }
    others = sorted({i for step in steps.values() for i in (*step.inputs, *step.outputs)} - {id})
    return Lineage(
        artifact,
        produced_by=tuple(step for step in steps.values() if id in step.outputs),
        consumed_by=tuple(step for step in steps.values() if id in step.inputs),
        related={other.id: other for other in await reader.artifacts(others)},
    )


async def _contexts(client: MetadataClient, execution: pb.Execution) -> list[pb.Context]:
    """The contexts of another writer's execution; ours tell where they ran themselves."""
    if execution.type in (schema.LOG, schema.DEPLOYMENT):
        return []
    request = pb.GetContextsByExecutionRequest(execution_id=execution.id)
    return list((await client.call(request, pb.GetContextsByExecutionResponse)).contexts)


def _artifacts(events: Sequence[pb.Event], execution_id: int, kinds: frozenset[pb.Event.Type]) -> list[int]:
    found = (event.artifact_id for event in events if event.execution_id == execution_id and event.type in kinds)
    return list(dict.fromkeys(found))
