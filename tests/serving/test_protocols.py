"""Requests encoded and answers read, without a server."""

from __future__ import annotations

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from kale_serve_ext.errors import InvalidInputError, PredictionError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.protocols import decode, encode, error_message, path, phase_of

FRAME = pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": ["x", "y"]})
COLUMNS = {"a": [1, 2], "b": [0.5, None], "c": ["x", "y"]}
ROWS = [{"a": 1, "b": 0.5, "c": "x"}, {"a": 2, "b": None, "c": "y"}]


@pytest.mark.parametrize(
    ("data", "instances"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (((1, 2), (3, 4)), [[1, 2], [3, 4]]),
        ([1, 2.5], [[1, 2.5]]),
        ([1, "x", None], [[1, "x", None]]),
        (["a text", "another"], ["a text", "another"]),
        ([True, False], [[True, False]]),
        (3, [[3]]),
        ([], []),
        ([[]], [[]]),
        (np.array([[1.5, 2.5]]), [[1.5, 2.5]]),
        (np.array([1, 2]), [[1, 2]]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.float64(2.5), [[2.5]]),
        (np.array([[1.5, 2.5]], np.longdouble), [[1.5, 2.5]]),
        (np.array([[np.float64(1.5), decimal.Decimal("2.5"), np.str_("x")]], object), [[1.5, 2.5, "x"]]),
        ([np.array([1, 2]), np.array([3, 4])], [[1, 2], [3, 4]]),
        ([[np.int64(1), np.float32(0.5)]], [[1, 0.5]]),
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        (np.zeros((1, 2, 2)), [[[0, 0], [0, 0]]]),
        (scipy.sparse.csr_matrix([[0, 1]]), [[0, 1]]),
        (pd.DataFrame([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (pd.Series([1, 2]), [[1, 2]]),
        (pd.Series(["a", "b"]), ["a", "b"]),
        (pl.Series([1, 2]), [[1, 2]]),
        (FRAME, [COLUMNS]),
        (pl.DataFrame(COLUMNS), [COLUMNS]),
        (ROWS, [COLUMNS]),
        (FRAME.iloc[0], [{"a": [1], "b": [0.5], "c": ["x"]}]),
        ([{"a": [1]}, {"a": [2]}], [{"a": [1]}, {"a": [2]}]),
        ([{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}]),
        ([[{"a": 1}]], [[{"a": 1}]]),
        ([datetime.date(2024, 1, 2), decimal.Decimal("1.5")], [["2024-01-02", 1.5]]),
        (pd.DataFrame({"t": [pd.Timestamp("2024-01-02"), pd.NaT]}), [{"t": ["2024-01-02T00:00:00", None]}]),
        (pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}), [{"n": [1, None]}]),
        ("[[1, 2]]", [[1, 2]]),
    ],
    ids=str,
)
def test_rows_become_instances(data: object, instances: JSON) -> None:
    assert json.loads(encode(data, "v1")) == {"instances": instances}


@pytest.mark.parametrize("data", [FRAME, pl.DataFrame(COLUMNS), ROWS])
def test_a_transformer_gets_one_object_for_each_row(data: object) -> None:
    assert json.loads(encode(data, "v1", transformer=True)) == {"instances": ROWS}


@pytest.mark.parametrize("protocol", ["v1", "v2"])
@pytest.mark.parametrize(
    "text", ['{"instances": [[1]], "more":  1}', b'{"anything": "goes"}', bytearray(b'{"a": 1}'), '{"inputs": []}']
)
def test_text_of_an_object_is_sent_as_it_is(text: str | bytes, protocol: str) -> None:
    assert encode(text, protocol) == (text.encode() if isinstance(text, str) else bytes(text))


def test_a_dict_is_sent_as_it_is() -> None:
    assert json.loads(encode({"instances": np.array([[1, 2]]), "x": {"y": (1,)}}, "v1")) == {
        "instances": [[1, 2]],
        "x": {"y": [1]},
    }


def tensor(datatype: str, shape: list[int], data: list[JSON], name: str = "input-0") -> JSON:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ([[1, 2], [3, 4]], tensor("INT64", [2, 2], [1, 2, 3, 4])),
        ([1, 2.5], tensor("FP64", [1, 2], [1, 2.5])),
        ([[1.5, None]], tensor("FP64", [1, 2], [1.5, None])),
        ([[1, None]], tensor("FP64", [1, 2], [1, None])),
        ([[True]], tensor("BOOL", [1, 1], [True])),
        (["a", "b"], tensor("BYTES", [2], ["a", "b"])),
        ([["a", 1]], tensor("BYTES", [1, 2], ["a", 1])),
        (np.zeros((1, 2, 2)), tensor("FP64", [1, 2, 2], [0.0, 0.0, 0.0, 0.0])),
        ([], tensor("FP64", [0], [])),
        ([[]], tensor("FP64", [1, 0], [])),
    ],
    ids=str,
)
def test_rows_become_a_tensor(data: object, wanted: JSON) -> None:
    assert json.loads(encode(data, "v2")) == {"inputs": [wanted]}


