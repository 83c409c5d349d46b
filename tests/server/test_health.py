"""Each backend is told for itself: one that is away takes nothing from the others."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

from kale_serve_ext import __version__
from kale_serve_ext.config import Settings
from kale_serve_ext.server.extension import KaleServeApp

Fetch = Callable[..., Awaitable[HTTPResponse]]


class TestAllWell:
    async def test_every_backend_is_ready(self, api: Fetch) -> None:
        told = json.loads((await api("health")).body)
        assert told["version"] == __version__
        assert told["engine"] == told["engines"][0]
        assert (told["engine"]["kind"], told["engine"]["context"]) == ("local", "localhost")
        assert {name: one["state"] for name, one in told["backends"].items()} == {
            "engine": "ready",
            "metadata": "ready",
            "store": "ready",
        }


class TestMetadataAway:
    @pytest.fixture
    def app_config(self) -> dict[str, object]:
        return {"metadata": "grpc://127.0.0.1:9", "metadata_timeout": 2.0}

    async def test_what_needs_it_says_so_and_the_rest_works(self, api: Fetch) -> None:
        backends = json.loads((await api("health")).body)["backends"]
        assert backends["metadata"]["state"] == "error"
        assert "127.0.0.1:9" in backends["metadata"]["message"]
        assert backends["engine"]["state"] == backends["store"]["state"] == "ready"
        assert json.loads((await api("services")).body) == {"items": []}
        with pytest.raises(HTTPClientError) as error:
            await api("models")
        assert error.value.code in {503, 504}
        assert error.value.response is not None
        assert json.loads(error.value.response.body)["hint"]


class TestStoreBroken:
    @pytest.fixture
    def app_config(self, tmp_path: Path) -> dict[str, object]:
        (tmp_path / "file").touch()
        return {"store": f"file://{tmp_path}/file/store"}

    async def test_it_is_told(self, api: Fetch) -> None:
        backends = json.loads((await api("health")).body)["backends"]
        assert backends["store"]["state"] == "error"
        assert backends["store"]["message"]
        assert backends["engine"]["state"] == backends["metadata"]["state"] == "ready"


class TestTraits:
    @pytest.fixture
    def app_config(self, tmp_path: Path) -> dict[str, object]:
        return {"namespace": "team-a", "metadata_timeout": 3.5, "store": f"file://{tmp_path}/store"}

    async def test_kernels_of_this_server_see_the_same_settings(
        self, app: KaleServeApp, settings: Settings, tmp_path: Path
    ) -> None:
        used = app.backends.settings
        assert Settings.from_environ() == used
        assert (used.namespace, used.metadata_timeout) == ("team-a", 3.5)
        # What no trait says stays as the environment of the server had it.
        assert used.data_dir == settings.data_dir
        assert os.environ["KALE_SERVE_STORE"] == f"file://{tmp_path}/store"

    def test_every_trait_says_what_it_is(self) -> None:
        own = KaleServeApp.class_own_traits(config=True)
        assert own
        assert not [name for name, trait in own.items() if not trait.help]
