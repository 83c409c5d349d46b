"""Asking a server whether its model is ready, and whose server it is that answers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from ....runner import peers

_MOST = 65536


class Said(NamedTuple):
    """What came of a question."""

    ready: bool
    message: str = ""
    """Why it is not ready."""


async def ask(address: int | str, path: str, seconds: float) -> Said:
    """Whether a server answers 200 to ``GET path``.

    Args:
        address: a port of the loopback address, or a unix socket's path.

    Raises:
        OSError: nothing listens there; or somebody else's program does, a ``PermissionError``.
        asyncio.TimeoutError: it does not answer within ``seconds``.
    """
    if isinstance(address, int):
        check_owner(address)
    return await asyncio.wait_for(_ask(address, path), seconds)


async def _ask(address: int | str, path: str) -> Said:
    if isinstance(address, str):
        reader, writer = await asyncio.open_unix_connection(address)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", address)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
        rest = b""
        while len(rest) < _MOST and (piece := await reader.read(_MOST)):
            rest += piece
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    words = line.split(b" ", 2)
    if len(words) > 1 and words[1] == b"200":
        return Said(True)
    body = rest.partition(b"\r\n\r\n")[2].decode(errors="replace").strip()
    status = words[1].decode(errors="replace") if len(words) > 1 else "nothing"
    return Said(False, f"{path} answers {status}{f': {body[:200]}' if body else ''}.")


def check_owner(port: int) -> None:
    """Refuse a port that another user of the machine has taken first: what it was sent would be theirs to read.

    Raises:
        PermissionError: somebody else's program listens there.
    """
    if not peers.AVAILABLE or peers.doubt():
        return
    if not all(peers.is_trusted(user) for user in peers.listening(port)):
        raise PermissionError(f"Port {port} was taken by another user's program.")
