"""A database that lost what the store's snapshots are recorded in is noticed before anything is written to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import MetadataUnavailableError
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.identity import Identity, Recorded
from kale_serve_ext.metadata.store import Metadata
from tests.metadata.conftest import NOTEBOOK, alive, engine_pid, model, until


def emptied(database: Path) -> None:
    for file in (database, Path(f"{database}-wal")):
        file.write_bytes(b"")


def gone(database: Path) -> None:
    for file in database.parent.glob("mlmd.db*"):
        file.unlink()


def without_its_log(database: Path) -> None:
    """What is in the write-ahead log only, which is all as long as there is little."""
    with Path(f"{database}-wal").open("r+b") as file:
        file.write(bytes(32))


@pytest.fixture
def home(settings: Settings) -> Settings:
    """One with a store, of which nothing matters but that it is there."""
    (settings.data_dir / "snapshots").mkdir(parents=True)
    return settings


@pytest.mark.parametrize("lose", [emptied, gone, without_its_log])
def test_a_database_that_lost_its_records_is_not_written_to(home: Settings, lose: Callable[[Path], None]) -> None:
    async def work() -> None:
        metadata = open_metadata(home)
        for name in ("a", "b"):
            await metadata.put_artifact(model(name), provenance=NOTEBOOK)
        pid = engine_pid(home)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), "the engine to end")
        lose(home.data_dir / "metadata" / "mlmd.db")
        for write in (
            metadata.put_artifact(model("c"), provenance=NOTEBOOK),
            metadata.record_deployment(ServiceRef("local", "localhost", "default", "s"), [], provenance=NOTEBOOK),
        ):
            with pytest.raises(MetadataUnavailableError, match="lost records") as error:
                await write
            assert "kale-serve-ext restore" in error.value.hint
        assert await metadata.health() == ("error", error.value.message, error.value.hint)
        assert await metadata.artifacts([1]) == []
        # The way out that the hint names.
        (note,) = (home.data_dir / "snapshots").glob("recorded-*.json")
        assert str(note) in error.value.hint
        note.unlink()
        assert (await metadata.put_artifact(model("c"), provenance=NOTEBOOK)).id == 1
        assert (await metadata.health())[0] == "ready"
        await metadata.close()

    asyncio.run(work())


def test_a_database_that_is_replaced_under_the_engine_is_noticed(home: Settings) -> None:
    async def work() -> None:
        metadata = open_metadata(home)
        await metadata.put_artifact(model(), provenance=NOTEBOOK)
        pid = engine_pid(home)
        gone(home.data_dir / "metadata" / "mlmd.db")
        until(lambda: not alive(pid), "the engine to let go of a file that has no name")
        with pytest.raises(MetadataUnavailableError, match="lost records"):
            await metadata.put_artifact(model(), provenance=NOTEBOOK)
        await metadata.close()

    asyncio.run(work())


def test_stores_that_are_shared_know_each_their_users_database(settings: Settings, tmp_path: Path, server: str) -> None:
    async def put(used: Settings) -> None:
        metadata: Metadata = open_metadata(used)
        await metadata.put_artifact(model(), provenance=NOTEBOOK)
        assert (await metadata.health())[0] == "ready"
        await metadata.close()

    (tmp_path / "shared").mkdir()
    shared = replace(settings, store=(tmp_path / "shared").as_uri())
    for used in (shared, replace(shared, data_dir=tmp_path / "other"), replace(shared, metadata=server)):
        asyncio.run(put(used))
    for home in (settings.data_dir, tmp_path / "other"):
        assert len(list(home.glob("recorded-*.json"))) == 1
    assert list((tmp_path / "shared").iterdir()) == []


def test_users_whose_homes_have_one_path_share_a_store(settings: Settings, tmp_path: Path) -> None:
    """As in the containers of a hub."""
    (tmp_path / "shared").mkdir()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    shared = replace(settings, store=(tmp_path / "shared").as_uri())
    Identity(shared).write(Recorded(3, 1.5))
    assert Identity(shared).read() == Recorded(3, 1.5)
    settings.data_dir.rename(tmp_path / "of the first user")
    assert Identity(shared).read() is None


def test_the_note_never_goes_back(home: Settings) -> None:
    identity = Identity(home)
    for id_ in (7, 2):
        identity.write(Recorded(id_, 1.5))
        assert identity.read() == Recorded(7, 1.5)
    identity.forget()
    identity.write(Recorded(2, 1.5))
    assert identity.read() == Recorded(2, 1.5)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_port_of_this_machine_may_lead_to_any_server(home: Settings, host: str) -> None:
    identity = Identity(replace(home, metadata=f"grpc://{host}:8080"))
    identity.write(Recorded(7, 1.5))
    assert identity.read() is None


def test_an_address_may_lead_to_another_server(home: Settings) -> None:
    identity = Identity(replace(home, metadata="grpc://metadata.kubeflow:8080"))
    identity.write(Recorded(7, 1.5))
    assert identity.read() == Recorded(7, 1.5)
    error = identity.another(Recorded(7, 1.5))
    assert "leads to another server" in error.message
    assert "grpc://metadata.kubeflow:8080" in error.hint
