"""Triton's model repository for a snapshot, and what the plan and a log tell, by table."""

from __future__ import annotations

import pytest

from kale_serve_ext.engines.local.interpreters import Interpreter
from kale_serve_ext.engines.local.servers.layout import Snapshot
from kale_serve_ext.engines.local.servers.triton import checks, layout, reason
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.formats.tensors import ANY_SHAPE
from kale_serve_ext.ml import Signature, TensorSpec

SIGNATURE = Signature(
    input_dtype="",
    inputs=(TensorSpec("x", "float32", ("rows", 3)), TensorSpec('a "b"', "str", (-1,))),
    outputs=(TensorSpec("total", "float64", ()),),
)
CONFIG = """\
backend: "onnxruntime"
platform: "onnxruntime_onnx"
max_batch_size: 0
input { name: "x" data_type: TYPE_FP32 dims: [-1, 3] }
input { name: "a \\"b\\"" data_type: TYPE_STRING dims: [-1] }
output { name: "total" data_type: TYPE_FP64 dims: [1] }
instance_group { kind: KIND_CPU count: 1 }
"""
DOUBLE = 'name: "double"\nbackend: "python"\ninstance_group { count: 2 }\n'
BOTH = 'name: "both"  # first one, then the other\nplatform: "ensemble"\n'


def test_an_onnx_model_with_its_weights_beside_it() -> None:
    made = layout(Snapshot("iris", "onnx", ("linear.onnx", "weights/linear.bin"), SIGNATURE))
    assert made.links == {"iris/1/model.onnx": "linear.onnx", "iris/1/weights/linear.bin": "weights/linear.bin"}
    assert made.files == {"iris/config.pbtxt": CONFIG}


LINKS = [
    ("pytorch", ("model.pt",), {"m/1/model.pt": "model.pt"}),
    ("pytorch", ("model.pt2", "notes.txt"), {"m/1/model.pt": "model.pt2"}),
    ("tensorflow", ("saved_model.pb", "variables/variables.index"), {"m/1/model.savedmodel": ""}),
    (
        "tensorflow",
        ("1/saved_model.pb", "3/saved_model.pb", "3/variables/variables.index"),
        {"m/1/model.savedmodel": "1", "m/3/model.savedmodel": "3"},
    ),
    ("tensorflow", ("export/saved_model.pb",), {"m/1/model.savedmodel": "export"}),
]


@pytest.mark.parametrize(("kind", "files", "links"), LINKS)
def test_where_models_stand(kind: str, files: tuple[str, ...], links: dict[str, str]) -> None:
    assert layout(Snapshot("m", kind, files)).links == links


REFUSED = [
    (Snapshot("m", "function", ("function.py",)), "what the function returns"),
    (Snapshot("m", "function", ("function.py",), SIGNATURE, in_cluster=True), "no backend for Python functions"),
    (Snapshot("m", "onnx", ("model.pb",)), "no file at its top ends in .onnx"),
    (Snapshot("m", "pytorch", ("model.mar",)), "no file at its top ends in .pt"),
    (Snapshot("m", "tensorflow", ("model.keras",)), "no saved_model.pb"),
    (
        Snapshot("m", "pytorch", ("model.pt",), Signature(inputs=(TensorSpec("x", "float32", ANY_SHAPE),))),
        "how many dimensions 'x' has",
    ),
    (
        Snapshot("m", "pytorch", ("model.pt",), Signature(inputs=(TensorSpec("x", "bfloat16", (1,)),))),
        "'x' is bfloat16",
    ),
    (Snapshot("m", "triton", ("readme.txt",)), "no model in the repository"),
    (Snapshot("m", "triton", ("a/1/model.onnx", "b/1/model.onnx")), "several models .a, b."),
    (Snapshot("m", "triton", ("a/config.pbtxt",), None, {"a/config.pbtxt": "name: }"}), "a/config.pbtxt, line 1"),
]


