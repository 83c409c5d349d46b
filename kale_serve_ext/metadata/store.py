"""``Metadata``: artifacts, their versions and lineage, and what is served where."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..config import Settings
from ..errors import ConflictError, InvalidInputError, KaleServeError, NotFoundError
from ..records import Artifact, Lineage, ServiceRef
from . import convert, schema
from .client import Client
from .proto import mlmd_pb2 as pb
from .where import Where

if TYPE_CHECKING:
    from .engine import EmbeddedEngine
    from .index import Index

PAGE = 100
"""Rows of a page; MLMD gives no more."""
ATTEMPTS = 100
"""How many versions in a row others may take before a submit without a version gives up."""
HEALTH = 2.0
"""Seconds that a health check may take."""


class Metadata:
    """One MLMD: the embedded engine's or a server's. Usable from any event loop.

    Every method may raise ``MetadataUnavailableError`` and ``DeadlineExceededError``.
    """

    def __init__(
        self, settings: Settings, *, progress: Callable[[str], None] | None = None, background: bool = False
    ) -> None:
        self._settings = settings
        self._types: dict[str, int] = {}
        self._engine: EmbeddedEngine | None = None
        self._index: Index | None = None
        if settings.metadata == "embedded":
            from .engine import EmbeddedEngine, socket_path

            self._engine = EmbeddedEngine(settings, progress=progress or (lambda _: None), background=background)
            target, title, start = f"unix:{socket_path(settings)}", "The metadata engine", self._started
        else:
            target, start = _address(settings.metadata), None
            title = f"The metadata server {target}"
        self._client = Client(target, title=title, timeout=settings.metadata_timeout, start=start)

    # Artifacts

    async def put_artifact(self, artifact: Artifact, *, where: Where, inputs: Sequence[int] = ()) -> Artifact:
        """Record a new version, made by code that runs in ``where`` from the artifacts ``inputs``.

        Without a version it becomes the next integer. The same name, version and content again give the artifact that
        exists.

        Returns:
            It, with id, version and times.

        Raises:
            InvalidInputError: a field that cannot be kept.
            NotFoundError: an input that does not exist.
            ConflictError: the version exists with other content.
        """
        convert.check(artifact)
        for id_ in inputs:
            await self.artifact(id_)
        if artifact.version:
            existing = await self._by_name(artifact, artifact.version)
            if existing is not None:
                return _same_content(existing, artifact)
        submission = uuid.uuid4().hex
        title = f"Log {artifact.name}"
        execution = await self._execution(schema.LOG, submission, schema.place_properties(title, where))
        if inputs:
            # Apart from the output, because MLMD attributes all artifacts of one call to all contexts in it, and an
            # input is no version of the registered name.
            execution.last_known_state = pb.Execution.RUNNING
            execution.id = await self._put(execution, [_event(pb.Event.INPUT, id_) for id_ in inputs], [], where=where)
        execution.last_known_state = pb.Execution.COMPLETE
        try:
            return await self._put_version(artifact, submission, execution, where)
        except KaleServeError:
            if inputs:
                execution.last_known_state = pb.Execution.FAILED
                await self._client.call(pb.PutExecutionsRequest(executions=[execution]), pb.PutExecutionsResponse)
            raise

    async def artifact(self, id: int) -> Artifact:
        """
        Raises:
            NotFoundError: MLMD has no artifact of this id.
        """
        found = await self.artifacts([id])
        if not found:
            raise NotFoundError(
                f"There is no artifact {id} in the metadata.",
                hint="The Models list of the panel has every id; submit_artifact() gives it too.",
                field="id",
            )
        return found[0]

    async def artifacts(self, ids: Sequence[int]) -> list[Artifact]:
        """Those of ``ids`` that exist, in their order."""
        wanted = [id_ for id_ in dict.fromkeys(ids) if 0 < id_ < 2**63]
        found: dict[int, Artifact] = {}
        for start in range(0, len(wanted), PAGE):
            request = pb.GetArtifactsByIDRequest(artifact_ids=wanted[start : start + PAGE])
            answer = await self._client.call(request, pb.GetArtifactsByIDResponse)
            found.update((a.id, convert.from_proto(a)) for a in answer.artifacts)
        return [found[id_] for id_ in wanted if id_ in found]

    async def versions(self, type: str, name: str) -> list[Artifact]:
        """All versions of a name, the newest first; none where the name is unknown."""
        if type not in schema.REGISTERED:
            await self.index.refresh(wait=None)
            return await self.artifacts(self.index.ids(type, name))
        request = pb.GetContextByTypeAndNameRequest(type_name=schema.REGISTERED[type], context_name=name)
        registered = await self._client.call(request, pb.GetContextByTypeAndNameResponse)
        if not registered.HasField("context"):
            return []
        found: list[Artifact] = []
        token = ""
        while True:
            page = await self._client.call(
                pb.GetArtifactsByContextRequest(context_id=registered.context.id, options=_newest_first(token)),
                pb.GetArtifactsByContextResponse,
            )
            found.extend(convert.from_proto(a) for a in page.artifacts if a.type == type)
            token = page.next_page_token
            if not token:
                return found

    async def newest_updates(self, token: str = "") -> pb.GetArtifactsResponse:
        """One page of all artifacts of all types, the last updated first; ``token`` is from the page before."""
        order = pb.ListOptions.OrderByField(field=pb.ListOptions.OrderByField.LAST_UPDATE_TIME, is_asc=False)
        options = pb.ListOptions(max_result_size=PAGE, order_by_field=order, next_page_token=token or None)
        return await self._client.call(pb.GetArtifactsRequest(options=options), pb.GetArtifactsResponse)

    @property
    def index(self) -> Index:
        """Lists and searches over all artifacts."""
        if self._index is None:
            from .index import Index

            self._index = Index(self)
        return self._index

    # Lineage and deployments

    async def lineage(self, id: int) -> Lineage:
        """The executions that made and used an artifact, and the other artifacts that took part in them.

        Raises:
            NotFoundError: MLMD has no artifact of this id.
        """
        from .lineage import lineage

        return await lineage(self, self._client, id)

    async def record_deployment(self, ref: ServiceRef, artifact_ids: Sequence[int], *, where: Where) -> int:
        """Record that ``ref`` serves these artifacts from now on, in place of what it served before.

        Returns:
            The id of the execution, which goes on until :meth:`end_deployment`. The same again gives the same.

        Raises:
            NotFoundError: an artifact that does not exist.
        """
        for id_ in artifact_ids:
            await self.artifact(id_)
        before = await self._running(ref)
        for execution in before:
            request = pb.GetEventsByExecutionIDsRequest(execution_ids=[execution.id])
            served = (await self._client.call(request, pb.GetEventsByExecutionIDsResponse)).events
            if {event.artifact_id for event in served} == set(artifact_ids):
                await self._end([e for e in before if e.id != execution.id])
                return execution.id
        properties = schema.place_properties(f"Serve {ref.name}", where) | schema.service_properties(ref)
        execution = await self._execution(schema.DEPLOYMENT, uuid.uuid4().hex, properties)
        execution.last_known_state = pb.Execution.RUNNING
        events = [_event(pb.Event.INPUT, id_) for id_ in artifact_ids]
        service = schema.service(ref, await self._type(schema.SERVICE))
        made = await self._put(execution, events, [service], where=where)
        await self._end(before)
        return made

    async def end_deployment(self, ref: ServiceRef) -> None:
        """Record that ``ref`` serves nothing any more; without effect where nothing was recorded."""
        await self._end(await self._running(ref))

    async def deployments(self, artifact_id: int) -> list[ServiceRef]:
        """The services that an artifact is served by now."""
        events = await self._client.call(
            pb.GetEventsByArtifactIDsRequest(artifact_ids=[artifact_id]), pb.GetEventsByArtifactIDsResponse
        )
        ids = sorted({e.execution_id for e in events.events if e.type == pb.Event.INPUT})
        if not ids:
            return []
        executions = await self._client.call(
            pb.GetExecutionsByIDRequest(execution_ids=ids), pb.GetExecutionsByIDResponse
        )
        running = [e for e in executions.executions if e.last_known_state == pb.Execution.RUNNING]
        refs = [ref for ref in map(convert.service_ref, running) if ref is not None]
        return list(dict.fromkeys(refs))

    # The server itself

    async def health(self) -> tuple[str, str, str]:
        """How it does: the state (``ready``, ``starting``, ``installing``, ``missing`` or ``error``), a sentence, and
        what to do. Answers within about two seconds, and never starts anything."""
        if self._engine is not None:
            unready = await self._engine.unready()
            if unready is not None:
                return unready
        try:
            limit = min(HEALTH, self._settings.metadata_timeout)
            request = pb.GetArtifactsRequest(options=pb.ListOptions(max_result_size=1))
            await self._client.call(request, pb.GetArtifactsResponse, timeout=limit)
        except KaleServeError as error:
            return "error", error.message, error.hint
        return "ready", f"{self._client.title} answers.", ""

    async def prepare(self) -> None:
        """Make the engine's environment where there is none, and start the engine; of a server, ask for an answer."""
        if self._engine is not None:
            await self._engine.start(wait=True)
        await self._client.call(
            pb.GetArtifactsRequest(options=pb.ListOptions(max_result_size=1)), pb.GetArtifactsResponse
        )

    async def close(self) -> None:
        """Let go of the connection; the engine ends by itself when nobody uses it."""
        await self._client.close()

    # How things are written

    async def _put_version(
        self, artifact: Artifact, submission: str, execution: pb.Execution, where: Where
    ) -> Artifact:
        registered = pb.Context(type_id=await self._type(schema.REGISTERED[artifact.type]), name=artifact.name)
        type_id = await self._type(artifact.type)
        for _ in range(ATTEMPTS):
            version = artifact.version or await self._next_version(artifact)
            output = _event(pb.Event.OUTPUT, 0)
            output.artifact.CopyFrom(convert.to_proto(artifact, version, type_id=type_id, submission=submission))
            try:
                await self._put(execution, [output], [registered], where=where)
            except ConflictError:
                existing = await self._by_name(artifact, version)
                if existing is None:
                    raise
                if convert.submission(existing) != submission:
                    if artifact.version:
                        return _same_content(existing, artifact)
                    continue  # Somebody else took this number meanwhile.
            written = await self._by_name(artifact, version)
            if written is not None:
                return convert.from_proto(written)
        raise ConflictError(
            f"No version of {artifact.name!r} could be taken: others took {ATTEMPTS} in a row.",
            hint="Try again, or give a version.",
            field="version",
        )

    async def _next_version(self, artifact: Artifact) -> str:
        versions = (a.version for a in await self.versions(artifact.type, artifact.name))
        return str(1 + max((int(v) for v in versions if re.fullmatch(r"[0-9]{1,18}", v)), default=0))

    async def _by_name(self, artifact: Artifact, version: str) -> pb.Artifact | None:
        name = schema.mlmd_name(artifact.name, version)
        request = pb.GetArtifactByTypeAndNameRequest(type_name=artifact.type, artifact_name=name)
        answer = await self._client.call(request, pb.GetArtifactByTypeAndNameResponse)
        return answer.artifact if answer.HasField("artifact") else None

    async def _execution(self, type_name: str, name: str, properties: dict[str, str]) -> pb.Execution:
        return pb.Execution(type_id=await self._type(type_name), name=name, properties=schema.texts(properties))

    async def _put(
        self,
        execution: pb.Execution,
        events: list[pb.PutExecutionRequest.ArtifactAndEvent],
        contexts: list[pb.Context],
        *,
        where: Where,
    ) -> int:
        """Write an execution, its events and its contexts, the place included, all or nothing; gives its id."""
        place = schema.place(where, await self._type(schema.PLACES[where.kind]))
        request = pb.PutExecutionRequest(
            execution=execution,
            artifact_event_pairs=events,
            contexts=[*contexts, place],
            options=pb.PutExecutionRequest.Options(reuse_context_if_already_exist=True),
        )
        try:
            return (await self._client.call(request, pb.PutExecutionResponse)).execution_id
        except ConflictError:
            # Its name is unique to this write: if it exists, the write was done and only its answer was lost.
            by_name = pb.GetExecutionByTypeAndNameRequest(
                type_name=await self._type_name(execution.type_id), execution_name=execution.name
            )
            found = await self._client.call(by_name, pb.GetExecutionByTypeAndNameResponse)
            if execution.HasField("id") or not found.HasField("execution"):
                raise
            return found.execution.id

    async def _running(self, ref: ServiceRef) -> list[pb.Execution]:
        request = pb.GetContextByTypeAndNameRequest(type_name=schema.SERVICE, context_name=schema.service_name(ref))
        service = await self._client.call(request, pb.GetContextByTypeAndNameResponse)
        if not service.HasField("context"):
            return []
        running: list[pb.Execution] = []
        token = ""
        while True:
            page = await self._client.call(
                pb.GetExecutionsByContextRequest(context_id=service.context.id, options=_newest_first(token)),
                pb.GetExecutionsByContextResponse,
            )
            running.extend(e for e in page.executions if e.last_known_state == pb.Execution.RUNNING)
            token = page.next_page_token
            if not token:
                return running

    async def _end(self, executions: Sequence[pb.Execution]) -> None:
        if not executions:
            return
        for execution in executions:
            execution.last_known_state = pb.Execution.COMPLETE
        await self._client.call(pb.PutExecutionsRequest(executions=executions), pb.PutExecutionsResponse)

    async def _type(self, name: str) -> int:
        if not self._types:
            request = schema.types()
            self._types = schema.type_ids(request, await self._client.call(request, pb.PutTypesResponse))
        return self._types[name]

    async def _type_name(self, id_: int) -> str:
        return next(name for name, known in self._types.items() if known == id_)

    async def _started(self) -> None:
        """A new engine may serve a new database, so the types are registered again."""
        self._types = {}
        if self._engine is not None:
            await self._engine.start()


def _event(kind: pb.Event.Type, artifact_id: int) -> pb.PutExecutionRequest.ArtifactAndEvent:
    event = pb.Event(type=kind, artifact_id=artifact_id) if artifact_id else pb.Event(type=kind)
    return pb.PutExecutionRequest.ArtifactAndEvent(event=event)


def _newest_first(token: str) -> pb.ListOptions:
    order = pb.ListOptions.OrderByField(field=pb.ListOptions.OrderByField.ID, is_asc=False)
    return pb.ListOptions(max_result_size=PAGE, order_by_field=order, next_page_token=token or None)


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


def _address(metadata: str) -> str:
    match = re.fullmatch(r"grpc://(\[[0-9a-fA-F:]+\]|[^/:@\s]+):([0-9]{1,5})/?", metadata)
    if match is None or not 0 < int(match[2]) < 65536:
        raise InvalidInputError(
            f"The metadata setting {metadata!r} names no server.",
            hint="Set KALE_SERVE_METADATA to `embedded` or to grpc://HOST:PORT.",
        )
    return f"{match[1]}:{match[2]}"
