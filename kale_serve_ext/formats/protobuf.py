"""Walks a protobuf message in a file without its schema and without reading what is not asked for.

https://protobuf.dev/programming-guides/encoding/: fields one after another, each a number and a wire type, then a
varint, eight or four bytes, or a length and as many bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_CHUNK = 1 << 16
_MOST_FIELDS = 2_000_000
"""A message with more of them is given up: they take some seconds already."""
_LONGEST_TEXT = 1 << 16


class DamagedError(Exception):
    """The bytes are no such message."""


class TruncatedError(DamagedError):
    """The message ends in the midst of a field."""


@dataclass(frozen=True)
class Field:
    """One field: its number, and its value where that is a varint, or else where its bytes are."""

    number: int
    value: int
    start: int
    end: int
    """Equal to ``start`` for what is no bytes."""
    is_bytes: bool


class Reader:
    """Reads from a file of which a window is kept.

    Args:
        file: seekable.
        size: its bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self._file = file
        self._from = 0
        self._window = b""
        self._fields = 0

    def fields(self, start: int, end: int, passed_over: re.Pattern[bytes] | None = None) -> Iterator[Field]:
        """The fields of the message in these bytes.

        Args:
            passed_over: matches whole fields, any number of them, that are not to be told, nor counted.

        Raises:
            TruncatedError: a field goes on behind the end.
            DamagedError: there is what cannot be a field.
        """
        place = start
        while place < end:
            index, within = place - self._from, min(end - self._from, len(self._window))
            if passed_over and 0 <= index < within and (found := passed_over.match(self._window, index, within)):
                place += found.end() - index
                continue
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise DamagedError("It has too many parts to be read.")
            key, place = self._varint(place, end)
            number, wire = key >> 3, key & 7
            if not number:
                raise DamagedError("There is a field with the number 0.")
            if wire == 0:
                value, place = self._varint(place, end)
                yield Field(number, value, place, place, False)
                continue
            if wire == 2:
                length, place = self._varint(place, end)
            elif wire in (1, 5):
                length = 8 if wire == 1 else 4
            else:
                raise DamagedError(f"There is a field of the wire type {wire}.")
            if place + length > end:
                raise TruncatedError(f"A field of {length} bytes goes on behind the end.")
            yield Field(number, 0, place, place + length, wire == 2)
            place += length

    def text(self, field: Field) -> str:
        """The field's bytes as text, at most 64 KiB of them.

        Raises:
            DamagedError: they are not UTF-8.
        """
        end = min(field.end, field.start + _LONGEST_TEXT)
        content = self._window[field.start - self._from : end - self._from] if field.start >= self._from else b""
        if len(content) < end - field.start:
            self._file.seek(field.start)
            content = self._file.read(end - field.start)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise DamagedError("A text is not UTF-8.") from error

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            if place >= end:
                raise TruncatedError("A number goes on behind the end.")
            byte = self._byte(place)
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
            shift += 7
            if shift > 63:
                raise DamagedError("There is a number of more than 64 bits.")

    def _byte(self, place: int) -> int:
        index = place - self._from
        if not 0 <= index < len(self._window):
            self._file.seek(place)
            self._from, index = place, 0
            self._window = self._file.read(_CHUNK)
            if not self._window:
                raise TruncatedError("The file ends.")
        return self._window[index]
