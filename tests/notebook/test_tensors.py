"""Models of named tensors: the same arrays in and out by every protocol, from services that really run."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.entities import Artifact
from kale_serve_ext.errors import InvalidInputError, MetadataUnavailableError, PredictionError
from kale_serve_ext.ml import Signature, TensorSpec
from kale_serve_ext.serving import describing
from kale_serve_ext.serving.described import Described, of_metadata
from kale_serve_ext.serving.predict import predict, tensors_of
from kale_serve_ext.sync import run

PROTOCOLS = ["v1", "v2", "v2-binary", "grpc-v2"]

SCORING = dedent(
    """
    import kserve
    import numpy as np


    class Scoring(kserve.Model):
        \"\"\"Takes a matrix and texts; gives scores and the texts in capitals.\"\"\"

        def load(self):
            self.ready = True
            return True

        def get_input_types(self):
            print("asked for its inputs", flush=True)
            return [
                {"name": "matrix", "datatype": "FP32", "shape": [-1, 3]},
                {"name": "texts", "datatype": "BYTES", "shape": [-1]},
            ]

        def get_output_types(self):
            return [
                {"name": "scores", "datatype": "FP32", "shape": [-1]},
                {"name": "shouted", "datatype": "BYTES", "shape": [-1]},
            ]

        def predict(self, payload, headers=None):
            if isinstance(payload, dict):
                rows = payload["instances"]
                matrix = np.array([row["matrix"] for row in rows], dtype=np.float32)
                texts = [row["texts"] for row in rows]
            else:
                given = {one.name: one for one in payload.inputs}
                assert [one.datatype for one in payload.inputs] == ["FP32", "BYTES"]
                matrix = given["matrix"].as_numpy()
                texts = [t.decode() if isinstance(t, bytes) else t for t in given["texts"].as_numpy().ravel()]
            assert matrix.dtype == np.float32 and matrix.shape == (len(texts), 3)
            scores = matrix.sum(axis=1)
            shouted = [text.upper() for text in texts]
            if isinstance(payload, dict):
                return {"predictions": [{"scores": float(s), "shouted": t} for s, t in zip(scores, shouted)]}
            outputs = [
                kserve.InferOutput("scores", [len(texts)], "FP32"),
                kserve.InferOutput("shouted", [len(texts)], "BYTES"),
            ]
            outputs[0].set_data_from_numpy(scores, binary_data=bool(payload.use_binary_outputs))
            outputs[1].set_data_from_numpy(
                np.array(shouted, dtype=object), binary_data=bool(payload.use_binary_outputs)
            )
            return kserve.InferResponse(
                "id", self.name, outputs, use_binary_outputs=bool(payload.use_binary_outputs)
            )
    """
)

ECHO = dedent(
    """
    import kserve
    import numpy as np
    from kserve.utils.numpy_codec import from_np_dtype


    class Echo(kserve.Model):
        \"\"\"Gives back what it takes by v2, and as lists what it takes by v1.\"\"\"

        def load(self):
            self.ready = True
            return True

        def predict(self, payload, headers=None):
            if isinstance(payload, dict):
                return {"predictions": payload["instances"]}
            binary = bool(payload.use_binary_outputs)
            outputs = []
            for one in payload.inputs:
                values = one.as_numpy()
                output = kserve.InferOutput("of_" + one.name, list(values.shape), one.datatype)
                output.set_data_from_numpy(values, binary_data=binary)
                outputs.append(output)
            return kserve.InferResponse("id", self.name, outputs, use_binary_outputs=binary)
    """
)

Serve = Callable[..., Endpoint]


@pytest.fixture(scope="module")
def served(workspace: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves code under a name, logged with what else is given."""
    made: list[Endpoint] = []

    def start(code: str, name: str, protocol: str = "v1", **fields: object) -> Endpoint:
        folder = tmp_path_factory.mktemp("code")
        (folder / "model.py").write_text(code)
        model = Model(artifact_uri=folder, name=name, **fields).submit_artifact()  # type: ignore[arg-type]
        made.append(serve(model, name=name, protocol=protocol))
        return made[-1]

    yield start
    for endpoint in made:
        endpoint.delete()


@pytest.fixture(scope="module")
def scoring(served: Serve) -> Endpoint:
    """A model without a record of its inputs, whose server tells them."""
    return served(SCORING, "scoring")


