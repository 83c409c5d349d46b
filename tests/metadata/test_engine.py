"""The engine's process: one per data folder, private, there when needed, gone when not, never a reason to hang."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.entities import MODEL
from kale_serve_ext.errors import (
    ConflictError,
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    MetadataUnavailableError,
)
from kale_serve_ext.locks import locked
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.engine import SCRIPT, nobody_serves, socket_path
from kale_serve_ext.metadata.store import Metadata
from tests.metadata.conftest import NOTEBOOK, alive, engine_pid, model, python, stopped, until


def test_eight_starters_at_once_share_one_engine(settings: Settings) -> None:
    code = """if True:
        import asyncio, sys
        from kale_serve_ext.config import Settings
        from kale_serve_ext.metadata import open_metadata
        from tests.metadata.conftest import NOTEBOOK, model
        sys.stdin.read()  # All begin at the same moment.
        asyncio.run(open_metadata(Settings.from_environ()).put_artifact(model(), provenance=NOTEBOOK))
    """
    gate, opener = os.pipe()
    starters = [
        subprocess.Popen([sys.executable, "-c", code], stdin=gate, stderr=subprocess.PIPE, text=True) for _ in range(8)
    ]
    os.close(gate)
    os.close(opener)
    told = [starter.communicate(timeout=120)[1] for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 8, told
    assert len(_engines(settings)) == 1
    metadata = open_metadata(settings)
    versions = asyncio.run(metadata.versions(MODEL, "iris"))
    assert sorted(int(a.version) for a in versions) == list(range(1, 9))
    asyncio.run(metadata.close())


def test_an_engine_started_twice_by_hand_says_busy(metadata: Metadata, settings: Settings) -> None:
    asyncio.run(metadata.prepare())
    pid = engine_pid(settings)
    second = subprocess.run(_command(settings), stdout=subprocess.PIPE, text=True, timeout=60)
    assert second.stdout.strip() == "busy"
    assert engine_pid(settings) == pid
    assert _engines(settings) == [pid]


def test_a_killed_engine_comes_back_with_everything(metadata: Metadata, settings: Settings) -> None:
    async def work() -> None:
        made = []
        for _ in range(3):
            made.append(await metadata.put_artifact(model(), provenance=NOTEBOOK))
            os.kill(engine_pid(settings), signal.SIGKILL)
        assert await metadata.versions(MODEL, "iris") == made[::-1]

    asyncio.run(work())


def test_a_kill_in_the_middle_of_writes_loses_nothing_acknowledged(metadata: Metadata, settings: Settings) -> None:
    async def work() -> None:
        made = [await metadata.put_artifact(model(), provenance=NOTEBOOK)]

        def reached(number: int) -> bool:
            return len(made) >= number

        async def write() -> None:
            for _ in range(15):
                made.append(await metadata.put_artifact(model(), provenance=NOTEBOOK))

        async def kill() -> None:
            for wanted in (4, 9, 13):
                await asyncio.to_thread(until, partial(reached, wanted), f"{wanted} artifacts")
                os.kill(engine_pid(settings), signal.SIGKILL)

        await asyncio.wait_for(asyncio.gather(write(), kill()), 60)
        found = await metadata.versions(MODEL, "iris")
        assert found == made[::-1]
        # Each submit made one version, though some of them were sent twice.
        assert [a.version for a in found] == [str(n) for n in range(16, 0, -1)]

    asyncio.run(work())


def test_only_the_user_can_reach_it(metadata: Metadata, settings: Settings) -> None:
    asyncio.run(metadata.prepare())
    path = socket_path(settings)
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(os.fsencode(path)) < 107
    assert stat.S_IMODE((settings.data_dir / "metadata").stat().st_mode) == 0o700
    import psutil

    assert psutil.Process(engine_pid(settings)).connections("inet") == []


def test_it_is_detached_and_its_database_is_in_wal_mode(settings: Settings) -> None:
    """The process that started it may end, by the terminal's signal too, and nothing of it is left waiting."""
    code = """if True:
        import asyncio, os
        from kale_serve_ext.config import Settings
        from kale_serve_ext.metadata import open_metadata
        asyncio.run(open_metadata(Settings.from_environ()).prepare())
        os.kill(0, 15)
    """
    starter = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    assert starter.wait(60) == -signal.SIGTERM
    pid = engine_pid(settings)
    assert alive(pid)
    assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) != starter.pid
    assert (settings.data_dir / "metadata" / "mlmd.db").read_bytes()[18:20] == b"\x02\x02"


