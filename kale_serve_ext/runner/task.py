"""What a supervisor tells the process that it starts, and what that process tells back.

Both sides speak JSON lines over a socket pair that the child inherits: nothing of it is in the argument list, which
every user of the machine can read. The first line to the child is the :class:`Task`. After it come commands
(``{"do": "accept"}``, ``{"do": "drain", "idle": seconds, "grace": seconds}``); the child sends reports
(``loading``, ``loaded``, ``ready``, ``active``, ``alive``, ``unready``, ``draining``, ``failed``).
"""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import asdict, dataclass, field, fields

from .access import Access

ACTIVITY_PERIOD = 5.0
"""Seconds between reports: that requests came in (``active``), that there is nothing to report (``alive``), or that the
model says it is not ready (``unready``)."""


@dataclass(frozen=True)
class Task:
    """One predictor or transformer process."""

    name: str
    """The InferenceService's name, which is the model's name on the wire."""
    component: str
    kind: str
    """A format's name, such as ``sklearn`` or ``custom``; or ``transformer``."""
    path: str
    """Folder with the snapshot."""
    parent: int
    """Process id of the supervisor: without it this process ends."""
    http_fd: int
    """The listening socket, inherited."""
    grpc_port: int
    digest: str = ""
    """``sha256:<hex>`` that the snapshot must have; empty where none was recorded."""
    protocol: str = "v1"
    module_name: str = ""
    class_name: str = ""
    predictor_host: str = ""
    """``host:port`` of the predictor, for a transformer."""
    args: tuple[str, ...] = ()
    """The container's arguments in the manifest; kserve's own server takes those that it knows."""
    access: Access = field(default_factory=Access)
    """Whom a local service answers."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Task:
        given = json.loads(line)
        given["args"] = tuple(given["args"])
        # A supervisor from before an upgrade runs on, and starts this version's processes without what it did not know.
        given["access"] = Access.from_json(given.get("access") or {})
        return cls(**{one.name: given[one.name] for one in fields(cls) if one.name in given})


class Channel:
    """The child's end of the socket pair; blocking, until the server's loop takes over reading."""

    def __init__(self, fd: int) -> None:
        self.socket = socket.socket(fileno=fd)
        self._received = b""

    def report(self, event: str, **details: str | int | float) -> None:
        """Tell the supervisor. That it is gone is noticed elsewhere, and ends this process."""
        line = json.dumps({"event": event, **details}).encode() + b"\n"
        try:
            self.socket.setblocking(True)
            self.socket.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            return

    def mention(self, event: str, **details: str | int) -> bool:
        """Tell what may get lost: a supervisor that does not read must not hold up the requests.

        Returns:
            Whether it was sent.
        """
        line = json.dumps({"event": event, **details}).encode() + b"\n"
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            return self.socket.send(line, socket.MSG_DONTWAIT) == len(line)
        return False

    def receive(self) -> str:
        """The next line; an empty string when the supervisor closed its end."""
        while b"\n" not in self._received:
            piece = self.socket.recv(65536)
            if not piece:
                return ""
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()
