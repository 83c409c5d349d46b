"""State folders, supervisors and addresses in trouble; services are paused, so that no model server starts."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext import sync
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest, ServiceEvent
from kale_serve_ext.engines.local import processes, starter
from kale_serve_ext.engines.local.engine import LocalEngine
from kale_serve_ext.engines.local.home import Home, make_folder, write_json
from kale_serve_ext.engines.local.processes import Identity, this_boot
from kale_serve_ext.engines.local.rollout import Rollout
from kale_serve_ext.engines.local.state import Spec, read_status
from kale_serve_ext.engines.local.supervisor import Supervisor
from kale_serve_ext.errors import (
    BackendUnavailableError,
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    KaleServeError,
    NotFoundError,
    ServiceNotReadyError,
    StorageFullError,
)
from kale_serve_ext.locks import locked
from kale_serve_ext.ml import JSON
from kale_serve_ext.runner.access import Access
from tests.disks import fill, read_only, small_disk
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


def test_who_has_no_setting_leaves_a_service_s_access_as_it_is(bench: Bench, iris_model: Path) -> None:
    """Such as a script that cron runs, where the Jupyter server has the setting."""

    def touch(who: str = "", hostnames: str = "") -> Access | None:
        given = replace(bench.settings, local_access=who, local_hostnames=hostnames)
        engine = LocalEngine(given, "default")
        try:
            sync.run(engine.set_paused("opened", True))
        finally:
            sync.run(engine.close())
        return bench.status("opened").access

    def told() -> list[str]:
        return [e.message for e in sync.run(bench.engine.events("opened")) if e.reason == "AccessChanged"]

    bench.apply(paused(bench, "opened", iris_model))
    assert (bench.status("opened").access, told()) == (Access(), [])
    opened = Access("machine", ("hub.example",))
    assert touch("machine", "hub.example") == opened
    (message,) = told()
    assert "every user of this machine, also under the host names hub.example" in message
    assert touch() == opened
    kill_supervisor(bench, "opened")
    assert touch() == opened
    assert told() == [message]
    # The server always says which it is, and so takes it back.
    assert touch("user") == Access()
    assert len(told()) == 2
    kill_supervisor(bench, "opened")
    assert touch("machine") == Access("machine")
    assert len(told()) == 3
    sync.run(bench.engine.delete("opened"))


def test_a_service_of_another_machine_is_left_alone(bench: Bench, iris_model: Path) -> None:
    bench.apply(paused(bench, "foreign", iris_model))
    kill_supervisor(bench, "foreign")
    edit_status(bench, "foreign", host="elsewhere", boot="its own")
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


def test_a_service_that_another_machine_is_about_to_run_is_left_alone(bench: Bench, iris_model: Path) -> None:
    """Its supervisor may take half a minute to write a status; two supervisors would write one."""
    manifest = paused(bench, "begun", iris_model)
    dies(bench, "apply", manifest)
    home = Home.of(bench.settings, "default", "begun")
    value = json.loads(home.spec.read_text())
    value["writer"] = {**value["writer"], "host": "elsewhere", "boot": "its own"}
    home.spec.write_text(json.dumps(value))
    (seen,) = sync.run(bench.engine.services())
    assert not seen.ours
    assert "elsewhere" in seen.failure
    for change in (
        bench.engine.apply(manifest),
        bench.engine.set_paused("begun", False),
        bench.engine.delete("begun"),
    ):
        with pytest.raises(ConflictError, match="elsewhere"):
            sync.run(change)
    # Nor is it started by looking after minutes, but by whoever wants it then.
    home.spec.write_text(json.dumps(value | {"updated": time.time() - 3600}))
    assert not bench.get("begun").supervised
    assert not supervisors_of(home.folder)
    assert not home.status.exists()
    assert sync.run(bench.engine.set_paused("begun", True)).ours
    sync.run(bench.engine.delete("begun"))


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


def test_what_a_later_release_has_added_is_read_past(bench: Bench, iris_model: Path) -> None:
    bench.apply(paused(bench, "newer", iris_model))
    home = Home.of(bench.settings, "default", "newer")
    before = bench.get("newer")
    for path in (home.spec, home.status):
        value = json.loads(path.read_text())
        value["invented"] = {"later": 1}
        for inner in (value.get("supervisor"), *value.get("conditions", ()), *value.get("components", ())):
            if inner is not None:
                inner["invented"] = 1
        path.write_text(json.dumps(value))
    assert bench.get("newer") == before
    sync.run(bench.engine.delete("newer"))


@pytest.mark.parametrize("file", ["spec.json", "status.json"])
def test_a_service_in_a_later_format_is_said_and_left_alone(bench: Bench, iris_model: Path, file: str) -> None:
    bench.apply(paused(bench, "later", iris_model))
    home = Home.of(bench.settings, "default", "later")
    path = home.folder / file
    before = path.read_bytes()
    value = json.loads(before)
    assert value["format"] == 1
    path.write_text(json.dumps({"format": 2, "release": "99.1.0", "anything": "else"}))
    (shown,) = sync.run(bench.engine.services())
    assert "written by a newer kale-serve-ext (99.1.0)" in shown.failure
    assert "Upgrade" in shown.failure
    assert not any(word in shown.failure for word in ("amaged", "elete"))
    for change in (
        lambda: bench.apply(paused(bench, "later", iris_model)),
        lambda: sync.run(bench.engine.set_paused("later", False)),
        lambda: sync.run(bench.engine.delete("later")),
    ):
        with pytest.raises(ConflictError, match="newer") as refused:
            change()
        assert not any(word in str(refused.value) for word in ("amaged", "elete"))
    if file == "spec.json":
        with pytest.raises(ConflictError, match="newer"):
            sync.run(bench.engine.revisions("later"))
    path.write_bytes(before)
    sync.run(bench.engine.delete("later"))


def test_a_taken_port_is_given_up_and_said(bench: Bench, iris_model: Path) -> None:
    before = bench.apply(paused(bench, "moved", iris_model))
    port = int(before.url.rpartition(":")[2])
    kill_supervisor(bench, "moved")
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The kernel gives it back a little after the supervisor is gone.
        wait_for(lambda: is_taken(taker, port))
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


DYING = """
import json, os, sys
from kale_serve_ext import sync
from kale_serve_ext.config import Settings
from kale_serve_ext.engines import open_engine
from kale_serve_ext.engines.local import starter