def test_it_ends_when_unused_and_starts_again(settings: Settings) -> None:
    metadata = open_metadata(replace(settings, metadata_idle=0.5))

    async def work() -> None:
        made = await metadata.put_artifact(model(), provenance=NOTEBOOK)
        first = engine_pid(settings)
        await asyncio.to_thread(until, lambda: not alive(first), "the idle engine to end")
        assert not socket_path(settings).exists()
        assert not (settings.data_dir / "metadata" / "owner.json").exists()
        assert await metadata.artifact(made.id) == made
        assert engine_pid(settings) != first
        await metadata.close()

    asyncio.run(work())


def test_it_ends_when_its_folder_is_swept_away(metadata: Metadata, settings: Settings) -> None:
    """Temporary folders are cleaned; who comes then needs an engine that can be reached."""

    async def work() -> None:
        made = await metadata.put_artifact(model(), provenance=NOTEBOOK)
        first = engine_pid(settings)
        shutil.rmtree(settings.runtime_dir)
        await asyncio.to_thread(until, lambda: not alive(first), "the engine to notice")
        await metadata.close()
        again = open_metadata(settings)
        assert await again.artifact(made.id) == made
        await again.close()

    asyncio.run(work())


def test_a_frozen_engine_fails_calls_at_their_deadline_and_holds_up_nothing(settings: Settings) -> None:
    metadata = open_metadata(replace(settings, metadata_timeout=1.0))

    async def work() -> None:
        await metadata.prepare()
        with stopped(engine_pid(settings)):
            turns = 0
            calls = asyncio.gather(*(metadata.artifact(1) for _ in range(200)), return_exceptions=True)
            while not calls.done():
                await asyncio.sleep(0.01)
                turns += 1
            answers = calls.result()
            state, message, hint = await metadata.health()
        assert {type(a) for a in answers} == {DeadlineExceededError}
        assert "metadata engine" in str(answers[0])
        assert "1 s" in str(answers[0])
        assert turns > 5
        assert state == "error"
        assert message
        assert hint
        assert (await metadata.health())[0] == "ready"
        await metadata.close()

    asyncio.run(work())


def test_a_frozen_engine_holds_up_a_new_client_no_longer(metadata: Metadata, settings: Settings) -> None:
    async def work() -> None:
        await metadata.prepare()
        fresh = open_metadata(replace(settings, metadata_timeout=0.5))
        with stopped(engine_pid(settings)), pytest.raises(DeadlineExceededError):
            await asyncio.wait_for(fresh.artifact(1), 20)
        await fresh.close()

    asyncio.run(work())


def test_a_cancelled_call_is_given_up(metadata: Metadata, settings: Settings) -> None:
    async def work() -> None:
        await metadata.prepare()
        with stopped(engine_pid(settings)):
            call = asyncio.ensure_future(metadata.artifact(1))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(call, 5)

    asyncio.run(work())


def test_health_tells_without_starting_anything(metadata: Metadata, settings: Settings) -> None:
    async def work() -> None:
        state, message, _ = await metadata.health()
        assert (state, "on demand" in message) == ("ready", True)
        assert not socket_path(settings).exists()
        await metadata.prepare()
        assert (await metadata.health())[0] == "ready"
        nowhere = open_metadata(replace(settings, metadata_python="/no/such/python", data_dir=settings.data_dir / "x"))
        state, message, hint = await nowhere.health()
        assert state == "error"
        assert "/no/such/python" in message
        assert "KALE_SERVE_METADATA_PYTHON" in hint
        with pytest.raises(MetadataUnavailableError, match="/no/such/python"):
            await nowhere.artifact(1)

    asyncio.run(work())


