"""An MLMD server on TCP is used like the embedded engine, and told of in errors by its address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.entities import DATASET, MODEL, ServiceRef
from kale_serve_ext.errors import InvalidInputError, MetadataUnavailableError
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.provenance import Provenance
from tests.metadata.conftest import NOTEBOOK, model


def test_the_same_calls_work_against_a_server(settings: Settings, server: str) -> None:
    remote = replace(settings, metadata=server, metadata_python="/no/such/python")

    async def work() -> None:
        metadata = open_metadata(remote)
        assert (await metadata.health())[0] == "ready"
        await metadata.prepare()
        data = await metadata.put_artifact(replace(model("d"), type=DATASET), provenance=NOTEBOOK)
        made = await metadata.put_artifact(model(), provenance=NOTEBOOK, inputs=[data.id])
        ref = ServiceRef("cluster", "kind", "user", "iris")
        await metadata.record_deployment(ref, [made.id], provenance=Provenance("server", "JupyterLab"))
        assert await metadata.deployments(made.id) == [ref]
        assert (await metadata.lineage(made.id)).produced_by[0].inputs == (data.id,)
        assert await metadata.versions(MODEL, "iris") == [made]
        await metadata.index.refresh()
        assert (await metadata.index.page(types={MODEL}))[2] == 1
        await metadata.close()
        # Nothing of the embedded engine was touched.
        assert not (settings.data_dir / "metadata").exists()

    asyncio.run(work())


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that is taken by nobody who answers: bound, and not listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_server_that_is_away_is_told_by_its_address(settings: Settings, nobody: str) -> None:
    metadata = open_metadata(replace(settings, metadata=f"grpc://{nobody}"))

    async def work() -> None:
        with pytest.raises(MetadataUnavailableError) as error:
            await asyncio.wait_for(metadata.artifact(1), 10)
        assert nobody in error.value.message
        assert "KALE_SERVE_METADATA" in error.value.hint
        state, message, hint = await metadata.health()
        assert (state, nobody in message, bool(hint)) == ("error", True, True)
        await metadata.close()

    asyncio.run(work())


def test_a_server_that_is_no_mlmd_is_told_as_such(settings: Settings) -> None:
    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        metadata = open_metadata(replace(settings, metadata=f"grpc://127.0.0.1:{port}"))
        with pytest.raises(MetadataUnavailableError, match="does not support the method GetArtifactsByID"):
            asyncio.run(metadata.artifact(1))
        asyncio.run(metadata.close())
    finally:
        other.stop(0)


def test_a_proxy_is_not_asked(settings: Settings, server: str, monkeypatch: pytest.MonkeyPatch, nobody: str) -> None:
    monkeypatch.setenv("http_proxy", f"http://{nobody}")
    monkeypatch.delenv("no_proxy", raising=False)
    metadata = open_metadata(replace(settings, metadata=server))
    asyncio.run(metadata.prepare())
    asyncio.run(metadata.close())


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "embeded",
        "http://host:80",
        "grpc://",
        "grpc://host",
        "grpc://host:0",
        "grpc://host:99999",
        "grpc://a b:1",
        "grpc://user@host:1",
        "grpc://host:80/path",
    ],
)
def test_a_setting_that_names_no_server_is_refused(setting: str) -> None:
    with pytest.raises(InvalidInputError, match="does not name a server"):
        open_metadata(Settings(metadata=setting))


def test_ipv6_addresses_are_taken() -> None:
    open_metadata(Settings(metadata="grpc://[::1]:8080"))
