"""What is read of artifacts without an index: by id, and page by page."""

from __future__ import annotations

from collections.abc import Sequence

from ..entities import Artifact
from ..errors import NotFoundError
from . import convert
from .client import MetadataClient
from .proto import mlmd_pb2 as pb
from .writer import PAGE


class Reader:
    """Reads artifacts of one MLMD.

    Every method may raise ``MetadataUnavailableError`` and ``DeadlineExceededError``.
    """

    def __init__(self, client: MetadataClient) -> None:
        self._client = client

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

    async def found(self, id: int) -> pb.Artifact | None:
        """The artifact as MLMD has it, of whatever type; None where it has none of this id."""
        request = pb.GetArtifactsByIDRequest(artifact_ids=[id])
        answer = await self._client.call(request, pb.GetArtifactsByIDResponse)
        return answer.artifacts[0] if answer.artifacts else None

    async def newest_updates(self, token: str = "") -> pb.GetArtifactsResponse:
        """One page of all artifacts of all types, the last updated first; ``token`` is from the page before."""
        order = pb.ListOptions.OrderByField(field=pb.ListOptions.OrderByField.LAST_UPDATE_TIME, is_asc=False)
        options = pb.ListOptions(max_result_size=PAGE, order_by_field=order, next_page_token=token or None)
        return await self._client.call(pb.GetArtifactsRequest(options=options), pb.GetArtifactsResponse)