def test_a_python_without_the_wheel_is_told_as_such(settings: Settings) -> None:
    without = open_metadata(replace(settings, metadata_python=sys.executable))
    with pytest.raises(MetadataUnavailableError) as error:
        asyncio.run(without.artifact(1))
    assert "ml_metadata" in error.value.message
    assert sys.executable in error.value.hint
    # Not that it starts on demand: there was one, and it did not.
    assert asyncio.run(without.health()) == ("error", error.value.message, error.value.hint)


def test_a_database_that_is_none_is_told_as_such(metadata: Metadata, settings: Settings) -> None:
    folder = settings.data_dir / "metadata"
    folder.mkdir(parents=True)
    (folder / "mlmd.db").write_bytes(b"This is no database at all. " * 100)
    with pytest.raises(KaleServeError, match="not a database"):
        asyncio.run(metadata.artifact(1))
    assert (folder / "mlmd.db").read_bytes().startswith(b"This is no database")
    assert _engines(settings) == []


@pytest.fixture
def other_runtime() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="ks-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_another_runtime_folder_reaches_the_same_engine(
    metadata: Metadata, settings: Settings, other_runtime: str
) -> None:
    """A shell may have no ``XDG_RUNTIME_DIR`` where the server has one; there is still one engine for one database."""

    async def work() -> None:
        made = await metadata.put_artifact(model(), provenance=NOTEBOOK)
        first = engine_pid(settings)
        other = open_metadata(replace(settings, runtime_dir=other_runtime))
        assert await other.artifact(made.id) == made
        assert _engines(settings) == [first]
        # And when that engine is gone, from there too.
        os.kill(first, signal.SIGTERM)
        await asyncio.to_thread(until, lambda: not alive(first), "the engine to end")
        assert await other.artifact(made.id) == made
        assert await metadata.artifact(made.id) == made
        assert len(_engines(settings)) == 1
        await other.close()

    asyncio.run(work())
    for pid in _engines(settings):
        os.kill(pid, signal.SIGTERM)


def test_the_engine_of_another_machine_is_respected_until_it_is_gone(metadata: Metadata, settings: Settings) -> None:
    """Homes are shared, and not every file system's locks reach from machine to machine."""
    note = settings.data_dir / "metadata" / "owner.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"host": "node-7", "boot": "b", "pid": 1, "address": "unix:/tmp/none.sock"}))
    with pytest.raises(MetadataUnavailableError) as error:
        asyncio.run(metadata.artifact(1))
    assert "node-7" in error.value.message
    assert error.value.hint
    assert _engines(settings) == []
    # Its last sign of life is long past: it is gone, and its claim with it.
    long_ago = time.time() - 60
    os.utime(note, (long_ago, long_ago))
    asyncio.run(metadata.prepare())
    assert json.loads(note.read_text())["host"] == socket.gethostname()


def test_an_engine_that_lost_its_database_to_another_machine_ends(metadata: Metadata, settings: Settings) -> None:
    """As after this machine slept, while another one took over."""
    asyncio.run(metadata.prepare())
    pid = engine_pid(settings)
    with stopped(pid):
        note = settings.data_dir / "metadata" / "owner.json"
        note.write_text(json.dumps({"host": "node-7", "boot": "b", "pid": 1}))
    until(lambda: not alive(pid), "the engine to end")
    assert json.loads(note.read_text())["host"] == "node-7"


def test_a_runtime_folder_too_deep_for_sockets_is_told(settings: Settings, tmp_path: Path) -> None:
    deep = replace(settings, runtime_dir=str(tmp_path / ("d" * 100)))
    with pytest.raises(InvalidInputError, match=r"may have 10[37] bytes") as error:
        open_metadata(deep)
    assert "KALE_SERVE_RUNTIME_DIR" in error.value.hint
    assert not Path(deep.runtime_dir).exists()
    # The longest that the message allows will do.
    room = int(error.value.hint.split()[-2])
    with tempfile.TemporaryDirectory(prefix="ks-") as short:
        longest = replace(settings, runtime_dir=f"{short}/{'d' * (room - len(short) - 1)}")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(Home.of(longest, "default", "service").socket))