def test_named_columns_become_tensors() -> None:
    assert json.loads(encode(FRAME, "v2")) == {
        "parameters": {"content_type": "pd"},
        "inputs": [
            tensor("INT64", [2], [1, 2], "a"),
            tensor("FP64", [2], [0.5, None], "b"),
            tensor("BYTES", [2], ["x", "y"], "c"),
        ],
    }


@pytest.mark.parametrize(
    ("data", "protocol", "told"),
    [
        ('{"instances": [', "v1", "not valid JSON"),
        ("", "v1", "not valid JSON"),
        (b"\xff\xfe", "v1", "not text in UTF-8"),
        ("[" * 100_000, "v1", "nested too deeply"),
        pytest.param(object(), "v1", "cannot be sent to a model", id="an object"),
        (None, "v1", "cannot be sent to a model"),
        pytest.param({"a": object()}, "v1", "cannot be sent to a model", id="an object in a dict"),
        ([[float("inf")]], "v1", "infinity"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "v1", "two columns named 'a'"),
        ([[1, 2], [3]], "v2", "same length"),
        ([[1, 2], 3], "v2", "same length"),
        ([{"a": 1}, {"b": 2}], "v2", "cannot be represented in protocol v2"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_sent_is_told(data: object, protocol: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        encode(data, protocol)


@pytest.mark.parametrize(
    ("protocol", "verb", "wanted"),
    [
        ("v1", "predict", "/v1/models/iris:predict"),
        ("v1", "explain", "/v1/models/iris:explain"),
        ("v2", "predict", "/v2/models/iris/infer"),
    ],
)
def test_paths(protocol: str, verb: str, wanted: str) -> None:
    assert path(protocol, "iris", verb) == wanted


@pytest.mark.parametrize(
    ("status", "kind", "body", "wanted"),
    [
        (500, "application/json", b'{"error": "X has 3 features"}', "X has 3 features"),
        (500, "application/json", b'{"error": {"code": 3, "message": "deep"}}', "deep"),
        (404, "application/json", b'{"detail": "Not Found"}', "Not Found"),
        (
            422,
            "application/json",
            b'{"detail": [{"loc": ["body", "inputs"], "msg": "Field required"}, {"msg": "again"}]}',
            "body.inputs: Field required; again",
        ),
        (503, "application/json", b'{"message": "agent is away", "batchId": ""}', "agent is away"),
        (400, "application/json", b'"just text"', "just text"),
        (400, "application/json", b'{"odd": 1}', '{"odd": 1}'),
        (403, "text/html", b"<html><head><title>Log in</title></head><body>x</body></html>", "Log in"),
        (
            403,
            "",
            b"<!DOCTYPE html><body><script>var x</script><p>RBAC: <b>denied</b> &amp; gone</p>",
            "RBAC: denied & gone",
        ),
        (502, "text/plain", b"upstream connect error", "upstream connect error"),
        (502, "text/plain", b"", "HTTP status 502 without a text"),
        (500, "application/json", b"{}", "{}"),
        (500, "application/json", b"null", "HTTP status 500 without a text"),
        (500, "application/octet-stream", b"\xff\xfe\xfd", "\ufffd\ufffd\ufffd"),
    ],
)
def test_every_kind_of_error_body_is_understood(status: int, kind: str, body: bytes, wanted: str) -> None:
    assert error_message(status, kind, body) == wanted


def test_a_long_error_is_cut() -> None:
    assert len(error_message(500, "text/plain", b"x" * 10**7)) == 2001


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"error": "e", "phase": "Paused", "reason": "It is paused."}', ("Paused", "It is paused.")),
        (b'{"error": "e"}', ("", "")),
        (b"[]", ("", "")),
        (b"no JSON", ("", "")),
    ],
)
def test_the_supervisors_answer_is_known(body: bytes, wanted: tuple[str, str]) -> None:
    assert phase_of(body) == wanted


def test_answers_are_parsed() -> None:
    assert decode(b'{"predictions": [1]}') == {"predictions": [1]}
    assert decode(b'{"message": "", "batchId": "1", "predictions": [1]}') == {
        "message": "",
        "batchId": "1",
        "predictions": [1],
    }


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"message": "no upstream", "batchId": "", "predictions": null}', "no upstream"),
        (b"<html><title>Log in</title></html>", "Log in"),
        (b"", "not JSON"),
    ],
)
def test_a_failure_behind_a_good_status_is_one(body: bytes, told: str) -> None:
    with pytest.raises(PredictionError, match=told):
        decode(body)