def die(*_):
    os._exit(9)

starter.sync = starter.start = die
engine = open_engine(Settings.from_environ())
sync.run(getattr(engine, sys.argv[1])(*json.loads(sys.argv[2])))
"""


def dies(bench: Bench, *call: JSON) -> None:
    """Call the engine in a process that dies as soon as it has written what is wanted, before it has told anybody."""
    what, *arguments = call
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(what), json.dumps(arguments)], env=os.environ | bench.settings.to_environ()
    )
    assert done.returncode == 9


def test_what_a_dying_process_has_left_undone_is_done_by_whoever_looks(bench: Bench, iris_model: Path) -> None:
    spec = Home.of(bench.settings, "default", "undone").spec
    dies(bench, "apply", paused(bench, "undone", iris_model))
    (state,) = sync.run(bench.engine.services())
    assert state.url, "nobody runs it"
    supervisor = bench.status("undone").supervisor
    followed = bench.status("undone").follows

    dies(bench, "apply", paused(bench, "undone", iris_model, args=["--max_threads", "2"]))
    assert (bench.status("undone").follows, bench.get("undone").revision) == (followed, 2)
    again = bench.status("undone")
    assert again.supervisor == supervisor
    assert again.follows != followed

    dies(bench, "delete", "undone")
    assert json.loads(spec.read_text())["deleting"]
    wait_for(lambda: not sync.run(bench.engine.services()))
    assert not supervisor.is_alive
    assert not spec.parent.exists()


def test_a_service_that_was_being_deleted_at_a_reboot_is_gone_after_it(bench: Bench, iris_model: Path) -> None:
    bench.apply(paused(bench, "doomed", iris_model))
    dies(bench, "delete", "doomed")
    kill_supervisor(bench, "doomed")
    edit_status(bench, "doomed", boot="an earlier one")
    leftover = Home.of(bench.settings, "default", "doomed").folder.with_name(".doomed.1")
    (leftover / "logs").mkdir(parents=True)
    assert sync.run(bench.engine.services()) == []
    assert not leftover.exists()


def test_a_supervisor_whose_status_was_not_written_stays_the_only_one(bench: Bench, iris_model: Path) -> None:
    """As on a full disk."""
    bench.apply(paused(bench, "silent", iris_model))
    home = Home.of(bench.settings, "default", "silent")
    supervisor = bench.status("silent").supervisor
    home.status.unlink()
    assert bench.get("silent").url
    assert bench.status("silent").supervisor == supervisor
    home.status.unlink()
    bench.apply(paused(bench, "silent", iris_model, args=["--max_threads", "2"]))
    assert bench.status("silent").supervisor == supervisor
    assert len(supervisors_of(home.folder)) == 1
    home.status.unlink()
    home.spec.write_text(home.spec.read_text().replace("false", "true"))
    wait_for(lambda: not sync.run(bench.engine.services()))
    assert not supervisor.is_alive


def test_a_supervisor_looks_at_the_description_now_and_then(
    bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_serve_ext.engines.local.supervisor.HEARTBEAT", 0.2)
    home = Home.of(bench.settings, "default", "beating")
    make_folder(home)
    spec = Spec(paused(bench, "beating", iris_model), 1, 1.0, 1.0)
    write_json(home.spec, spec.to_json())

    async def run() -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)  # whoever started it is gone
        watching = asyncio.create_task(Supervisor(home, spec, None).run(os.fdopen(write_end, "w")))
        changed = replace(spec, revision=2, updated=2.0)
        write_json(home.spec, changed.to_json())
        await asyncio.to_thread(wait_for, lambda: followed(home) == changed.mark)
        write_json(home.spec, replace(changed, deleting=True).to_json())
        await asyncio.wait_for(watching, 30)

    asyncio.run(run())
    assert not home.socket.exists()
    shutil.rmtree(home.folder)


def test_an_error_that_nobody_foresaw_is_said_and_ends_nothing(
    bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.of(bench.settings, "default", "erring")
    make_folder(home)
    spec = Spec(paused(bench, "erring", iris_model), 1, 1.0, 1.0)
    write_json(home.spec, spec.to_json())

    def fails(_: Rollout) -> None:
        raise LookupError("out of everything")

    async def command() -> None:
        reader, writer = await asyncio.open_unix_connection(home.socket)
        writer.write(b'{"do": "sync"}\n')
        await reader.readline()
        writer.close()

    async def run() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Rollout, "step", fails)
            watching = asyncio.create_task(Supervisor(home, spec, None).run(io.StringIO()))
            await asyncio.to_thread(wait_for, home.status.exists)
            assert bench.get("erring").failure == "Its supervisor met an error: LookupError: out of everything"
        await command()
        assert bench.get("erring").failure == ""
        write_json(home.spec, replace(spec, deleting=True).to_json())
        await command()
        await asyncio.wait_for(watching, 30)

    asyncio.run(run())
    shutil.rmtree(home.folder)


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


def test_a_frozen_supervisor_whose_process_is_not_known_stays_the_only_one(
    bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_serve_ext.engines.local.starter.COMMAND_SECONDS", 0.5)
    bench.apply(paused(bench, "nameless", iris_model))
    home = Home.of(bench.settings, "default", "nameless")
    frozen = bench.status("nameless").supervisor
    home.status.unlink()
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BackendUnavailableError, match="does not answer"):
            bench.apply(paused(bench, "nameless", iris_model, args=["--max_threads", "2"]))
        assert supervisors_of(home.folder) == [frozen.pid]
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    # It follows what was asked for meanwhile.
    wait_for(lambda: home.status.exists() and followed(home).startswith("2 "))
    assert bench.status("nameless").supervisor == frozen
    sync.run(bench.engine.delete("nameless"))


def test_one_that_takes_no_connections_listens_all_the_same(bench: Bench) -> None:
    home = Home.of(bench.settings, "default", "stuck")
    assert not starter.answers(home)
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(home.socket))
        listener.listen(0)
        waiting = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(5)]
        for one in waiting:
            one.setblocking(False)
        assert [one.connect_ex(str(home.socket)) for one in waiting][-1] == errno.EAGAIN
        assert starter.answers(home)
    assert not starter.answers(home)
    home.socket.unlink()


def test_a_look_whether_anybody_listens_is_no_command(
    bench: Bench, iris_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home.of(bench.settings, "default", "looked-at")
    make_folder(home)
    spec = Spec(paused(bench, "looked-at", iris_model), 1, 1.0, 1.0)
    write_json(home.spec, spec.to_json())

    async def say(words: bytes) -> None:
        reader, writer = await asyncio.open_unix_connection(home.socket)
        writer.write(words)
        writer.write_eof()
        await reader.read()
        writer.close()

    async def run() -> None:
        watching = asyncio.create_task(Supervisor(home, spec, None).run(io.StringIO()))
        await asyncio.to_thread(wait_for, home.status.exists)
        await say(b"")
        assert capsys.readouterr().err == ""
        await say(b"what\n")
        assert "A command failed" in capsys.readouterr().err
        write_json(home.spec, replace(spec, deleting=True).to_json())
        await say(b'{"do": "sync"}\n')
        await asyncio.wait_for(watching, 30)

    asyncio.run(run())
    shutil.rmtree(home.folder)


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
    with pytest.raises(InvalidInputError, match="mxnet"):
        bench.apply(bench.manifest("odd", iris_model, modelFormat={"name": "mxnet"}))
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
    with pytest.raises(StorageFullError, match="No space is left"):
        bench.apply(paused(bench, "full", iris_model, args=["--max_threads", "2"]))
    with pytest.raises(StorageFullError):
        bench.apply(paused(bench, "fuller", iris_model))
    monkeypatch.undo()
    assert [s.manifest for s in sync.run(bench.engine.services())] == [before.manifest]
    sync.run(bench.engine.delete("full"))


@pytest.fixture
def on_small_disk(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    """An engine whose data folder is a disk of its own, of 1 MB."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        own = replace(settings, data_dir=disk / "data")
        engine = LocalEngine(own, "default")
        yield Bench(engine, own, tmp_path)
        (disk / "filler").unlink(missing_ok=True)
        for state in sync.run(engine.services()):
            sync.run(engine.delete(state.ref.name))
        sync.run(engine.close())


