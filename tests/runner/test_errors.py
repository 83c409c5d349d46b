"""What goes wrong in a model's or a transformer's code, and what is left of the connection and the process then."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.runner.served import Kept, Served, infer

# Three processes start at once, on machines that may be busy.
pytestmark = pytest.mark.timeout(400)

# What is raised goes by the row's value, in predict of the one model and in preprocess of the transformer.
RAISING = """
import asyncio
from kserve.errors import InferenceError, InvalidInput
from starlette.exceptions import HTTPException

class Aborted(BaseException):
    pass

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def inverse(value):
    raised = {
        0: ZeroDivisionError("nothing to share"),
        -1: InvalidInput("The value must not be negative."),
        -2: ValueError(),
        -3: SystemExit(3),
        -4: KeyboardInterrupt(),
        -5: Aborted("the model gave up"),
        -6: Unspeakable(),
        -7: NotImplementedError("Not for sevens."),
        -8: InferenceError("The engine is cold."),
        -9: HTTPException(409, "Somebody else was first."),
        -10: ValueError("half a pair: \\ud800, and \\u00e9\\n" + "\\u00e9" * 9000),
        -11: asyncio.CancelledError("something of its own"),
        -12: StopIteration("done"),
    }
    if value in raised:
        raise raised[value]
    return 100 / value
