"""What a client knows of one component of a service, and how the connection to it is asked by gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..engines.base import Connection, Manifest
from ..engines.channels import await_reconnection
from . import messages, tensors
from .manifest_view import has_v2_grpc, is_intercepted, serves_format

if TYPE_CHECKING:
    import grpc.aio

Infer = Callable[..., Awaitable["messages.Response"]]


@dataclass(frozen=True)
class Route:
    """Where one component is, and how it is spoken to."""

    connection: Connection
    stack: AsyncExitStack
    address: tuple[str, ...]
    """Where the service said it is, when the connection was made."""
    model: str
    """The model's name on the wire."""
    protocol: str
    transformer: bool
    """Whether this is a transformer."""
    own: bool
    """Whether this package's server answers for a framework's model there."""
    arrays: bool
    """Whether arrays of numbers may go by gRPC without being asked for."""
    infer: Callable[[], Awaitable[Infer]] | None
    """Gives the method of its gRPC service."""
    infer_now: Callable[..., messages.Response] | None
    """That method for threads without a loop."""
    may_take_tensors: bool
    """Whether requests may be of named tensors: where they are not surely rows of a table."""
    ready: bool
    """Whether the service was ready, when it said all this."""
    manifest: Manifest
    """The description that it answers by."""
    artifact: int
    """The id of the model that a predictor runs, in the metadata that it was served from; 0 where there is none."""
    loop: asyncio.AbstractEventLoop
    """Where the connection is used."""
    read: float
    """When the service said all this, by the monotonic clock."""


def stub(connection: Connection) -> Callable[[], Awaitable[Infer]] | None:
    """What :attr:`Target.infer` is."""
    opened = connection.grpc
    if opened is None:
        return None
    made: tuple[grpc.aio.Channel, Infer] | None = None

    async def infer() -> Infer:
        nonlocal made
        channel = await opened()
        if made is None or made[0] is not channel:
            read = messages.messages().ModelInferResponse.FromString
            made = channel, channel.unary_unary(tensors.METHOD, response_deserializer=read)
        await await_reconnection(channel)
        return made[1]

    return infer


def blocking_stub(connection: Connection) -> Callable[..., messages.Response] | None:
    """What :attr:`Target.infer_now` is."""
    if connection.blocking_grpc is None:
        return None
    made: Callable[..., messages.Response] = connection.blocking_grpc().unary_unary(
        tensors.METHOD, response_deserializer=messages.messages().ModelInferResponse.FromString
    )
    return made


def prefers_grpc(connection: Connection, manifest: Manifest, transformer: bool) -> bool:
    """Whether arrays go by gRPC unasked: to a framework's model, that nothing stands in front of for REST alone."""
    if transformer or not connection.arrays_by_grpc:
        return False
    return serves_format(manifest) and has_v2_grpc(manifest) and not is_intercepted(manifest)
