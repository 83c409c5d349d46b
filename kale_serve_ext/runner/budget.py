"""How many bytes of requests are held at a time, all together: many large ones at once would fill the memory."""

from __future__ import annotations

import os
from functools import cache

VARIABLE = "KALE_SERVE_BODY_BYTES"
"""Of a model server's environment: the limit in bytes."""
DEFAULT = 512 * 1024 * 1024
RETRY_AFTER = "1"
"""Seconds, as the header says it."""


class Budget:
    """Counts what is held. Use it from one thread."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0

    def take(self, count: int) -> bool:
        """Hold so many bytes more; False, and nothing is, where there is no room for them."""
        if self.held + count > self.limit:
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        self.held -= count


@cache
def of_process() -> Budget:
    """That of this model server.

    Raises:
        ValueError: the variable holds no number of bytes.
    """
    given = os.environ.get(VARIABLE, "").strip() or str(DEFAULT)
    if not given.isdecimal() or not int(given):
        raise ValueError(f"{VARIABLE} is {given[:100]!r}: give a number of bytes, such as {DEFAULT}.")
    return Budget(int(given))
