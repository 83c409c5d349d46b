"""A disk that is full or read-only: what is recorded can still be read, what cannot be recorded says why."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.errors import KaleServeError, MetadataUnavailableError, PermissionDeniedError, StorageFullError
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.store import Metadata
from tests.disks import fill, read_only, small_disk
from tests.metadata.conftest import NOTEBOOK, alive, engine_pid, model, until


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "4m") as folder:
        yield folder


@pytest.fixture
def on_disk(settings: Settings, disk: Path) -> Settings:
    return replace(settings, data_dir=disk / "data")


def end_engine(settings: Settings, by: signal.Signals) -> None:
    pid = engine_pid(settings)
    os.kill(pid, by)
    until(lambda: not alive(pid), "the engine to end")


async def recorded_again(metadata: Metadata) -> None:
    """The engine that only reads ends once it sees that it could write."""
    for _ in range(300):
        try:
            await metadata.put_artifact(model("later"), provenance=NOTEBOOK)
        except KaleServeError:
            await asyncio.sleep(0.1)
        else:
            return
    pytest.fail("nothing could be recorded within 30 s of the disk's being well again")


def test_on_a_full_disk_the_engine_lives_and_reads(on_disk: Settings, disk: Path) -> None:
    async def work() -> None:
        metadata = open_metadata(on_disk)
        made = await metadata.put_artifact(model(), provenance=NOTEBOOK)
        pid, note = engine_pid(on_disk), disk / "data" / "metadata" / "owner.json"
        filler = fill(disk)
        for _ in range(2):
            last = note.stat().st_mtime_ns
            until(lambda last=last: note.stat().st_mtime_ns > last, "a sign of life")  # type: ignore[misc]  # its default
        # Twice: the first leaves the wheel in a transaction that has ended.
        for _ in range(2):
            with pytest.raises(StorageFullError, match="no room"):
                await metadata.put_artifact(model(), provenance=NOTEBOOK)
            assert await metadata.artifact(made.id) == made
        state, message, hint = await metadata.health()
        assert (state, "full" in message, bool(hint)) == ("error", True, True)
        filler.unlink()
        assert (await metadata.put_artifact(model(), provenance=NOTEBOOK)).version == "2"
        assert (await metadata.health())[0] == "ready"
        assert engine_pid(on_disk) == pid
        await metadata.close()

    asyncio.run(work())


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_an_engine_that_starts_on_a_full_disk_reads(on_disk: Settings, disk: Path, by: signal.Signals) -> None:
    async def work() -> None:
        metadata = open_metadata(on_disk)
        made = await metadata.put_artifact(model(), provenance=NOTEBOOK)
        end_engine(on_disk, by)
        filler = fill(disk)
        assert await metadata.artifact(made.id) == made
        with pytest.raises(StorageFullError, match="no room"):
            await metadata.put_artifact(model(), provenance=NOTEBOOK)
        filler.unlink()
        await recorded_again(metadata)
        assert await metadata.artifact(made.id) == made
        await metadata.close()

    asyncio.run(work())


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_on_a_read_only_disk_the_engine_reads(on_disk: Settings, disk: Path, by: signal.Signals) -> None:
    async def work() -> None:
        metadata = open_metadata(on_disk)
        made = await metadata.put_artifact(model(), provenance=NOTEBOOK)
        end_engine(on_disk, by)
        with read_only(disk):
            assert await metadata.artifact(made.id) == made
            with pytest.raises(PermissionDeniedError, match="read-only"):
                await metadata.put_artifact(model(), provenance=NOTEBOOK)
            state, message, _ = await metadata.health()
            assert (state, "read-only" in message) == ("error", True)
        await recorded_again(metadata)
        await metadata.close()

    asyncio.run(work())


def test_a_start_that_fails_for_want_of_room_says_so_and_leaves_nothing(on_disk: Settings, disk: Path) -> None:
    async def work() -> None:
        (disk / "data" / "metadata").mkdir(parents=True)
        fill(disk)
        metadata = open_metadata(on_disk)
        with pytest.raises(MetadataUnavailableError, match="full") as error:
            await metadata.artifact(1)
        assert error.value.hint
        assert await metadata.health() == ("error", error.value.message, error.value.hint)
        assert [p for p in (disk / "data" / "metadata").iterdir() if p.name.startswith(("owner.", "room."))] in (
            [],
            [disk / "data" / "metadata" / "owner.lock"],
        )

    asyncio.run(work())
