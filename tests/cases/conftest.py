"""A model server that takes any number of models, for situations that need no service of their own; and one workspace
for those that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from kale_serve_ext.config import Settings
from tests.runner.sweep import asked


class Served:
    """A model on the server, written as it is submitted."""

    def __init__(self, server: asked.Server, name: str, model: object, folder: Path, fields: Mapping[str, object]):
        folder.mkdir(parents=True)
        self._server = server
        self._name = name
        self.fields = {"method": "predict", **fields}
        method = str(self.fields.pop("method"))
        written = asked.logged(model, folder, name=name, **self.fields)
        self.record = written.record
        failed = server.load(name, written.record.format, written.source, method)
        assert not failed, failed

    def by(self, route: str, rows: object) -> object:
        """The answer's values by one route, as nested lists."""
        return asked.values(self._server.ask(self._name, rows, route))

    def assert_answers(self, rows: object, wanted: object, routes: Sequence[str] = ("v1", "v2")) -> None:
        """By each of the routes the answer is the wanted one."""
        expected = asked.plain(wanted)
        for route in routes:
            got = self.by(route, rows)
            assert asked.same(expected, got), f"by {route} {got}, wanted {expected}"

    def close(self) -> None:
        self._server.unload(self._name)


@pytest.fixture(scope="session")
def server() -> Iterator[asked.Server]:
    """One model server for all of them."""
    with asked.running() as made:
        yield made


@pytest.fixture
def served(server: asked.Server, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serves a model, with the same arguments as ``Model(…)``, and ``method``."""
    made: list[Served] = []

    def serve(model: object, **fields: object) -> Served:
        made.append(Served(server, f"case-{len(made)}", model, tmp_path / f"served-{len(made)}", fields))
        return made[-1]

    yield serve
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def workspace(new_workspace: Callable[[Settings], AbstractContextManager[Settings]]) -> Iterator[Settings]:
    """Settings of this module, also in the environment; what was served goes with it."""
    with new_workspace(Settings.from_environ()) as made:
        yield made


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers for every test."""
    return np.random.default_rng(11)
