"""HTTP/2 frames, as far as it takes to end a connection without failing a call (RFC 9113)."""

from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client's side of a connection begins with."""
_HEAD = 9
_HEADERS, _GOAWAY, _CONTINUATION = 1, 7, 9
_END_HEADERS = 4
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
        self.begun = 0
        """How many blocks of headers have come: of a client's side, the calls and their trailers."""
        self.seen = 0
        """How many frames have begun."""

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
        if head[3] in (_HEADERS, _CONTINUATION):
            self._in_headers = not head[4] & _END_HEADERS
            self.begun += head[3] == _HEADERS


def going_away() -> bytes:
    """The frame that has a client open another connection for further calls, while those under way are answered."""
    return _frame(_GOAWAY, _GOING.pack(_LAST_STREAM, _NO_ERROR))


def refusal(why: str) -> bytes:
    """What a server says that answers no call of this connection. Without settings before it no connection has come
    about: the client fails its calls, where it would else make them again on another one."""
    return _frame(_GOAWAY, _GOING.pack(0, _INADEQUATE_SECURITY) + why.encode())


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes((kind, 0)) + bytes(4) + payload
