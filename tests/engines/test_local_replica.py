"""One process of a local service, with a script in the place of its Python interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kale_serve_ext.engines.local import replica
from kale_serve_ext.engines.local.launch import Launch
from kale_serve_ext.engines.local.listener import Listener
from kale_serve_ext.engines.local.replica import Places, Process
from kale_serve_ext.engines.local.runner_process import RunnerProcess
from kale_serve_ext.engines.local.servers import environment
from kale_serve_ext.engines.local.servers.record import Server
from kale_serve_ext.engines.local.watched import Watched
from kale_serve_ext.runner.access import Access

HANGS = "echo about to load\nexec sleep 600"


async def beside(server: Server, python: str) -> environment.Place:
    """Where a server runs that needs no environment."""
    return environment.Place(python)


@dataclass
class Place:
    """Where a process lives, and what it has said of itself."""

    folder: Path
    listener: Listener
    events: list[tuple[str, str, str]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def process(self, script: str, launch: Launch | None = None) -> AsyncIterator[Process]:
        python = self.folder / "python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        given = launch or Launch("predictor", "sklearn", str(self.folder), "", "entry")
        made = RunnerProcess(
            service="m",
            launch=replace(given, python=str(python)),
            revision=1,
            index=0,
            listener=self.listener,
            predictor_host="",
            environment=dict(os.environ),
            find=beside,
            places=Places(self.folder, self.folder, self.folder / "s"),
            changed=lambda: None,
            event=lambda kind, reason, message: self.events.append((kind, reason, message)),
        )
        try:
            yield made
        finally:
            await made.stop(0.0, 0.0)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    listener = Listener(None, dict, Access)
    yield Place(tmp_path, listener)
    listener.close()


async def until(wanted: Callable[[], object], deadline: float = 60.0) -> None:
    end = time.monotonic() + deadline
    while not wanted():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def test_a_process_that_never_listens_is_told_with_what_it_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "SLOW_AFTER", 1.0)

    async def run() -> None:
        async with place.process(HANGS) as process:
            await until(lambda: "1 s after it was started" in process.view().message)
            await until(lambda: "2 s after it was started" in process.view().message)
            message = process.view().message
            assert f"nothing of it listens on port {place.listener.ports.http}" in message
            assert message.startswith("The predictor's Python is starting, but")
            assert message.endswith("has not reported that it is ready. Its last output: about to load")
            assert (process.view().state, process.view().ready) == ("Running", False)

    asyncio.run(run())
    assert [(kind, reason) for kind, reason, _ in place.events] == [("Warning", "Unhealthy")]


def test_what_cannot_be_started_is_failed_with_the_reason(place: Place) -> None:
    launch = Launch("predictor", "sklearn", str(place.folder), "", "entry", env={"A": "\0"})

    async def run() -> None:
        async with place.process(HANGS, launch) as process:
            await until(lambda: process.view().reason)
            view = process.view()
            assert (view.state, view.reason) == ("Waiting", "CrashLoopBackOff")
            assert "null byte" in view.message

    asyncio.run(run())


def test_a_crash_loop_goes_on_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "LONGEST_DELAY", 0.01)

    async def run() -> None:
        async with place.process("exit 3") as process:
            process._failures = 1100  # as many would take days
            await until(lambda: process.view().restarts > 2)
            assert process.view().exit_code == 3

    asyncio.run(run())


def test_a_report_that_is_none_ends_the_process_with_a_reason(place: Place) -> None:
    says = "import os, sys, time; os.write(int(sys.argv[4]), b'[1]\\n'); time.sleep(600)"

    async def run() -> None:
        async with place.process(f'exec {sys.executable} -c "{says}" "$@"') as process:
            await until(lambda: process.view().exit_code is not None)
            assert "cannot be understood" in process.view().message

    asyncio.run(run())


def test_memory_is_limited_while_children_come_and_go(place: Place) -> None:
    eats = "import time; time.sleep(1.5); eaten = b'x' * (300 << 20); time.sleep(600)"
    script = f'(while :; do /bin/true; done) &\n{sys.executable} -c "{eats}"'
    launch = Launch("predictor", "sklearn", str(place.folder), "", "entry", memory_limit=float(200 << 20))

    async def run() -> None:
        async with place.process(script, launch) as process:
            await until(lambda: process.view().reason == "OOMKilled")
            assert "of 200 MiB" in process.view().message

    asyncio.run(run())


def test_a_process_that_ends_while_it_is_watched_is_let_go(place: Place) -> None:
    children = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    watched = Watched(os.getpid(), 1 << 50)
    try:
        watched._used()
        children[0].kill()
        children[0].wait()
        before = watched._used()
        assert before > 0
        assert children[0].pid not in {p.pid for p in watched._known}
        assert children[1].pid in {p.pid for p in watched._known}
    finally:
        for child in children:
            child.kill()
            child.wait()
