"""A client that knows what its service takes: what ``Endpoint.predict`` goes through.

Requests to models of named tensors are made of arrays, by the model's own names, dtypes and shapes, and answered by
arrays; all others are as :class:`PredictionClient` sends them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ..engines.base import Component, Engine
from ..errors import DeadlineExceededError
from . import arrays, failures, named, outputs, rest
from .client import LARGEST_ANSWER, LONGEST, PredictionClient, check
from .describing import PATIENCE, Recorded, describe
from .route import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .arrays import Arrays
    from .described import Described
    from .outputs import Outputs


class AskingClient(PredictionClient):
    """A client of one component of one service (None: its entry).

    Args:
        recorded: gives what is recorded of an artifact.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        component: Component | None = None,
        *,
        recorded: Recorded | None = None,
        largest: int = LARGEST_ANSWER,
    ) -> None:
        super().__init__(engine, name, component, largest=largest)
        self._recorded = recorded
        self._description: tuple[tuple[str, ...], Described | None] | None = None
        self._describing = asyncio.Lock()

    async def ask(self, data: object, *, protocol: str | None = None, timeout: float = 60.0) -> Outputs:
        """:meth:`PredictionClient.call`; where the model takes named tensors, arrays for what :mod:`arrays` takes.

        Raises:
            InvalidInputError: data that do not fit, besides what :meth:`call` raises.
        """
        check(protocol)
        return await self._delivered(self._asking(data, protocol, timeout))

    def ask_blocking(self, data: object, *, protocol: str | None = None, timeout: float = 60.0) -> Outputs:
        """:meth:`ask` from any thread, for a client that is used from the background loop."""
        from ..sync import run

        check(protocol)
        target = self._lately()
        known = self._known(target, data) if target else None
        if target is None or known is None:
            return run(self.ask(data, protocol=protocol, timeout=timeout))
        (takes,) = known
        if takes is None or arrays.is_request(data, takes):
            return self.call_blocking(data, protocol=protocol, timeout=timeout)
        try:
            answer = self._ask_now(target, arrays.arrays_of(data, takes), takes, protocol, timeout)
        except failures.Undelivered:
            return run(self._delivered(self._asking(data, protocol, timeout), failed=target))
        return answer[0] if answer else run(self.ask(data, protocol=protocol, timeout=timeout))

    async def takes(self) -> Described | None:
        """The named tensors that the component takes; None where it takes none, or does not say."""
        return await self._takes(await self.target(), None, by_grpc=False, timeout=PATIENCE)

    def _asking(self, data: object, protocol: str | None, timeout: float) -> Callable[[Route], Awaitable[Outputs]]:
        """:meth:`_ask` within ``timeout`` seconds from now, however often it is tried."""
        end = time.monotonic() + timeout

        async def ask(target: Route) -> Outputs:
            try:
                return await self._ask(target, data, protocol, end)
            except DeadlineExceededError as error:
                raise failures.late(self._name, timeout) from error

        return ask

    def _left(self, end: float) -> float:
        """Seconds until ``end``, by the monotonic clock.

        Raises:
            DeadlineExceededError: there are none.
        """
        left = end - time.monotonic()
        if left <= 0:
            raise failures.late(self._name, 0)
        return left

    async def _ask(self, target: Route, data: object, protocol: str | None, end: float) -> Outputs:
        by_grpc = protocol == "grpc-v2" or target.arrays
        takes = await self._takes(target, data, by_grpc=by_grpc, timeout=self._left(end))
        if takes is None or arrays.is_request(data, takes):
            return await self._send(target, data, protocol, self._left(end))
        given = arrays.arrays_of(data, takes)
        if self._goes_by_grpc(target, given, protocol):
            infer = await (self._infer_if_there if protocol is None else self._infer_asked_for)(target, self._left(end))
            if infer:
                body = named.encode_grpc(given, target.model)
                return outputs.of_grpc(await self._by_grpc(infer, body, self._left(end)))
        request = named.encode(given, protocol or target.protocol, target.model, takes)
        return outputs.of_rest(await self._post(target, request, self._left(end)), takes)

    def _ask_now(
        self, target: Route, given: Arrays, takes: Described, protocol: str | None, timeout: float
    ) -> tuple[Outputs] | None:
        """:meth:`_ask` without a loop: the answer in a tuple; None where it takes that, and nothing was delivered."""
        post = target.connection.blocking_http
        if post is None or not 0 < timeout < LONGEST or self._goes_by_grpc(target, given, protocol):
            return None
        request: rest.Request = named.encode(given, protocol or target.protocol, target.model, takes)
        answer = self._post_now(post, request, timeout)
        return (outputs.of_rest(answer, takes),) if answer else None

    def _goes_by_grpc(self, target: Route, given: Arrays, protocol: str | None) -> bool:
        if protocol is not None or not named.fits_grpc(given):
            return protocol == "grpc-v2"
        # KServe's own server takes bytes by REST only where they are text.
        return target.arrays or (target.protocol == "v2" and bool(target.infer) and named.has_bytes(given))

    def _known(self, target: Route, data: object) -> tuple[Described | None] | None:
        """What is known of what the component takes; None where it is to be asked for."""
        if not target.may_take_tensors or isinstance(data, str | bytes | bytearray | memoryview):
            return (None,)
        if self._description and self._description[0] == _key(target):
            return (self._description[1],)
        return None

    async def _takes(self, target: Route, data: object, *, by_grpc: bool, timeout: float) -> Described | None:
        if known := self._known(target, data):
            return known[0]
        async with self._describing:
            if known := self._known(target, data):
                return known[0]
            takes, is_sure = await describe(target, self._recorded, by_grpc=by_grpc, timeout=timeout)
            if is_sure:
                self._description = (_key(target), takes)
            return takes


def _key(target: Route) -> tuple[str, ...]:
    """What tells one revision from another."""
    return (*target.address, str(target.artifact))
