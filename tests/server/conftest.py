"""A Jupyter server with the extension, on folders of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from kale_serve_ext.config import Settings
from kale_serve_ext.server.extension import KaleServeApp

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@pytest.fixture
def app_config() -> dict[str, object]:
    """Traits of the extension; a test module overrides it."""
    return {}


@pytest.fixture
def jp_server_config(settings: Settings, app_config: dict[str, object]) -> Config:
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"kale_serve_ext": True},
                "allow_unauthenticated_access": False,
            },
            "KaleServeApp": app_config,
        }
    )


@pytest.fixture
def app(jp_serverapp: ServerApp) -> KaleServeApp:
    """The running extension."""
    found = jp_serverapp.extension_manager.extension_points["kale_serve_ext"].app
    assert isinstance(found, KaleServeApp)
    return found


@pytest.fixture
def root(jp_root_dir: Path) -> Iterator[Path]:
    """The folder that the file browser shows."""
    return jp_root_dir