@pytest.mark.parametrize("variable", ["TMPDIR", "XDG_RUNTIME_DIR"])
def test_a_default_runtime_folder_too_deep_for_sockets_is_not_taken(
    variable: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As TMPDIR is on macOS and under SLURM."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv(variable, str(deep))
    monkeypatch.setattr(tempfile, "tempdir", None)
    found = replace(settings, runtime_dir="").sockets
    try:
        assert found.parent == Path(f"/tmp/kale-serve-{os.getuid()}")
        assert found.stat().st_mode & 0o777 == 0o700
        assert not list(deep.iterdir())
    finally:
        found.rmdir()


def test_its_log_is_bounded(settings: Settings, metadata: Metadata) -> None:
    log = settings.data_dir / "metadata" / "engine.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * 3_000_000)
    asyncio.run(metadata.prepare())
    until(lambda: log.stat().st_size < 1000 and b"serves" in log.read_bytes(), "the log to be turned over")
    assert log.with_name("engine.log.1").stat().st_size == 3_000_000


def test_a_starter_that_is_killed_leaves_no_lock(settings: Settings) -> None:
    (settings.sockets / "metadata.start").touch()
    holder = python(
        "import fcntl, signal, sys; f = open(sys.argv[1]); fcntl.flock(f, 2)\n"
        "print('held', flush=True); signal.pause()",
        str(settings.sockets / "metadata.start"),
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    metadata = open_metadata(settings)

    async def work() -> None:
        starting = asyncio.ensure_future(metadata.prepare())
        assert (await metadata.health())[0] == "starting"
        # A moment in which it could start, if it did not heed the lock.
        await asyncio.wait({starting}, timeout=0.5)
        assert not starting.done()
        holder.kill()
        await asyncio.wait_for(starting, 60)
        await metadata.close()

    asyncio.run(work())
    holder.communicate()


def _command(settings: Settings) -> list[str]:
    data = settings.data_dir / "metadata"
    return [
        *(settings.metadata_python, "-I", str(SCRIPT), "--foreground", "--database", str(data / "mlmd.db")),
        *("--listen", f"unix:{socket_path(settings)}", "--lock", str(settings.sockets / "metadata.lock")),
    ]


def _engines(settings: Settings) -> list[int]:
    """The processes that serve this database."""
    import psutil

    database = str(settings.data_dir / "metadata" / "mlmd.db")
    return [p.pid for p in psutil.process_iter(["cmdline"]) if database in (p.info["cmdline"] or []) and alive(p.pid)]


def test_no_process_is_killed_for_the_number_in_the_note(settings: Settings) -> None:
    """In containers with one data directory a number may be another process's: the engine's socket is taken away."""
    data = settings.data_dir / "metadata"
    data.mkdir(parents=True)
    address = settings.sockets / "other.sock"
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        note = {"host": socket.gethostname(), "pid": other.pid, "address": f"unix:{address}"}
        (data / "owner.json").write_text(json.dumps(note), "utf-8")
        with (
            locked(data / "owner.lock"),
            pytest.raises(MetadataUnavailableError, match="did not exit"),
            nobody_serves(settings, timeout=0.5),
        ):
            pass
    assert not address.exists()
    other.communicate(b"\n", timeout=30)
    assert other.returncode == 0


def test_a_note_is_as_old_as_its_file_system_says(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock may be ahead of the file server's."""
    data = settings.data_dir / "metadata"
    data.mkdir(parents=True)
    (data / "owner.json").write_text(json.dumps({"host": "elsewhere", "pid": 1}), "utf-8")
    ahead = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: ahead)
    with pytest.raises(ConflictError, match="the machine elsewhere"), nobody_serves(settings, timeout=0.5):
        pass
