"""How long something has lasted, in words."""

from __future__ import annotations

import pytest

from kale_serve_ext.engines.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "0 s"), (9.9, "9 s"), (59.9, "50 s"), (60, "1 min"), (7199, "119 min"), (7200, "2 h"), (90_000, "25 h")],
)
def test_it_is_rounded_down(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
