"""A large upload that is cancelled while it goes on, as the panel does: nothing is left of it in the cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext import Model, session
from kale_serve_ext.config import Settings
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import NotFoundError
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.server.uploads import Uploads
from kale_serve_ext.serving import deploy
from kale_serve_ext.serving.types import ServeRequest, Service
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from kale_serve_ext.serving.deploy import Planned, Uploading
    from tests.cluster.conftest import Kube

SIZE = 1 << 30
"""Bytes: more than can go before somebody sees it and cancels."""
LEFT = (
    "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices",
    "/apis/batch/v1/namespaces/{}/jobs",
    "/api/v1/namespaces/{}/pods",
    "/api/v1/namespaces/{}/persistentvolumeclaims",
    "/api/v1/namespaces/{}/secrets",
)
DEADLINE = 120.0


@pytest.fixture(scope="module")
def workspace(
    settings: Settings, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Iterator[Settings]:
    with new_workspace(replace(settings, cluster_storage="")) as made:
        yield made


@pytest.fixture(scope="module")
def large(workspace: Settings, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Code with a file beside it that takes a while to go anywhere."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "model.py").write_text(
        dedent(
            """
            import kserve


            class Large(kserve.Model):
                def predict(self, payload, headers=None):
                    return {"predictions": []}
            """
        )
    )
    os.truncate(_touched(folder / "weights.bin"), SIZE)
    made = Model(model_type="custom", artifact_uri=str(folder), name="large").submit_artifact()
    return made.id or 0


def _touched(path: Path) -> Path:
    path.touch()
    return path


def test_a_cancelled_upload_leaves_nothing(large: int, kube_admin: Kube, namespace: str) -> None:
    engine, metadata = session.engine(), session.metadata()
    ref = ServiceRef("cluster", engine.info.context, namespace, "large")
    told: list[int] = []
    uploads = Uploads(lambda _: None, lambda ref, artifact, done, total: told.append(done), logging.getLogger("test"))

    def begin(planned: Planned, uploading: Uploading) -> Coroutine[object, object, Service]:
        request = ServeRequest(model_id=large)
        return deploy.serve(request, engine, metadata, provenance=here(), planned=planned, on_progress=uploading)

    async def upload_and_cancel() -> None:
        service, is_accepted = await uploads.serve(engine, begin, DEADLINE)
        assert not is_accepted
        assert (service.ref, service.phase) == (ref, "Uploading")
        end = time.monotonic() + DEADLINE
        while not any(told):
            [shown] = uploads.shown([])
            assert shown.phase == "Uploading", shown.reason
            assert time.monotonic() < end, "no byte has gone"
            await asyncio.sleep(0.1)
        # Under way: the pod is there, and the claim that it fills.
        await uploads.cancel(ref)
        assert uploads.shown([]) == []

    run(upload_and_cancel())

    end = time.monotonic() + DEADLINE
    while left := [kind for kind in LEFT if kube_admin.list(kind.format(namespace))]:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.5)
    assert max(told) < SIZE
    with pytest.raises(NotFoundError):
        run(engine.get("large"))
    assert run(metadata.deployments(large)) == []
