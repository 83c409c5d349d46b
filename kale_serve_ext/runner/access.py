"""Whom a local service answers. Loopback is not private: other users and every web page in a browser reach it.

Rules for one connection and for one request; used by model servers and by the supervisor that answers in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard
from urllib.parse import urlsplit

from . import peers

USER = "user"
MACHINE = "machine"

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BINARY_HEADER = b"inference-header-content-length"
_SAFE = ("GET", "HEAD", "OPTIONS")
_SHOWN = 100
_HOSTNAMES = "KaleServeApp.local_hostnames (KALE_SERVE_LOCAL_HOSTNAMES)"
_OPEN = "KaleServeApp.local_access = 'machine' (KALE_SERVE_LOCAL_ACCESS=machine)"

Headers = Iterable[tuple[bytes, bytes]]
"""Names in lower case, and values."""


class Refusal(NamedTuple):
    """An HTTP status and what the client is told."""

    status: int
    message: str


@dataclass(frozen=True)
class Access:
    """Who may send requests, and under which host names."""

    who: str = USER
    """``user``: the user that the service runs as, and root. ``machine``: every user of the machine."""
    hostnames: tuple[str, ...] = ()
    """Names beside those of the loopback address, in lower case: of a proxy that passes the browser's name on."""

    @classmethod
    def of(cls, who: str, hostnames: str) -> Access:
        """From the settings, where host names are one text with commas."""
        return cls(who, tuple(name for part in hostnames.split(",") if (name := part.strip().lower())))

    @classmethod
    def from_json(cls, given: Mapping[str, object]) -> Access:
        """From what ``dataclasses.asdict`` made, once it has been JSON; another version may leave things out."""
        hostnames = given.get("hostnames")
        return cls(str(given.get("who", USER)), tuple(map(str, hostnames)) if isinstance(hostnames, list) else ())

    def __str__(self) -> str:
        who = "every user of this machine" if self.who == MACHINE else "the user who runs them, and root"
        return f"{who}, also under the host names {', '.join(self.hostnames)}" if self.hostnames else who

    def refuse_peer(self, peer: object, here: object) -> str:
        """Why the other end of a connection is not answered; empty where it is.

        Args:
            peer: its address, as sockets have it.
            here: this end's address.
        """
        if self.who == MACHINE or not peers.AVAILABLE or peers.doubt() == peers.UNTOLD:
            return ""
        user = peers.owner(peer, here) if _is_address(peer) and _is_address(here) else None
        if peers.is_trusted(user):
            return ""
        if user is None or peers.doubt():
            return f"The user that this request comes from cannot be told. Without the check: {_OPEN}."
        return f"This service answers only the user who runs it, who can open it to this machine's others: {_OPEN}."

    def warning(self) -> str:
        """What the owner has to know where connections cannot be told apart; empty where they can. Call it before
        anybody can connect (see :func:`peers.doubt`)."""
        why = peers.doubt() if peers.AVAILABLE else ""
        if not why or self.who == MACHINE:
            return ""
        if why == peers.UNTOLD:
            return f"Every user of this machine can send requests: {why}."
        return f"All requests are refused: {why}. Without the check: {_OPEN}."

    def refuse_request(self, method: str, headers: Headers) -> Refusal | None:
        """Why a request that a web page may have sent is not answered; None where it is."""
        host = origin = site = mode = destination = kind = b""
        has_body, is_binary, hosts = False, False, 0
        for name, value in headers:
            if name == b"host":
                host, hosts = value, hosts + 1
            elif name == b"content-type":
                kind = value
            elif name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
                has_body = True
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
            elif name == b"sec-fetch-mode":
                mode = value
            elif name == b"sec-fetch-dest":
                destination = value
            elif name == _BINARY_HEADER:
                is_binary = True
        if hosts != 1 or not self._is_ours(host):
            return Refusal(
                403,
                f"The Host {_shown(host)} is not allowed: use 127.0.0.1 or localhost, or add the name to {_HOSTNAMES}.",
            )
        # A link that somebody follows is no request of the page that it is on, which cannot read the answer.
        followed = method in _SAFE and mode == b"navigate" and destination == b"document"
        if (origin or site) and not followed and not self._is_same_origin(origin, site, host):
            return Refusal(
                403,
                f"Requests from web pages of another origin ({_shown(origin or site)}) are refused: send them from a "
                f"program, or add the page's host name to {_HOSTNAMES}.",
            )
        if method not in _SAFE and has_body and not (is_binary and not kind) and not _is_data(kind):
            return Refusal(
                415,
                f"The Content-Type {_shown(kind)} is not supported: send application/json, with curl by "
                "-H 'Content-Type: application/json', or application/octet-stream.",
            )
        return None

    def _is_ours(self, host: bytes) -> bool:
        text = host.decode("latin-1").lower()
        name = text if text.endswith("]") else text.rpartition(":")[0] or text
        return name in _LOCAL or name in self.hostnames

    def _is_same_origin(self, origin: bytes, site: bytes, host: bytes) -> bool:
        if origin:
            try:
                parts = urlsplit(origin.decode("latin-1").lower())
                named = parts.hostname in self.hostnames
            except ValueError:
                return False
            # A page of a name that is allowed comes through a proxy, which may have put another Host.
            if named:
                return True
            if parts.netloc != host.decode("latin-1").lower():
                return False
        return site.lower() in (b"", b"same-origin", b"none")


def _is_address(value: object) -> TypeGuard[peers.Address]:
    return isinstance(value, tuple) and len(value) == 2


def _is_data(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind in (b"application/json", b"application/octet-stream") or (
        kind.startswith(b"application/") and kind.endswith(b"+json")
    )


def _shown(value: bytes) -> str:
    return ascii(value.decode("latin-1")[:_SHOWN]) if value else "(none)"
