"""Reads the beginning of a file, or of what is compressed in it, up to a limit."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Protocol

MOST_BYTES = 64 << 20
"""What is read, or decompressed, of one file."""
_PIECE = 1 << 16
_MEMORY = 256 << 20

COMPRESSIONS = (
    ("gzip", b"\x1f\x8b"),
    ("bzip2", b"BZh"),
    ("xz", b"\xfd7zXZ\x00"),
    ("lzma", b"\x5d\x00\x00"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
)
"""How compressed files begin; zlib's beginning is checked by its own rule."""


class CutError(Exception):
    """More was asked of a stream than is read of it."""


class Stream:
    """Bytes that are read once, from the start, up to a limit.

    Args:
        file: where they come from.
        seekable: whether ``skip`` can move the file on without reading.
    """

    def __init__(self, file: BinaryIO, *, seekable: bool) -> None:
        self._file = file
        self._seekable = seekable
        self._left = MOST_BYTES
        self._position = 0

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes.

        Raises:
            CutError: it is more than is left to read.
        """
        if size > self._left:
            raise CutError
        return self._took(self._file.read(size))

    def readline(self) -> bytes:
        """The bytes up to the next newline, which is one of them."""
        data = self._file.readline(self._left)
        if not data.endswith(b"\n") and len(data) == self._left:
            raise CutError
        return self._took(data)

    def tell(self) -> int:
        return self._position

    def skip(self, size: int) -> None:
        """Move on.

        Raises:
            CutError: it has to be read for that, and is more than is left to read.
        """
        if self._seekable:
            self._file.seek(size, io.SEEK_CUR)
            self._position += size
            return
        while size > 0:
            if not (data := self.read(min(size, _PIECE))):
                raise EOFError
            size -= len(data)

    def _took(self, data: bytes) -> bytes:
        self._left -= len(data)
        self._position += len(data)
        return data


def compression(head: bytes) -> str:
    """The name of a file's compression by its first bytes; empty where it is not compressed."""
    for name, start in COMPRESSIONS:
        if head.startswith(start):
            return name
    # zlib: a deflate stream whose two header bytes are a multiple of 31 (RFC 1950).
    if len(head) > 2 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0:
        return "zlib"
    return ""


def can_read(name: str) -> bool:
    """Whether this interpreter can decompress it: lz4 is no part of Python, and need not be installed."""
    return name in _DECOMPRESSORS and (name != "lz4" or find_spec("lz4") is not None)


def decompressed(path: Path, name: str) -> BinaryIO:
    """What is compressed in a file; reading it raises EOFError where the file ends too early.

    Reading raises :class:`BrokenError` where it is not what its first bytes say.
    """
    return io.BufferedReader(_Decompressed(path.open("rb"), _DECOMPRESSORS[name]()))


class BrokenError(Exception):
    """A compressed file that cannot be decompressed."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the face of the others; it takes gzip too."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 32)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _lzma() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_MEMORY)


def _lz4() -> _Decompressor:
    from lz4.frame import LZ4FrameDecompressor

    made: _Decompressor = LZ4FrameDecompressor()
    return made


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _Zlib,
    "zlib": _Zlib,
    "bzip2": bz2.BZ2Decompressor,
    "xz": _lzma,
    "lzma": _lzma,
    "lz4": _lz4,
}


class _Decompressed(io.RawIOBase):
    def __init__(self, file: BinaryIO, decompressor: _Decompressor) -> None:
        self._source = file
        self._decompressor = decompressor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader gives is one
        while not self._decompressor.eof:
            piece = self._source.read(_PIECE) if self._decompressor.needs_input else b""
            if not piece and self._decompressor.needs_input:
                raise EOFError("the compressed data ends too early")
            try:
                data = self._decompressor.decompress(piece, len(buffer))
            except (zlib.error, lzma.LZMAError, OSError, ValueError, RuntimeError) as error:
                raise BrokenError(str(error)) from error
            if data:
                buffer[: len(data)] = data
                return len(data)
        return 0

    def close(self) -> None:
        self._source.close()
        super().close()