def test_a_service_can_be_deleted_on_a_full_disk(on_small_disk: Bench, iris_model: Path) -> None:
    bench = on_small_disk
    bench.apply(paused(bench, "full", iris_model))
    supervisor = bench.status("full").supervisor
    fill(bench.settings.data_dir.parent)
    with pytest.raises(StorageFullError, match="No space is left"):
        bench.apply(paused(bench, "fuller", iris_model))
    sync.run(bench.engine.delete("full"))
    assert not supervisor.is_alive
    assert sync.run(bench.engine.services()) == []


def test_a_read_only_disk_is_said_and_stops_nothing(on_small_disk: Bench, iris_model: Path) -> None:
    bench = on_small_disk
    bench.apply(paused(bench, "kept", iris_model))
    supervisor = bench.status("kept").supervisor
    with read_only(bench.settings.data_dir.parent, bench.settings.data_dir):
        assert [s.ref.name for s in sync.run(bench.engine.services())] == ["kept"]
        for change in (
            lambda: bench.apply(paused(bench, "new", iris_model)),
            lambda: bench.apply(paused(bench, "kept", iris_model, args=["--max_threads", "2"])),
            lambda: sync.run(bench.engine.set_paused("kept", False)),
            lambda: sync.run(bench.engine.delete("kept")),
        ):
            with pytest.raises(KaleServeError, match=r"[Rr]ead-only"):
                change()
        assert supervisor.is_alive
    sync.run(bench.engine.delete("kept"))


