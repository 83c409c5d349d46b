"""HTTP/2 frames, as far as it takes to end a connection without failing a call (RFC 9113)."""

from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client's side of a connection begins with."""
_HEAD = 9
_DATA, _HEADERS, _RST_STREAM, _GOAWAY, _CONTINUATION = 0, 1, 3, 7, 9
_END_STREAM, _END_HEADERS = 1, 4
_NO_ERROR, _INADEQUATE_SECURITY = 0, 12
_LAST_STREAM = 0x7FFFFFFF
_GOING = struct.Struct("!II")


class Frames:
    """Follows the frames of one direction.

    Args:
        skip: bytes before the first frame.
    """

    def __init__(self, skip: int = 0) -> None:
        self._skip = skip
        self._head = b""
        self._in_headers = False
        self.seen = 0
        """How many frames have begun."""
        self.opened: set[int] = set()
        """The streams that have had headers, since it was emptied."""
        self.ended: set[int] = set()
        """Those that this side has ended, likewise."""
        self.reset: set[int] = set()
        """Those that it has broken off, likewise."""

    @property
    def at_boundary(self) -> bool:
        """Whether a frame of another stream may come here."""
        return bool(self.seen) and not self._skip and not self._head and not self._in_headers

    def feed(self, data: bytes) -> int:
        """Follow ``data``; returns the last place in it where a frame may be put in between, -1 for none."""
        at, found = 0, -1
        while True:
            step = min(self._skip, len(data) - at)
            at += step
            self._skip -= step
            if self.at_boundary and at:
                found = at
            if at == len(data):
                return found
            take = data[at : at + _HEAD - len(self._head)]
            self._head += take
            at += len(take)
            if len(self._head) == _HEAD:
                self._begin(self._head)
                self._head = b""

    def _begin(self, head: bytes) -> None:
        self._skip = int.from_bytes(head[:3], "big")
        self.seen += 1
        stream = int.from_bytes(head[5:9], "big")
        if head[3] == _RST_STREAM:
            self.reset.add(stream)
        elif head[3] in (_DATA, _HEADERS) and head[4] & _END_STREAM:
            self.ended.add(stream)
        if head[3] == _HEADERS:
            self.opened.add(stream)
        if head[3] in (_HEADERS, _CONTINUATION):
            self._in_headers = not head[4] & _END_HEADERS


def going_away() -> bytes:
    """The frame that has a client open another connection for further calls, while those under way are answered."""
    return _frame(_GOAWAY, _GOING.pack(_LAST_STREAM, _NO_ERROR))


def refusal(why: str) -> bytes:
    """What a server says that answers no call of this connection. Without settings before it no connection has come
    about: the client fails its calls, where it would else make them again on another one."""
    return _frame(_GOAWAY, _GOING.pack(0, _INADEQUATE_SECURITY) + why.encode())


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes((kind, 0)) + bytes(4) + payload
