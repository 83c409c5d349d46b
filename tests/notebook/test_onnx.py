"""ONNX models, logged and served: the answers are those of ONNX Runtime in this process, by every protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError, KaleServeError
from kale_serve_ext.ml import TensorSpec
from kale_serve_ext.sync import run
from tests.onnx_models import IRIS, answers, classifier, scores, with_external_data

PROTOCOLS = ["v1", "v2", "v2-binary", "grpc-v2"]
ROWS = IRIS[::30]
FED = {
    "matrix": np.array([[1.5, 2, 3], [0, -1, 2]], dtype=np.float32),
    "offset": np.array([[10], [-3]]),
    "texts": np.array(["eins", "zwölf"], dtype=object),
}


@pytest.fixture(scope="module")
def iris_service(workspace: Settings) -> Iterator[Endpoint]:
    endpoint = serve(Model(classifier(), name="iris-onnx", example=IRIS[:7]).submit_artifact(), name="iris-onnx")
    yield endpoint
    endpoint.delete()


@pytest.fixture(scope="module")
def scores_model(workspace: Settings) -> Model:
    model = Model(scores(), name="scores", example=FED)
    model.submit_artifact()
    return model


@pytest.fixture(scope="module")
def scoring(scores_model: Model) -> Iterator[Endpoint]:
    endpoint = serve(scores_model, name="scores")
    yield endpoint
    endpoint.delete()


def asked(endpoint: Endpoint, path: str, body: dict[str, object]) -> httpx.Response:
    return httpx.post(f"{endpoint.url}{path}", json=body, timeout=30)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_classifier_answers_labels_and_probabilities(iris_service: Endpoint, protocol: str) -> None:
    expected = answers(classifier(), X=ROWS)
    answer = iris_service.predict(ROWS, protocol=protocol)
    assert isinstance(answer, dict)
    table = answer["output_probability"]
    assert isinstance(table, np.ndarray)
    assert (table.dtype, table.shape) == (np.float32, (len(ROWS), 3))
    assert list(answer["output_label"]) == list(np.asarray(expected["output_label"]))
    maps = expected["output_probability"]
    assert isinstance(maps, list)
    wanted = np.array([list(one.values()) for one in maps], dtype=np.float32)
    np.testing.assert_array_equal(table, wanted)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_inputs_and_outputs_go_by_name(scoring: Endpoint, protocol: str) -> None:
    expected = answers(scores(), **FED)
    answer = scoring.predict(FED, protocol=protocol)
    assert isinstance(answer, dict)
    np.testing.assert_array_equal(answer["scores"], np.asarray(expected["scores"]))
    assert list(answer["same"]) == ["eins", "zwölf"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_not_a_number_goes_there_and_back(scoring: Endpoint, protocol: str) -> None:
    fed = {**FED, "matrix": np.array([[1, np.nan, 3], [1, 2, 3]], dtype=np.float32)}
    for rows in (slice(2), slice(1)):
        asked_for = {name: values[rows] for name, values in fed.items()}
        answer = scoring.predict(asked_for, protocol=protocol)
        assert isinstance(answer, dict)
        np.testing.assert_array_equal(answer["scores"], np.asarray(answers(scores(), **asked_for)["scores"]))


def test_the_record_tells_the_tensors(scores_model: Model) -> None:
    assert scores_model.id is not None
    signature = run(session.metadata().artifact(scores_model.id)).signature
    assert signature is not None
    assert signature.inputs[0] == TensorSpec("matrix", "float32", ("batch", 3))
    assert [spec.name for spec in signature.outputs] == ["scores", "same"]


def test_v2_metadata_lists_them(scoring: Endpoint) -> None:
    told = httpx.get(f"{scoring.url}/v2/models/scores", timeout=30).json()
    assert told["inputs"] == [
        {"name": "matrix", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "offset", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "texts", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [(one["name"], one["datatype"]) for one in told["outputs"]] == [("scores", "FP32"), ("same", "BYTES")]


def test_recorded_rows_are_answered_again(iris_service: Endpoint, scoring: Endpoint) -> None:
    for endpoint, count in ((iris_service, 7), (scoring, 2)):
        verdict = endpoint.verify()
        assert (verdict.ok, verdict.rows, verdict.skipped, verdict.error) == (True, count, "", "")


MATRIX = {"name": "matrix", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
OFFSET = {"name": "offset", "shape": [1, 1], "datatype": "INT64", "data": [1]}
TEXTS = {"name": "texts", "shape": [1], "datatype": "BYTES", "data": ["a"]}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([MATRIX, OFFSET], "The input 'texts' is missing; the model takes 'matrix', 'offset', 'texts'."),
        ([MATRIX, OFFSET, TEXTS, {**TEXTS, "name": "more"}], "The model has no input 'more'"),
        ([MATRIX, MATRIX, TEXTS], "two inputs of one name"),
        (
            [{**MATRIX, "shape": [1, 2], "data": [1, 2]}, OFFSET, TEXTS],
            "The input 'matrix' takes float32 [batch, 3], and float32 [1, 2] was sent.",
        ),
        (
            [MATRIX, {**OFFSET, "datatype": "FP64", "data": [1.5]}, TEXTS],
            "The input 'offset' takes int64 [batch, 1], and float64 [1, 1] was sent.",
        ),
        (
            [{**MATRIX, "datatype": "BYTES", "data": ["a", "b", "c"]}, OFFSET, TEXTS],
            "The input 'matrix' takes float32 [batch, 3], and str [1, 3] was sent.",
        ),
        (
            [MATRIX, OFFSET, {**TEXTS, "datatype": "FP32", "data": [1]}],
            "The input 'texts' takes str [batch], and float32 [1] was sent.",
        ),
        (
            [{**MATRIX, "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}, OFFSET, TEXTS],
            "The dimension 'batch' is 2 in the input 'matrix' and 1 in 'offset'.",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_told_why(scoring: Endpoint, inputs: list[dict[str, object]], said: str) -> None:
    answer = asked(scoring, "/v2/models/scores/infer", {"inputs": inputs})
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_outputs_that_are_asked_for_come_alone(scoring: Endpoint) -> None:
    body = {"inputs": [MATRIX, OFFSET, TEXTS], "outputs": [{"name": "same"}]}
    told = asked(scoring, "/v2/models/scores/infer", body).json()
    assert [(one["name"], one["data"]) for one in told["outputs"]] == [("same", ["a"])]
    unknown = asked(scoring, "/v2/models/scores/infer", {**body, "outputs": [{"name": "other"}]})
    assert unknown.status_code == 400
    assert "no output 'other'; it gives 'scores', 'same'" in unknown.json()["error"]


def test_v1_refuses_what_is_no_row(scoring: Endpoint) -> None:
    answer = asked(scoring, "/v1/models/scores:predict", {"instances": [[1, 2, 3]]})
    assert answer.status_code == 400
    assert "Instance 0 is not an object with the inputs" in answer.json()["error"]


def test_weights_beside_the_file_travel_along(workspace: Settings, tmp_path: Path) -> None:
    path = with_external_data(tmp_path / "downloads")
    (tmp_path / "downloads" / "other.txt").write_text("not of the model")
    expected = answers(path, x=np.ones((2, 64), dtype=np.float32))
    model = Model(artifact_uri=path, name="linear")
    model.submit_artifact()
    assert model.uri is not None
    folder = Path(model.uri.removeprefix("file://"))
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "kale-model.meta",
        "linear.onnx",
        "weights/linear.bin",
    ]
    endpoint = serve(model, name="linear", protocol="v2")
    try:
        answer = endpoint.predict(np.ones((2, 64), dtype=np.float32))
        np.testing.assert_array_equal(np.asarray(answer), np.asarray(expected["y"]))
    finally:
        endpoint.delete()


def test_a_folder_without_its_weights_is_refused(workspace: Settings, tmp_path: Path) -> None:
    path = with_external_data(tmp_path)
    (tmp_path / "weights" / "linear.bin").unlink()
    with pytest.raises(InvalidInputError, match=r"weights/linear\.bin, which is not there"):
        Model(artifact_uri=path.parent, name="linear").submit_artifact()


def test_what_onnx_runtime_refuses_is_told_when_it_is_logged(workspace: Settings, tmp_path: Path) -> None:
    proto = scores()
    proto.graph.node[1].op_type = "NoSuchOperator"
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(KaleServeError, match="NoSuchOperator"):
        Model(artifact_uri=path, name="odd").submit_artifact()
    assert onnx.load(path).producer_name == "tests"