def test_an_identity_is_of_one_process_only() -> None:
    mine = Identity.mine()
    assert mine.is_alive
    assert not Identity(mine.pid, "1", mine.boot, mine.host).is_alive
    assert not Identity(mine.pid, mine.started, "another boot", mine.host).is_alive


def test_a_machine_is_told_by_more_than_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Identity.mine()
    assert replace(mine, host="what it was called before", machine="").is_alive
    assert not replace(mine, boot="another", host="another host").is_here
    assert replace(mine, boot="the one before").is_here
    monkeypatch.setattr(processes, "this_machine", lambda: "a1")
    assert not replace(mine, boot="another", machine="b2").is_here, "two machines are called localhost"
    assert replace(mine, boot="the one before", machine="a1").is_here
    assert not replace(mine, boot="another", host="a clone of it", machine="a1").is_here


def test_a_machine_that_is_renamed_keeps_its_services(bench: Bench, iris_model: Path) -> None:
    bench.apply(paused(bench, "renamed", iris_model))
    supervisor = bench.status("renamed").supervisor
    edit_status(bench, "renamed", host="before")
    assert bench.get("renamed").ours
    assert not bench.get("renamed").failure
    sync.run(bench.engine.set_paused("renamed", True))
    sync.run(bench.engine.delete("renamed"))
    assert not supervisor.is_alive


