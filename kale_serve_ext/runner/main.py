"""The program of a predictor or transformer process: load, report, serve, drain."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Sequence

from .load import in_short, load
from .task import Channel, Task

LAST_LINES = 4000
"""Characters of a traceback that are reported; the log has all of it."""


def main(argv: Sequence[str]) -> None:
    """Run the task that the supervisor sends over the inherited socket ``--channel``."""
    parser = argparse.ArgumentParser(prog="kale-serve-ext runner")
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--overlay")
    # The rest is for people who look at the list of processes.
    parser.add_argument("--service")
    parser.add_argument("--component")
    given = parser.parse_args(argv)
    if given.overlay:
        # Behind the interpreter's own packages, which were made for one another.
        sys.path.append(given.overlay)
    channel = Channel(given.channel)
    line = channel.receive()
    if not line:
        raise SystemExit("The supervisor is gone.")
    task = Task.from_json(line)
    die_with(task.parent)
    channel.report("loading", pid=os.getpid())
    began = time.monotonic()
    try:
        model = load(task)
        from .server import serve
    except BaseException as exc:
        text = traceback.format_exc()
        sys.stderr.write(text)
        sys.stderr.flush()
        channel.report("failed", message=in_short(exc), traceback=text[-LAST_LINES:])
        raise SystemExit(1) from None
    # Without this the log of a service that nobody has called would be empty.
    took = time.monotonic() - began
    logging.getLogger("kale_serve").info(
        "Loaded %s (%s) in %.1f s with Python %s.", task.name, task.kind, took, platform.python_version()
    )
    serve(task, model, channel)


def die_with(parent: int) -> None:
    """Have the system end this process when ``parent`` ends, where the system can (Linux)."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        if ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise SystemExit("The supervisor is gone.")
