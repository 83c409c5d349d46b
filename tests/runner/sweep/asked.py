"""Asks a server with many models, by every route and by the product's own client, and compares with the notebook."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pandas as pd
import polars as pl

from kale_serve_ext import Model
from kale_serve_ext.artifacts.base import Written
from kale_serve_ext.engines.sync_http import Poster
from kale_serve_ext.errors import KaleServeError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving import failures, protocols, rest, tensors
from kale_serve_ext.serving.messages import Response, messages

from . import estimators, tables

ROUTES = ("v1", "v2", "v2-binary", "grpc-v2")
COUNTS = (1, 3)
_TIMEOUT = 60.0
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Case:
    """One request."""

    estimator: str
    table: str
    method: str
    rows: int
    route: str

    def __str__(self) -> str:
        return f"{self.estimator} × {self.table} × {self.method} × {self.rows} × {self.route}"


@dataclass(frozen=True)
class Outcome:
    """What came of a case: a ``refusal``, a ``difference``, or neither, which is right."""

    case: Case
    refusal: str = ""
    difference: str = ""


class Server:
    """The server's process, and the connections to it."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._lines = control.makefile("rw", encoding="utf-8")
        ports = json.loads(self._lines.readline())
        self._post = Poster(f"http://127.0.0.1:{ports['http']}")
        self._channel = grpc.insecure_channel(f"127.0.0.1:{ports['grpc']}")
        read = messages().ModelInferResponse.FromString
        self._infer: Callable[..., Response] = self._channel.unary_unary(tensors.METHOD, response_deserializer=read)

    def load(self, name: str, kind: str, path: Path, method: str) -> str:
        """Why the model could not be loaded; empty where it was."""
        return self._tell({"load": name, "kind": kind, "path": str(path), "method": method})

    def unload(self, name: str) -> None:
        assert not self._tell({"unload": name})

    def ask(self, model: str, data: object, route: str) -> JSON:
        """The answer, as ``Endpoint.predict`` gives it for this protocol.

        Raises:
            KaleServeError: it is refused.
        """
        if route == "grpc-v2":
            request = _message(data, model)
            try:
                return tensors.decode_v2(self._infer(request, timeout=_TIMEOUT))
            except grpc.RpcError as error:
                raise failures.of_grpc(model, error, _TIMEOUT) from error
        posted = rest.encode(data, route, model, transformer=False, own=True)
        answer = self._post(posted.path, posted.body, posted.headers, timeout=_TIMEOUT, largest=_LARGEST)
        return rest.decode(rest.checked(model, posted, answer, _LARGEST))

    def close(self) -> None:
        self._channel.close()
        self._post.close()
        self._lines.close()
        self._control.close()
        self._process.wait(30)

    def _tell(self, command: dict[str, str]) -> str:
        self._lines.write(json.dumps(command) + "\n")
        self._lines.flush()
        return str(json.loads(self._lines.readline())["error"])


def _message(data: object, model: str) -> bytes:
    """The request by gRPC, as the product's client makes it."""
    if tensors.is_numeric(data):
        return tensors.encode(data, model)
    return tensors.encode_cells(protocols.cells_of(data), model, own=True)


