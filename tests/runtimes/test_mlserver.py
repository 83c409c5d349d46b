"""MLServer's processes: where they listen, and that nothing of them is left, however the service ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Model
from tests.runtimes.conftest import Serving, check_gone

FLOWERS, KINDS = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def flowers(workspace: object, needs: Callable[..., object]) -> int:
    needs("mlserver")
    found = Model(model=LogisticRegression(max_iter=1000).fit(FLOWERS, KINDS), name="flowers").submit_artifact()
    assert found.id is not None
    return found.id


def test_it_listens_on_unix_sockets_of_this_user_alone(serving: Serving, flowers: int) -> None:
    with serving(flowers, "sockets", runtime="kserve-mlserver") as running:
        assert running.ports() == set()
        sockets = running.unix_sockets()
        assert sockets
        assert all(path.parent.stat().st_mode & 0o077 == 0 for path in sockets if path.exists())


def test_a_killed_supervisor_leaves_no_orphan(serving: Serving, flowers: int) -> None:
    with serving(flowers, "orphans", runtime="kserve-mlserver") as running:
        started = running.processes()
        running.supervisor().kill()
        check_gone(started)
        running.endpoint.wait(300)  # whoever looks first starts the next one
        assert running.endpoint.predict(FLOWERS[:1]) is not None
