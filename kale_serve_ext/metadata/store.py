"""``Metadata``: artifacts, their versions and lineage, and what is served where."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..config import Settings
from ..entities import Artifact, Lineage, ServiceRef
from ..errors import InvalidInputError, KaleServeError
from . import convert, schema
from .client import MetadataClient
from .identity import Identity, Recorded
from .proto import mlmd_pb2 as pb
from .provenance import Provenance
from .reader import Reader
from .writer import Writer, artifacts_of

if TYPE_CHECKING:
    from .engine import EmbeddedEngine
    from .index import Index

HEALTH = 2.0
"""Seconds that a health check may take."""


class Metadata(Reader):
    """One MLMD: the embedded engine's or a server's. Usable from any event loop.

    Every method may raise ``MetadataUnavailableError`` and ``DeadlineExceededError``.
    """

    def __init__(
        self, settings: Settings, *, progress: Callable[[str], None] | None = None, background: bool = False
    ) -> None:
        self._settings = settings
        self._engine: EmbeddedEngine | None = None
        self._index: Index | None = None
        if settings.metadata == "embedded":
            from .engine import EmbeddedEngine, socket_path

            self._engine = EmbeddedEngine(settings, progress=progress or (lambda _: None), background=background)
            target, title, start = f"unix:{socket_path(settings)}", "The metadata engine", self._started
        else:
            target, start = _address(settings.metadata), None
            title = f"The metadata server {target}"
        super().__init__(MetadataClient(target, title=title, timeout=settings.metadata_timeout, start=start))
        self._writer = Writer(self._client)
        self._identity = Identity(settings)

    # Artifacts

    async def put_artifact(self, artifact: Artifact, *, provenance: Provenance, inputs: Sequence[int] = ()) -> Artifact:
        """Record a new version, made by code that runs in ``where`` from the artifacts ``inputs``.

        Without a version it becomes the next integer. The same name, version and content again give the artifact that
        exists.

        Returns:
            It, with id, version and times.

        Raises:
            InvalidInputError: a field that cannot be kept.
            NotFoundError: an input that does not exist.
            ConflictError: the version exists with other content.
            MetadataUnavailableError: the database is not the one that the store's snapshots are recorded in.
        """
        convert.check(artifact)
        await self._check_identity()
        for id_ in inputs:
            await self.artifact(id_)
        made = await self._writer.version(artifact, provenance, inputs)
        await asyncio.to_thread(self._identity.write, Recorded(made.id, made.created))
        return made

    async def versions(self, type: str, name: str) -> list[Artifact]:
        """All versions of a name, the newest first; none where the name is unknown."""
        if type not in schema.REGISTERED:
            await self.index.refresh(wait=None)
            return await self.artifacts(self.index.ids(type, name))
        request = pb.GetContextByTypeAndNameRequest(type_name=schema.REGISTERED[type], context_name=name)
        registered = await self._client.call(request, pb.GetContextByTypeAndNameResponse)
        if not registered.HasField("context"):
            return []
        return [
            convert.from_proto(found)
            async for found in artifacts_of(self._client, registered.context.id)
            if found.type == type
        ]

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

    async def record_deployment(self, ref: ServiceRef, artifact_ids: Sequence[int], *, provenance: Provenance) -> int:
        """Record that ``ref`` serves these artifacts from now on, in place of what it served before.

        Returns:
            The id of the execution, which goes on until :meth:`end_deployment`. The same again gives the same.

        Raises:
            NotFoundError: an artifact that does not exist.
            MetadataUnavailableError: the database is not the one that the store's snapshots are recorded in.
        """
        await self._check_identity()
        for id_ in artifact_ids:
            await self.artifact(id_)
        return await self._writer.deployment(ref, artifact_ids, provenance)

    async def end_deployment(self, ref: ServiceRef) -> None:
        """Record that ``ref`` serves nothing any more; without effect where nothing was recorded."""
        await self._writer.end(await self._writer.running(ref))

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
            await self._check_identity(limit)
        except KaleServeError as error:
            return "error", error.message, error.hint
        refused = await self._engine.refused() if self._engine is not None else None
        return ("error", *refused) if refused else ("ready", f"{self._client.title} answers.", "")

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

    async def _check_identity(self, timeout: float | None = None) -> None:
        """
        Raises:
            MetadataUnavailableError: the database does not have what was recorded last.
        """
        last = await asyncio.to_thread(self._identity.read)
        if last is None:
            return
        request = pb.GetArtifactsByIDRequest(artifact_ids=[last.id])
        found = (await self._client.call(request, pb.GetArtifactsByIDResponse, timeout=timeout)).artifacts
        if not found or found[0].create_time_since_epoch != round(last.created * 1000):
            raise self._identity.another(last)

    async def _started(self) -> None:
        """A new engine may serve a new database, so the types are registered again."""
        self._writer.forget()
        if self._engine is not None:
            await self._engine.start()


def _address(metadata: str) -> str:
    match = re.fullmatch(r"grpc://(\[[0-9a-fA-F:]+\]|[^/:@\s]+):([0-9]{1,5})/?", metadata)
    if match is None or not 0 < int(match[2]) < 65536:
        raise InvalidInputError(
            f"The metadata setting {metadata!r} does not name a server.",
            hint="Set KALE_SERVE_METADATA to `embedded` or to grpc://HOST:PORT.",
        )
    return f"{match[1]}:{match[2]}"
