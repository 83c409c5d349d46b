"""Where KServe's own servers would answer otherwise than the model did: what is told of them, case by case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import Runtime
from kale_serve_ext.entities import MODEL, Artifact, Environment
from kale_serve_ext.ml import JSON, Column, Signature
from kale_serve_ext.serving.differences import cannot_answer, differences_of

STOCK = {
    name: Runtime(f"kserve-{server}", server, (name,), ("v1", "v2"))
    for name, server in (("sklearn", "sklearnserver"), ("xgboost", "xgbserver"), ("lightgbm", "lgbserver"))
}
OWN = Runtime("kale-serve-ext", "ours", ("custom", "sklearn", "xgboost", "lightgbm"), ("v1", "v2"))
LOCAL = replace(STOCK["xgboost"], python="/usr/bin/python3")
MLSERVER = Runtime("kserve-mlserver", "MLServer", ("sklearn", "xgboost", "lightgbm"), ("v2",))
REGRESSOR, CLASSIFIER = ("predict",), ("predict", "predict_proba")
PROBABILITIES = "It answers probabilities instead of classes."


def model(
    format_: str,
    *columns: Column,
    methods: tuple[str, ...] = REGRESSOR,
    kind: str = "",
    output: str = "float64",
    outputs: int = 1,
    packages: Mapping[str, str] | None = None,
    **details: JSON,
) -> Artifact:
    size: list[str | int] = ["batch_size", outputs] if outputs > 1 else ["batch_size"]
    return Artifact(
        MODEL,
        "m",
        format=format_,
        signature=Signature(["batch_size", 2], size, output_dtype=output, columns=columns, input_kind=kind),
        environment=Environment(packages=packages or {"scikit-learn": "1.9.1", "numpy": "2.3"}),
        details={"methods": list(methods), **details},
    )


NUMBERS = (Column("a", "float64"), Column("b", "int64"))
COLOURS = Column("colour", "category", ("red", "blue"), "object")


@pytest.mark.parametrize(
    ("artifact", "method"),
    [
        (model("sklearn"), "predict"),
        (model("sklearn", *NUMBERS, kind="pandas"), "predict"),
        (model("sklearn", *NUMBERS, methods=CLASSIFIER, output="int64"), "predict"),
        (model("sklearn", *NUMBERS, methods=CLASSIFIER, output="object"), "predict_proba"),
        (model("sklearn", Column("flag", "bool"), Column("x", "uint8")), "predict"),
        (model("sklearn", kind="texts", output="int64"), "predict"),
        (model("sklearn", outputs=2), "predict"),
        (model("xgboost"), "predict"),
        (model("xgboost", methods=CLASSIFIER, parameters={"objective": "multi:softmax"}), "predict"),
        (model("lightgbm"), "predict"),
        (model("lightgbm", Column("sepal_length"), kind="pandas"), "predict"),
        (model("lightgbm", *NUMBERS, packages={"lightgbm": "4.7.0", "cloudpickle": "3"}), "predict"),
    ],
)
def test_of_plain_numbers_nothing_is_told(artifact: Artifact, method: str) -> None:
    assert differences_of(artifact, STOCK[artifact.format], method) == ()


@pytest.mark.parametrize(
    ("artifact", "method", "told"),
    [
        (model("xgboost", methods=CLASSIFIER), "predict", PROBABILITIES),
        (model("lightgbm", methods=CLASSIFIER), "predict", PROBABILITIES),
        (model("xgboost", estimator="xgboost.sklearn.XGBRFClassifier"), "predict", PROBABILITIES),
        (
            model("xgboost", parameters={"missing": -999.0}),
            "predict",
            "It treats -999 as a number; to the model it is a missing value.",
        ),
        (model("xgboost", *NUMBERS), "predict", "It refuses rows without the names of their columns."),
        (
            model("lightgbm", Column("sepal length"), Column("b")),
            "predict",
            "It finds no values for columns that had spaces in their names (sepal length), and answers.",
        ),
        (
            # Nobody has shown the table: LightGBM writes spaces as underscores.
            model("lightgbm", Column("sepal_length"), Column("b")),
            "predict",
            "It finds no values for columns that had spaces in their names (sepal_length), and answers.",
        ),
        (model("sklearn", COLOURS), "predict", "Categories (colour) become plain texts and numbers."),
        (
            model("lightgbm", COLOURS),
            "predict",
            "Categories (colour) become texts, which it refuses, or numbers, which it takes for codes.",
        ),
        (
            model("sklearn", *(Column(f"d{i}", "datetime64[ns, UTC]") for i in range(5))),
            "predict",
            "Dates, times and other objects (d0, d1, d2 and 2 more) become texts.",
        ),
        (
            model("sklearn", Column("price", "object", values="decimal")),
            "predict",
            "Dates, times and other objects (price) become texts.",
        ),
        (
            model("sklearn", Column("n", "Int64", missing="na"), Column("ok", "boolean")),
            "predict",
            "Nullable columns (n, ok) become numpy's, without pd.NA.",
        ),
        (
            model("sklearn", Column("city", "object"), Column("x")),
            "predict",
            "Numbers beside texts (city) become texts in rows that are lists.",
        ),
        (
            model("sklearn", Column("x", missing="nan")),
            "predict",
            "A missing value (x) becomes None where no number stands beside it in its column.",
        ),
        (
            model("sklearn", methods=CLASSIFIER, output="object"),
            "predict",
            "It may fail to answer texts, such as the names of classes, by v2 and gRPC.",
        ),
        (
            model("sklearn", methods=CLASSIFIER, outputs=2),
            "predict_proba",
            "It has no form for the probabilities of several outputs.",
        ),
        (
            model("sklearn", own_code=["tools"]),
            "predict",
            "It cannot load the model, which needs your own code (tools).",
        ),
        (
            model("sklearn", packages={"scikit-learn": "1", "xgboost-cpu": "3", "cloudpickle": "3"}),
            "predict",
            "It cannot load the model, which needs cloudpickle, xgboost-cpu: KServe's image has scikit-learn alone.",
        ),
        (
            model("sklearn", sklearn_config={"transform_output": "pandas"}),
            "predict",
            "It leaves scikit-learn's global settings as they are by default (transform_output).",
        ),
        (
            model("sklearn", kind="sparse"),
            "predict",
            "It makes arrays of what was sparse, with zeros for what was absent.",
        ),
        (
            model("sklearn", Column("a", "Float64"), kind="polars"),
            "predict",
            "It makes a data frame of pandas, where the model was given one of polars.",
        ),
        (
            model("sklearn", kind="objects"),
            "predict",
            "It makes a table of objects, where the model takes the objects themselves.",
        ),
    ],
)
def test_what_changes_is_told_with_its_reason(artifact: Artifact, method: str, told: str) -> None:
    assert differences_of(artifact, STOCK[artifact.format], method) == (told,)


@pytest.mark.parametrize("runtime", [OWN, LOCAL])
def test_this_package_s_server_answers_as_the_model_did(runtime: Runtime) -> None:
    assert differences_of(model("xgboost", COLOURS, methods=CLASSIFIER), runtime) == ()


def test_of_models_without_a_record_nothing_is_known() -> None:
    logged_before = replace(model("xgboost"), details={"estimator": "XGBClassifier"})
    assert differences_of(logged_before, STOCK["xgboost"]) == ()


def test_a_file_that_only_this_package_s_server_reads_is_told() -> None:
    registered = replace(model("xgboost"), details={"file_kind": "pickle"})
    told = ("It cannot load the model, whose file is of another kind (pickle).",)
    assert differences_of(registered, STOCK["xgboost"]) == told
    assert differences_of(registered, OWN) == ()


def test_of_mlserver_plain_numbers_are_known() -> None:
    assert differences_of(model("sklearn", *NUMBERS, kind="pandas"), MLSERVER) == ()
    rules = ("MLServer loads and asks models by rules of its own, which are known for plain numbers only.",)
    assert differences_of(model("sklearn", kind="texts"), MLSERVER) == rules
    assert differences_of(model("xgboost", methods=CLASSIFIER), MLSERVER) == rules


@pytest.mark.parametrize(
    ("runtime", "format_", "method", "verify", "why"),
    [
        (STOCK["sklearn"], "sklearn", "predict_proba", "", ""),
        (
            STOCK["sklearn"],
            "sklearn",
            "transform",
            "",
            "answers predict or predict_proba only, and transform was asked for",
        ),
        (
            STOCK["xgboost"],
            "xgboost",
            "predict_proba",
            "",
            "has no choice of methods, and predict_proba was asked for",
        ),
        (MLSERVER, "sklearn", "predict_proba", "", "has no choice of methods, and predict_proba was asked for"),
        (STOCK["sklearn"], "sklearn", "predict", "off", ""),
        (
            STOCK["sklearn"],
            "sklearn",
            "predict",
            "require",
            "does not compare recorded rows before it takes requests",
        ),
        (OWN, "xgboost", "predict_proba", "require", ""),
        (LOCAL, "xgboost", "predict_proba", "require", ""),
        (Runtime("kserve-paddleserver", "PaddlePaddle", ("paddle",), ()), "paddle", "", "", ""),
    ],
)
def test_what_a_runtime_cannot_do_is_told(runtime: Runtime, format_: str, method: str, verify: str, why: str) -> None:
    assert cannot_answer(runtime, format_, method, verify) == why
