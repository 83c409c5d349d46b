"""How long something has lasted, for people."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """``"40 s"``, ``"5 min"``, ``"2 h"``: rounded down, and coarse, so that it is the same text for a while."""
    if seconds < 60:
        return f"{int(seconds)} s" if seconds < 10 else f"{int(seconds) // 10 * 10} s"
    return f"{int(seconds) // 3600} h" if seconds >= 7200 else f"{int(seconds) // 60} min"
