"""How artifacts and deployments are written: in transactions, and safe against a lost answer.

Every execution has a name of its own, and every artifact the mark of its submit. A write whose answer was lost (the
engine died at that moment) and that is made again finds by these that it was done.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Sequence

from ..entities import Artifact, ServiceRef
from ..errors import ConflictError, KaleServeError, NotFoundError
from . import convert, schema
from .client import MetadataClient
from .proto import mlmd_pb2 as pb
from .provenance import Provenance

PAGE = 100
"""Rows of a page; MLMD gives no more."""
ATTEMPTS = 100
"""How many versions in a row others may take before a submit without a version gives up."""
_ArtifactAndEvent = pb.PutExecutionRequest.ArtifactAndEvent


class Writer:
    """The writing half of ``Metadata``."""

    def __init__(self, client: MetadataClient) -> None:
        self._client = client
        self._types: dict[str, int] = {}

    async def version(self, artifact: Artifact, provenance: Provenance, inputs: Sequence[int]) -> Artifact:
        """A new version with the execution that made it, or the one that exists with this content.

        Raises:
            ConflictError: the version exists with other content.
        """
        if artifact.version:
            existing = await self._by_name(artifact, artifact.version)
            if existing is not None:
                return _same_content(existing, artifact)
        submission = uuid.uuid4().hex
        execution = pb.Execution(
            type_id=await self._type(schema.LOG),
            name=submission,
            properties=schema.texts(schema.place_properties(f"Log {artifact.name}", provenance)),
            last_known_state=pb.Execution.RUNNING,
        )
        if inputs:
            # Apart from the output, because MLMD attributes all artifacts of one call to all contexts in it, and an
            # input is no version of the registered name.
            execution.id = await self._put(schema.LOG, execution, [_input(id_) for id_ in inputs], [], provenance)
        try:
            return await self._next(artifact, submission, execution, provenance)
        except KaleServeError:
            if execution.HasField("id"):
                await self.end([execution], pb.Execution.FAILED)
            raise

    async def deployment(self, ref: ServiceRef, artifact_ids: Sequence[int], provenance: Provenance) -> int:
        """The execution of ``ref`` serving these artifacts, in place of what it served before."""
        before = await self.running(ref)
        for execution in before:
            request = pb.GetEventsByExecutionIDsRequest(execution_ids=[execution.id])
            served = (await self._client.call(request, pb.GetEventsByExecutionIDsResponse)).events
            if {event.artifact_id for event in served} == set(artifact_ids):
                await self.end([e for e in before if e.id != execution.id])
                return execution.id
        properties = schema.place_properties(f"Serve {ref.name}", provenance) | schema.service_properties(ref)
        execution = pb.Execution(
            type_id=await self._type(schema.DEPLOYMENT),
            name=uuid.uuid4().hex,
            properties=schema.texts(properties),
            last_known_state=pb.Execution.RUNNING,
        )
        service = schema.service(ref, await self._type(schema.SERVICE))
        events = [_input(id_) for id_ in artifact_ids]
        made = await self._put(schema.DEPLOYMENT, execution, events, [service], provenance)
        await self.end(before)
        return made

    async def running(self, ref: ServiceRef) -> list[pb.Execution]:
        """The deployments of a service that have not ended: one, or more for a moment during an update."""
        request = pb.GetContextByTypeAndNameRequest(type_name=schema.SERVICE, context_name=schema.service_name(ref))
        service = await self._client.call(request, pb.GetContextByTypeAndNameResponse)
        if not service.HasField("context"):
            return []
        running = pb.Execution.RUNNING
        return [e async for e in self._executions(service.context.id) if e.last_known_state == running]

    async def end(self, executions: Sequence[pb.Execution], state: pb.Execution.State = pb.Execution.COMPLETE) -> None:
        """Set the state that executions end in."""
        if not executions:
            return
        for execution in executions:
            execution.last_known_state = state
        await self._client.call(pb.PutExecutionsRequest(executions=executions), pb.PutExecutionsResponse)

    def forget(self) -> None:
        """Register the types again before the next write."""
        self._types = {}

    async def _next(
        self, artifact: Artifact, submission: str, execution: pb.Execution, provenance: Provenance
    ) -> Artifact:
        """Write the artifact under its version, or the first free number."""
        registered = pb.Context(type_id=await self._type(schema.REGISTERED[artifact.type]), name=artifact.name)
        type_id = await self._type(artifact.type)
        final = pb.Execution()
        final.CopyFrom(execution)
        final.last_known_state = pb.Execution.COMPLETE
        taken = 0
        for _ in range(ATTEMPTS):
            version = artifact.version or str(max(taken, await self._highest(artifact)) + 1)
            output = convert.to_proto(artifact, version, type_id=type_id, submission=submission)
            pair = _ArtifactAndEvent(artifact=output, event=pb.Event(type=pb.Event.OUTPUT))
            try:
                await self._put(schema.LOG, final, [pair], [registered], provenance)
            except ConflictError:
                existing = await self._by_name(artifact, version)
                if existing is None:
                    raise
                if convert.submission(existing) == submission:
                    return convert.from_proto(existing)
                if artifact.version:
                    same = _same_content(existing, artifact)
                    if execution.HasField("id"):
                        await self.end([execution], pb.Execution.CACHED)
                    return same
                taken = int(version)
            else:
                written = await self._by_name(artifact, version)
                if written is not None:
                    return convert.from_proto(written)
        raise ConflictError(
            f"No version could be assigned to {artifact.name!r}: {ATTEMPTS} in a row were taken by others.",
            hint="Try again, or give a version.",
            field="version",
        )

    async def _highest(self, artifact: Artifact) -> int:
        """The highest version that is a number; 0 where there is none."""
        context_type = schema.REGISTERED[artifact.type]
        request = pb.GetContextByTypeAndNameRequest(type_name=context_type, context_name=artifact.name)
        registered = await self._client.call(request, pb.GetContextByTypeAndNameResponse)
        if not registered.HasField("context"):
            return 0
        versions = [a.name.rpartition("/")[2] async for a in artifacts_of(self._client, registered.context.id)]
        return max((int(v) for v in versions if re.fullmatch(r"[0-9]{1,18}", v)), default=0)

    async def _by_name(self, artifact: Artifact, version: str) -> pb.Artifact | None:
        name = schema.mlmd_name(artifact.name, version)
        request = pb.GetArtifactByTypeAndNameRequest(type_name=artifact.type, artifact_name=name)
        answer = await self._client.call(request, pb.GetArtifactByTypeAndNameResponse)
        return answer.artifact if answer.HasField("artifact") else None

    async def _put(
        self,
        kind: str,
        execution: pb.Execution,
        events: list[_ArtifactAndEvent],
        contexts: list[pb.Context],
        provenance: Provenance,
    ) -> int:
        """Write an execution of type ``kind``, its events and its contexts, the place included, all or nothing.

        Returns:
            Its id.
        """
        place = schema.place(provenance, await self._type(schema.PLACES[provenance.kind]))
        request = pb.PutExecutionRequest(
            execution=execution,
            artifact_event_pairs=events,
            contexts=[*contexts, place],
            options=pb.PutExecutionRequest.Options(reuse_context_if_already_exist=True),
        )
        try:
            return (await self._client.call(request, pb.PutExecutionResponse)).execution_id
        except NotFoundError:
            self.forget()  # The server's database is another one now, with other ids of types.
            raise
        except ConflictError:
            by_name = pb.GetExecutionByTypeAndNameRequest(type_name=kind, execution_name=execution.name)
            found = await self._client.call(by_name, pb.GetExecutionByTypeAndNameResponse)
            # Its name is this write's own: if it is there, the write was done and only its answer was lost.
            if execution.HasField("id") or not found.HasField("execution"):
                raise
            return found.execution.id

    async def _executions(self, context_id: int) -> AsyncIterator[pb.Execution]:
        token = ""
        while True:
            request = pb.GetExecutionsByContextRequest(context_id=context_id, options=newest_first(token))
            page = await self._client.call(request, pb.GetExecutionsByContextResponse)
            for execution in page.executions:
                yield execution
            token = page.next_page_token
            if not token:
                return

    async def _type(self, name: str) -> int:
        if not self._types:
            request = schema.types()
            self._types = schema.type_ids(request, await self._client.call(request, pb.PutTypesResponse))
        return self._types[name]


async def artifacts_of(client: MetadataClient, context_id: int) -> AsyncIterator[pb.Artifact]:
    """The artifacts of a context, the newest first."""
    token = ""
    while True:
        request = pb.GetArtifactsByContextRequest(context_id=context_id, options=newest_first(token))
        page = await client.call(request, pb.GetArtifactsByContextResponse)
        for artifact in page.artifacts:
            yield artifact
        token = page.next_page_token
        if not token:
            return


def newest_first(token: str) -> pb.ListOptions:
    """A page by id, descending."""
    order = pb.ListOptions.OrderByField(field=pb.ListOptions.OrderByField.ID, is_asc=False)
    return pb.ListOptions(max_result_size=PAGE, order_by_field=order, next_page_token=token or None)


def _input(artifact_id: int) -> _ArtifactAndEvent:
    return _ArtifactAndEvent(event=pb.Event(type=pb.Event.INPUT, artifact_id=artifact_id))


def _same_content(existing: pb.Artifact, wanted: Artifact) -> Artifact:
    found = convert.from_proto(existing)
    same = found.digest == wanted.digest if found.digest or wanted.digest else found.uri == wanted.uri
    if not same:
        raise ConflictError(
            f"Version {wanted.version!r} of {wanted.name!r} exists already, with other content (artifact {found.id}).",
            hint="Give another version, or leave it out to get the next number.",
            field="version",
        )
    return found
