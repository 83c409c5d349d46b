"""HTTP/1.1 messages, as far as it takes to tell where each one ends (RFC 9112).

Strict where servers differ: a request that two programs could cut at different places could carry another one past
whoever checks the first. What nobody writes today (folded headers, bare line feeds, both lengths at once) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ....runner.access import Headers

MAX_HEAD = 65536
"""Bytes of a request's or answer's first line and headers."""
_END = b"\r\n\r\n"
_MAX_LINE = 1024
"""Bytes of a line between chunks."""
_NAME = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""What names of methods and headers are made of."""
_TEXT = bytes((9, *range(32, 127), *range(128, 256)))
"""What a line may hold."""
_REQUEST = re.compile(rb"(\S+) ([/*][!-~\x80-\xff]*) HTTP/1\.([01])")
_ANSWER = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_DIGITS = re.compile(rb"[0-9]{1,18}")


class MalformedError(Exception):
    """What came is no message, or one that could be cut in two ways."""


@dataclass(frozen=True)
class Request:
    """A request's head."""

    method: str
    target: bytes
    headers: Headers
    body: Body
    last: bool
    """Whether the client wants the connection to end with the answer."""
    upgrade: bytes
    """The protocol that it wants to go on in, in lower case; empty for none."""


@dataclass(frozen=True)
class Answer:
    """An answer's head; those of the hundreds are followed by another."""

    status: int
    body: Body
    last: bool


class Body:
    """Counts a body as it passes.

    Args:
        length: bytes; None where the connection's end is the body's.
        chunked: whether it comes in chunks, whatever ``length`` says.
    """

    def __init__(self, length: int | None, chunked: bool = False) -> None:
        self._left = 0 if chunked else length
        self._chunked = chunked
        self._line: bytearray | None = bytearray() if chunked else None
        """The line between chunks that is being read; None while a chunk passes."""
        self._trailers = False
        self._tail = 0
        """Bytes of the line end behind a chunk that are still to come."""

    @property
    def done(self) -> bool:
        return self._left == 0 and not self._chunked

    @property
    def by_end(self) -> bool:
        """Whether only the connection's end tells its own."""
        return self._left is None

    def take(self, data: bytes, start: int) -> int:
        """Where the body's part of ``data[start:]`` ends.

        Raises:
            MalformedError: the chunks are none.
        """
        if not self._chunked:
            if self._left is None:
                return len(data)
            count = min(self._left, len(data) - start)
            self._left -= count
            return start + count
        while not self.done and start < len(data):
            start = self._take_line(data, start) if self._line is not None else self._take_chunk(data, start)
        return start

    def _take_chunk(self, data: bytes, start: int) -> int:
        left = self._left or 0
        count = min(left, len(data) - start)
        self._left = left - count
        start += count
        if left > count:
            return start
        while self._tail and start < len(data):
            if data[start] != b"\r\n"[-self._tail]:
                raise MalformedError("A chunk does not end where it says.")
            self._tail -= 1
            start += 1
        if not self._tail:
            self._line = bytearray()
        return start

    def _take_line(self, data: bytes, start: int) -> int:
        line = self._line
        assert line is not None  # noqa: S101  # what tells it is looked at one call before
        end = data.find(b"\n", start)
        line += data[start : len(data) if end < 0 else end + 1]
        if len(line) > _MAX_LINE:
            raise MalformedError("A line between chunks is too long.")
        if end < 0:
            return len(data)
        if not line.endswith(b"\r\n"):
            raise MalformedError("A line between chunks does not end as one.")
        self._line = bytearray()
        self._read_line(bytes(line[:-2]))
        return end + 1

    def _read_line(self, line: bytes) -> None:
        if self._trailers:
            if not line:
                self._chunked, self._line = False, None
            else:
                _lines(line + _END)
            return
        match = _SIZE.fullmatch(line)
        if not match:
            raise MalformedError("A chunk does not say how long it is.")
        size = int(match[1], 16)
        if size:
            self._left, self._tail, self._line = size, 2, None
        else:
            self._trailers = True


def head_end(data: bytes | bytearray, seen: int = 0) -> int:
    """Where the head at the begin of ``data`` ends, -1 where it is not complete.

    Args:
        seen: bytes that were looked at before.

    Raises:
        MalformedError: it is too long.
    """
    found = data.find(_END, max(0, seen - len(_END)))
    end = found + len(_END) if found >= 0 else -1
    if (end if end >= 0 else len(data)) > MAX_HEAD:
        raise MalformedError("The request's headers are too long.")
    return end


def request(head: bytes) -> Request:
    """The request that begins with ``head``.

    Raises:
        MalformedError: it is none.
    """
    first, _, rest = head.partition(b"\r\n")
    match = _REQUEST.fullmatch(first)
    if not match or match[1].translate(None, _NAME):
        raise MalformedError("This is no HTTP/1.1 request.")
    method = match[1].decode("ascii")
    if method == "CONNECT":
        raise MalformedError("This is no proxy.")
    headers = _lines(rest)
    length, chunked, words, upgrade = _framing(headers)
    if chunked and match[3] == b"0":
        raise MalformedError("HTTP/1.0 has no chunks.")
    last = b"close" in words or (match[3] == b"0" and b"keep-alive" not in words)
    return Request(method, match[2], headers, Body(length or 0, chunked), last, upgrade)


def answer(head: bytes, method: str) -> Answer:
    """The answer that begins with ``head``, to a request of this method.

    Raises:
        MalformedError: it is none.
    """
    first, _, rest = head.partition(b"\r\n")
    match = _ANSWER.fullmatch(first)
    if not match:
        raise MalformedError("The server's answer is not HTTP/1.1.")
    status = int(match[2])
    length, chunked, words, _ = _framing(_lines(rest))
    last = b"close" in words or (match[1] == b"0" and b"keep-alive" not in words)
    if method == "HEAD" or status < 200 or status in (204, 304):
        return Answer(status, Body(0), last)
    return Answer(status, Body(length, chunked), last or (length is None and not chunked))


def _lines(lines: bytes) -> list[tuple[bytes, bytes]]:
    """The headers, up to the empty line.

    Raises:
        MalformedError: a line is none, or ends otherwise than lines do.
    """
    found = lines.split(b"\r\n")
    # What is left over has to be the line ends, and nothing between them.
    if lines.translate(None, _TEXT) != b"\r\n" * (len(found) - 1):
        raise MalformedError("The headers hold control characters.")
    headers = []
    for line in found:
        if line:
            name, colon, value = line.partition(b":")
            if not colon or not name or name.translate(None, _NAME):
                raise MalformedError("A header is none.")
            headers.append((name.lower(), value.strip(b" \t")))
    return headers


def _framing(headers: Headers) -> tuple[int | None, bool, set[bytes], bytes]:
    """The body's length, whether it comes in chunks, the words of ``Connection``, the protocol of ``Upgrade``."""
    length: int | None = None
    chunked, words, upgrade = False, set[bytes](), b""
    for name, value in headers:
        if name == b"content-length":
            if length is not None or not _DIGITS.fullmatch(value):
                raise MalformedError("The Content-Length is no number, or there are two.")
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                raise MalformedError("The Transfer-Encoding is not chunked.")
            chunked = True
        elif name == b"connection":
            words |= {word.strip().lower() for word in value.split(b",")}
        elif name == b"upgrade":
            upgrade = value.lower()
    if chunked and length is not None:
        raise MalformedError("The body has two lengths.")
    return length, chunked, words, upgrade
