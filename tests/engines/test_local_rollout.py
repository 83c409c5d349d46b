"""One revision after another, with a script in the place of the Python interpreter."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.engines.base import ServiceState
from kale_serve_ext.engines.local import rollout
from kale_serve_ext.engines.local.conditions import conditions
from kale_serve_ext.engines.local.launch import Launch
from kale_serve_ext.engines.local.replica import Places
from kale_serve_ext.engines.local.rollout import Rollout
from kale_serve_ext.engines.local.servers import environment
from kale_serve_ext.engines.local.servers.record import Server
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.runner.access import Access
from kale_serve_ext.serving.status import describe

SCRIPT = """#!{python} -SE
import os, socket, sys, time
channel = socket.socket(fileno=int(sys.argv[4]))
if "HANGS" in os.environ:
    time.sleep(600)
channel.sendall(b'{{"event": "loaded"}}\\n')
while b"accept" not in channel.recv(65536):
    pass
if "FLAPS" in os.environ:
    try:
        os.mkdir(os.environ["FLAPS"])
    except FileExistsError:
        sys.exit(3)
channel.sendall(b'{{"event": "ready"}}\\n')
while b"drain" not in channel.recv(65536):
    pass
"""


async def beside(server: Server, python: str) -> environment.Place:
    """Where a server runs that needs no environment."""
    return environment.Place(python)


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    python = tmp_path / "python"
    python.write_text(SCRIPT.format(python=sys.executable))
    python.chmod(0o755)
    monkeypatch.setattr(rollout, "ROLLOUT_IDLE", 0.0)
    monkeypatch.setattr(rollout, "PROGRESS_SECONDS", 0.5)
    return Launch("predictor", "sklearn", str(tmp_path), str(python), "entry", replicas=2)


class Service:
    """A rollout, and what people would be told of it."""

    def __init__(self, folder: Path) -> None:
        self._changed = asyncio.Event()
        self._wanted: list[Launch] = []
        self._revision = 0
        self.rollout = Rollout(
            service="m",
            places=Places(folder, folder, folder / "s"),
            environment=dict(os.environ),
            find=beside,
            ports={},
            changed=self._changed.set,
            event=lambda *_: None,
            why=dict,
            access=Access,
        )

    def want(self, launch: Launch, revision: int) -> None:
        self._wanted, self._revision = [launch], revision
        self.rollout.want(self._wanted, revision)

    async def until(self, phase: str, words: str) -> str:
        """Take steps until it is told so; returns the reason."""
        for _ in range(1200):
            self.rollout.step()
            states = self.rollout.states(self._wanted)
            found = conditions(states, False, {}, 0.0, self.rollout.late())
            ref, serving = ServiceRef("local", "localhost", "default", "m"), self.rollout.serving_revision
            told = describe(ServiceState(ref, {}, self._revision, serving, states, tuple(found.values())))
            if told.phase == phase and words in told.reason:
                return told.reason
            await asyncio.sleep(0.05)
        raise AssertionError(f"{told.phase}: {told.reason}")


def test_an_old_revision_that_is_kept_for_a_replica_that_flaps_is_said(launch: Launch, tmp_path: Path) -> None:
    async def run() -> None:
        service = Service(tmp_path)
        try:
            service.want(launch, 1)
            await service.until("Ready", "")
            service.want(replace(launch, env={"FLAPS": str(tmp_path / "first")}), 2)
            reason = await service.until("Degraded", "Revision 1 still answers beside revision 2")
            assert reason.startswith("1 of 2 predictor replicas answer. ")
            assert "exit code 3" in reason
            service.want(launch, 3)
            assert await service.until("Ready", "") == ""
        finally:
            await service.rollout.close()

    asyncio.run(run())


def test_a_revision_that_never_loads_is_said_to_be_late(launch: Launch, tmp_path: Path) -> None:
    async def run() -> None:
        service = Service(tmp_path)
        try:
            service.want(launch, 1)
            await service.until("Ready", "")
            service.want(replace(launch, env={"HANGS": "1"}), 2)
            reason = await service.until("Degraded", "has not loaded")
            assert reason.startswith("Revision 2 fails, revision 1 still answers. Revision 2 has not loaded for ")
            assert "Python is starting" in reason
        finally:
            await service.rollout.close()

    asyncio.run(run())
