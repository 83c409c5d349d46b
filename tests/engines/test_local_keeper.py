"""What stands between the supervisor and a program, on its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.engines.tiny import until

KEEPER = "import sys; from kale_serve_ext.engines.local.servers import keeper; {} keeper.main(sys.argv[1:])"


@contextmanager
def kept(
    argv: Sequence[str], cwd: Path, first: str = "", **env: str
) -> Iterator[tuple[socket.socket, subprocess.Popen[str]]]:
    """A program with its keeper, and the channel to that.

    Args:
        first: a statement that the keeper runs first.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", KEEPER.format(first), str(theirs.fileno())],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                text=True,
            )
        with process:
            ours.sendall(json.dumps({"argv": list(argv), "cwd": str(cwd), "env": env, "leaves": []}).encode() + b"\n")
            yield ours, process


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_program_has_the_systems_own_signals(tmp_path: Path) -> None:
    with kept(("/bin/grep", "SigIgn", "/proc/self/status"), tmp_path) as (_, process):
        out, _ = process.communicate(timeout=60)
    ignored = int(out.split()[1], 16)
    assert [s for s in (signal.SIGPIPE, signal.SIGXFSZ) if ignored & 1 << (s - 1)] == []
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("program", "env", "reason"),
    [("/no/such/program", {}, "No such file"), ("/bin/sh", {"A": "a\0"}, "embedded null byte")],
)
def test_a_program_that_cannot_be_started_is_told(
    tmp_path: Path, program: str, env: dict[str, str], reason: str
) -> None:
    with kept((program,), tmp_path, **env) as (_, process):
        out, _ = process.communicate(timeout=60)
    assert out.startswith(f"{program} cannot be started: ")
    assert reason in out
    assert process.returncode == 127


def test_where_nothing_is_known_of_descendants_the_group_ends(tmp_path: Path) -> None:
    """As on macOS, which has no /proc."""
    script = "sleep 600 & echo $!; wait"
    first = "keeper._descendants = lambda root: []; keeper._adopt = lambda: None;"
    with kept(("/bin/sh", "-c", script), tmp_path, first, PATH=os.defpath) as (channel, process):
        assert process.stdout
        other = psutil.Process(int(process.stdout.readline()))
        channel.shutdown(socket.SHUT_RDWR)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(other.pid) or other.status() == psutil.STATUS_ZOMBIE)
