"""State folders, supervisors and addresses in trouble; services are paused, so that no model server starts."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext import sync
from kale_serve_ext.engines.base import Manifest, ServiceEvent
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.engines.local.processes import Identity, this_boot
from kale_serve_ext.errors import (
    BackendUnavailableError,
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    ServiceNotReadyError,
    StorageFullError,
)
from kale_serve_ext.ml import JSON

if TYPE_CHECKING:
    from tests.engines.conftest import Bench


def paused(bench: Bench, name: str, snapshot: Path, **model: JSON) -> Manifest:
    return bench.manifest(name, snapshot, annotations={"serving.kserve.io/stop": "true"}, **model)


def kill_supervisor(bench: Bench, name: str) -> None:
    supervisor = bench.status(name).supervisor
    os.kill(supervisor.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while supervisor.is_alive:
        assert time.monotonic() < end
        time.sleep(0.01)


def edit_status(bench: Bench, name: str, **supervisor: str) -> None:
    path = Home.of(bench.settings, "default", name).status
    value = json.loads(path.read_text())
    value["supervisor"] |= supervisor
    path.write_text(json.dumps(value))


def test_after_a_reboot_it_is_stopped_until_somebody_starts_it(bench: Bench, iris_model: Path) -> None:
    before = bench.apply(paused(bench, "rebooted", iris_model))
    kill_supervisor(bench, "rebooted")
    edit_status(bench, "rebooted", boot="an earlier one")
    seen = bench.get("rebooted")
    assert not seen.supervised
    assert not bench.get("rebooted").supervised, "looking must not start it"
    with pytest.raises(ServiceNotReadyError, match="restarted"):
        sync.run(connect(bench, "rebooted"))
    again = sync.run(bench.engine.set_paused("rebooted", True))
    assert again.supervised
    assert again.url == before.url
    assert bench.status("rebooted").supervisor.boot == this_boot()
    sync.run(bench.engine.delete("rebooted"))


def test_a_service_of_another_machine_is_left_alone(bench: Bench, iris_model: Path) -> None:
    bench.apply(paused(bench, "foreign", iris_model))
    kill_supervisor(bench, "foreign")
    edit_status(bench, "foreign", host="elsewhere")
    seen = bench.get("foreign")
    assert not seen.ours
    assert "elsewhere" in seen.failure
    for change in (bench.engine.set_paused("foreign", False), bench.engine.delete("foreign")):
        with pytest.raises(ConflictError, match="elsewhere"):
            sync.run(change)
    # A machine that gave no sign of life for minutes is gone, and what it ran can be taken over.
    path = Home.of(bench.settings, "default", "foreign").status
    path.write_text(json.dumps(json.loads(path.read_text()) | {"updated": time.time() - 3600}))
    assert not bench.get("foreign").supervised
    assert sync.run(bench.engine.set_paused("foreign", True)).ours
    sync.run(bench.engine.delete("foreign"))


@pytest.mark.parametrize("file", ["spec.json", "status.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"manifest": 3}'])
def test_a_damaged_folder_is_shown_and_can_be_deleted(bench: Bench, file: str, content: str) -> None:
    folder = Home.of(bench.settings, "default", "damaged").folder
    folder.mkdir(parents=True)
    metadata: JSON = {"name": "damaged", "namespace": "default"}
    spec = {"manifest": {"metadata": metadata, "spec": {}}, "revision": 1, "created": 1.0, "updated": 1.0}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / file).write_text(content)
    (shown,) = sync.run(bench.engine.services())
    assert shown.ref.name == "damaged"
    assert file in shown.failure
    with pytest.raises(ConflictError, match="damaged"):
        sync.run(bench.engine.set_paused("damaged", True))
    sync.run(bench.engine.delete("damaged"))
    assert not folder.exists()
    assert sync.run(bench.engine.services()) == []


def test_a_taken_port_is_given_up_and_said(bench: Bench, iris_model: Path) -> None:
    before = bench.apply(paused(bench, "moved", iris_model))
    port = int(before.url.rpartition(":")[2])
    kill_supervisor(bench, "moved")
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", port))
        taker.listen()
        after = bench.get("moved")
    assert after.url != before.url
    assert bench.post(after, "/v1/models/moved:predict", {}).status_code == 503
    (told,) = [e for e in sync.run(bench.engine.events("moved")) if e.reason == "PortTaken"]
    assert str(port) in told.message
    sync.run(bench.engine.delete("moved"))


def test_it_outlives_the_process_that_made_it(bench: Bench, iris_model: Path) -> None:
    manifest = paused(bench, "outliving", iris_model)
    program = (
        "import json, sys\n"
        "from kale_serve_ext import sync\n"
        "from kale_serve_ext.config import Settings\n"
        "from kale_serve_ext.engines import open_engine\n"
        "print(sync.run(open_engine(Settings.from_environ()).apply(json.loads(sys.argv[1]))).url)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(manifest)],
        env=os.environ | bench.settings.to_environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    supervisor = bench.status("outliving").supervisor
    assert supervisor.is_alive
    assert bench.get("outliving").url == done.stdout.strip()
    assert bench.status("outliving").supervisor == supervisor
    sync.run(bench.engine.delete("outliving"))


def test_eight_lookers_start_one_supervisor(bench: Bench, iris_model: Path) -> None:
    bench.apply(paused(bench, "raced", iris_model))
    kill_supervisor(bench, "raced")
    with ThreadPoolExecutor(8) as pool:
        urls = {s.url for s in pool.map(bench.get, ["raced"] * 8)}
    assert len(urls) == 1
    assert bench.status("raced").supervisor.is_alive
    folder = Home.of(bench.settings, "default", "raced").folder
    assert len(supervisors_of(folder)) == 1
    sync.run(bench.engine.delete("raced"))
    assert not supervisors_of(folder)


def test_a_frozen_supervisor_is_replaced_when_it_does_not_obey(
    bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_serve_ext.engines.local.starter.COMMAND_SECONDS", 1.0)
    before = bench.apply(paused(bench, "frozen", iris_model))
    frozen = bench.status("frozen").supervisor
    os.kill(frozen.pid, signal.SIGSTOP)
    after = bench.apply(paused(bench, "frozen", iris_model, env=[{"name": "A", "value": "1"}]))
    assert after.url == before.url
    assert not frozen.is_alive
    sync.run(bench.engine.delete("frozen"))


def test_a_supervisor_whose_folder_was_removed_ends(bench: Bench, iris_model: Path) -> None:
    bench.apply(paused(bench, "removed", iris_model))
    status = bench.status("removed")
    shutil.rmtree(Home.of(bench.settings, "default", "removed").folder)
    with pytest.raises(NotFoundError):
        bench.get("removed")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(status.socket)
        connection.sendall(b'{"do": "sync"}\n')
        connection.recv(100)
    wait_for(lambda: not status.supervisor.is_alive)
    assert not Path(status.socket).exists()


def test_changes_are_watched(bench: Bench, iris_model: Path) -> None:
    seen: list[ServiceEvent] = []
    stop = threading.Event()

    async def watch() -> None:
        changes = bench.engine.watch()
        try:
            async for event in changes:
                seen.append(event)
                if stop.is_set():
                    return
        finally:
            await changes.aclose()

    bench.apply(paused(bench, "first", iris_model))
    watching = asyncio.run_coroutine_threadsafe(watch(), sync.loop())
    wait_for(lambda: [(e.kind, e.ref.name) for e in seen] == [("added", "first")])
    bench.apply(paused(bench, "second", iris_model))
    wait_for(lambda: ("added", "second") in [(e.kind, e.ref.name) for e in seen])
    bench.apply(paused(bench, "first", iris_model, env=[{"name": "A", "value": "1"}]))
    wait_for(lambda: any(e.kind == "modified" and e.state and e.state.revision == 2 for e in seen))
    stop.set()
    sync.run(bench.engine.delete("first"))
    watching.result(20)
    assert seen[-1].ref.name == "first"
    sync.run(bench.engine.delete("second"))


def test_pausing_is_not_a_revision_and_the_same_manifest_is_none(bench: Bench, iris_model: Path) -> None:
    manifest = paused(bench, "counted", iris_model)
    assert bench.apply(manifest).revision == 1
    assert bench.apply(manifest).revision == 1
    assert bench.apply(paused(bench, "counted", iris_model, args=["--max_threads", "2"])).revision == 2
    sync.run(bench.engine.delete("counted"))


@pytest.mark.parametrize("name", ["", "UP", "../up", "a/b", "-a", "a-", "a" * 64, "x" * 1_000_000, "ä", "a.b"])
def test_an_illegal_name_is_refused(bench: Bench, iris_model: Path, name: str) -> None:
    with pytest.raises(InvalidNameError) as refused:
        bench.apply(bench.manifest(name, iris_model))
    assert len(str(refused.value)) < 1000
    with pytest.raises(NotFoundError):
        bench.get(name)
    with pytest.raises(NotFoundError):
        sync.run(bench.engine.delete(name))


def test_what_cannot_run_here_is_refused_before_anything_is_made(bench: Bench, iris_model: Path) -> None:
    with pytest.raises(InvalidInputError, match="tensorflow"):
        bench.apply(bench.manifest("odd", iris_model, modelFormat={"name": "tensorflow"}))
    with pytest.raises(NotFoundError):
        bench.get("odd")
    with pytest.raises(NotFoundError):
        sync.run(connect(bench, "odd"))


def test_a_start_that_fails_leaves_nothing(bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(BackendUnavailableError, match="/nowhere/python"):
        bench.apply(bench.manifest("unborn", iris_model))
    monkeypatch.undo()
    assert sync.run(bench.engine.services()) == []


def test_a_full_disk_is_said_and_changes_nothing(
    bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bench.apply(paused(bench, "full", iris_model))

    def no_room(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(StorageFullError, match="no room"):
        bench.apply(paused(bench, "full", iris_model, args=["--max_threads", "2"]))
    with pytest.raises(StorageFullError):
        bench.apply(paused(bench, "fuller", iris_model))
    monkeypatch.undo()
    assert [s.manifest for s in sync.run(bench.engine.services())] == [before.manifest]
    sync.run(bench.engine.delete("full"))


def test_an_identity_is_of_one_process_only() -> None:
    mine = Identity.mine()
    assert mine.is_alive
    assert not Identity(mine.pid, "1", mine.boot, mine.host).is_alive
    assert not Identity(mine.pid, mine.started, "another boot", mine.host).is_alive
    assert not Identity(mine.pid, mine.started, mine.boot, "another host").is_here


def supervisors_of(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if str(folder).encode() in arguments:
            found.append(int(entry.name))
    return found


def wait_for(wanted: Callable[[], object], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.02)


async def connect(bench: Bench, name: str) -> None:
    async with bench.engine.connect(name):
        return
