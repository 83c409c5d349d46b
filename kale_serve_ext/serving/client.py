"""A warm client of one service: what ``Endpoint.predict`` goes through.

The service's description and a connection are kept between calls and read anew after a few seconds, or when a request
could not be delivered: a call in between costs no more than its own request. Requests that surely did not reach the
service are sent once more, so that an update of it is not noticed; one that was sent and got no answer is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ..engines.base import Component, Connection, Engine
from ..engines.fields import mapping
from ..engines.sync_http import Answer, Post
from ..errors import (
    BackendUnavailableError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    ServiceNotReadyError,
)
from ..ml import JSON
from ..sync import run
from . import failures, protocols, rest, tensors
from .described import may_take_tensors
from .lines import Lines
from .manifest_view import answers_itself, wire_name
from .route import Infer, Route, blocking_stub, prefers_grpc, stub
from .status import describe, protocol_of, served_artifact

if TYPE_CHECKING:
    from . import messages
    from .types import Service

PROTOCOLS = ("v1", "v2", "v2-binary", "grpc-v2")
"""What ``protocol=`` of a call may be: the last two carry arrays of numbers as raw bytes, by REST and by gRPC."""

LARGEST_ANSWER = 256 << 20
"""Bytes of a model's answer, at most."""

_FRESH = 5.0
"""Seconds for which a service's description is taken for true."""
RENEWED = 3.0
"""Seconds after which it is read anew beside the requests that come."""
LONGEST = 1e6
"""Seconds that a socket's timeout may safely have."""

T = TypeVar("T")


