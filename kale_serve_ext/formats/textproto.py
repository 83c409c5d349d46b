"""Protocol buffers in text form, as far as Triton's ``config.pbtxt`` uses it. Nothing is known of the fields' types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

Value: TypeAlias = "str | Message"
Message: TypeAlias = "dict[str, list[Value]]"
"""Fields by name. Each is a list, of which one that is not repeated has a single item; numbers and names are texts."""

_TOKEN = re.compile(
    r"""(?P<skip>[\s,;]+|\#[^\n]*)
      | (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<word>[-+.\w/]+)
      | (?P<mark>[{}\[\]<>:])""",
    re.VERBOSE,
)
_OPENS = {"{": "}", "<": ">"}
_ESCAPES = {
    **{b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"},
    **{mark: mark for mark in (b"\\", b"'", b'"', b"?")},
}
_ESCAPE = re.compile(
    rb"\\(?:(?P<octal>[0-3]?[0-7]{1,2})|[xX](?P<byte>[0-9a-fA-F]{1,2})"
    rb"|(?:u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))|(?P<mark>.))",
    re.DOTALL,
)
_DEEPEST = 32


class MalformedError(ValueError):
    """It is no text form; says in which line."""


class _Token(NamedTuple):
    kind: str
    """``text``, ``word`` or ``mark``; ``end`` behind the last."""
    value: str
    start: int
    end: int


def read(text: str) -> Message:
    """The fields of a message.

    Raises:
        MalformedError: it is none.
    """
    return _Reader(text).message("", 0)


def without(text: str, name: str) -> str:
    """The text without a field at its top that is no message.

    Raises:
        MalformedError: it is no text form.
    """
    found = _Reader(text)
    found.message("", 0)
    kept, last = "", 0
    for start, end in found.places.get(name, ()):
        kept, last = kept + text[last:start], end
    return kept + text[last:]


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._cut(text))
        self._next = 0
        self.places: dict[str, list[tuple[int, int]]] = {}
        """Where the fields at the top begin and end."""

    def message(self, closing: str, depth: int) -> Message:
        if depth > _DEEPEST:
            raise self._wrong("messages are nested too deeply")
        fields: Message = {}
        while True:
            token = self._take()
            if token.value == closing and token.kind in ("mark", "end"):
                return fields
            if token.kind != "word":
                raise self._wrong(f"{token.value or 'its end'!r} stands where a field was expected")
            values = self._values(depth)
            fields.setdefault(token.value, []).extend(values)
            if depth == 0:
                self.places.setdefault(token.value, []).append((token.start, self._tokens[self._next - 1].end))

    def _values(self, depth: int) -> Sequence[Value]:
        has_colon = self._peek().value == ":"
        if has_colon:
            self._take()
        token = self._take()
        if token.kind == "mark" and token.value == "[":
            found: list[Value] = []
            while self._peek().value != "]" or self._peek().kind != "mark":
                found.append(self._value(self._take(), depth))
            self._take()
            return found
        if token.kind != "mark" and not has_colon:
            raise self._wrong(f"a colon is missing before {token.value!r}")
        return [self._value(token, depth)]

    def _value(self, token: _Token, depth: int) -> Value:
        if token.kind == "mark" and token.value in _OPENS:
            return self.message(_OPENS[token.value], depth + 1)
        if token.kind == "text":
            parts = [token.value]
            while self._peek().kind == "text":
                parts.append(self._take().value)
            try:
                # Escapes stand for bytes, of which one character may have several.
                return b"".join(map(_plain, parts)).decode()
            except ValueError as error:
                raise self._wrong(f"{parts[0][:40]} is no text: {error}") from error
        if token.kind != "word":
            raise self._wrong(f"{token.value or 'its end'!r} stands where a value was expected")
        return token.value

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _wrong(self, why: str) -> MalformedError:
        at = self._tokens[max(0, self._next - 1)].start
        return MalformedError(f"line {self._text.count(chr(10), 0, at) + 1}: {why}")

    def _cut(self, text: str) -> Iterator[_Token]:
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise MalformedError(f"line {text.count(chr(10), 0, at) + 1}: {text[at]!r} does not belong there")
            if match.lastgroup != "skip":
                yield _Token(match.lastgroup or "", match[0], at, match.end())
            at = match.end()
        yield _Token("end", "", at, at)


def _plain(quoted: str) -> bytes:
    """
    Raises:
        ValueError: it has an escape that stands for nothing.
    """
    return _ESCAPE.sub(_escaped, quoted[1:-1].encode())


def _escaped(match: re.Match[bytes]) -> bytes:
    if octal := match["octal"]:
        return bytes([int(octal, 8)])
    if byte := match["byte"]:
        return bytes([int(byte, 16)])
    if point := match["short"] or match["long"]:
        return chr(int(point, 16)).encode()
    if match["mark"] not in _ESCAPES:
        raise ValueError(f"the escape {match[0].decode(errors='replace')} is unknown")
    return _ESCAPES[match["mark"]]
