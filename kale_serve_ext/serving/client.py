"""A warm client of one service: what ``Endpoint.predict`` goes through.

The service's description and a connection are kept between calls and read anew after a few seconds, or when a request
could not be delivered: a call in between costs no more than its own request. Requests that were not delivered are sent
once more, so that an update of the service is not noticed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..engines.base import Component, Connection, Engine, Manifest
from ..errors import (
    BackendUnavailableError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PredictionError,
    ServiceNotReadyError,
)
from ..ml import JSON
from . import binary, failures, protocols, tensors
from .status import describe, protocol_of
from .wire import is_intercepted, serves_format, wire_name

if TYPE_CHECKING:
    import grpc.aio
    import httpx
    import numpy as np

    from .types import Service

PROTOCOLS = ("v1", "v2", "v2-binary", "grpc-v2")
"""What ``protocol=`` of a call may be: the last two carry arrays of numbers as raw bytes, by REST and by gRPC."""

LARGEST_ANSWER = 256 << 20
"""Bytes of a model's answer, at most."""

_JSON = {"Content-Type": "application/json"}
_FRESH = 5.0
_RETRIES = 1


Infer = Callable[..., Awaitable["tensors.Response"]]


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
    infer: Callable[[], Awaitable[Infer]] | None
    """Gives the method of its gRPC service."""
    infer_now: Callable[..., tensors.Response] | None
    """That method for threads without a loop."""
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
        self._opened: Connection | None = None
        self._opening = asyncio.Lock()

    async def call(self, data: object, *, protocol: str | None = None, timeout: float = 60.0) -> JSON:
        """The parsed answer.

        Args:
            data: whatever :func:`protocols.encode` takes. An array of numbers to a model in a framework's own format,
                without a transformer, goes by gRPC where it can be reached; the answer has the same form as by REST.
            protocol: one of :data:`PROTOCOLS` instead of the service's own.
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
                return (await self._post(target, path, body, timeout))[0]
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
            array = _array(data, tensors.MAX_ARRAY_BYTES)
            try:
                return await self._by_grpc(await self._infer(target, timeout), array, target, timeout, v1=False)
            except BackendUnavailableError as error:
                raise failures.Undelivered(error.message) from error
        if protocol is None and target.arrays and tensors.fits(data):
            try:
                infer = await self._infer(target, timeout)
            except KaleServeError:
                # REST remains, for as long as this connection does.
                if self._target and self._target.connection is target.connection:
                    self._target = replace(self._target, arrays=False)
            else:
                return await self._by_grpc(infer, data, target, timeout, v1=target.protocol == "v1")
        chosen = protocol or target.protocol
        path = protocols.path(chosen, target.model)
        if chosen == "v2-binary":
            body, length = binary.encode(_array(data, None))
            headers = {"Content-Type": "application/octet-stream", binary.LENGTH: str(length)}
            content, answered = await self._post(target, path, body, timeout, headers)
            return binary.decode(content, answered.get(binary.LENGTH, ""))
        body = protocols.encode(data, chosen, transformer=target.transformer)
        return protocols.decode((await self._post(target, path, body, timeout))[0])

    async def _infer(self, target: Target, timeout: float) -> Infer:
        """The method of the gRPC service, its channel opened."""
        if target.infer is None:
            raise InvalidInputError(f"The service {self._name!r} cannot be reached by gRPC.", hint="Use v1 or v2.")
        if self._opened is target.connection:
            return await target.infer()
        try:
            infer = await asyncio.wait_for(target.infer(), timeout)
        except asyncio.TimeoutError as error:
            raise failures.late(self._name, timeout) from error
        self._opened = target.connection
        return infer

    async def _by_grpc(self, infer: Infer, array: np.ndarray, target: Target, timeout: float, *, v1: bool) -> JSON:
        import grpc

        try:
            response = await infer(tensors.encode(array, target.model), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise failures.of_grpc(self._name, error, timeout) from error
        return tensors.decode_v1(response) if v1 else tensors.decode_v2(response)

    async def _post(
        self, target: Target, path: str, body: bytes, timeout: float, headers: Mapping[str, str] = _JSON
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body and the headers of an answer that went well."""
        import httpx

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
        if answer.is_success and not failures.is_page(answer.headers):
            return content, answer.headers
        kept = {name: answer.headers[name] for name in ("content-type", "location") if name in answer.headers}
        raise failures.of_http(self._name, httpx.Response(answer.status_code, headers=kept, content=content))

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
            # Where versions share the requests, which of them is asked goes by their shares.
            shares = [f"{s.revision} {s.percent}" for s in state.shares]
            address = (entry, state.url, state.grpc_url, *shares)
            if known and not anew and known.address == address:
                connection, stack = known.connection, known.stack
            else:
                # Requests may still be under way on the old connection: it goes when the next one does.
                await self._retire(known.stack if known else None)
                self._target, stack = None, AsyncExitStack()
                connection = await stack.enter_async_context(self._engine.connect(self._name, self._component))
            transformer = entry == "transformer"
            same = known if known and known.connection is connection else None
            self._target = Target(
                connection=connection,
                stack=stack,
                address=address,
                model=wire_name(state.manifest, entry),
                protocol=protocol_of(state.manifest),
                transformer=transformer,
                arrays=same.arrays if same else _prefers_grpc(connection, state.manifest, transformer),
                infer=same.infer if same else _stub(connection),
                infer_now=same.infer_now if same else _blocking_stub(connection),
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
        if service.phase == "Idle":
            return ServiceNotReadyError(
                f"The service {self._name!r} is scaled to zero: {_clause(error)}.", phase="Idle", hint=failures.IDLE
            )
        if service.phase not in ("Ready", "Degraded"):
            return ServiceNotReadyError(
                f"The service {self._name!r} does not answer now ({service.phase}): {service.reason}".strip(),
                phase=service.phase,
                hint=failures.NOT_READY,
            )
        return BackendUnavailableError(
            f"The service {self._name!r} cannot be reached: {_clause(error)}.",
            hint="Try again in a moment; look at its logs.",
        )


def _clause(error: Exception) -> str:
    return str(error).rstrip(".")


def _stub(connection: Connection) -> Callable[[], Awaitable[Infer]] | None:
    opened = connection.grpc
    if opened is None:
        return None
    made: tuple[grpc.aio.Channel, Infer] | None = None

    async def infer() -> Infer:
        nonlocal made
        channel = await opened()
        if made is None or made[0] is not channel:
            read = tensors.messages().ModelInferResponse.FromString
            made = channel, channel.unary_unary(tensors.METHOD, response_deserializer=read)
        return made[1]

    return infer


def _blocking_stub(connection: Connection) -> Callable[..., tensors.Response] | None:
    if connection.blocking_grpc is None:
        return None
    stub: Callable[..., tensors.Response] = connection.blocking_grpc().unary_unary(
        tensors.METHOD, response_deserializer=tensors.messages().ModelInferResponse.FromString
    )
    return stub


def _array(data: object, most: int | None) -> np.ndarray:
    """The data as an array of numbers of at most so many bytes."""
    import numpy as np

    array = np.asarray(data)
    if not tensors.is_numeric(array) or (most and array.nbytes > most):
        limit = f" of up to {most >> 20} MiB" if most else ""
        raise InvalidInputError(
            f"By this protocol go arrays of numbers{limit}, with one or two dimensions.",
            hint="Pass such an array, or leave out protocol=.",
        )
    return array


def _prefers_grpc(connection: Connection, manifest: Manifest, transformer: bool) -> bool:
    """Whether arrays go by gRPC unasked: to a framework's model, that nothing stands in front of for REST alone."""
    if transformer or not connection.arrays_by_grpc:
        return False
    return serves_format(manifest) and not is_intercepted(manifest)
