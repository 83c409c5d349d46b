"""Answers as JSON: infinities are told from what is missing, by every route."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import orjson
import pytest

from kale_serve_ext.runner.responses import ExactResponse
from tests.runner.served import Kept, Served, infer

pytestmark = pytest.mark.timeout(400)

MODEL = """
import kserve
from kserve import InferOutput, InferRequest, InferResponse

class Model(kserve.Model):
    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    def predict(self, payload, headers=None):
        values = [float("inf"), float("-inf"), float("nan"), 1.5]
        if isinstance(payload, InferRequest):
            return InferResponse(payload.id or "", self.name, [InferOutput("o", [4], "FP64", data=values)])
        return {"predictions": values, "count": 2**70}
"""
TRANSFORMER = """
def postprocess(answer):
    return {**answer, "largest": answer["predictions"][0]}
"""


@pytest.mark.parametrize(
    ("content", "written"),
    [
        ({"a": [1, 2.5, "x", None, True]}, '{"a":[1,2.5,"x",null,true]}'),
        ([math.inf, -math.inf, math.nan, None], "[1e999,-1e999,null,null]"),
        ({"a": [[1.0, math.inf], [2.0, 3.0]], "b": {"c": -math.inf}}, '{"a":[[1.0,1e999],[2.0,3.0]],"b":{"c":-1e999}}'),
        ([2**64, -(2**63) - 1, 1.5], "[18446744073709551616,-9223372036854775809,1.5]"),
        ([2**70, -(2**70)], "[1180591620717411303424,-1180591620717411303424]"),
        ([1e308, 1e308, math.nan], "[1e+308,1e+308,null]"),
        (np.array([[1.0, np.inf]]), "[[1.0,1e999]]"),
        ([np.float32("inf"), np.float64("-inf"), np.int64(3), None], "[1e999,-1e999,3,null]"),
        ({1: "a key", "null": "1e999"}, '{"1":"a key","null":"1e999"}'),
        ([], "[]"),
    ],
)
def test_what_is_written_is_read_as_the_same_value(content: object, written: str) -> None:
    assert ExactResponse(content).body == written.encode()


def test_what_has_no_form_in_json_is_an_error() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        ExactResponse({"a": object()})


def test_answers_without_infinities_are_those_of_orjson() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4)).tolist()
    for content in ({"predictions": rows}, {"outputs": [{"data": [None, 1, "a", math.nan]}], "id": None}):
        assert ExactResponse(content).body == orjson.dumps(content)


def test_infinities_reach_the_client_by_every_route(tmp_path: Path) -> None:
    predictor = Served(tmp_path / "predictor", model=MODEL)
    arguments = ("--predictor_host", f"127.0.0.1:{predictor.http}", "--predictor_protocol", "v1")
    transformer = Served(tmp_path / "transformer", *arguments, transformer=TRANSFORMER)
    try:
        kept = Kept(predictor.wait_ready().http)
        expected = [math.inf, -math.inf, None, 1.5]
        assert kept.ask(1) == (200, {"predictions": expected, "count": 2**70})
        body = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]})
        status, told = kept.request("POST", "/v2/models/m/infer", body)
        assert (status, json.loads(told)["outputs"][0]["data"]) == (200, expected)
        _, by_grpc = infer(predictor.grpc, 1)
        assert repr(by_grpc) == "[inf, -inf, nan, 1.5]"

        through = Kept(transformer.wait_ready().http).ask(1)
        assert through == (200, {"predictions": expected, "count": 2**70, "largest": math.inf})
    finally:
        for process in (predictor.process, transformer.process):
            process.kill()
            process.wait()
