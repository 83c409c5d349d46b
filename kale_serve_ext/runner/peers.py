"""Whose the other end of a loopback connection is: the kernel knows the owner of every socket (Linux).

It is asked by socket diagnostics (sock_diag(7)) for one socket by its addresses, and where these are missing by
``/proc/net/tcp``. Both name the owner as this process's user namespace sees it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

Address = tuple[str, int]

AVAILABLE = sys.platform == "linux"
"""Whether systems of this kind tell; whether this one does is found by :func:`doubt`."""

UNTOLD = "this system does not tell whose a connection is (gVisor and WSL 1 do not)"
SHARED_ID = "in this user namespace the service's user has no id of its own, but that of all who have none"

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
"""``nlmsghdr``: length, type, flags, sequence, port."""
_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = b"\xff" * 8
_QUESTION = struct.Struct("=BBBBI")
"""The head of ``inet_diag_req_v2``: family, protocol, extensions, padding, states. The socket's id follows."""
_PORTS = struct.Struct("!HH")
_ANSWER = struct.Struct("=4s4s44s3III")
"""``inet_diag_msg``: states, ports, addresses and cookie, timer and queues, the owner, the inode."""
_LARGEST = 8192

_ALL_IDS = 0xFFFFFFFF
_LISTEN = "0A"
"""The state of a socket that listens, in these tables."""
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_MAPPED = b"\0" * 10 + b"\xff\xff"
"""What an IPv4 address has before it in a socket of IPv6."""


def owner(peer: Address, here: Address) -> int | None:
    """The user id that the socket at ``peer`` belongs to, whose other end is at ``here``; both IPv4.

    None where it cannot be told, and where nobody holds the socket any more: a socket that was closed right after a
    request was sent would be root's.
    """
    try:
        found = _by_diagnostics(peer, here)
    except OSError:
        found = None
    return found if found is not None else _by_table(peer, here)


def _by_diagnostics(peer: Address, here: Address) -> int | None:
    addresses = (socket.inet_aton(address).ljust(16, b"\0") for address, _ in (peer, here))
    socket_id = _PORTS.pack(peer[1], here[1]) + b"".join(addresses) + b"\0\0\0\0" + _NO_COOKIE
    answer = _kernel.ask(_QUESTION.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY_STATE) + socket_id)
    if len(answer) < _HEADER.size + _ANSWER.size or _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    _, ports, _, _, _, _, user, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    # Without such a connection the kernel names whoever listens on the port.
    return int(user) if ports == _PORTS.pack(peer[1], here[1]) and inode else None


class _Netlink(socket.socket):
    """A socket to the kernel that is closed with the thread that it belongs to, without a warning."""

    def __init__(self) -> None:
        super().__init__(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)

    def __del__(self) -> None:
        self.close()


class _Kernel(threading.local):
    """A thread's socket to the kernel, kept: making one takes as long as a question."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._process = 0
        self._asked = 0

    def ask(self, question: bytes) -> bytes:
        """The answer to a question of socket diagnostics.

        Raises:
            OSError: the kernel does not answer such questions.
        """
        if self._socket is None or self._process != os.getpid():
            # One that came along with a fork is the parent's, who would be told what is asked for here.
            self._socket = _Netlink()
            self._process = os.getpid()
        self._asked = (self._asked + 1) % _ALL_IDS
        head = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST, self._asked, 0)
        try:
            self._socket.sendto(head + question, (0, 0))
            while True:
                # The answer is there when the question has been sent.
                answer = self._socket.recv(_LARGEST, socket.MSG_DONTWAIT)
                if len(answer) < _HEADER.size or _HEADER.unpack_from(answer)[3] == self._asked:
                    return answer
        except OSError:
            self._socket.close()
            self._socket = None
            raise


_kernel = _Kernel()


def _by_table(peer: Address, here: Address) -> int | None:
    """The same from the table of all sockets, which takes longer the more room the kernel has for them."""
    wanted = {(_as_listed(peer, before), _as_listed(here, before)) for before in (b"", _MAPPED)}
    for line in _lines():
        words = line.split()
        if (words[1], words[2]) in wanted:
            return int(words[7]) if words[9] != "0" else None
    return None


def listening(port: int) -> set[int]:
    """The user ids of those who listen on a port, on whatever address."""
    split = (line.split() for line in _lines())
    return {int(words[7]) for words in split if words[3] == _LISTEN and int(words[1].rpartition(":")[2], 16) == port}


def _lines() -> Iterator[str]:
    for name in _TABLES:
        with contextlib.suppress(OSError), Path(name).open() as table:
            next(table, None)
            yield from table


def _as_listed(address: Address, before: bytes) -> str:
    raw = before + socket.inet_aton(address[0])
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    return f"{''.join(f'{word:08X}' for word in words)}:{address[1]:04X}"


def is_trusted(user: int | None) -> bool:
    """Whether this is the user of this process, or root, who may do everything anyway."""
    return user is not None and user in (0, os.geteuid()) and not _is_shared(user)


@functools.cache
def doubt() -> str:
    """Why nobody's connections can be told from others' here: ``UNTOLD`` or ``SHARED_ID``; empty where they can.

    Found by asking about a connection of this process's own. To be called before there are others, when no client can
    have taken up what the answer needs; it is kept.

    Raises:
        OSError: there are no sockets to be had.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        user = owner(client.getsockname(), listener.getsockname())
    if user is None:
        return UNTOLD
    return "" if is_trusted(user) else SHARED_ID


@functools.cache
def _is_shared(user: int) -> bool:
    """Whether this is the id by which the kernel names every user that has none in this user namespace
    (user_namespaces(7)), rather than one user's own."""
    try:
        if user != int(Path("/proc/sys/kernel/overflowuid").read_text()):
            return False
        ranges = Path("/proc/self/uid_map").read_text().split()
    except (OSError, ValueError):
        return False
    return sum(map(int, ranges[2::3])) < _ALL_IDS
