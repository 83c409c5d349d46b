"""Ways straight to the pods of one component: gRPC, where KServe's Service rarely leads, and HTTP by port-forward."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import InvalidInputError, KaleServeError, ServiceNotReadyError
from ...base import Component, Manifest
from ...channels import OPTIONS
from ...fields import mapping, name_of, text
from ...kserve import OF_SERVICE
from ..api_objects import PODS
from ..pods import COMPONENT, is_ready, revision_of
from .portforward import PROTOCOL, Forward, PortClosed
from .ports import grpc_port, http_port
from .transports import ForwardTransport

if TYPE_CHECKING:
    import grpc.aio
    from tornado.websocket import WebSocketClientConnection

    from ..api import Api

_CONNECTED_WITHIN = 10.0
_GRACE = 30.0
"""Seconds that calls on a channel that is given up may still take."""


class PodLink:
    """Opened when it is first used, and ended by :meth:`close`. Use it from one loop.

    Args:
        own: the Deployment whose pods are meant, where there may be others; empty in Knative mode.
        sockets: folder for the sockets of port-forwards; None inside the cluster, where pods are reached directly.
    """

    def __init__(
        self, api: Api, namespace: str, name: str, component: Component, own: str, sockets: Path | None
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._component = component
        self._own = own
        self._sockets = sockets
        self._opening = asyncio.Lock()
        self._channel: grpc.aio.Channel | None = None
        self._forward_of_channel: Forward | None = None
        self._leads_to = ""
        """The pod that the latest port-forward for gRPC leads to."""
        self._retired: set[asyncio.Task[None]] = set()
        self._transport: ForwardTransport | None = None
        self._forwards: list[Forward] = []

    async def channel(self) -> grpc.aio.Channel:
        """A channel that has been connected.

        Raises:
            InvalidInputError: the component does not speak gRPC.
            PermissionDeniedError: pods may not be listed, or ports not forwarded.
            ServiceNotReadyError: no pod is ready.
        """
        import grpc

        async with self._opening:
            # The pods' addresses that it knows may all be gone. Through a port-forward it finds new ones itself.
            is_fixed = self._sockets is None
            if self._channel and is_fixed and self._channel.get_state() is not grpc.ChannelConnectivity.READY:
                self._retire()
            if self._channel is None:
                self._channel, self._forward_of_channel = await self._open_grpc()
            return self._channel

    async def check(self) -> None:
        """Give up a channel to a pod that is going: such a pod unloads its models while it still answers."""
        async with self._opening:
            if self._forward_of_channel is None:
                return
            try:
                names = {name_of(pod) for pod in await self._pods()}
            except KaleServeError:
                return  # there is no better one
            if self._leads_to not in names:
                self._retire()

    async def transport(self, sockets: Path) -> ForwardTransport:
        """HTTP by a port-forward."""
        async with self._opening:
            if self._transport is None:
                self._transport = ForwardTransport(await self._forward(http_port, sockets))
            return self._transport

    async def close(self) -> None:
        """End every connection; nothing of it is left."""
        for task in self._retired:
            task.cancel()
        await asyncio.gather(*self._retired, return_exceptions=True)
        if self._channel:
            await self._channel.close()
        if self._transport:
            await self._transport.aclose()
        for forward in self._forwards:
            await forward.close()

    async def _open_grpc(self) -> tuple[grpc.aio.Channel, Forward | None]:
        import grpc.aio

        forward = await self._forward(grpc_port, self._sockets) if self._sockets else None
        address = f"unix:{forward.path}" if forward else f"ipv4:{','.join(map(_address, await self._pods()))}"
        channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        try:
            await asyncio.wait_for(_connected(channel), _CONNECTED_WITHIN)
        except BaseException as error:
            await self._end(channel, forward)
            if not isinstance(error, (ConnectionError, asyncio.TimeoutError)):
                raise
            trouble = forward.trouble if forward else None
            if trouble and not isinstance(trouble, PortClosed):
                raise trouble from error
            kept_off = "" if forward else " A mesh or a network policy may also keep it from the pods."
            raise InvalidInputError(
                f"The {self._component} of {self._name} does not answer by gRPC"
                + (f": nothing listens on {trouble.message}." if trouble else "."),
                hint=f"Use v1 or v2, or a runtime that speaks gRPC.{kept_off}",
            ) from error
        return channel, forward

    def _retire(self) -> None:
        """Let the calls on the channel end, and use it for no others."""
        if self._channel:
            task = asyncio.create_task(self._end(self._channel, self._forward_of_channel, _GRACE))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
        self._channel = self._forward_of_channel = None

    async def _end(self, channel: grpc.aio.Channel, forward: Forward | None, grace: float = 0.0) -> None:
        await channel.close(grace)
        if forward:
            self._forwards.remove(forward)
            await forward.close()

    async def _forward(self, port: Callable[[Manifest], int], sockets: Path) -> Forward:
        made = Forward(lambda: self._dial(port), sockets)
        await made.start()
        self._forwards.append(made)
        return made

    async def _dial(self, port: Callable[[Manifest], int]) -> WebSocketClientConnection:
        pod = random.choice(await self._pods())  # noqa: S311  # nothing secret
        if port is grpc_port:
            self._leads_to = name_of(pod)
        path = f"{PODS.format(self._namespace)}/{name_of(pod)}/portforward"
        return await self._api.websocket(path, PROTOCOL, ports=str(port(pod)))

    async def _pods(self) -> list[Manifest]:
        """Those that are ready."""
        label = f"{OF_SERVICE}={self._name},{COMPONENT}={self._component}"
        found, _ = await self._api.list(PODS.format(self._namespace), labelSelector=label)
        ready = [pod for pod in found if is_ready(pod) and self._own in ("", revision_of(pod))]
        if not ready:
            raise ServiceNotReadyError(
                f"No pod of the {self._component} of {self._name} is ready.", phase="", hint="Look at its logs."
            )
        return ready


def _address(pod: Manifest) -> str:
    return f"{text(mapping(pod.get('status')).get('podIP'))}:{grpc_port(pod)}"


async def _connected(channel: grpc.aio.Channel) -> None:
    """Return once the other side has answered in HTTP/2.

    Raises:
        ConnectionError: it does not.
    """
    import grpc

    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise ConnectionError
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