@contextmanager
def running() -> Iterator[Server]:
    """The server, until the end of the block."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, str(Path(__file__).with_name("server.py")), "--control", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    server = Server(process, ours)
    try:
        yield server
    finally:
        server.close()


def logged(model: object, folder: Path, **fields: object) -> Written:
    """What ``submit_artifact()`` writes of a model, in an empty folder.

    Raises:
        KaleServeError: it cannot be logged.
    """
    written = Model(model, **fields)._write(folder)  # type: ignore[arg-type]  # by name
    for name, content in written.beside.items():
        (written.source / name).write_bytes(content)
    return written


def outcomes(server: Server, estimator: str, table: str, model: object, folder: Path) -> Iterator[Outcome]:
    """Write the fitted model as it is submitted, load it for each of its methods, and ask it."""
    shown = tables.ALL[table]()
    wanted = {count: estimators.answers(model, tables.first(shown, count)) for count in COUNTS}
    methods = [method for method in estimators.METHODS if method in wanted[1] or method in wanted[3]]
    if not methods:
        raise estimators.NotAnswered("No method answers.")
    folder.mkdir()
    try:
        written = logged(model, folder, name="m", example=tables.first(shown, 20))
    except KaleServeError as error:
        yield Outcome(Case(estimator, table, "*", 0, "*"), refusal=error.message)
        return
    for number, method in enumerate(methods):
        failed = server.load("m", written.record.format, written.source, method)
        if failed:
            yield Outcome(Case(estimator, table, method, 0, "*"), refusal=failed)
            continue
        for count in COUNTS:
            for route in _routes(estimator, number, count) if method in wanted[count] else ():
                case = Case(estimator, table, method, count, route)
                yield _outcome(server, case, tables.first(shown, count), wanted[count][method])
        server.unload("m")


def _routes(estimator: str, method: int, count: int) -> Sequence[str]:
    """All, but for one row where that would be asked for the same thing again: of the estimator's other methods, which
    get the same table, and of estimators that make an array of numbers of whatever they get."""
    if count > 1 or (method == 0 and estimators.goes_by_dtype(estimator)):
        return ROUTES
    return ("v1", "grpc-v2") if method == 0 else ("v1",)


def _outcome(server: Server, case: Case, rows: object, wanted: object) -> Outcome:
    try:
        got = values(server.ask("m", rows, case.route))
    except (KaleServeError, failures.Undelivered) as error:
        return Outcome(case, refusal=str(error))
    expected = plain(wanted)
    return Outcome(case) if same(expected, got) else Outcome(case, difference=f"{expected!s:.300} != {got!s:.300}")


def values(answer: JSON) -> JSON:
    """The values of an answer in their shape, whichever protocol it came by; several outputs by name."""
    assert isinstance(answer, dict)
    if "predictions" in answer:
        predictions: JSON = answer["predictions"]
        return predictions
    shaped = {str(output["name"]): _shaped(output) for output in answer["outputs"]}
    lists = list(shaped.values())
    if list(shaped) == [f"output-{i}" for i in range(len(shaped))]:
        return lists[0] if len(lists) == 1 else lists
    return [dict(zip(shaped, row, strict=True)) for row in zip(*lists, strict=True)]


def _shaped(output: Mapping[str, list[JSON]]) -> list[JSON]:
    flat = np.empty(len(output["data"]), dtype=object)
    flat[:] = output["data"]
    shaped: list[JSON] = flat.reshape(tuple(map(int, map(str, output["shape"])))).tolist()
    return shaped


def plain(result: object) -> object:
    """What a model answers in the notebook, as nested lists; a table as one object for each row."""
    if isinstance(result, pd.DataFrame):
        return result.to_dict(orient="records")
    if isinstance(result, pl.DataFrame):
        return result.to_dicts()
    if hasattr(result, "toarray"):
        result = result.toarray()
    if isinstance(result, list | tuple):
        return [plain(item) for item in result]
    return result.tolist() if isinstance(result, np.ndarray | np.generic | pd.Series) else result


def same(a: object, b: object) -> bool:
    """Whether two answers are the same: labels exactly, numbers as near as float32 can tell."""
    if isinstance(a, list | tuple) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(map(str, a)) == list(b) and all(same(x, y) for x, y in zip(a.values(), b.values(), strict=True))
    if a is None or a is pd.NA or a is pd.NaT or (isinstance(a, float) and math.isnan(a)):
        return b is None or (isinstance(b, float) and math.isnan(b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(a, pd.Timestamp):
        return isinstance(b, str) and a == pd.Timestamp(b)
    return type(a) is type(b) and a == b