"""
MODEL = f"""
import asyncio
import kserve
from kserve import InferOutput, InferRequest, InferResponse
{RAISING}
class Model(kserve.Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    BODY
"""
PREDICT = """
        if isinstance(payload, InferRequest):
            values = [inverse(v) for v in payload.inputs[0].as_numpy().ravel().tolist()]
            output = InferOutput("o", [len(values)], "FP64", data=values)
            return InferResponse(payload.id or "", self.name, [output])
        (value,) = payload["instances"][0]
        if value == 7:
            self.ready = False
        return {"predictions": [inverse(value)]}
"""
SYNC = "def predict(self, payload, headers=None):" + PREDICT
ASYNC = "async def predict(self, payload, headers=None):\n        await asyncio.sleep(0)" + PREDICT
TRANSFORMER = f"""
{RAISING}
def preprocess(request):
    if request["instances"][0][0] < 100:
        inverse(request["instances"][0][0])
    return request

def postprocess(answer):
    return answer
"""
EXPECTED = {
    0: (500, "ZeroDivisionError: nothing to share"),
    -1: (400, "The value must not be negative."),
    -2: (500, "ValueError"),
    -3: (500, "SystemExit: 3"),
    -4: (500, "KeyboardInterrupt"),
    -5: (500, "Aborted: the model gave up"),
    -6: (500, "Unspeakable"),
    -7: (501, "Not for sevens."),
    -8: (500, "The engine is cold."),
    -9: (409, "Somebody else was first."),
    -12: (500, "RuntimeError: coroutine raised StopIteration"),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Served]]:
    """The processes: all start at once, each is ready when it is asked for."""
    folder = tmp_path_factory.mktemp("served")
    started = {
        "sync": Served(folder / "sync", model=MODEL.replace("BODY", SYNC)),
        "async": Served(folder / "async", model=MODEL.replace("BODY", ASYNC)),
    }
    host = f"127.0.0.1:{started['sync'].http}"
    arguments = ("--predictor_host", host, "--predictor_protocol", "v1")
    started["transformer"] = Served(folder / "transformer", *arguments, transformer=TRANSFORMER)
    ready: dict[str, Served] = {}

    def get(kind: str) -> Served:
        ready[kind] = ready.get(kind) or started[kind].wait_ready()
        return ready[kind]

    yield get
    for one in started.values():
        one.process.kill()
        one.process.wait()


KINDS = ["sync", "async", "transformer"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_bad_rows_fail_over_one_kept_connection(served: Callable[[str], Served], kind: str) -> None:
    kept = Kept(served(kind).http)

    got = [kept.ask(row) for row in (4, 0, 5, 0, 2)]

    assert [status for status, _ in got] == [200, 500, 200, 500, 200]
    assert [told for _, told in got[::2]] == [{"predictions": [value]} for value in (25.0, 20.0, 50.0)]
    assert all("ZeroDivisionError: nothing to share" in str(told) for _, told in got[1::2])


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_raised_costs_its_own_request_alone(served: Callable[[str], Served], kind: str) -> None:
    process = served(kind)
    kept = Kept(process.http)
    process.new_log()

    for row, (status, text) in EXPECTED.items():
        got, told = kept.ask(row)
        assert isinstance(told, dict)
        (said,) = told.values()
        if kind == "transformer" and status in (500, 501) and row != -8 and said != text:
            text = text.replace("RuntimeError: coroutine raised StopIteration", "StopIteration: done")
            status, text = 500, f"The transformer's preprocess failed: {text}"
        assert (got, said) == (status, text)

    assert kept.ask(4) == (200, {"predictions": [25.0]})
    assert process.process.poll() is None
    # Those that are the code's own fault stand in the log once each.
    faults = 9 if kind == "transformer" else 8
    assert process.log_with('predict HTTP/1.1" 200').count("ERROR kserve: ") == faults


def test_a_text_that_utf_8_cannot_carry_is_told_all_the_same(served: Callable[[str], Served]) -> None:
    status, told = Kept(served("sync").http).ask(-10)

    assert (status, str(told)[:40]) == (500, str({"error": "ValueError: half a pair: \ud800, and é"})[:40])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot tell whose cancellation it is")
@pytest.mark.parametrize("kind", KINDS)
def test_a_cancellation_of_the_codes_own_is_an_error(served: Callable[[str], Served], kind: str) -> None:
    kept = Kept(served(kind).http)

    assert kept.ask(-11) == (500, {"error": "CancelledError: something of its own"})
    assert kept.ask(4)[0] == 200


@pytest.mark.parametrize("row", [*EXPECTED, -10])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_grpc_tells_what_rest_tells(served: Callable[[str], Served], kind: str, row: int) -> None:
    process = served(kind)
    process.new_log()
    status, told = Kept(process.http).ask(row)
    assert isinstance(told, dict)
    (text,) = told.values()
    process.log_with("predict HTTP")

    code, details = infer(process.grpc, row)

    wanted = {400: "INVALID_ARGUMENT", 409: "INVALID_ARGUMENT", 501: "UNIMPLEMENTED"}.get(status, "INTERNAL")
    assert code == wanted
    if row == -10:
        # As much of it as fits into gRPC's metadata.
        assert isinstance(details, str)
        assert details == text.replace("\ud800", "?")[: len(details)]
        assert len(details) > 500
    else:
        assert details == text
    # The line of a call before may come later than the call.
    line = process.log_with(rf'"gRPC ModelInfer m" {wanted} [\d.]+ ms\n')
    assert re.search(rf'INFO kale_serve.grpc: [\d.]+:\d+ - "gRPC ModelInfer m" {wanted} [\d.]+ ms\n', line)
    assert line.count("ERROR kserve: ") == (wanted == "INTERNAL")
    assert infer(process.grpc, 4) == ("OK", [25.0])


def test_an_address_writes_no_lines_into_the_log(served: Callable[[str], Served]) -> None:
    process = served("sync")
    process.new_log()
    path = "/v1/models/x%0AERROR%20kserve:%20made%20up%1b%5b2J%c2%9b31m%e2%80%ae:predict"
    status, _ = Kept(process.http).request("POST", path, '{"instances": [[4]]}')
    assert status == 404
    log = process.log_with("predict HTTP")
    assert "\nERROR kserve: made up" not in log
    assert not set(log) & set("\x1b\x9b\u202e")
    assert "kserve: made up\\x1b[2J" in log


def test_grpc_tells_what_rest_tells_of_wrong_requests(served: Callable[[str], Served]) -> None:
    process = served("async")
    kept = Kept(process.http)
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}]})
    status, told = kept.request("POST", "/v2/models/other/infer", body)

    assert (status, infer(process.grpc, 4, model="other")) == (404, ("NOT_FOUND", json.loads(told)["error"]))
    assert infer(process.grpc, 4, datatype="FP63") == (
        "INVALID_ARGUMENT",
        "The input 'input-0' has the datatype 'FP63', which is not one of v2.",
    )
    assert infer(process.grpc, 4, model='a"\nb')[0] == "NOT_FOUND"
    # A name cannot write a line of its own into the log.
    assert '"gRPC ModelInfer \'a"\\nb\'" NOT_FOUND' in process.log_with("b'\" NOT_FOUND")

    assert kept.ask(7)[0] == 200  # and the model is not ready from now on
    status, said = kept.ask(4)
    assert isinstance(said, dict)
    assert (status, infer(process.grpc, 4)) == (503, ("UNAVAILABLE", said["error"]))


def test_head_and_wrong_methods_leave_the_connection(served: Callable[[str], Served]) -> None:
    kept = Kept(served("sync").http)

    assert kept.request("HEAD", "/v1/models/m") == (200, b"")
    assert kept.request("HEAD", "/v1/models/other") == (404, b"")
    assert kept.request("HEAD", "/") == (200, b"")
    assert kept.request("PUT", "/v1/models/m:predict", "{}")[0] == 405
    assert kept.request("GET", "/nowhere")[0] == 404
    assert kept.request("POST", "/v1/models/m:predict", "{broken")[0] == 400
    assert kept.request("POST", "/v2/models/m/infer", "[]")[0] == 400
    assert kept.ask(4) == (200, {"predictions": [25.0]})


def test_what_is_not_http_is_answered_and_says_that_it_closes(served: Callable[[str], Served]) -> None:
    process = served("sync")
    with socket.create_connection(("127.0.0.1", process.http), timeout=30) as raw:
        raw.sendall(b"NOT HTTP AT ALL\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"connection: close" in answer.lower()
    assert Kept(process.http).ask(4)[0] == 200


def test_a_client_that_leaves_in_the_middle_is_one_line_in_the_log(served: Callable[[str], Served]) -> None:
    process = served("sync")
    process.new_log()
    with socket.create_connection(("127.0.0.1", process.http), timeout=30) as raw:
        raw.sendall(b'POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\n{"inst')

    log = process.log_with("client disconnected")

    assert "Traceback" not in log
    assert Kept(process.http).ask(4)[0] == 200


def test_it_ends_by_its_signal_after_all_that(served: Callable[[str], Served]) -> None:
    process = served("transformer").process
    process.send_signal(signal.SIGTERM)

    assert process.wait(30) == 0
