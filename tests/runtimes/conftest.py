"""Models of large frameworks and foreign servers, logged and served under the running interpreter with real metadata.

What other tests start goes through the product's own calls, so it is theirs to end; here it is looked whether anything
of it is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from kale_serve_ext import Endpoint, serve
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.engines.local.state import read_status
from tests.kept import KEPT, require

READY_WITHIN = 300.0
GONE_WITHIN = 15.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A framework's new warning is no fault of what is tested with it, and what it takes to start is its own."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.filterwarnings("default"), append=False)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(900))


@dataclass
class Running:
    """A service that is ready, and the processes that run it."""

    endpoint: Endpoint
    settings: Settings

    @property
    def home(self) -> Home:
        return Home.of(self.settings, self.settings.namespace or "default", self.endpoint.name)

    def supervisor(self) -> psutil.Process:
        status = read_status(self.home)
        assert status is not None
        return psutil.Process(status.supervisor.pid)

    def processes(self) -> list[psutil.Process]:
        """Those of the model servers, with all that they have started; the supervisor is not among them."""
        status = read_status(self.home)
        assert status is not None
        kept = [psutil.Process(child.pid) for child in status.children]
        return [one for each in kept for one in (each, *each.children(recursive=True))]

    def ports(self) -> set[tuple[str, int]]:
        """Address and port of every TCP socket that the model servers listen on."""
        found = (each for one in self.processes() for each in one.connections("tcp"))
        return {(each.laddr.ip, each.laddr.port) for each in found if each.status == psutil.CONN_LISTEN}

    def unix_sockets(self) -> set[Path]:
        """The unix sockets with a path that they have."""
        found = (str(each.laddr) for one in self.processes() for each in one.connections("unix"))
        return {Path(path) for path in found if path.startswith("/")}


Serving = Callable[..., AbstractContextManager[Running]]


@pytest.fixture(scope="module")
def workspace(new_workspace: Callable[[Settings], AbstractContextManager[Settings]]) -> Iterator[Settings]:
    """Settings of this module, also in the environment, whose named environments are those that are kept between runs.

    What was served goes with it.
    """
    with new_workspace(Settings.from_environ()) as made:
        made.data_dir.mkdir(parents=True, exist_ok=True)
        (KEPT / "environments").mkdir(parents=True, exist_ok=True)
        (made.data_dir / "environments").symlink_to(KEPT / "environments")
        yield made


@pytest.fixture(scope="session")
def needs() -> Callable[..., object]:
    """``needs("triton")``: the named environment is there from now on, or the test is skipped and says why."""
    return require


@pytest.fixture(scope="module")
def serving(workspace: Settings) -> Serving:
    """``with serving(model.id, "name", runtime=…) as running``: serves, waits until it is ready, deletes, and looks
    whether anything is left."""

    @contextmanager
    def served(model: int, name: str, **asked: object) -> Iterator[Running]:
        endpoint = serve(model, name=name, **{"timeout": READY_WITHIN, **asked})  # type: ignore[arg-type]  # serve's own
        running = Running(endpoint, workspace)
        try:
            started = running.processes()
            yield running
            started += [one for one in running.processes() if one not in started]
        finally:
            endpoint.delete()
        check_gone(started)
        assert not running.home.folder.exists()

    return served


def check_gone(started: list[psutil.Process]) -> None:
    """Every one of the processes has ended."""
    _, alive = psutil.wait_procs(started, timeout=GONE_WITHIN)
    left = [one.as_dict(["pid", "cmdline"]) for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    assert not left