class PredictionClient:
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
        self._target: Route | None = None
        self._renewing: tuple[Route, Future[Route]] | None = None
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
        check(protocol)
        return await self._delivered(lambda target: self._send(target, data, protocol, timeout))

    def call_blocking(self, data: object, *, protocol: str | None = None, timeout: float = 60.0) -> JSON:
        """:meth:`call` from any thread, for a client that is used from the background loop.

        Where the service is known and the engine offers it, the request goes past the loop.
        """
        check(protocol)
        target = self._lately()
        try:
            answer = self._send_now(target, data, protocol, timeout) if target else None
        except failures.Undelivered:
            work = self._delivered(lambda other: self._send(other, data, protocol, timeout), failed=target)
        else:
            if answer:
                return answer[0]
            work = self._delivered(lambda other: self._send(other, data, protocol, timeout))
        return run(work)

    async def post(self, path: str, body: bytes, timeout: float = 60.0) -> bytes:
        """The answer's body of a POST of JSON that went well. The same errors as :meth:`call`."""
        request = rest.of_json(path, body)
        return (await self._delivered(lambda target: self._post(target, request, timeout))).content

    async def stream(self, path: str, body: bytes, timeout: float = 60.0) -> Lines:
        """The lines of the answer of a POST of JSON, once it has begun and well. The same errors as :meth:`call`.

        Args:
            timeout: seconds that the beginning, and each next piece, may take.
        """
        request = rest.of_json(path, body)
        return await self._delivered(lambda target: self._begin(target, request, timeout))

    async def target(self) -> Route:
        """What is known of the component now."""
        return await self._open()

    async def close(self) -> None:
        """Close the connection."""
        if self._renewing:
            self._renewing[1].cancel()
        async with self._opening:
            target, self._target = self._target, None
            await self._retire(target.stack if target else None)
            await self._retire(None)

    async def _delivered(self, send: Callable[[Route], Awaitable[T]], failed: Route | None = None) -> T:
        """What ``send`` gives; where it was not delivered, once more to the service as it is by then.

        Args:
            failed: where it was not delivered to before.
        """
        for _ in range(1 if failed else 2):
            target = (None if failed else self._lately()) or await self._open(failed)
            try:
                return await send(target)
            except failures.Undelivered as error:
                failed, last = target, error
        raise last.told or await self._explained(last)

    def _lately(self) -> Route | None:
        """What is known, if it is not too old. Before it is, it is read anew beside the requests that use it."""
        target = self._target
        age = time.monotonic() - target.read if target else _FRESH
        if target is None or age >= _FRESH:
            return None
        if age > RENEWED and not (self._renewing and self._renewing[0] is target):
            self._renewing = target, asyncio.run_coroutine_threadsafe(self._open(), target.loop)
        return target

    async def _send(self, target: Route, data: object, protocol: str | None, timeout: float) -> JSON:
        if protocol == "grpc-v2":
            body = _encoded(data, target)
            return tensors.decode_v2(await self._by_grpc(await self._infer_asked_for(target, timeout), body, timeout))
        if (
            protocol is None
            and target.arrays
            and tensors.fits(data)
            and (infer := await self._infer_if_there(target, timeout))
        ):
            body = tensors.encode(data, target.model)
            response = await self._by_grpc(infer, body, timeout)
            v1 = target.protocol == "v1"
            return tensors.decode_v1(response, own=target.own) if v1 else tensors.decode_v2(response)
        request = _asked(data, protocol, target)
        return rest.decode(await self._post(target, request, timeout))

    def _send_now(self, target: Route, data: object, protocol: str | None, timeout: float) -> tuple[JSON] | None:
        """:meth:`_send` without a loop: the answer in a tuple; None where it takes that, and nothing was delivered."""
        if protocol == "grpc-v2" or (protocol is None and target.arrays and tensors.fits(data)):
            return self._infer_now(target, data, timeout, v1=protocol is None and target.protocol == "v1")
        if target.connection.blocking_http is None or not 0 < timeout < LONGEST:
            return None
        request = _asked(data, protocol, target)
        answer = self._post_now(target.connection.blocking_http, request, timeout)
        return (rest.decode(answer),) if answer else None

    def _infer_now(self, target: Route, data: object, timeout: float, *, v1: bool) -> tuple[JSON] | None:
        import grpc

        if target.infer_now is None:
            return None
        try:
            response = target.infer_now(_encoded(data, target), timeout=timeout)
        except grpc.RpcError as error:
            told = failures.of_grpc(self._name, error, timeout)
            if isinstance(told, failures.Undelivered):
                return None
            raise told from error
        return (tensors.decode_v1(response, own=target.own) if v1 else tensors.decode_v2(response),)

    def _post_now(self, post: Post, request: rest.Request, timeout: float) -> Answer | None:
        import httpx

        try:
            answer = post(request.path, request.body, request.headers, timeout=timeout, largest=self._largest)
        except httpx.ConnectError:
            return None
        except httpx.TransportError as error:
            raise failures.of_transport(self._name, error, timeout) from error
        return rest.checked(self._name, request, answer, self._largest) if answer else None

    async def _infer_asked_for(self, target: Route, timeout: float) -> Infer:
        """The method of the gRPC service, where a call has asked for gRPC."""
        try:
            return await self._infer(target, timeout)
        except BackendUnavailableError as error:
            raise failures.Undelivered(error.message) from error

    async def _infer_if_there(self, target: Route, timeout: float) -> Infer | None:
        """The same where gRPC is but the better way; None where REST remains."""
        try:
            return await self._infer(target, timeout)
        except KaleServeError:
            # For as long as this connection does.
            if self._target and self._target.connection is target.connection:
                self._target = replace(self._target, arrays=False)
            return None

    async def _infer(self, target: Route, timeout: float) -> Infer:
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

    async def _by_grpc(self, infer: Infer, body: bytes, timeout: float) -> messages.Response:
        import grpc

        try:
            return await infer(body, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise failures.of_grpc(self._name, error, timeout) from error

    async def _post(self, target: Route, request: rest.Request, timeout: float) -> Answer:
        """An answer that went well."""
        import httpx

        content: bytearray | None = None
        try:
            async with target.connection.http.stream(
                "POST", request.path, content=request.body, headers=request.headers, timeout=timeout
            ) as answer:
                content = bytearray()
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > self._largest:
                        break
        except httpx.HTTPError as error:
            raise failures.of_transport(self._name, error, timeout, answered=content is not None) from error
        whole = Answer(answer.status_code, answer.headers, bytes(content))
        return rest.checked(self._name, request, whole, self._largest)

    async def _begin(self, target: Route, request: rest.Request, timeout: float) -> Lines:
        import httpx

        http = target.connection.http
        sent = http.build_request("POST", request.path, content=request.body, headers=request.headers, timeout=timeout)
        try:
            answer = await http.send(sent, stream=True)
        except httpx.HTTPError as error:
            raise failures.of_transport(self._name, error, timeout) from error
        if rest.is_good(answer.status_code, answer.headers):
            return Lines(self._name, answer, timeout)
        content = bytearray()
        try:
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > self._largest:
                    break
        except httpx.HTTPError as error:
            raise failures.of_transport(self._name, error, timeout, answered=True) from error
        finally:
            await answer.aclose()
        raise rest.refused(self._name, request, Answer(answer.status_code, answer.headers, bytes(content)))

    async def _open(self, failed: Route | None = None) -> Route:
        """The component as it is now; the connection is kept where it still leads there, and is not ``failed``'s."""
        async with self._opening:
            known = self._target
            anew = bool(known and failed and known.connection is failed.connection)
            if known and not anew and time.monotonic() - known.read <= RENEWED:
                return known
            try:
                state = await self._engine.get(self._name)
            except NotFoundError:
                self._target = None
                await self._retire(known.stack if known else None)
                await self._retire(None)
                raise
            # Of a service that is being updated, what counts is the revision that answers.
            manifest = state.serving_manifest or state.manifest
            coming = {"transformer"} - {*mapping(manifest.get("spec"))} if state.serving_manifest else set()
            components = [c.component for c in state.components if c.component not in coming]
            entry = self._component or ("transformer" if "transformer" in components else "predictor")
            if entry not in components:
                listed = ", ".join(components)
                raise NotFoundError(f"The service {self._name!r} has no {entry}.", hint=f"It has: {listed}.")
            # Where versions share the requests, which of them is asked goes by their shares.
            shares = [f"{s.revision} {s.percent}" for s in state.shares]
            # A connection that is kept leads to the revision that it was made to, for as long as that lives.
            address = (entry, state.url, state.grpc_url, str(state.serving_revision), *shares)
            if known and not anew and known.address == address:
                connection, stack = known.connection, known.stack
            else:
                # Requests may still be under way on the old connection: it goes when the next one does.
                await self._retire(known.stack if known else None)
                self._target, stack = None, AsyncExitStack()
                component = self._component or (entry if coming else None)
                connection = await stack.enter_async_context(self._engine.connect(self._name, component))
            transformer = entry == "transformer"
            served = served_artifact("model", manifest)
            same = known if known and known.connection is connection else None
            self._target = Route(
                connection=connection,
                stack=stack,
                address=address,
                model=wire_name(manifest, entry),
                protocol=protocol_of(manifest),
                transformer=transformer,
                own=not transformer and answers_itself(manifest, state.ref.engine),
                arrays=same.arrays if same else prefers_grpc(connection, manifest, transformer),
                infer=same.infer if same else stub(connection),
                infer_now=same.infer_now if same else blocking_stub(connection),
                may_take_tensors=may_take_tensors(manifest, entry),
                ready=describe(state).phase in ("Ready", "Idle"),
                manifest=manifest,
                artifact=0 if transformer or served is None else served.id,
                loop=asyncio.get_running_loop(),
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


def _asked(data: object, protocol: str | None, target: Route) -> rest.Request:
    wanted = protocol or target.protocol
    return rest.encode(data, wanted, target.model, transformer=target.transformer, own=target.own)


def _encoded(data: object, target: Route) -> bytes:
    """The request by gRPC: numbers as they lie in memory, or rows of other kinds."""
    if tensors.is_numeric(data):
        return tensors.encode(tensors.as_array(data, tensors.MAX_ARRAY_BYTES), target.model)
    return tensors.encode_cells(protocols.cells_of(data), target.model, own=target.own)


def check(protocol: str | None) -> None:
    """See that ``protocol=`` of a call is one of :data:`PROTOCOLS`.

    Raises:
        InvalidInputError: it is another.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise InvalidInputError(
            f"{str(protocol)[:100]!r} is not a protocol.", hint=f"Use one of: {', '.join(PROTOCOLS)}."
        )


def _clause(error: Exception) -> str:
    return str(error).rstrip(".")