@pytest.fixture(scope="module")
def pictures(served: Serve) -> Endpoint:
    """A model that was logged with an array of images."""
    return served(ECHO, "pictures", example={"image": np.zeros((4, 2, 3, 3), dtype=np.uint8)})


MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
TEXTS = ["eins", "zwölf"]


@pytest.mark.parametrize("protocol", [None, *PROTOCOLS])
def test_two_inputs_and_two_outputs(scoring: Endpoint, protocol: str | None) -> None:
    answer = scoring.predict({"matrix": MATRIX, "texts": TEXTS}, protocol=protocol)

    assert isinstance(answer, dict)
    assert list(answer) == ["scores", "shouted"]
    assert answer["scores"].dtype == np.float32
    assert answer["scores"].tolist() == [3.0, 12.0]
    assert answer["shouted"].tolist() == ["EINS", "ZWÖLF"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "data",
    [
        {"matrix": MATRIX.tolist(), "texts": np.array(TEXTS)},
        {"matrix": MATRIX.astype(np.float64), "texts": np.array(TEXTS, dtype=object)},
        {"texts": TEXTS, "matrix": MATRIX.astype(np.int64)},
        {"matrix": MATRIX[:, ::-1][:, ::-1], "texts": [t.encode() for t in TEXTS]},
        pd.DataFrame({"matrix": list(MATRIX), "texts": TEXTS}),
        pl.DataFrame({"matrix": MATRIX.tolist(), "texts": TEXTS}),
        [{"matrix": row.tolist(), "texts": text} for row, text in zip(MATRIX, TEXTS, strict=True)],
    ],
    ids=["lists", "float64", "int64", "bytes", "pandas", "polars", "rows"],
)
def test_every_kind_of_data_is_the_same_request(scoring: Endpoint, data: object, protocol: str) -> None:
    answer = scoring.predict(data, protocol=protocol)

    assert isinstance(answer, dict)
    assert answer["scores"].tolist() == [3.0, 12.0]
    assert answer["shouted"].tolist() == ["EINS", "ZWÖLF"]


def test_one_row_without_a_batch_is_answered_with_a_batch_of_one(scoring: Endpoint) -> None:
    answer = scoring.predict({"matrix": [1, 2, 3], "texts": "a"})

    assert isinstance(answer, dict)
    assert (answer["scores"].tolist(), answer["shouted"].tolist()) == ([6.0], ["A"])


def test_the_answer_is_the_same_for_asynchronous_code(scoring: Endpoint) -> None:
    async def ask() -> list[object]:
        return await asyncio.gather(*(scoring.predict_async({"matrix": MATRIX, "texts": TEXTS}) for _ in range(8)))

    answers = asyncio.run(ask())

    assert [a["scores"].tolist() for a in answers if isinstance(a, dict)] == [[3.0, 12.0]] * 8


