"""Streams of answers: what is whole, what was cut off, and that nothing is left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from kale_serve_ext.errors import PredictionError
from kale_serve_ext.serving.lines import Lines
from kale_serve_ext.serving.pieces import Pieces

ONE = 'data: {"choices": [{"delta": {"content": "one "}}]}\n\n'
TWO = 'data: {"choices": [{"delta": {"content": "two"}}]}\n\n'
STOP = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
DONE = "data: [DONE]\n\n"


class Sent(httpx.AsyncByteStream):
    """A body in parts; it knows whether it was closed, and how much was read."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts
        self.read = 0
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            self.read += 1
            yield part.encode()

    async def aclose(self) -> None:
        self.is_closed = True


def lines(sent: Sent) -> Lines:
    return Lines("talker", httpx.Response(200, stream=sent, request=httpx.Request("POST", "http://x")), 1.0)


async def _all(pieces: Pieces) -> list[str]:
    return [piece async for piece in pieces]


def test_the_last_line_may_have_no_end() -> None:
    async def read() -> list[str]:
        return [line async for line in lines(Sent("a\nb", "c\r\n", "\nlast"))]

    assert asyncio.run(read()) == ["a", "bc", "", "last"]


@pytest.mark.parametrize(
    "end", [STOP, DONE, STOP + USAGE + DONE, DONE.rstrip(), STOP.rstrip(), DONE + "data: what follows is not read\n"]
)
def test_an_answer_is_whole_by_its_reason_or_its_mark(end: str) -> None:
    sent = Sent(ONE, TWO + end)
    pieces = Pieces(lines(sent))
    assert asyncio.run(_all(pieces)) == ["one ", "two"]
    assert pieces.text == "one two"
    assert sent.is_closed
    # It stays at its end.
    assert asyncio.run(_all(pieces)) == []


def test_counts_are_read() -> None:
    pieces = Pieces(lines(Sent(ONE, STOP, USAGE, DONE)))
    asyncio.run(_all(pieces))
    assert (pieces.finish_reason, pieces.prompt_tokens, pieces.completion_tokens) == ("stop", 3, 2)


@pytest.mark.parametrize("end", ["", "\n", ": a comment\n", USAGE])
def test_one_that_ends_without_either_was_cut_off(end: str) -> None:
    pieces = Pieces(lines(Sent(ONE, end)))
    with pytest.raises(PredictionError, match="was cut off"):
        asyncio.run(_all(pieces))
    assert pieces.text == "one "
    assert pieces.is_over


@pytest.mark.parametrize(
    ("wrong", "said"),
    [('data: {"error": {"message": "no memory"}}\n\n', "no memory"), ('data: {"choi\n\n', "not JSON")],
)
def test_after_an_error_nothing_is_left_open(wrong: str, said: str) -> None:
    sent = Sent(ONE, wrong, TWO, STOP)
    with pytest.raises(PredictionError, match=said):
        asyncio.run(_all(Pieces(lines(sent))))
    assert sent.is_closed
    assert sent.read == 2


def test_a_line_that_is_too_long_is_not_read_on() -> None:
    sent = Sent("data: ", *["x" * (1 << 20)] * 4)
    with pytest.raises(PredictionError, match="a line of more than"):
        asyncio.run(_all(Pieces(lines(sent))))
    assert sent.is_closed
    assert sent.read == 2


def test_one_that_was_closed_has_ended() -> None:
    async def closed() -> list[str]:
        pieces = Pieces(lines(Sent(ONE, TWO, STOP)))
        assert await anext(pieces) == "one "
        await pieces.aclose()
        return await _all(pieces)

    assert asyncio.run(closed()) == []
