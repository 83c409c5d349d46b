"""The tiny server as another package brings it, and what tests ask of services that it runs."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from kale_serve_ext import sync
from kale_serve_ext.engines.base import Manifest, ServiceState
from kale_serve_ext.engines.local import servers, starter
from kale_serve_ext.engines.local.environ import inherited
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.ml import JSON

if TYPE_CHECKING:
    from tests.engines.conftest import Bench

Answer = tuple[int, dict[str, JSON]]
RECORD = """
import json
from kale_serve_ext.engines.local.servers.layout import Layout, the_file
from kale_serve_ext.engines.local.servers.record import Command, Program, Server, StandsFor

def layout(snapshot):
    file = the_file(snapshot, (".json",), "The tiny server")
    return Layout(links={"model.json": file}, files={"settings.json": json.dumps({"factor": 2})})

def command(seat):
    # What comes in the manifest gives way to this.
    return Command((seat.python, PROGRAM, str(seat.folder), str(seat.http)), {"NAME": seat.name})

def server(name, unix):
    program = Program(command, layout, unix=unix, grpc=False, stops_within=5.0)
    return Server(name, "The tiny server", (StandsFor(f"{name}-runtime", name, ("tiny",), ("v2",)),), program=program)

PORTS, SOCKETS = server("tiny", False), server("tiny-unix", True)
NO_RECORD = "not one"
"""
ENTRY_POINTS = """[kale_serve_ext.servers]
tiny = tiny_records:PORTS
tiny-unix = tiny_records:SOCKETS
twice = tiny_records:PORTS
broken = tiny_records:ABSENT
none = tiny_records:NO_RECORD
"""


@contextmanager
def installed(site: Path) -> Iterator[None]:
    """Another package that brings servers, in the folder ``site``: here, and where supervisors look."""
    program = Path(__file__).with_name("tiny_server.py")
    (site / "tiny_records.py").write_text(f"PROGRAM = {str(program)!r}\n{RECORD}")
    info = site / "tiny-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setattr(starter, "inherited", lambda: {**inherited(), "PYTHONPATH": str(site)})
        servers.forget()
        yield
    servers.forget()


@dataclass
class Tiny:
    """Services of the tiny server."""

    bench: Bench
    model: Path
    """Answers ten times the factor of the server, which is two."""
    _names: set[str] = field(default_factory=set)

    def folder(self, name: str, files: dict[str, str]) -> Path:
        made = self.bench.models / name
        made.mkdir()
        for path, content in files.items():
            (made / path).write_text(content)
        return made

    def manifest(
        self, name: str, *, snapshot: Path | None = None, runtime: str = "tiny-runtime", limits: JSON = None, **env: str
    ) -> Manifest:
        given: dict[str, JSON] = {
            "modelFormat": {"name": "tiny"},
            "runtime": runtime,
            "protocolVersion": "v2",
            "env": [{"name": key, "value": value} for key, value in env.items()],
            "annotations": {"kale-serve-ext/predictor-python": sys.executable},
        }
        if limits:
            given["resources"] = {"limits": limits}
        return self.bench.manifest(name, snapshot or self.model, **given)

    def apply(
        self, name: str, *, snapshot: Path | None = None, runtime: str = "tiny-runtime", limits: JSON = None, **env: str
    ) -> ServiceState:
        self._names.add(name)
        return self.bench.apply(self.manifest(name, snapshot=snapshot, runtime=runtime, limits=limits, **env))

    def serve(
        self, name: str, *, snapshot: Path | None = None, runtime: str = "tiny-runtime", limits: JSON = None, **env: str
    ) -> ServiceState:
        """The service, once it is ready; gone after the test."""
        self.apply(name, snapshot=snapshot, runtime=runtime, limits=limits, **env)
        return self.bench.until_ready(name)

    def delete_all(self) -> None:
        for state in sync.run(self.bench.engine.services()):
            if state.ref.name in self._names:
                sync.run(self.bench.engine.delete(state.ref.name))

    def processes(self, name: str) -> list[psutil.Process]:
        """Those of the service, with what they have started."""
        kept = [psutil.Process(child.pid) for child in self.bench.status(name).children]
        return [one for each in kept for one in (each, *each.children(recursive=True))]

    def home(self, name: str) -> Home:
        return Home.of(self.bench.settings, "default", name)

    def runs(self, name: str) -> int:
        """How many folders of runs there are."""
        return len(list(self.home(name).work.iterdir()))


def connection(state: ServiceState) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(state.url.rpartition(":")[2]), timeout=30)


def raw(state: ServiceState) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(state.url.rpartition(":")[2])), timeout=30)


ROW: JSON = {"name": "x", "datatype": "FP64", "shape": [2], "data": [1.0, 2.5]}


def ask(to: http.client.HTTPConnection, name: str, headers: Mapping[str, str] = {}, **more: JSON) -> Answer:
    """Have 1.0 and 2.5 multiplied."""
    body = {"inputs": [ROW], **more}
    given = {"Content-Type": "application/json", **headers}
    to.request("POST", f"/v2/models/{name}/infer", json.dumps(body), given)
    answer = to.getresponse()
    return answer.status, json.loads(answer.read())


def infer(state: ServiceState, **more: JSON) -> Answer:
    """The same on a connection of its own."""
    with closing(connection(state)) as to:
        return ask(to, state.ref.name, {}, **more)


def numbers(answer: Answer) -> JSON:
    status, said = answer
    assert status == 200, said
    outputs = said["outputs"]
    assert isinstance(outputs, list)
    [output] = outputs
    assert isinstance(output, dict)
    data: JSON = output["data"]
    return data


def read_all(to: socket.socket) -> bytes:
    whole = b""
    while piece := to.recv(65536):
        whole += piece
    return whole


def read_until(to: socket.socket, end: bytes, at_least: int = 0) -> bytes:
    whole = b""
    while not whole.endswith(end) or len(whole) < at_least:
        piece = to.recv(65536)
        assert piece, whole
        whole += piece
    return whole


def statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d{3})", answers)


def until(wanted: Callable[[], object], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.02)
