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
_UNKNOWN = (400, 404, 405, 501)
"""How a server that is ready answers a request that it does not know. All else may be a gateway's, and pass."""


async def describe(
    route: Route, recorded: Recorded | None, *, by_grpc: bool, timeout: float = PATIENCE
) -> tuple[Described | None, bool]:
    """What the component takes, None where that is no named tensors, and whether this is sure.

    It is not where the server did not answer, or what answered may have been something in front of it: that may change.

    Args:
        recorded: gives the record of what it serves; one that is not to be had now counts as none.
        by_grpc: whether to ask by gRPC too.
        timeout: seconds for all of this; a server that sleeps is woken by the question.
    """
    if not route.may_take_tensors:
        return None, True
    clock = asyncio.get_running_loop().time
    end = clock() + timeout
    signature = await _recorded(route, recorded, min(timeout, PATIENCE))
    if signature and says_something(signature):
        return of_signature(signature), True
    path = protocols.path("v2", route.model).removesuffix("/infer")
    found, is_sure = await _by_rest(route.connection.http, path, end - clock())
    if found is None and by_grpc and route.connection.grpc:
        found, is_sure = await _by_grpc(route.connection, route.model, end - clock())
    return of_metadata(found), is_sure and (found is not None or route.ready)


async def _recorded(route: Route, recorded: Recorded | None, timeout: float) -> Signature | None:
    if not route.artifact or recorded is None:
        return None
    try:
        artifact = await asyncio.wait_for(recorded(route.artifact), timeout)
    except (KaleServeError, asyncio.TimeoutError):
        return None
    return artifact.signature if is_recorded_as(artifact, "model", route.manifest) else None


async def _by_rest(http: httpx.AsyncClient, path: str, timeout: float) -> tuple[JSON, bool]:
    import httpx

    try:
        # The client's own limit is for each piece.
        status, content = await asyncio.wait_for(_read(http, path, timeout), timeout)
    except (httpx.HTTPError, asyncio.TimeoutError):
        return None, False
    if status != 200:
        return None, status in _UNKNOWN
    try:
        return (protocols.decode(content) if content is not None else None), True
    except KaleServeError:
        return None, True


async def _read(http: httpx.AsyncClient, path: str, timeout: float) -> tuple[int, bytes | None]:
    """The status and the content, None where that is too large."""
    async with http.stream("GET", path, timeout=timeout) as answer:
        content = bytearray()
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > _LARGEST:
                return answer.status_code, None
    return answer.status_code, bytes(content)


async def _by_grpc(connection: Connection, model: str, timeout: float) -> tuple[JSON, bool]:
    import grpc

    made = messages()
    if connection.grpc is None:
        return None, True
    clock = asyncio.get_running_loop().time
    end = clock() + timeout
    try:
        channel = await asyncio.wait_for(connection.grpc(), timeout)
        read = made.ModelMetadataResponse.FromString
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, ModelMetadata]
        ask = channel.unary_unary(METADATA, response_deserializer=read)
        told = await ask(made.ModelMetadataRequest(name=model).SerializeToString(), timeout=end - clock())
    except grpc.aio.AioRpcError as error:
        unknown = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
        return None, error.code() in unknown
    except (KaleServeError, asyncio.TimeoutError):
        return None, False
    return {"inputs": _listed(told.inputs), "outputs": _listed(told.outputs)}, True


def _listed(tensors: Sequence[TensorMetadata]) -> list[JSON]:
    return [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in tensors]
