"""Backups: taken while models are logged, restored into an empty home, and nothing else comes out of one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import tarfile
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext import session
from kale_serve_ext.backup import _swap, _unreadable, back_up, restore
from kale_serve_ext.cli import main
from kale_serve_ext.config import Settings
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import (
    ConflictError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    StorageFullError,
)
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.store import Metadata
from kale_serve_ext.stores import open_store
from kale_serve_ext.sync import run
from tests.disks import fill, small_disk
from tests.metadata.conftest import NOTEBOOK, alive, engine_pid, until


async def log(metadata: Metadata, settings: Settings, name: str, content: bytes = b"weights") -> Artifact:
    """A model with a snapshot."""
    store = open_store(settings)
    with store.workspace() as workspace:
        (workspace / "model" / "inner").mkdir(parents=True)
        (workspace / "model" / "inner" / "weights").write_bytes(content)
        snapshot = store.put(workspace / "model", adopt=True)
    return await metadata.put_artifact(
        Artifact(MODEL, name, uri=snapshot.uri, digest=snapshot.digest), provenance=NOTEBOOK
    )


def logged(settings: Settings, *names: str) -> None:
    async def work() -> None:
        metadata = open_metadata(settings)
        for name in names:
            await log(metadata, settings, name, name.encode())
        await metadata.close()

    asyncio.run(work())


def run_once(settings: Settings, work: Callable[[Metadata], Awaitable[None]]) -> None:
    async def alone() -> None:
        metadata = open_metadata(settings)
        await work(metadata)
        await metadata.close()

    asyncio.run(alone())


async def names(metadata: Metadata) -> list[str]:
    await metadata.index.refresh(wait=None)
    return [row.latest.name for row in (await metadata.index.page(types={MODEL}))[0]]


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """An empty home at another place."""
    return replace(settings, data_dir=tmp_path / "new" / "data")


def test_a_model_is_served_from_a_restore(
    settings: Settings, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    from kale_serve_ext import Model
    from kale_serve_ext.notebook import serve

    data, labels = load_iris(return_X_y=True, as_frame=True)
    fitted = LogisticRegression(max_iter=500).fit(data, labels)
    file = tmp_path / "models.backup"
    try:
        logged_model = Model(fitted, name="iris", example=data.head(3)).submit_artifact()
        assert main(["backup", str(file)]) == 0
    finally:
        run(session.close())
    shutil.rmtree(settings.data_dir / "snapshots", onerror=_writable)
    monkeypatch.setenv("KALE_SERVE_DATA_DIR", str(elsewhere.data_dir))
    assert main(["restore", str(file)]) == 0
    try:
        found = run(session.metadata().versions(MODEL, "iris"))
        assert [(a.id, a.version) for a in found] == [(logged_model.id, "1")]
        assert found[0].uri.startswith(elsewhere.data_dir.as_uri())
        endpoint = serve(logged_model.id, name="restored")
        try:
            answer = endpoint.predict(data.head(3))
            assert answer == {"predictions": fitted.predict(data.head(3)).tolist()}
        finally:
            endpoint.delete()
        # What is logged from here on goes on from what was restored.
        assert Model(fitted, name="iris").submit_artifact().version == "2"
    finally:
        run(session.close())


def _writable(remove: Callable[[str], object], path: str, _: object) -> None:
    Path(path).parent.chmod(0o700)
    remove(path)


def test_a_backup_that_is_taken_while_models_are_logged_is_whole(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    logged(settings, "first")
    done = threading.Event()

    def log_on() -> None:
        async def work() -> None:
            metadata = open_metadata(settings)
            for number in range(1000):
                if done.is_set():
                    break
                await log(metadata, settings, "next", str(number).encode())
            await metadata.close()

        asyncio.run(work())

    writer = threading.Thread(target=log_on)
    writer.start()
    try:
        reports = [back_up(settings, tmp_path / "b", overwrite=True) for _ in range(5)]
    finally:
        done.set()
        writer.join(60)
    assert [report.missing for report in reports] == [0] * 5
    assert all(report.snapshots == report.artifacts for report in reports)
    restored = restore(elsewhere, tmp_path / "b")
    assert (restored.artifacts, restored.snapshots, restored.missing) == (
        reports[-1].artifacts,
        reports[-1].snapshots,
        0,
    )


def test_nothing_is_overwritten_without_a_word(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "b"
    with pytest.raises(NotFoundError, match="no metadata"):
        back_up(settings, file)
    logged(settings, "before")
    back_up(settings, file)
    with pytest.raises(ConflictError, match="exists already"):
        back_up(settings, file)
    logged(settings, "after")

    async def work() -> None:
        metadata = open_metadata(settings)
        assert await names(metadata) == ["after", "before"]
        with pytest.raises(ConflictError, match="2 artifacts") as error:
            await asyncio.to_thread(restore, settings, file)
        assert "--overwrite" in error.value.hint
        assert await names(metadata) == ["after", "before"]
        # The engine that runs is ended, and whoever used it finds what was restored.
        report = await asyncio.to_thread(restore, settings, file, overwrite=True)
        assert report.kept is not None
        assert (report.kept / "mlmd.db").exists()
        assert await names(metadata) == ["before"]
        await log(metadata, settings, "again")
        assert (await metadata.health())[0] == "ready"
        await metadata.close()

    asyncio.run(work())


def test_a_lost_database_is_restored_beside_its_snapshots(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "b"
    logged(settings, "one", "two")
    report = back_up(settings, file, snapshots=False)
    assert (report.artifacts, report.snapshots) == (2, 0)
    for lost in (settings.data_dir / "metadata").glob("mlmd.db*"):
        lost.unlink()
    report = restore(settings, file)
    assert (report.artifacts, report.missing, report.kept) == (2, 0, None)
    logged(settings, "three")
    assert asyncio.run(names(open_metadata(settings))) == ["three", "two", "one"]


def test_a_journal_of_the_database_before_is_not_rolled_into_what_is_restored(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
    files = [home / f"mlmd.db{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]
    for file in files:
        file.write_text("old")
    (work / "mlmd.db").write_text("new")
    kept = _swap(work / "mlmd.db", home)
    assert kept is not None
    assert {file.name for file in kept.iterdir()} == {file.name for file in files}
    assert [file.name for file in home.iterdir() if file.is_file()] == ["mlmd.db"]
    assert (home / "mlmd.db").read_text() == "new"


def test_after_an_empty_backup_models_are_logged_anew(settings: Settings, tmp_path: Path) -> None:
    run_once(settings, lambda metadata: metadata.prepare())
    back_up(settings, tmp_path / "b")
    logged(settings, "one")
    assert restore(settings, tmp_path / "b", overwrite=True).artifacts == 0
    logged(settings, "two")
    assert asyncio.run(names(open_metadata(settings))) == ["two"]


def test_a_damaged_snapshot_is_named_and_costs_nothing_else(
    settings: Settings, elsewhere: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logged(settings, "good", "bad")
    (weights,) = (path for path in (settings.data_dir / "snapshots").rglob("weights") if path.read_bytes() == b"bad")
    weights.chmod(0o600)
    weights.write_bytes(b"rot")
    report = back_up(settings, tmp_path / "b")
    assert (report.artifacts, report.snapshots, report.missing, report.damaged) == (2, 1, 1, ("bad 1",))
    assert main(["backup", str(tmp_path / "b"), "--overwrite"]) == 0
    assert "damaged: bad 1." in capsys.readouterr().out
    report = restore(elsewhere, tmp_path / "b")
    assert (report.artifacts, report.snapshots, report.damaged) == (2, 1, ())


def test_a_snapshot_that_was_damaged_in_the_backup_is_left_out_and_named_unless_it_is_here(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    logged(settings, "one")
    back_up(settings, tmp_path / "whole")
    changed(tmp_path / "whole", tmp_path / "b", lambda m, data: b"rot" if m.name.endswith("weights") else data)
    report = restore(settings, tmp_path / "b", overwrite=True)
    assert (report.artifacts, report.missing, report.damaged) == (1, 0, ())
    shutil.rmtree(settings.data_dir / "snapshots", onerror=_writable)
    report = restore(elsewhere, tmp_path / "b")
    assert (report.artifacts, report.snapshots, report.missing, report.damaged) == (1, 0, 1, ("one 1",))
    assert not list((elsewhere.data_dir / "snapshots").glob("sha256/*"))


def test_a_full_disk_is_backed_up_to_another(settings: Settings, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        full = replace(settings, data_dir=disk / "data")
        logged(full, "one")
        pid = engine_pid(full)
        os.kill(pid, signal.SIGTERM)
        until(lambda: not alive(pid), "the engine to end")
        fill(disk)
        report = back_up(full, tmp_path / "b")
    assert (report.artifacts, report.snapshots) == (1, 1)


def test_an_error_of_the_disk_is_no_reason_to_restore(tmp_path: Path) -> None:
    assert "restore" not in _unreadable(tmp_path, "disk I/O error").hint
    assert "restore" in _unreadable(tmp_path, "database disk image is malformed").hint


def test_no_room_for_a_backup_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    logged(settings, "one")
    with small_disk(tmp_path / "disk", "1m") as disk:
        filler = fill(disk)
        with pytest.raises(StorageFullError):
            back_up(settings, disk / "b")
        assert list(disk.iterdir()) == [filler]


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Path:
    """A backup of one model."""
    file = tmp_path_factory.mktemp("archive") / "b"
    with new_workspace(Settings.from_environ()) as settings:
        logged(settings, "one")
        back_up(settings, file)
    return file


Change = Callable[[tarfile.TarInfo, bytes], bytes]


def changed(source: Path, target: Path, change: Change) -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            data = change(member, content.read() if content else b"")
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))


HASH = "0" * 64


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("/tmp/outside", tarfile.REGTYPE, ""),  # is refused
        (f"snapshots/{HASH}/../../../outside", tarfile.REGTYPE, ""),
        (f"snapshots/{HASH}/a/./b", tarfile.REGTYPE, ""),
        (f"snapshots/{HASH}", tarfile.REGTYPE, ""),
        ("snapshots/../x", tarfile.REGTYPE, ""),
        (f"snapshots/{HASH}/link", tarfile.SYMTYPE, "../../../outside"),
        (f"snapshots/{HASH}/link", tarfile.LNKTYPE, "mlmd.db"),
        (f"snapshots/{HASH}/pipe", tarfile.FIFOTYPE, ""),
        (f"snapshots/{HASH}/device", tarfile.CHRTYPE, ""),
        ("mlmd.db", tarfile.SYMTYPE, "/etc/passwd"),
        ("services/default/x/spec.json", tarfile.REGTYPE, ""),
    ],
)
def test_a_member_that_no_backup_has_is_refused_before_anything_is_written(
    archive: Path, elsewhere: Settings, tmp_path: Path, name: str, kind: bytes, link: str
) -> None:
    hostile = tmp_path / "hostile"
    shutil.copy(archive, hostile)
    with tarfile.open(hostile, "a") as file:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        file.addfile(member)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidInputError, match=r"does not belong|incomplete"):
        restore(elsewhere, hostile)
    left = [p for p in tmp_path.rglob("*") if p not in before and p.is_file()]
    assert left == []


@pytest.mark.parametrize("damage", ["layout", "manifest", "database", "cut", "none"])
def test_a_damaged_backup_is_refused(archive: Path, elsewhere: Settings, tmp_path: Path, damage: str) -> None:
    damaged = tmp_path / "damaged"

    def change(member: tarfile.TarInfo, data: bytes) -> bytes:
        if member.name == "kale-serve-ext.json" and damage == "layout":
            return json.dumps({**json.loads(data), "layout": 2, "version": "9.9.9"}).encode()
        if {"kale-serve-ext.json": "manifest", "mlmd.db": "database"}.get(member.name) == damage:
            return b"[]"
        return data

    if damage == "none":
        damaged.write_bytes(b"no tar at all" * 100)
    elif damage == "cut":
        damaged.write_bytes(archive.read_bytes()[:100_000])
    else:
        changed(archive, damaged, change)
    with pytest.raises(KaleServeError, match=r"damaged|newer release, 9\.9\.9|no backup|not whole") as error:
        restore(elsewhere, damaged)
    assert isinstance(error.value, InvalidInputError)
    assert error.value.hint
    assert not (elsewhere.data_dir / "metadata" / "mlmd.db").exists()
    assert not list((elsewhere.data_dir / "snapshots").glob("sha256/*"))


def test_a_server_of_ones_own_is_backed_up_by_its_own_tools(settings: Settings, tmp_path: Path) -> None:
    remote = replace(settings, metadata="grpc://127.0.0.1:9")
    for work in (back_up, restore):
        with pytest.raises(InvalidInputError, match=r"127\.0\.0\.1:9"):
            work(remote, tmp_path / "b")
