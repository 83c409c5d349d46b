"""When a server has lost one of the processes that it ran its model in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from kale_serve_ext.engines.local.watched import until_lost

KEEPER = """
import subprocess, sys
subprocess.run([sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
"""
SERVER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
sys.stdin.read()
"""
WORKER = """
import subprocess, sys, time
child = subprocess.Popen(["/bin/true"])
time.sleep(60)
"""
PERIOD = 0.02


@contextmanager
def keeper(worker: str) -> Iterator[psutil.Process]:
    """A keeper with its server, which does not ask how its worker ended."""
    with subprocess.Popen([sys.executable, "-c", KEEPER, SERVER, worker], stdin=subprocess.PIPE) as process:
        found = psutil.Process(process.pid)
        try:
            yield found
        finally:
            for one in (*found.children(recursive=True), found):
                with suppress(psutil.Error):
                    one.kill()


async def grown(process: psutil.Process, count: int, *, ended: bool = False) -> list[psutil.Process]:
    """What it has started, once there are so many, and one of them has ended where that is asked for."""
    for _ in range(3000):
        found = process.children(recursive=True)
        if len(found) == count and (not ended or any(one.status() == psutil.STATUS_ZOMBIE for one in found)):
            return found
        await asyncio.sleep(PERIOD)
    raise AssertionError(f"It has started {found}.")


@pytest.mark.skipif(sys.platform != "linux", reason="needs zombies that can be seen")
def test_a_models_own_child_that_nobody_waits_for_is_no_worker() -> None:
    async def watched() -> None:
        with keeper(WORKER) as process:
            _, worker, child = await grown(process, 3, ended=True)
            assert child.ppid() == worker.pid
            lost = asyncio.create_task(until_lost(process.pid, PERIOD))
            done, _ = await asyncio.wait([lost], timeout=20 * PERIOD)
            assert not done
            worker.kill()
            await asyncio.wait_for(lost, 60)

    asyncio.run(watched())


@pytest.mark.skipif(sys.platform != "linux", reason="needs zombies that can be seen")
def test_a_process_that_was_never_seen_alive_is_not_lost() -> None:
    async def watched() -> None:
        with keeper("") as process:
            await grown(process, 2, ended=True)
            lost = asyncio.create_task(until_lost(process.pid, PERIOD))
            done, _ = await asyncio.wait([lost], timeout=20 * PERIOD)
            assert not done
            lost.cancel()

    asyncio.run(watched())
