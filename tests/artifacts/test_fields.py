"""What is refused before anything is touched: names, versions, tags, forms that mutually exclusive."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from kale_serve_ext import Dataset, Model, Signature, Transformer
from kale_serve_ext.errors import InvalidInputError, InvalidNameError, UnsupportedModelError


def keep(inputs: dict[str, object]) -> dict[str, object]:
    return inputs


BAD_NAMES = [
    "",
    " ",
    "x" * 201,
    "x" * 1_000_000,
    "a\nb",
    "a\0b",
    "\x1b[31m",
    "\u202egnp.exe",
    "\ud800",
    "/",
    "//",
    "a/",
    "/a",
    "a//b",
    "..",
    "a/../b",
    " a",
    "a ",
]
GOOD_NAMES = [
    "a",
    "x" * 200,
    "Größe – 模型 v2 😀",
    "team/model",
    "<b>bold</b>",
    "a.b:c@d",
    "it's",
    'say "hi"',
    "-",
    "1",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda n: repr(n[:12]))
@pytest.mark.parametrize("cls", [Model, Transformer, Dataset])
def test_bad_names_are_refused_at_once(cls: type[Model] | type[Transformer] | type[Dataset], name: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        cls(name=name)
    assert caught.value.field == "name"
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", GOOD_NAMES, ids=lambda n: repr(n[:12]))
def test_any_printable_text_is_a_name(name: str) -> None:
    assert Model(name=name).name == name


@pytest.mark.parametrize("version", [*BAD_NAMES, "1/2", "x" * 101], ids=lambda v: repr(v[:12]))
def test_bad_versions_are_refused_at_once(version: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        Model(version=version)
    assert caught.value.field == "version"


@pytest.mark.parametrize(
    "tags",
    [
        ["a"],
        {"a": 1},
        {1: "a"},
        {"": "a"},
        {"a:b": "c"},
        {"a\n": "b"},
        {"a": "b" * 300},
        {str(i): "" for i in range(101)},
    ],
    ids=lambda t: repr(t)[:20],
)
def test_tags_are_text_to_text(tags: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Model(tags=tags)  # type: ignore[arg-type]  # which is the point
    assert caught.value.field == "tags"


def test_texts_have_limits() -> None:
    Model(description="x" * 10_000, author="x" * 253)
    for field, value in (("description", "x" * 10_001), ("author", "x" * 254), ("author", "\ud800"), ("author", 1)):
        with pytest.raises(InvalidInputError) as caught:
            Model(**{field: value})  # type: ignore[arg-type]  # which is the point
        assert caught.value.field == field


def test_the_documented_forms_construct_and_touch_nothing() -> None:
    assert Model(None, model_type="sklearn").id is None
    assert Model(None, name="Regressor", signature=Signature(["batch_size", 64], ["batch_size", 1])).uri is None
    assert Transformer(name="Vectorizer", transformer_dir="...").name == "Vectorizer"
    assert Transformer("n", "dir", "module", "Class").class_name == "Class"
    assert Transformer(preprocess=keep, is_statefull=True).is_stateful
    assert Transformer(preprocess=keep, is_stateful=True).is_statefull
    assert Dataset(features=[[1]], targets=[1], features_test=[[2]], targets_test=[0], name="d").name == "d"
    positional = Model(None, "n", "d", "1", "a", None, {"k": "v"}, "sklearn", "path")
    assert (positional.name, positional.version, positional.artifact_uri) == ("n", "1", "path")


@pytest.mark.parametrize(
    "arguments",
    [
        {"transformer_dir": "x", "preprocess": keep},
        {"transformer_dir": "x", "postprocess": keep},
        {"module_name": "m", "class_name": "C", "preprocess": keep},
        {"transformer_dir": "x", "transformer_assets": {"a": 1}},
    ],
    ids=lambda a: "+".join(a),
)
def test_the_two_forms_of_a_transformer_exclude_each_other(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="mutually exclusive"):
        Transformer(**arguments)  # type: ignore[arg-type]  # of several types


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preprocess": 5}, "not a function"),
        ({"postprocess": "len"}, "not a function"),
        ({"preprocess": test_texts_have_limits}, "one argument"),
        ({"preprocess": keep, "transformer_assets": ["a"]}, "not a dict"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_functions_that_cannot_be_used_are_refused_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Transformer(**arguments)  # type: ignore[arg-type]  # which is the point


def test_other_arguments_are_checked_too() -> None:
    with pytest.raises(UnsupportedModelError, match="mxnet"):
        Model(None, model_type="mxnet")
    with pytest.raises(InvalidInputError, match="signature is a dict"):
        Model(None, signature={"input_size": [1]})  # type: ignore[arg-type]  # which is the point
    with pytest.raises(InvalidInputError, match="not been submitted"):
        Model(None, transformer=Transformer(preprocess=keep))
    with pytest.raises(InvalidInputError, match="requirements"):
        Model(None, requirements="torch")


@pytest.mark.parametrize("size", ["text", [1.5], [-2], 4, None, {"a": 1}])
def test_a_signature_has_dimensions(size: object) -> None:
    with pytest.raises(InvalidInputError, match="input_size"):
        Signature(size)  # type: ignore[arg-type]  # which is the point


def test_a_signature_survives_being_recorded() -> None:
    signature = Signature(
        input_size=["batch_size"] + [64],  # noqa: RUF005  # as the original's documentation writes it
        output_size=["batch_size"] + [1],  # noqa: RUF005
        input_dtype="float64",
        output_dtype="float32",
    )
    assert Signature.from_dict(signature.to_dict()) == signature
    assert Signature.from_dict({"input_size": "odd", "columns": [1, {"x": 2}], "new": 1}) == Signature(input_dtype="")


def test_html_shows_names_and_runs_nothing() -> None:
    shown = Model(name="<img src=x onerror=alert(1)>", version="<b>")._repr_html_()
    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt; &lt;b&gt;" in shown
    assert repr(Model(name="a", version="1")) == "Model(name='a 1', id='not submitted')"


def test_a_model_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(Model({"any": "object"}, name="n", tags={"a": "b"})))
    assert (again.name, again.model, again.tags) == ("n", {"any": "object"}, {"a": "b"})


def test_importing_and_constructing_load_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from kale.common import artifacts\n"
        "from kale.common.artifacts import Model\n"
        "artifacts.Transformer(name='Vectorizer', transformer_dir='...'); Model(None, model_type='sklearn')\n"
        "heavy = {'numpy', 'pandas', 'kserve', 'sklearn', 'xgboost', 'lightgbm', 'joblib', 'cloudpickle', 'grpc',"
        " 'google.protobuf', 'httpx', 'kubernetes'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
