"""One program after another, each run to its end or taken down whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_FULL = ("no space left on device", "os error 28", "disk quota exceeded", "os error 122")
_LONGEST = 500
_KEPT = 256 * 1024
"""Characters of a program's output that are kept for what failed: its last."""


class StepError(Exception):
    """A program failed."""

    def __init__(self, what: str, reason: str, *, is_full: bool = False) -> None:
        super().__init__(f"(to {what}): {reason}")
        self.what = what
        self.reason = reason
        self.is_full = is_full
        """Whether it was for want of room on a disk."""


async def run(
    what: str,
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    seconds: float,
    lock: int,
    cwd: Path,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run a program to its end, in a process group that an interrupt takes down whole; gives what it printed.

    Args:
        what: what it is for, after "to".
        lock: a lock's descriptor, which it inherits: should this process be killed, nobody begins anew while an orphan
            still works.
        on_line: told each line as it comes.

    Raises:
        StepError: it failed, or took longer than ``seconds``.
        OSError: it could not be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environ),
        cwd=cwd,
        pass_fds=[lock],
        start_new_session=True,
    )
    try:
        text = await asyncio.wait_for(_output(process, on_line), seconds)
    except asyncio.TimeoutError as error:
        raise StepError(what, f"it took longer than {seconds:g} s") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        if any(words in text.lower() for words in _FULL):
            raise StepError(what, "no space left on the disk", is_full=True)
        raise StepError(what, _reason(text) or f"exit code {process.returncode}")
    return text


async def _output(process: asyncio.subprocess.Process, on_line: Callable[[str], None] | None) -> str:
    if process.stdout is None:
        raise RuntimeError("it was started without a pipe")
    kept, line = "", ""
    while chunk := await process.stdout.read(65536):
        text = chunk.decode("utf-8", "replace")
        kept = (kept + text)[-_KEPT:]
        *lines, line = (line + text).split("\n")
        for one in lines if on_line else ():
            if on_line and one.strip():
                on_line(one.strip())
    await process.wait()
    return kept


def _reason(output: str) -> str:
    """The line of pip's or uv's output that says what is wrong, with the innermost cause that uv gives, and what pip
    has warned of: without a connection it says in the end that there is no such package."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    wrong = [line for line in lines if line.lower().startswith(("error", "×", "failed"))]
    causes = [line.lower() for line in lines if line.lower().startswith(("cause:", "caused by:"))]
    broken = [after for line in lines if "connection broken by" in (after := line.partition(" after ")[2])]
    return " ".join([(wrong or lines or [""])[-1], *causes[-1:], *broken[-1:]])[:_LONGEST]