def test_one_service_that_cannot_be_looked_at_does_not_hide_the_others(
    bench: Bench, iris_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("held", "looped", "whole"):
        bench.apply(paused(bench, name, iris_model))
    held, looped = (Home.of(bench.settings, "default", name) for name in ("held", "looped"))
    kill_supervisor(bench, "held")
    kept = looped.spec.rename(looped.folder / "kept")
    looped.spec.symlink_to(looped.spec)
    with locked(held.lock):
        found = {s.ref.name: s for s in sync.run(bench.engine.services())}
        assert list(found) == ["held", "looped", "whole"]
        assert not found["whole"].failure
        assert "Too many levels" in found["looped"].failure
        assert "Delete" not in found["looped"].failure
        (replica,) = found["held"].components[0].replicas
        assert replica.message == "Another process starts or changes it."
        assert found["held"].serving_revision == 0
        monkeypatch.setattr("kale_serve_ext.engines.local.starter.START_SECONDS", 0.0)
        (told,) = [s for s in sync.run(bench.engine.services()) if s.ref.name == "held"]
        assert "look for a hung process of yours" in told.failure
    monkeypatch.undo()
    kept.replace(looped.spec)
    assert [s.failure for s in sync.run(bench.engine.services())] == ["", "", ""]
    assert bench.status("held").supervisor.is_alive
    for name in ("held", "looped", "whole"):
        sync.run(bench.engine.delete(name))


def followed(home: Home) -> str:
    status = read_status(home)
    return status.follows if status else ""


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


def is_taken(taker: socket.socket, port: int) -> bool:
    """Take a port; False where somebody else has it."""
    try:
        taker.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def wait_for(wanted: Callable[[], object], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.02)


async def connect(bench: Bench, name: str) -> None:
    async with bench.engine.connect(name):
        return