@pytest.mark.parametrize(
    "request_",
    [
        {"instances": [{"matrix": [1, 2, 3], "texts": "a"}]},
        json.dumps({"instances": [{"matrix": [1, 2, 3], "texts": "a"}]}),
    ],
    ids=["dict", "text"],
)
def test_a_whole_request_is_sent_and_answered_as_it_is(scoring: Endpoint, request_: object) -> None:
    assert scoring.predict(request_) == {"predictions": [{"scores": 6.0, "shouted": "A"}]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"matrix": MATRIX}, r"input 'texts' is missing[\s\S]*texts str \[\?\]"),
        ({"matrix": MATRIX, "texts": TEXTS, "mask": [1]}, r"no input 'mask'[\s\S]*matrix float32 \[\?, 3\], texts str"),
        ({"matrix": MATRIX[:, :2], "texts": TEXTS}, r"'matrix' takes the shape \[\?, 3\], and was given \[2, 2\]"),
        ({"matrix": MATRIX[0], "texts": TEXTS}, r"'matrix' takes the shape \[\?, 3\], and was given \[3\]"),
        ({"matrix": MATRIX.astype(complex), "texts": TEXTS}, "'matrix' takes float32, and was given complex128"),
        ({"matrix": [["a", "b", "c"]], "texts": ["a"]}, "'matrix' takes float32, and was given texts"),
        ({"matrix": MATRIX, "texts": [1, 2]}, "'texts' takes texts, and was given values of type int"),
        ({"matrix": [[1, 2], [3]], "texts": TEXTS}, "'matrix' was given lists that make no array"),
        (MATRIX, "takes 2 inputs by name, and was given a numpy.ndarray"),
    ],
    ids=["missing", "unknown", "dimension", "rank", "complex", "texts", "numbers", "ragged", "unnamed"],
)
def test_what_does_not_fit_is_not_sent(scoring: Endpoint, data: object, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        scoring.predict(data)


def test_rows_of_different_number_are_refused_by_v1_alone(scoring: Endpoint) -> None:
    data = {"matrix": MATRIX, "texts": ["one"]}
    with pytest.raises(InvalidInputError, match=r"same number of them: matrix \[2, 3\], texts \[1\]"):
        scoring.predict(data)
    with pytest.raises(PredictionError, match="AssertionError"):  # the model's own word
        scoring.predict(data, protocol="v2")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_images_go_as_the_signature_says(pictures: Endpoint, protocol: str) -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.fromarray(pixels)

    one = pictures.predict(image, protocol=protocol)
    two = pictures.predict({"image": [image, image]}, protocol=protocol)

    assert isinstance(one, np.ndarray)
    assert isinstance(two, np.ndarray)
    assert (one == pixels[np.newaxis]).all()
    assert (two == np.stack([pixels, pixels])).all()
    if protocol != "v1":  # whose answer has no dtype, as the outputs are not recorded
        assert one.dtype == np.uint8


def test_an_image_of_another_size_is_told(pictures: Endpoint) -> None:
    with pytest.raises(InvalidInputError, match=r"is 5×7; the model takes 3×2[\s\S]*image.resize\(\(3, 2\)\)"):
        pictures.predict(Image.new("RGB", (5, 7)))


DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32"]


@pytest.fixture(scope="module")
def echo(served: Serve) -> Endpoint:
    """Takes a tensor of each dtype, of two dimensions, and gives them back."""
    inputs = [TensorSpec(name, name, ["rows", -1]) for name in (*DTYPES, "float64", "str")]
    return served(ECHO, "echo", signature=Signature(inputs=tuple(inputs), input_dtype=""))


@pytest.mark.parametrize("protocol", ["v2", "v2-binary", "grpc-v2"])
def test_every_dtype_comes_back_as_it_went(echo: Endpoint, protocol: str) -> None:
    data: dict[str, np.ndarray] = {}
    for name in (*DTYPES, "float64"):
        dtype = np.dtype(name)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            data[name] = np.array([[limits.min, limits.max], [0, 1]], dtype=dtype)
        else:
            data[name] = np.array([[0, 1], [1, 0.5]]).astype(dtype)
    data["str"] = np.array([["", "ä"], ["b\n", "c"]], dtype=object)

    answer = echo.predict(data, protocol=protocol)

    assert isinstance(answer, dict)
    for name, values in data.items():
        assert answer[f"of_{name}"].dtype == values.dtype, name
        assert answer[f"of_{name}"].tolist() == values.tolist(), name
        assert answer[f"of_{name}"].flags.writeable


@pytest.fixture(scope="module")
def blobs(served: Serve) -> Endpoint:
    """Gives back the bytes that it takes."""
    signature = Signature(inputs=(TensorSpec("blob", "bytes", [-1]),), input_dtype="")
    return served(ECHO, "blobs", signature=signature, protocol="v2")


@pytest.mark.parametrize("protocol", [None, "grpc-v2"])
def test_bytes_that_are_no_text_go_by_grpc(blobs: Endpoint, protocol: str | None) -> None:
    answer = blobs.predict({"blob": [b"\xff\x00", b"a"]}, protocol=protocol)

    assert isinstance(answer, np.ndarray)
    assert answer.tolist() == [b"\xff\x00", b"a"]


TAKEN = Described(
    (TensorSpec("matrix", "float32", [-1, 3]), TensorSpec("texts", "str", [-1])),
    (TensorSpec("scores", "float32", [-1]), TensorSpec("shouted", "str", [-1])),
)


def test_what_the_server_says_is_asked_for_once(scoring: Endpoint) -> None:
    endpoint = Endpoint("scoring")
    before = scoring.logs().count("asked for its inputs")

    for _ in range(3):
        endpoint.predict({"matrix": MATRIX, "texts": TEXTS})

    assert endpoint.logs().count("asked for its inputs") == before + 1


def test_the_server_says_the_same_by_grpc(scoring: Endpoint) -> None:
    async def ask() -> Described | None:
        route = await scoring._client.target()
        told, _ = await describing._by_grpc(route.connection, route.model, describing.PATIENCE)
        return of_metadata(told)

    assert run(ask()) == TAKEN


def test_the_panel_is_told_of_the_tensors(scoring: Endpoint, pictures: Endpoint) -> None:
    async def nothing(artifact: int) -> Artifact:
        raise MetadataUnavailableError("It is away.")

    async def another(artifact: int) -> Artifact:
        return replace(await session.metadata().artifact(artifact), name="of other metadata")

    recorded = session.metadata().artifact
    assert run(tensors_of(scoring._engine, "scoring", recorded)) == TAKEN
    assert run(tensors_of(pictures._engine, "pictures", recorded)).names == ["image"]
    for unknown in (nothing, another):
        assert run(tensors_of(pictures._engine, "pictures", unknown)) == Described(())
        assert run(tensors_of(scoring._engine, "scoring", unknown)) == TAKEN


def test_a_request_of_the_panel_is_copied_as_code_that_sends_it(scoring: Endpoint) -> None:
    raw = json.dumps({"instances": [{"matrix": [1, 2, 3], "texts": "it's"}]})

    told = run(predict(scoring._engine, "scoring", raw=raw))

    space: dict[str, object] = {}
    exec(told.python.replace("endpoint.predict(", "answer = endpoint.predict("), space)
    assert space["answer"] == json.loads(told.answer)
    if curl := shutil.which("curl"):
        answered = subprocess.run(["sh", "-c", told.command.replace("curl", curl, 1)], capture_output=True, check=True)
        assert answered.stdout.decode() == told.answer


def test_another_version_is_asked_by_its_own_names(served: Serve, tmp_path: Path) -> None:
    def signature(name: str) -> Signature:
        return Signature(inputs=(TensorSpec(name, "float32", [-1]),), input_dtype="")

    endpoint = served(ECHO, "renaming", signature=signature("before"))
    assert isinstance(endpoint.predict({"before": [1]}), np.ndarray)
    (tmp_path / "model.py").write_text(ECHO)
    newer = Model(artifact_uri=tmp_path, name="renaming", signature=signature("after")).submit_artifact()

    endpoint.update(newer)

    assert isinstance(endpoint.predict({"after": [1]}), np.ndarray)
    with pytest.raises(InvalidInputError, match=r"no input 'before'[\s\S]*after float32 \[\?\]"):
        endpoint.predict({"before": [1]})


def test_the_example_is_recorded(workspace: Settings, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(ECHO)
    model = Model(
        artifact_uri=tmp_path,
        name="recorded",
        example={"image": np.ones((5, 2, 2), dtype=np.float16), "label": ["a"] * 5},
        signature=Signature(outputs=(TensorSpec("mask", "bool", [-1, 2]),), input_dtype=""),
    ).submit_artifact()

    signature = run(session.metadata().artifact(model.id or 0)).signature

    assert signature
    assert [t.to_dict() for t in signature.inputs] == [
        {"name": "image", "dtype": "float16", "shape": [-1, 2, 2]},
        {"name": "label", "dtype": "str", "shape": [-1]},
    ]
    assert signature.outputs == (TensorSpec("mask", "bool", [-1, 2]),)
    assert signature.sample == {"image": [[[1.0, 1.0], [1.0, 1.0]]], "label": ["a"]}


@pytest.fixture(scope="module")
def wide(served: Serve) -> Endpoint:
    """Gives back the floats that it takes."""
    return served(ECHO, "wide", signature=Signature(inputs=(TensorSpec("x", "float32", [-1]),), input_dtype=""))


@pytest.mark.parametrize("protocol", ["v2", "v2-binary", "grpc-v2"])
def test_what_is_no_number_comes_back_as_it_went(wide: Endpoint, protocol: str) -> None:
    answer = wide.predict([float("nan"), float("inf"), -1.5], protocol=protocol)

    assert isinstance(answer, np.ndarray)
    assert repr(answer.tolist()) == "[nan, inf, -1.5]"
