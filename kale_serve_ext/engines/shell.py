"""Commands for a POSIX shell that post a body. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

LONGEST = 100_000
"""Characters of one argument at most: Linux runs no program with one of more than 128 KiB."""


def curl(words: Sequence[str], body: str) -> str:
    """The command that posts a JSON body with curl.

    A long body goes through a pipe: what the shell itself prints is no program's argument.

    Args:
        words: the address and options, quoted where they need it.
    """
    lines = [*words, "-H 'Content-Type: application/json'"]
    if len(body.encode(errors="replace")) > LONGEST:
        lines = [f"printf %s {shlex.quote(body)} |", f"curl -sS {lines[0]}", *lines[1:], "--data-binary @-"]
    else:
        lines = [f"curl -sS {lines[0]}", *lines[1:], f"-d {shlex.quote(body)}"]
    return " \\\n  ".join(lines) + "\n"
