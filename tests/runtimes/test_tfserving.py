"""TensorFlow Serving's API on this machine: by the notebook, by plain REST, and by tensorflow-serving-api's stubs."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from kale_serve_ext import Model, session
from kale_serve_ext.config import Settings
from kale_serve_ext.environments import Ready
from kale_serve_ext.errors import KaleServeError, PlanError
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run
from tests.runtimes.conftest import Running, Serving, check_gone
from tests.runtimes.tf_models import KINDS, Kinds, of_examples, two_heads

RUNTIME = "kserve-tensorflow-serving"
JSON_HEADER = {"Content-Type": "application/json"}
ROW = {"pixels": [[0, 255], [1, 2]], "flag": True, "whole": [1, 2], "fine": [0.5, 1, 2], "image_bytes": "a"}
ANSWER = {
    "inverted": [[255, 0], [254, 253]],
    "flipped": False,
    "negative": [-1, -2],
    "half": [0.25, 0.5, 1.0],
    "size": 1,
    "copy_bytes": {"b64": "YQ=="},
}


@pytest.fixture(scope="module")
def environment(workspace: Settings, needs: Callable[..., Ready]) -> Ready:
    return needs("tensorflow-serving")


@pytest.fixture(scope="module")
def kinds(environment: Ready, serving: Serving) -> Iterator[Running]:
    model = Model(Kinds(), name="kinds").submit_artifact()
    assert model.id is not None
    with serving(model.id, "kinds", runtime=RUNTIME) as made:
        yield made


@pytest.fixture(scope="module")
def examples(environment: Ready, serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = of_examples(tmp_path_factory.mktemp("examples") / "7")
    model = Model(artifact_uri=folder.parent, name="examples").submit_artifact()
    assert model.id is not None
    with serving(model.id, "examples", runtime=RUNTIME) as made:
        yield made


def post(running: Running, path: str, body: object, status: int = 200) -> dict[str, object]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = httpx.post(f"{running.endpoint.url}/v1/models/{path}", content=content, headers=JSON_HEADER, timeout=60)
    assert answer.status_code == status, answer.text
    found: dict[str, object] = answer.json()
    return found


def stubs(environment: Ready, running: Running, *calls: dict[str, object]) -> list[object]:
    done = subprocess.run(
        [environment.python, str(Path(__file__).with_name("tf_client.py")), running.endpoint.grpc_url],
        input=json.dumps(calls) + "\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[object] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_an_endpoint_is_given_and_gives_arrays_of_every_type(kinds: Running) -> None:
    answer = kinds.endpoint.predict(KINDS)
    assert isinstance(answer, dict)
    np.testing.assert_array_equal(answer["inverted"], 255 - KINDS["pixels"])
    np.testing.assert_array_equal(answer["flipped"], ~KINDS["flag"])
    np.testing.assert_array_equal(answer["negative"], -KINDS["whole"])
    np.testing.assert_array_equal(answer["half"], KINDS["fine"] / 2)
    np.testing.assert_array_equal(answer["size"], [10, 4])


def test_rows_columns_and_bytes(kinds: Running) -> None:
    assert post(kinds, "kinds:predict", {"instances": [ROW, ROW]}) == {"predictions": [ANSWER, ANSWER]}
    columns = {name: [value] for name, value in ROW.items()}
    answer = {"outputs": {name: [value] for name, value in ANSWER.items()}}
    assert post(kinds, "kinds/versions/1:predict", {"inputs": columns}) == answer
    image = base64.b64encode(b"\xff\x00\xfe").decode()
    found = post(kinds, "kinds:predict", {"instances": [{**ROW, "image_bytes": {"b64": image}}]})
    assert found["predictions"] == [{**ANSWER, "size": 3, "copy_bytes": {"b64": image}}]
    by_name = {"signature_name": "total", "instances": [[1, 2], [0.25, 0.5]]}
    assert post(kinds, "kinds:predict", by_name) == {"predictions": [3.0, 0.75]}
    assert post(kinds, "kinds:predict", {"signature_name": "total", "inputs": {"x": [[1, 2]]}}) == {"outputs": [3.0]}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "JSON Parse error: The document is empty"),
        (b"[1]", 400, "Is not object"),
        (b"{", 400, "JSON Parse error"),
        ({}, 400, "Missing 'inputs' or 'instances' key"),
        ({"instances": [ROW], "inputs": {}}, 400, "expecting only one of 'inputs' or 'instances'"),
        ({"instances": []}, 400, "No values in 'instances' array"),
        ({"instances": [[1]]}, 400, "instances is a plain list, but expecting list of objects"),
        ({"inputs": [1]}, 400, "inputs is a plain value/list, but expecting an object"),
        ({"inputs": {"flag": [True]}}, 400, "Missing named input: "),
        ({"instances": [{"flag": True}]}, 400, "keys must be equal to: fine,flag,image_bytes,pixels,whole"),
        ({"instances": [{**ROW, "more": 1}]}, 400, "does not have named input: more"),
        ({"instances": [{**ROW, "flag": 1}]}, 400, "JSON Value: 1 Type: Number is not of expected type: bool"),
        ({"instances": [{**ROW, "whole": [1.5, 2]}]}, 400, "is not of expected type: int64"),
        ({"instances": [{**ROW, "pixels": [[256, 0], [0, 0]]}]}, 400, "is not of expected type: uint8"),
        ({"instances": [ROW, {**ROW, "whole": [1]}]}, 400, "Expecting tensor size: 2 but got: 1"),
        ({"signature_name": "none", "instances": [1]}, 400, 'Serving signature name: "none" not found'),
        ({"signature_name": 1, "instances": [1]}, 400, "'signature_name' key must be a string value"),
        ({"signature_name": "total", "instances": [[16777217, 0]]}, 400, "without loss of precision"),
        ({"signature_name": "total", "instances": [[1, 2, 3]]}, 400, "Matrix size-incompatible: In[0]: [1,3]"),
    ],
)
def test_what_does_not_fit_is_told_as_tensorflow_serving_does(
    kinds: Running, body: object, status: int, said: str
) -> None:
    assert said in str(post(kinds, "kinds:predict", body, status)["error"])


def test_status_and_metadata(kinds: Running) -> None:
    def get(path: str, status: int = 200) -> dict[str, object]:
        answer = httpx.get(f"{kinds.endpoint.url}/v1/models{path}", timeout=30)
        assert answer.status_code == status, answer.text
        found: dict[str, object] = answer.json()
        return found

    available = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert get("/kinds") == get("/kinds/versions/1") == {"model_version_status": [available]}
    told = json.dumps(get("/kinds/metadata"))
    assert '"method_name": "tensorflow/serving/predict"' in told
    assert '"dtype": "DT_UINT8"' in told
    assert get("/none", 404) == {"error": "Could not find any versions of model none"}
    assert get("/kinds/versions/2", 404) == {"error": "Could not find version 2 of model kinds"}
    assert get("", 400) == {"error": "Missing model name in request."}
    assert get("/kinds/more", 400) == {"error": "Malformed request: GET /v1/models/kinds/more"}
    missing = post(kinds, "none:predict", {"instances": [1]}, 404)
    assert missing == {"error": "Servable not found for request: Latest(none)"}
    older = post(kinds, "kinds/versions/3:predict", {"instances": [1]}, 404)
    assert older == {"error": "Servable not found for request: Specific(kinds, 3)"}


def test_stubs_of_tensorflow_serving_api(environment: Ready, kinds: Running) -> None:
    inputs = {name: [array.dtype.name, array.tolist()] for name, array in KINDS.items() if name != "image_bytes"}
    sent = {**inputs, "image_bytes": ["str", ["abc", "de"]]}
    x = {"x": ["float32", [[1, 2]]]}
    answers = stubs(
        environment,
        kinds,
        {"method": "predict", "name": "kinds", "inputs": sent},
        {"method": "predict", "name": "kinds", "signature": "total", "inputs": x},
        {"method": "predict", "name": "kinds", "inputs": sent, "outputs": ["size"]},
        {"method": "predict", "name": "none", "inputs": x},
        {"method": "predict", "inputs": x},
        {"method": "predict", "name": "kinds", "signature": "none", "inputs": x},
        {"method": "predict", "name": "kinds", "inputs": x},
        {"method": "predict", "name": "kinds", "signature": "total", "inputs": {"y": x["x"]}},
        {"method": "predict", "name": "kinds", "signature": "total", "inputs": {"x": ["float64", [[1, 2]]]}},
        {"method": "predict", "name": "kinds", "signature": "total", "inputs": x, "outputs": ["none"]},
        {"method": "status", "name": "kinds"},
        {"method": "status", "name": "none"},
        {"method": "metadata", "name": "kinds", "fields": ["signature_def"]},
        {"method": "metadata", "name": "kinds", "fields": []},
        {"method": "classify", "name": "kinds", "examples": [[1, 2]]},
        {"method": "reload"},
    )
    predicted, total, one, *others = answers
    assert isinstance(predicted, dict)
    assert isinstance(total, dict)
    assert isinstance(one, dict)
    outputs = {name: (dtype, values) for name, (dtype, values) in predicted["outputs"].items()}
    assert outputs["inverted"] == ("uint8", (255 - KINDS["pixels"]).astype(str).tolist())
    assert outputs["negative"] == ("int64", (-KINDS["whole"]).astype(str).tolist())
    assert outputs["half"] == ("float64", (KINDS["fine"] / 2).astype(str).tolist())
    assert outputs["size"] == ("int32", ["3", "2"])
    assert (predicted["version"], predicted["by"]) == (1, "serving_default")
    assert (total["outputs"], total["by"]) == ({"output_0": ["float32", ["3.0"]]}, "total")
    assert list(one["outputs"]) == ["size"]
    missing = "input size does not match signature: 1!=5 len({x}) != len({fine,flag,image_bytes,pixels,whole})."
    for answer, code, details in zip(
        others,
        ("NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION", *["INVALID_ARGUMENT"] * 4),
        (
            "Servable not found for request: Latest(none)",
            "ModelSpec has no name specified.",
            'Serving signature key "none" not found.',
            missing,
            "input tensor alias not found in signature: y.",
            "Expects arg[0] to be float but double is provided",
            "output tensor alias not found in signature: none",
        ),
        strict=False,
    ):
        assert isinstance(answer, dict)
        assert answer["code"] == code
        assert answer["details"].startswith(details)
    available, unknown, signatures, nothing, classified, reloaded = others[7:]
    assert available == [[1, "AVAILABLE"]]
    assert unknown == {"code": "NOT_FOUND", "details": "Could not find any versions of model none"}
    assert isinstance(signatures, dict)
    assert signatures["total"] == ["x"]
    assert "GetModelMetadataRequest must specify at least one metadata_field" in str(nothing)
    assert "Expected classification signature method_name" in str(classified)
    assert "UNIMPLEMENTED" in str(reloaded)


def test_examples_are_classified_and_regressed(environment: Ready, examples: Running) -> None:
    rows = [{"x": [0.0, 0.0]}, {"x": [1.5, -1.5]}]
    share = float(np.exp(1.5) / (np.exp(1.5) + np.exp(-1.5)))
    results = post(examples, "examples:classify", {"signature_name": "classify", "examples": rows})["results"]
    assert isinstance(results, list)
    first, second = results
    assert first == [["left", 0.5], ["right", 0.5]]
    assert [label for label, _ in second] == ["left", "right"]
    assert [score for _, score in second] == pytest.approx([share, 1 - share], abs=1e-6)
    sent = {"signature_name": "regress", "examples": [{}, {"x": [1.5, 2.0]}], "context": {"x": [3.0, 4.0]}}
    assert post(examples, "examples/versions/7:regress", sent) == {"results": [7.0, 3.5]}
    wrong = post(examples, "examples:classify", {"signature_name": "regress", "examples": rows}, 400)
    assert "Expected classification signature method_name to be tensorflow/serving/classify" in str(wrong["error"])
    none = post(examples, "examples:regress", {"signature_name": "regress"}, 400)
    assert "key 'examples' is expected" in str(none["error"])
    classified, regressed = stubs(
        environment,
        examples,
        {"method": "classify", "name": "examples", "signature": "classify", "examples": [[0, 0]]},
        {"method": "regress", "name": "examples", "signature": "regress", "examples": [[1, 2], [3, 4]]},
    )
    assert classified == [[["left", 0.5], ["right", 0.5]]]
    assert regressed == [3.0, 7.0]


def test_it_listens_on_unix_sockets_of_this_user_alone(kinds: Running) -> None:
    assert kinds.ports() == set()
    sockets = kinds.unix_sockets()
    assert len(sockets) >= 2
    assert all(path.parent.stat().st_mode & 0o077 == 0 for path in sockets if path.exists())


def test_it_pauses_resumes_and_leaves_no_orphan(kinds: Running) -> None:
    kinds.endpoint.pause()
    kinds.endpoint.resume()
    kinds.endpoint.wait(300)
    assert post(kinds, "kinds:predict", {"instances": [ROW]}) == {"predictions": [ANSWER]}
    started = kinds.processes()
    kinds.supervisor().kill()
    check_gone(started)
    kinds.endpoint.wait(300)  # whoever looks first starts the next one
    assert post(kinds, "kinds:predict", {"instances": [ROW]}) == {"predictions": [ANSWER]}


def test_a_keras_file_is_refused_with_the_way_out(environment: Ready, tmp_path: Path) -> None:
    two_heads().save(tmp_path / "heads.keras")
    model = Model(artifact_uri=tmp_path / "heads.keras", name="file").submit_artifact()
    made = run(make_plan(ServeRequest(model_id=model.id, runtime=RUNTIME), session.engine(), session.metadata()))
    [told] = [one for one in made.checks if one.code == "ModelFile"]
    assert told.message.startswith("TensorFlow Serving loads SavedModels, and the snapshot holds heads.keras")
    assert "keras.models.load_model" in told.hint


def test_a_truncated_snapshot_is_told(environment: Ready, serving: Serving, workspace: Settings) -> None:
    model = Model(Kinds(), name="broken").submit_artifact()
    assert model.uri is not None
    folder = Path(model.uri.removeprefix("file://"))
    for file in (folder / "1").glob("saved_model.pb"):
        file.parent.chmod(0o755)
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:100])
    assert model.id is not None
    with (
        pytest.raises((KaleServeError, PlanError), match=r"saved_model\.pb is truncated"),
        serving(model.id, "broken", runtime=RUNTIME),
    ):
        pass
