"""Finds out what a component takes: by the record of what it serves, else by what its server says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..entities import Artifact
from ..errors import KaleServeError
from ..ml import JSON, Signature
from . import protocols
from .described import Described, of_metadata, of_signature, says_something
from .existing_service import is_recorded_as
from .messages import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from ..engines.base import Connection
    from .messages import ModelMetadata, TensorMetadata
    from .route import Route

Recorded = Callable[[int], Awaitable[Artifact]]
"""Gives what is recorded of an artifact, by its id."""

METADATA = "/inference.GRPCInferenceService/ModelMetadata"
PATIENCE = 10.0
"""Seconds that the record may take to be read; and a server to say what it takes, where no call has its own limit."""
_LARGEST = 1 << 20
"""Bytes of what it says."""


async def describe(
    route: Route, recorded: Recorded | None, *, by_grpc: bool, timeout: float = PATIENCE
) -> tuple[Described | None, bool]:
    """What the component takes, None where that is no named tensors, and whether this is sure.

    It is not where the server did not answer, which it may do later.

    Args:
        recorded: gives the record of what it serves; one that is not to be had now counts as none.
        by_grpc: whether to ask by gRPC too.
        timeout: seconds that the server may take; one that sleeps is woken by the question.
    """
    if not route.may_take_tensors:
        return None, True
    signature = await _recorded(route, recorded)
    if signature and says_something(signature):
        return of_signature(signature), True
    path = protocols.path("v2", route.model).removesuffix("/infer")
    found, is_sure = await _by_rest(route.connection.http, path, timeout)
    if found is None and by_grpc and route.connection.grpc:
        found, is_sure = await _by_grpc(route.connection, route.model, timeout)
    return of_metadata(found), is_sure


async def _recorded(route: Route, recorded: Recorded | None) -> Signature | None:
    if not route.artifact or recorded is None:
        return None
    try:
        artifact = await asyncio.wait_for(recorded(route.artifact), PATIENCE)
    except (KaleServeError, asyncio.TimeoutError):
        return None
    return artifact.signature if is_recorded_as(artifact, "model", route.manifest) else None


async def _by_rest(http: httpx.AsyncClient, path: str, timeout: float) -> tuple[JSON, bool]:
    import httpx

    try:
        async with http.stream("GET", path, timeout=timeout) as answer:
            content = bytearray()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    return None, True
    except httpx.TransportError:
        return None, False
    if answer.status_code != 200:
        # What is not ready yet may say it later; what knows no such request does not.
        return None, answer.status_code != 503
    try:
        return protocols.decode(bytes(content)), True
    except KaleServeError:
        return None, True


async def _by_grpc(connection: Connection, model: str, timeout: float) -> tuple[JSON, bool]:
    import grpc

    made = messages()
    if connection.grpc is None:
        return None, True
    try:
        channel = await asyncio.wait_for(connection.grpc(), timeout)
        read = made.ModelMetadataResponse.FromString
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, ModelMetadata]
        ask = channel.unary_unary(METADATA, response_deserializer=read)
        told = await ask(made.ModelMetadataRequest(name=model).SerializeToString(), timeout=timeout)
    except grpc.aio.AioRpcError as error:
        return None, error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    except (KaleServeError, asyncio.TimeoutError):
        return None, False
    return {"inputs": _listed(told.inputs), "outputs": _listed(told.outputs)}, True


def _listed(tensors: Sequence[TensorMetadata]) -> list[JSON]:
    return [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in tensors]
