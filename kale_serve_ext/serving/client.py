"""A warm client of one service: what ``Endpoint.predict`` goes through.

The service's description and a connection are kept between calls and read anew after a few seconds, or when a request
could not be delivered: a call in between costs no more than its own request. Requests that were not delivered are sent
once more, so that an update of the service is not noticed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..engines.base import Component, Connection, Engine
from ..errors import (
    BackendUnavailableError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PredictionError,
    ServiceNotReadyError,
)
from ..ml import JSON
from . import failures, protocols, tensors
from .status import describe, protocol_of
from .wire import serves_format, wire_name

if TYPE_CHECKING:
    import httpx
    import numpy as np

    from .types import Service

PROTOCOLS = ("v1", "v2", "grpc-v2")
"""What ``protocol=`` of a call may be; the last is v2 by gRPC."""

LARGEST_ANSWER = 256 << 20
"""Bytes of a model's answer, at most."""

_FRESH = 5.0
_RETRIES = 1


@dataclass(frozen=True)
class Target:
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
    arrays: bool
    """Whether arrays of numbers may go by gRPC without being asked for."""
    infer: Callable[..., Awaitable[tensors.Response]] | None
    infer_now: Callable[..., tensors.Response] | None
    """``infer`` for threads without a loop."""
    read: float


