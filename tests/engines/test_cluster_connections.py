"""Connections to a service of a cluster, which several requests share."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.errors import NotFoundError
from tests.conftest import ApiServer

MANIFEST = {
    "metadata": {"name": "iris", "namespace": "team-a"},
    "spec": {"predictor": {}},
    "status": {"deploymentMode": "Standard"},
}


def test_a_service_that_is_gone_ends_no_request_of_others(
    settings: Settings, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = [MANIFEST]

    def answer(path: str, body: dict[str, dict[str, dict[str, str]]]) -> tuple[int, object]:
        if path.endswith("/inferenceservices/iris"):
            return (200, manifests[0]) if manifests else (404, {"message": "not found"})
        return 200, {"predictions": [1]}

    monkeypatch.setattr(api_server, "answer", answer)

    async def ask() -> None:
        engine = ClusterEngine(replace(settings, kubeconfig="", namespace=""))
        async with engine.connect("iris") as first:
            manifests.clear()
            with pytest.raises(NotFoundError):
                async with engine.connect("iris"):
                    pass
            answered = await first.http.post("/v1/models/iris:predict", json={"instances": []})
            assert answered.json() == {"predictions": [1]}
        assert first.http.is_closed
        # Without users it is closed at once.
        manifests.append(MANIFEST)
        async with engine.connect("iris") as second:
            pass
        manifests.clear()
        before = second.http.is_closed
        with pytest.raises(NotFoundError):
            async with engine.connect("iris"):
                pass
        assert (before, second.http.is_closed) == (False, True)
        await engine.close()

    asyncio.run(ask())
