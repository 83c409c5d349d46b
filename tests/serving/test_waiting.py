"""What is told of a service that was waited for in vain, and which way out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import cast

import pytest

from kale_serve_ext.engines.base import Engine, Manifest, ServiceEvent, ServiceState
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import NotFoundError, ServeFailedError
from kale_serve_ext.serving.waiting import wait_ready
from kale_serve_ext.sync import run

REF = ServiceRef("local", "localhost", "default", "iris")
LOG = "All of its log: print(Endpoint('iris').logs())."
MANIFEST: Manifest = {"metadata": {"name": "iris"}, "spec": {"predictor": {"model": {}}}}
PAUSED: Manifest = {**MANIFEST, "metadata": {"name": "iris", "annotations": {"serving.kserve.io/stop": "true"}}}
PENDING = ServiceState(REF, MANIFEST, 2, 0, (), can_roll_back=True)


class Seen:
    """The engine of one service, which is in these states one after the other, and then gone."""

    def __init__(self, *states: ServiceState) -> None:
        self._states = list(states)

    async def get(self, name: str) -> ServiceState:
        if not self._states:
            raise NotFoundError(f"There is no service {name}.")
        return self._states.pop(0)

    async def watch(self) -> AsyncGenerator[ServiceEvent, None]:
        for _ in self._states:
            yield ServiceEvent("modified", REF, PENDING)


def told(*states: ServiceState) -> ServeFailedError:
    with pytest.raises(ServeFailedError) as caught:
        run(wait_ready(cast(Engine, Seen(*states)), "iris", timeout=60))
    return caught.value


@pytest.mark.parametrize(
    ("state", "phase", "way_out"),
    [
        (replace(PENDING, manifest=PAUSED), "Paused", " Start it again: Endpoint('iris').resume()."),
        (replace(PENDING, supervised=False), "Stopped", " Start it again: Endpoint('iris').resume()."),
        (replace(PENDING, deleting=True), "Terminating", ""),
        (
            replace(PENDING, failure="Its port is taken."),
            "Failed",
            " Go back to the previous version: Endpoint('iris').rollback().",
        ),
        (
            replace(PENDING, failure="Its port is taken.", can_roll_back=False),
            "Failed",
            " Remove it: Endpoint('iris').delete().",
        ),
    ],
)
def test_the_way_out_is_that_of_what_happened(state: ServiceState, phase: str, way_out: str) -> None:
    error = told(PENDING, state)
    assert (error.phase, error.hint) == (phase, LOG + way_out)


def test_of_a_service_that_was_deleted_there_is_nothing_to_go_back_to() -> None:
    error = told(PENDING)
    assert error.message == "There is no service 'iris' any more: it was deleted while it was waited for."
    assert not error.hint