class Client:
    """A client of one component of one service (None: its entry). Use it from one event loop; close it there.

    ``largest`` is how many bytes an answer by REST may have; by gRPC the engine's connection says it.
    """

    def __init__(
        self, engine: Engine, name: str, component: Component | None = None, *, largest: int = LARGEST_ANSWER
    ) -> None:
        self._engine = engine
        self._name = name
        self._component = component
        self._largest = largest
        self._target: Target | None = None
        self._retired: AsyncExitStack | None = None
        self._opening = asyncio.Lock()

    async def call(self, data: object, *, protocol: str | None = None, timeout: float = 60.0) -> JSON:
        """The parsed answer.

        Args:
            data: whatever :func:`protocols.encode` takes. An array of numbers to a model in a framework's own format,
                without a transformer, goes by gRPC where it can be reached; the answer has the same form as by REST.
            protocol: ``v1``, ``v2`` or ``grpc-v2`` instead of the service's own.
            timeout: seconds.

        Raises:
            NotFoundError: no such service.
            ServiceNotReadyError: it does not answer now; has the phase.
            PredictionError: the model answered with an error; has its message.
            DeadlineExceededError: no answer in time.
        """
        if protocol is not None and protocol not in PROTOCOLS:
            raise InvalidInputError(
                f"{str(protocol)[:100]!r} is not a protocol.", hint=f"Use one of: {', '.join(PROTOCOLS)}."
            )
        for attempt in range(_RETRIES + 1):
            target = self._target
            if target is None or time.monotonic() - target.read > _FRESH or attempt:
                target = await self._open(anew=bool(attempt))
            try:
                return await self._send(target, data, protocol, timeout)
            except failures.Undelivered as error:
                last = error
        raise await self._explained(last)

    def call_now(self, data: object, *, protocol: str | None = None, timeout: float = 60.0) -> tuple[JSON] | None:
        """:meth:`call` from a thread without a loop, where that can be done without one: the answer in a tuple.

        None when it takes :meth:`call`: no array of numbers, nothing known of the service lately, or not delivered.
        """
        import grpc

        target = self._target
        if target is None or target.infer_now is None or time.monotonic() - target.read > _FRESH:
            return None
        if protocol not in (None, "grpc-v2") or not tensors.fits(data) or not (protocol or target.arrays):
            return None
        try:
            response = target.infer_now(tensors.encode(data, target.model), timeout=timeout)
        except grpc.RpcError as error:
            told = failures.of_grpc(self._name, error, timeout)
            if isinstance(told, failures.Undelivered):
                return None
            raise told from error
        as_v1 = protocol is None and target.protocol == "v1"
        return (tensors.decode_v1(response) if as_v1 else tensors.decode_v2(response),)

    async def post(self, path: str, body: bytes, timeout: float = 60.0) -> bytes:
        """The answer's body of a POST that went well. The same errors as :meth:`call`."""
        for attempt in range(_RETRIES + 1):
            target = self._target
            if target is None or time.monotonic() - target.read > _FRESH or attempt:
                target = await self._open(anew=bool(attempt))
            try:
                return await self._post(target, path, body, timeout)
            except failures.Undelivered as error:
                last = error
        raise await self._explained(last)

    async def target(self) -> Target:
        """What is known of the component now."""
        return await self._open(anew=False)

    async def close(self) -> None:
        """Close the connection."""
        target, self._target = self._target, None
        await self._retire(target.stack if target else None)
        await self._retire(None)

    async def _send(self, target: Target, data: object, protocol: str | None, timeout: float) -> JSON:
        if protocol == "grpc-v2":
            return await self._by_grpc(target, data, timeout, v1=False)
        if protocol is None and target.arrays and tensors.fits(data):
            return await self._by_grpc(target, data, timeout, v1=target.protocol == "v1")
        chosen = protocol or target.protocol
        body = protocols.encode(data, chosen, transformer=target.transformer)
        return protocols.decode(await self._post(target, protocols.path(chosen, target.model), body, timeout))

    async def _by_grpc(self, target: Target, data: object, timeout: float, *, v1: bool) -> JSON:
        import grpc

        if target.infer is None:
            raise InvalidInputError(f"The service {self._name!r} cannot be reached by gRPC.", hint="Use v1 or v2.")
        try:
            response = await target.infer(tensors.encode(_array(data), target.model), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise failures.of_grpc(self._name, error, timeout) from error
        return tensors.decode_v1(response) if v1 else tensors.decode_v2(response)

    async def _post(self, target: Target, path: str, body: bytes, timeout: float) -> bytes:
        import httpx

        headers = {"Content-Type": "application/json"}
        try:
            async with target.connection.http.stream(
                "POST", path, content=body, headers=headers, timeout=timeout
            ) as answer:
                content = await self._read(answer)
        except httpx.TimeoutException as error:
            raise failures.late(self._name, timeout) from error
        except (httpx.ConnectError, httpx.RemoteProtocolError) as error:
            raise failures.Undelivered(str(error) or type(error).__name__) from error
        except httpx.TransportError as error:
            raise PredictionError(
                f"The service {self._name!r} broke off its answer ({str(error) or type(error).__name__}).",
                hint="Look at its logs: its process may have ended.",
            ) from error
        if answer.is_success:
            return content
        kind = {"Content-Type": answer.headers.get("content-type", "")}
        raise failures.of_http(self._name, httpx.Response(answer.status_code, headers=kind, content=content))

    async def _read(self, answer: httpx.Response) -> bytes:
        content = bytearray()
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > self._largest:
                raise PredictionError(
                    f"The service {self._name!r} answered with more than {self._largest:,} bytes.",
                    hint="Send fewer rows, or let its postprocess keep less of the answer.",
                )
        return bytes(content)

    async def _open(self, *, anew: bool) -> Target:
        """The component as it is now; the connection is kept where it still leads there."""
        async with self._opening:
            known = self._target
            if known and not anew and time.monotonic() - known.read <= _FRESH:
                return known
            state = await self._engine.get(self._name)
            service = describe(state)
            entry = self._component or ("transformer" if "transformer" in service.components else "predictor")
            if entry not in service.components:
                listed = ", ".join(service.components)
                raise NotFoundError(f"The service {self._name!r} has no {entry}.", hint=f"It has: {listed}.")
            address = (entry, state.url, state.grpc_url)
            if known and not anew and known.address == address:
                connection, stack = known.connection, known.stack
            else:
                # Requests may still be under way on the old connection: it goes when the next one does.
                await self._retire(known.stack if known else None)
                self._target, stack = None, AsyncExitStack()
                connection = await stack.enter_async_context(self._engine.connect(self._name, self._component))
            transformer = entry == "transformer"
            self._target = Target(
                connection=connection,
                stack=stack,
                address=address,
                model=wire_name(state.manifest, entry),
                protocol=protocol_of(state.manifest),
                transformer=transformer,
                arrays=connection.grpc is not None and not transformer and serves_format(state.manifest),
                infer=known.infer if known and known.connection is connection else _stub(connection),
                infer_now=known.infer_now if known and known.connection is connection else _blocking_stub(connection),
                read=time.monotonic(),
            )
            return self._target

    async def _retire(self, stack: AsyncExitStack | None) -> None:
        before, self._retired = self._retired, stack
        if before:
            await before.aclose()

    async def _explained(self, error: Exception) -> KaleServeError:
        """Why a request cannot be delivered, by the service's own state."""
        service: Service = describe(await self._engine.get(self._name))
        if service.phase not in ("Ready", "Degraded"):
            return ServiceNotReadyError(
                f"The service {self._name!r} does not answer now ({service.phase}): {service.reason}".strip(),
                phase=service.phase,
                hint=failures.NOT_READY,
            )
        return BackendUnavailableError(
            f"The service {self._name!r} cannot be reached: {error}.", hint="Try again in a moment; look at its logs."
        )


def _stub(connection: Connection) -> Callable[..., Awaitable[tensors.Response]] | None:
    if connection.grpc is None:
        return None
    return connection.grpc.unary_unary(
        tensors.METHOD, response_deserializer=tensors.messages().ModelInferResponse.FromString
    )


def _blocking_stub(connection: Connection) -> Callable[..., tensors.Response] | None:
    if connection.blocking_grpc is None:
        return None
    stub: Callable[..., tensors.Response] = connection.blocking_grpc().unary_unary(
        tensors.METHOD, response_deserializer=tensors.messages().ModelInferResponse.FromString
    )
    return stub


def _array(data: object) -> np.ndarray:
    import numpy as np

    array = np.asarray(data)
    if not tensors.fits(array):
        raise InvalidInputError(
            f"By gRPC go arrays of numbers of up to {tensors.MAX_ARRAY_BYTES >> 20} MiB, with one or two dimensions.",
            hint="Pass such an array, or leave out protocol=.",
        )
    return array
