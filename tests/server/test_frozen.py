"""A metadata engine that hangs keeps nobody waiting but those who ask it, and those only until their deadline."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tornado.httpserver import HTTPServer

from kale_serve_ext.config import Settings
from kale_serve_ext.server.extension import KaleServeApp
from kale_serve_ext.server.routes import NAME_SPACE

MANY = 60


@pytest.fixture
def app_config() -> dict[str, object]:
    return {"metadata_timeout": 6.0, "request_timeout": 8.0}


@pytest.fixture
def base_url(http_server: HTTPServer, http_server_port: tuple[object, int], jp_base_url: str) -> str:
    return f"http://127.0.0.1:{http_server_port[1]}{jp_base_url}{NAME_SPACE}/"


async def test_others_are_answered_while_many_wait_for_frozen_metadata(
    app: KaleServeApp, settings: Settings, base_url: str, jp_auth_header: dict[str, str]
) -> None:
    # More connections than any pool of threads has, and more patience than any deadline.
    patient = httpx.AsyncClient(
        base_url=base_url, headers=jp_auth_header, timeout=60, limits=httpx.Limits(max_connections=None)
    )
    async with patient as client:
        assert (await client.get("models")).status_code == 200
        with frozen(settings):
            waiting = [asyncio.create_task(client.get(path)) for path in ("models", "transformers", "models/1") * 20]
            assert len(waiting) == MANY
            for path in ("services", "kernels", "openapi.json", "services"):
                answer = await client.get(path)
                assert answer.status_code == 200, answer.text
            assert not any(task.done() for task in waiting)
            health = (await client.get("health")).json()["backends"]
            assert health["metadata"]["state"] == "error"
            assert health["store"]["state"] == health["engine"]["state"] == "ready"
            refused = await asyncio.gather(*waiting)
        for answer in refused:
            assert answer.status_code in {503, 504}
            assert answer.json()["reason"] in {"MetadataUnavailable", "DeadlineExceeded"}
            assert answer.json()["hint"]
        assert (await client.get("models")).status_code == 200


@contextmanager
def frozen(settings: Settings) -> Iterator[None]:
    """The metadata engine's process stands still."""
    (lock,) = Path(settings.runtime_dir).rglob("metadata.lock")
    pid = int(lock.read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
