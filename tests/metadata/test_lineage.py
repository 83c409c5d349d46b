"""Where an artifact came from, where it is served, and what another writer of MLMD left there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kale_serve_ext.entities import DATASET, KFP_MODEL, MODEL, TRANSFORMER, ServiceRef
from kale_serve_ext.errors import NotFoundError
from kale_serve_ext.metadata.proto import mlmd_pb2 as pb
from kale_serve_ext.metadata.provenance import Provenance
from kale_serve_ext.metadata.store import Metadata
from tests.metadata.conftest import NOTEBOOK, model

IRIS = ServiceRef("local", "localhost", "default", "iris")
PANEL = Provenance("server", "JupyterLab")


def test_an_artifact_tells_what_made_it_and_what_it_became(metadata: Metadata) -> None:
    async def work() -> None:
        put = metadata.put_artifact
        step = Provenance("pipeline", "train", run="run-1", step="fit")
        data = await put(replace(model("flowers"), type=DATASET), provenance=NOTEBOOK)
        vectorizer = await put(replace(model("Vectorizer"), type=TRANSFORMER), provenance=NOTEBOOK)
        made = await put(model(), provenance=step, inputs=[data.id, vectorizer.id])
        await metadata.record_deployment(IRIS, [made.id, vectorizer.id], provenance=PANEL)

        found = await metadata.lineage(made.id)
        (log,) = found.produced_by
        assert (log.type, log.context, log.state) == ("kale.Log", "train / fit", "COMPLETE")
        assert (set(log.inputs), log.outputs, log.service) == ({data.id, vectorizer.id}, (made.id,), None)
        (deployment,) = found.consumed_by
        assert (deployment.type, deployment.service, deployment.state) == ("kale.Deployment", IRIS, "RUNNING")
        assert set(deployment.inputs) == {made.id, vectorizer.id}
        assert found.related == {data.id: data, vectorizer.id: vectorizer}
        assert abs(deployment.started - made.created) < 60

        backwards = await metadata.lineage(data.id)
        assert backwards.produced_by[0].context == "iris/train.ipynb"
        assert [s.execution_id for s in backwards.consumed_by] == [log.execution_id]
        # An input is no version of what was made from it.
        assert [a.id for a in await metadata.versions(MODEL, "iris")] == [made.id]

    asyncio.run(work())


def test_an_artifact_without_inputs_or_uses(metadata: Metadata) -> None:
    async def work() -> None:
        made = await metadata.put_artifact(model(), provenance=Provenance("script", "train.py"))
        found = await metadata.lineage(made.id)
        assert [s.context for s in found.produced_by] == ["train.py"]
        assert (found.consumed_by, found.related) == ((), {})
        with pytest.raises(NotFoundError):
            await metadata.lineage(made.id + 1)

    asyncio.run(work())


def test_a_conflict_leaves_the_log_as_failed(metadata: Metadata) -> None:
    """The race that the first look cannot see: the version is taken between the look and the write."""

    async def work() -> None:
        data = await metadata.put_artifact(replace(model("flowers"), type=DATASET), provenance=NOTEBOOK)
        rivals = [
            metadata.put_artifact(model(version="1", digest=f"sha256:{n}"), provenance=NOTEBOOK, inputs=[data.id])
            for n in range(4)
        ]
        answers = await asyncio.gather(*rivals, return_exceptions=True)
        (made,) = (a for a in answers if not isinstance(a, BaseException))
        states = {s.state: s.outputs for s in (await metadata.lineage(data.id)).consumed_by}
        assert states.pop("COMPLETE") == (made.id,)
        assert set(states) <= {"FAILED"}

    asyncio.run(work())


def test_where_an_artifact_is_served(metadata: Metadata) -> None:
    async def work() -> None:
        first, second = [await metadata.put_artifact(model(), provenance=NOTEBOOK) for _ in range(2)]
        other = replace(IRIS, name="other")
        assert await metadata.deployments(first.id) == []
        record = metadata.record_deployment
        execution = await record(IRIS, [first.id], provenance=PANEL)
        assert await record(IRIS, [first.id], provenance=PANEL) == execution
        await record(other, [first.id], provenance=PANEL)
        assert set(await metadata.deployments(first.id)) == {IRIS, other}
        # An update serves another version in place of the first.
        await record(IRIS, [second.id], provenance=PANEL)
        assert await metadata.deployments(first.id) == [other]
        assert await metadata.deployments(second.id) == [IRIS]
        await metadata.end_deployment(other)
        await metadata.end_deployment(other)
        await metadata.end_deployment(replace(IRIS, name="never-was"))
        assert await metadata.deployments(first.id) == []
        states = {s.state for s in (await metadata.lineage(first.id)).consumed_by}
        assert states == {"COMPLETE"}
        with pytest.raises(NotFoundError):
            await record(IRIS, [10**6], provenance=PANEL)
        assert await metadata.deployments(second.id) == [IRIS]

    asyncio.run(work())


def test_models_of_kubeflow_pipelines_are_read(metadata: Metadata) -> None:
    async def work() -> None:
        run = await _pipeline_model(metadata, "model", "gs://bucket/1")
        again = await _pipeline_model(metadata, "model", "gs://bucket/2")
        found = await metadata.artifact(run)
        assert (found.type, found.name, found.uri) == (KFP_MODEL, "model", "gs://bucket/1")
        assert (found.format, found.description, found.version) == ("sklearn", "From a run", str(run))
        assert found.details == {"accuracy": 0.97, "hyper": {"depth": 3.0}}
        assert [a.id for a in await metadata.versions(KFP_MODEL, "model")] == [again, run]
        (step,) = (await metadata.lineage(run)).produced_by
        assert (step.type, step.name, step.context) == ("system.ContainerExecution", "train", "run-42")
        # Ours and theirs are served alike.
        await metadata.record_deployment(IRIS, [run], provenance=PANEL)
        assert await metadata.deployments(run) == [IRIS]
        await metadata.index.refresh()
        rows, _, total = await metadata.index.page(types={MODEL, KFP_MODEL}, search="MODEL", format="sklearn")
        assert total == 1
        assert (rows[0].latest.id, rows[0].versions) == (again, 2)

    asyncio.run(work())


async def _pipeline_model(metadata: Metadata, name: str, uri: str) -> int:
    """A model as the launcher of Kubeflow Pipelines writes it: no MLMD name, all in custom properties."""
    client = metadata._client
    types = await client.call(
        pb.PutTypesRequest(
            artifact_types=[pb.ArtifactType(name=KFP_MODEL)],
            execution_types=[pb.ExecutionType(name="system.ContainerExecution")],
            context_types=[pb.ContextType(name="system.PipelineRun")],
        ),
        pb.PutTypesResponse,
    )
    artifact = pb.Artifact(type_id=types.artifact_type_ids[0], uri=uri, state=pb.Artifact.LIVE)
    artifact.custom_properties["display_name"].string_value = name
    artifact.custom_properties["framework"].string_value = "scikit-learn"
    artifact.custom_properties["description"].string_value = "From a run"
    artifact.custom_properties["accuracy"].double_value = 0.97
    artifact.custom_properties["hyper"].struct_value.update({"depth": 3})
    execution = pb.Execution(type_id=types.execution_type_ids[0], last_known_state=pb.Execution.COMPLETE)
    execution.custom_properties["display_name"].string_value = "train"
    answer = await client.call(
        pb.PutExecutionRequest(
            execution=execution,
            artifact_event_pairs=[
                pb.PutExecutionRequest.ArtifactAndEvent(artifact=artifact, event=pb.Event(type=pb.Event.OUTPUT))
            ],
            contexts=[pb.Context(type_id=types.context_type_ids[0], name="run-42")],
            options=pb.PutExecutionRequest.Options(reuse_context_if_already_exist=True),
        ),
        pb.PutExecutionResponse,
    )
    return answer.artifact_ids[0]
