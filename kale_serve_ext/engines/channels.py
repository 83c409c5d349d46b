"""How gRPC channels to models are set up, whichever engine opens them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc.aio

MAX_MESSAGE = 256 * 1024 * 1024
OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
"""No retry policy: one for UNAVAILABLE would send a request that ended its model to the next replica, and the next.
What gRPC does by itself (it retries transparently what the server has not begun, by HTTP/2's own word) stays on."""

_RECONNECTED_WITHIN = 1.5
"""Seconds: one back-off at most."""


async def await_reconnection(channel: grpc.aio.Channel) -> None:
    """Give a channel whose last connection failed the time for one more: calls would fail at once meanwhile."""
    import grpc

    if channel.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
        return
    try:
        await asyncio.wait_for(_settled(channel), _RECONNECTED_WITHIN)
    except asyncio.TimeoutError:
        return  # the call says why


async def _settled(channel: grpc.aio.Channel) -> None:
    import grpc

    while (state := channel.get_state(try_to_connect=True)) not in (
        grpc.ChannelConnectivity.READY,
        grpc.ChannelConnectivity.SHUTDOWN,
    ):
        await channel.wait_for_state_change(state)
