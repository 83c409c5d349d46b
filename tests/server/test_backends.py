"""A server with more than one engine: all are listed, and one that is away hides no other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import EngineInfo
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import BackendUnavailableError, NotFoundError
from kale_serve_ext.server.backends import Backends

ONE = EngineInfo("local", "localhost", "one")
TWO = EngineInfo("local", "localhost", "two")
AWAY = EngineInfo("cluster", "far", "one")


class Given(Backends):
    """Backends of the engines that a test names."""

    given: tuple[EngineInfo, ...]

    @property
    def engine_infos(self) -> list[EngineInfo]:
        return list(self.given)


def backends(settings: Settings, *infos: EngineInfo) -> Backends:
    """Backends with these engines, where ``one`` and ``two`` each hold a service of their namespace's name."""
    for info in (ONE, TWO):
        folder = settings.data_dir / "services" / info.namespace / f"in-{info.namespace}"
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text("a service even so")
    made = Given(settings, logging.getLogger("test"))
    made.given = infos
    return made


def listed(made: Backends) -> list[str]:
    async def ask() -> list[str]:
        try:
            return [str(state.ref) for state in await made.services()]
        finally:
            await made.close()

    return asyncio.run(ask())


def test_the_services_of_all_engines_are_listed(settings: Settings) -> None:
    assert listed(backends(settings, ONE, TWO)) == [
        "local/localhost/one/in-one",
        "local/localhost/two/in-two",
    ]


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))


def test_an_engine_that_is_away_hides_no_other(
    settings: Settings, caplog: pytest.LogCaptureFixture, no_cluster: None
) -> None:
    assert listed(backends(settings, AWAY, TWO)) == ["local/localhost/two/in-two"]
    assert "cluster/far" in caplog.text


def test_when_none_answers_the_reason_is_told(settings: Settings, no_cluster: None) -> None:
    with pytest.raises(BackendUnavailableError, match="No cluster is known here"):
        listed(backends(settings, AWAY))


def test_a_name_is_sought_in_the_engine_that_it_says(settings: Settings) -> None:
    made = backends(settings, ONE, TWO)
    assert made.engine_of(ServiceRef("local", "localhost", "two", "in-two")).info.namespace == "two"
    with pytest.raises(NotFoundError, match="'three'"):
        made.engine_of(ServiceRef("local", "localhost", "three", "in-two"))