@pytest.mark.parametrize(("snapshot", "words"), REFUSED, ids=[each[1] for each in REFUSED])
def test_what_is_refused(snapshot: Snapshot, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        layout(snapshot)


def test_the_only_model_of_a_repository_gets_the_services_name() -> None:
    made = layout(
        Snapshot("m", "triton", ("double/1/model.py", "double/config.pbtxt"), None, {"double/config.pbtxt": DOUBLE})
    )
    assert made.links == {"m/1/model.py": "double/1/model.py"}
    assert made.files == {"m/config.pbtxt": '\nbackend: "python"\ninstance_group { count: 2 }\n'}
    bare = layout(Snapshot("m", "triton", ("1/model.onnx", "2/model.onnx")))
    assert bare.links == {"m/1/model.onnx": "1/model.onnx", "m/2/model.onnx": "2/model.onnx"}
    assert bare.files == {"m/config.pbtxt": "instance_group { kind: KIND_CPU count: 1 }\n"}


def test_of_several_models_the_one_of_the_services_name_answers_else_the_ensemble() -> None:
    texts = {"double/config.pbtxt": DOUBLE, "both/config.pbtxt": BOTH}
    files = ("both/config.pbtxt", "double/1/model.py", "double/config.pbtxt")
    assert set(layout(Snapshot("double", "triton", files, None, texts)).files) == {
        *("double/config.pbtxt", "both/config.pbtxt", "both/1/.ensemble")
    }
    renamed = layout(Snapshot("m", "triton", files, None, texts))
    assert renamed.files["m/config.pbtxt"] == '  # first one, then the other\nplatform: "ensemble"\n'
    assert renamed.links == {"double/1/model.py": "double/1/model.py"}


def python(library: str = "/lib/libpython3.11.so.1.0", **packages: str) -> Interpreter:
    return Interpreter("/usr/bin/python3", "3.11.7", packages, library)


def repository(**backends: str) -> Artifact:
    return Artifact(MODEL, "m", format="triton", details={"models": dict(backends)})


CHECKS = [
    (Artifact(MODEL, "m", format="onnx"), python(numpy="2.4.0"), []),
    (Artifact(MODEL, "m", format="onnx"), python(""), ["LibraryMissing"]),
    (Artifact(MODEL, "m", format="onnx", signature=SIGNATURE), python(numpy="2.4.0"), ["NumpyTooNew"]),
    (Artifact(MODEL, "m", format="onnx", signature=SIGNATURE), python(numpy="1.26.4"), []),
    (repository(a="onnxruntime", b="ensemble"), python(), ["PackageMissing"]),
    (repository(a="tensorrt"), python(), ["BackendMissing"]),
    (repository(a="tensorflow", b="python"), python(numpy="2.4.0", **{"tensorflow-cpu": "2.21"}), []),
]


@pytest.mark.parametrize(("artifact", "interpreter", "codes"), CHECKS)
def test_what_the_plan_tells(artifact: Artifact, interpreter: Interpreter, codes: list[str]) -> None:
    assert [one.code for one in checks(artifact, interpreter)] == codes


LOGS = [
    (
        "E1128 09:07:14.461224 24077 model_lifecycle.cc:642] \"failed to load 'bad' version 1: Internal: "
        "ModuleNotFoundError: No module named 'x'\\n\\nAt:\\n  model.py(1): <module>\\n\"\n+---+\n"
        "error: creating server: Internal - failed to load all models",
        "Internal: ModuleNotFoundError: No module named 'x'",
    ),
    (
        "E1128 08:42:25.926435 32711 model_lifecycle.cc:642] \"failed to load 'd' version 1: Invalid argument: model "
        "input 'k' cannot have empty reshape\"\nerror: creating server: Internal - failed to load all models",
        "Invalid argument: model input 'k' cannot have empty reshape",
    ),
    ("/p/python has no shared library (libpython3.11.so.1.0), which Triton loads.", "/p/python has no shared library"),
    ("error: creating server: Internal - failed to load all models", "error: creating server"),
    ("I1128 all is well", ""),
]


@pytest.mark.parametrize(("log", "told"), LOGS)
def test_the_reason_that_a_log_tells(log: str, told: str) -> None:
    assert reason(log).startswith(told)
    assert bool(reason(log)) == bool(told)
