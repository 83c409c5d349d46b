"""Which runtime fits, and why the others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import Check, Runtime, Setup
from kale_serve_ext.entities import MODEL, Artifact, Environment
from kale_serve_ext.serving.runtimes import (
    Asked,
    about_differences,
    about_model,
    about_runtime,
    choices,
    in_order,
    misfit,
    usual_protocol,
)

SKLEARN = Runtime("kserve-sklearnserver", "scikit-learn", ("sklearn",), ("v1", "v2"), python="/opt/a/bin/python")
XGBOOST = Runtime("kserve-xgbserver", "XGBoost", ("xgboost",), ("v1", "v2"), python="/opt/a/bin/python")
MLSERVER = Runtime("kserve-mlserver", "MLServer", ("sklearn", "xgboost", "lightgbm"), ("v2",), image="mlserver")
ANY = Runtime("any", "Any", ("sklearn",), ())
MODEL_ARTIFACT = Artifact(
    type=MODEL,
    name="iris",
    format="sklearn",
    environment=Environment(python="/opt/a/bin/python", python_version="3.11.7"),
)


@pytest.mark.parametrize(
    ("runtime", "model_format", "protocol", "reason"),
    [
        (SKLEARN, "sklearn", "v1", ""),
        (SKLEARN, "sklearn", "", ""),
        (ANY, "sklearn", "v2", ""),
        (XGBOOST, "sklearn", "v1", "is for XGBoost models"),
        (MLSERVER, "onnx", "v2", "is for scikit-learn, XGBoost and LightGBM models"),
        (MLSERVER, "sklearn", "v1", "does not speak v1, only v2"),
        (replace(ANY, formats=()), "sklearn", "v1", "serves no model format"),
    ],
)
def test_a_misfit_says_why(runtime: Runtime, model_format: str, protocol: str, reason: str) -> None:
    assert misfit(runtime, model_format, Asked(protocol)) == reason


def test_kserves_own_server_comes_before_mlserver_for_v2() -> None:
    made = choices([MLSERVER, XGBOOST, SKLEARN], MODEL_ARTIFACT, Asked("v2"), {})

    assert [(c.name, c.fits, c.chosen) for c in made] == [
        ("kserve-sklearnserver", True, True),
        ("kserve-mlserver", True, False),
        ("kserve-xgbserver", False, False),
    ]


def test_of_two_alike_the_models_own_python_comes_first() -> None:
    other = replace(SKLEARN, python="/usr/bin/python3")

    assert in_order([other, SKLEARN], MODEL_ARTIFACT)[0] is SKLEARN


def test_the_runtime_asked_for_is_chosen() -> None:
    made = choices([SKLEARN, MLSERVER], MODEL_ARTIFACT, Asked("v2"), {}, wanted="kserve-mlserver")

    assert [c.name for c in made if c.chosen] == ["kserve-mlserver"]


def test_what_the_engine_found_out_keeps_a_runtime_from_being_chosen() -> None:
    missing = Check("error", "InterpreterMissing", "The Python /opt/a/bin/python is gone.")
    made = choices([SKLEARN, MLSERVER], MODEL_ARTIFACT, Asked("v2"), {SKLEARN.name: [missing]})

    assert (made[0].fits, made[0].reason) == (False, "The Python /opt/a/bin/python is gone.")
    assert [c.name for c in made if c.chosen] == ["kserve-mlserver"]


def test_a_warning_does_not() -> None:
    skew = Check("warning", "VersionSkew", "scikit-learn is 1.4 there.")

    assert choices([SKLEARN], MODEL_ARTIFACT, Asked("v1"), {SKLEARN.name: [skew]})[0].chosen


def test_nothing_is_chosen_where_nothing_fits() -> None:
    assert not any(c.chosen for c in choices([XGBOOST], MODEL_ARTIFACT, Asked("v1"), {}))


OWN = Runtime(
    "kale-serve-ext",
    "ours",
    ("custom", "sklearn", "xgboost", "lightgbm", "onnx"),
    ("v1", "v2"),
    image="ours",
    preference=9,
)
TRITON = Runtime("kserve-tritonserver", "Triton", ("triton", "onnx"), ("v2",), preference=4)
STOCK = replace(XGBOOST, python="")
REGRESSOR = replace(MODEL_ARTIFACT, format="xgboost", details={"methods": ["predict"]})
CLASSIFIER = replace(REGRESSOR, details={"methods": ["predict", "predict_proba"]})
SERVERS = [replace(MLSERVER, preference=3), TRITON, STOCK, OWN]


@pytest.mark.parametrize(
    ("artifact", "asked", "chosen"),
    [
        (REGRESSOR, Asked("v1"), "kserve-xgbserver"),
        (CLASSIFIER, Asked("v1"), "kale-serve-ext"),
        (CLASSIFIER, Asked("v2"), "kale-serve-ext"),
        (CLASSIFIER, Asked("v1", "predict_proba"), "kale-serve-ext"),
        (REGRESSOR, Asked("v1", verify="require"), "kale-serve-ext"),
        (replace(REGRESSOR, format="onnx", details={"opsets": {"ai.onnx": 17}}), Asked("v2"), "kserve-tritonserver"),
        (replace(REGRESSOR, format="onnx", details={"sequences": ["probabilities"]}), Asked("v2"), "kale-serve-ext"),
        # It was logged before anything was recorded.
        (replace(REGRESSOR, details={}), Asked("v1"), "kserve-xgbserver"),
    ],
)
def test_the_server_that_answers_as_the_model_did_comes_first(artifact: Artifact, asked: Asked, chosen: str) -> None:
    assert [c.name for c in choices(SERVERS, artifact, asked, {}) if c.chosen] == [chosen]


def test_the_protocol_is_that_of_the_runtime_that_would_be_chosen() -> None:
    def protocol(artifact: Artifact, verdicts: dict[str, list[Check]] | None = None) -> str:
        asked = Asked()
        fitting = [r for r in in_order(SERVERS, artifact) if not misfit(r, artifact.format, asked)]
        return usual_protocol(choices(SERVERS, artifact, asked, verdicts or {}), fitting, "v1")

    onnx = replace(REGRESSOR, format="onnx", details={})
    against = [Check("error", "LayoutMissing", "There is no model.")]
    assert protocol(REGRESSOR) == "v1"
    assert protocol(onnx) == "v2"
    assert protocol(onnx, {"kserve-tritonserver": against}) == "v1"
    assert protocol(replace(onnx, format="triton"), {"kserve-tritonserver": against}) == "v2"
    assert protocol(replace(onnx, format="paddle")) == "v1"


def test_the_picker_shows_what_each_would_answer_otherwise() -> None:
    shown = {c.name: (c.fits, c.reason) for c in choices(SERVERS, CLASSIFIER, Asked("v1"), {})}
    assert shown["kserve-xgbserver"] == (
        True,
        "would not answer as the model did: It answers probabilities instead of classes.",
    )
    assert shown["kale-serve-ext"] == (True, "")
    asked = {c.name: (c.fits, c.reason) for c in choices(SERVERS, CLASSIFIER, Asked("v1", "predict_proba"), {})}
    assert asked["kserve-xgbserver"] == (False, "has no choice of methods, and predict_proba was asked for")


def test_the_plan_says_why_a_server_was_chosen() -> None:
    [told] = about_differences(OWN, SERVERS, CLASSIFIER, Asked("v1"), named=False)
    assert (told.level, told.code) == ("ok", "OwnServer")
    assert told.message == (
        "kale-serve-ext serves it: kserve-xgbserver would not answer as the model did. "
        "It answers probabilities instead of classes."
    )
    [told] = about_differences(OWN, SERVERS, CLASSIFIER, Asked("v1", "predict_proba"), named=False)
    assert told.message.endswith("kserve-xgbserver has no choice of methods, and predict_proba was asked for.")
    assert about_differences(OWN, SERVERS, CLASSIFIER, Asked("v1"), named=True) == []
    assert about_differences(STOCK, SERVERS, REGRESSOR, Asked("v1"), named=False) == []
    assert about_differences(OWN, [OWN], CLASSIFIER, Asked("v1"), named=False) == []


def test_the_plan_warns_of_a_server_that_was_asked_for_and_answers_otherwise() -> None:
    [told] = about_differences(STOCK, SERVERS, CLASSIFIER, Asked("v1"), named=True)
    assert (told.level, told.code, told.field) == ("warning", "StockDiffers", "runtime")
    assert told.message.endswith("would not answer as the model did. It answers probabilities instead of classes.")
    assert told.hint == 'runtime="kale-serve-ext" answers as the model did.'


def test_of_the_chosen_runtime_it_is_told_how_it_differs_and_that_nobody_maintains_it() -> None:
    told = replace(MLSERVER, differs="It runs beside the notebook.", upkeep="It is no longer maintained. Use Triton.")

    assert about_runtime(told) == [
        Check("warning", "Upkeep", "It is no longer maintained. Use Triton.", "", "runtime"),
        Check("info", "LocalDiffers", "It runs beside the notebook."),
    ]
    assert about_runtime(MLSERVER) == []


def test_a_runtime_of_another_protocol_fits_while_nobody_has_said_one() -> None:
    made = choices([SKLEARN, MLSERVER], MODEL_ARTIFACT, Asked("v1"), {}, any_protocol=True)

    assert [(c.name, c.fits, c.chosen) for c in made] == [
        ("kserve-sklearnserver", True, True),
        ("kserve-mlserver", True, False),
    ]


def test_what_has_to_be_installed_first_is_told_with_its_size() -> None:
    setup = Setup("mlserver", "MLServer", 460, "missing")
    made = choices([MLSERVER, XGBOOST], MODEL_ARTIFACT, Asked("v2"), {}, lacking={MLSERVER.name: setup})

    assert [(c.name, c.setup) for c in made] == [("kserve-mlserver", setup), ("kserve-xgbserver", None)]
    message = "MLServer is installed first, once: about 460 MB in an environment of its own."
    assert about_runtime(MLSERVER, setup) == [Check("info", "EnvironmentMissing", message)]
    failed = replace(setup, state="failed", message="It failed.", hint="Connect.", python="/opt/a/bin/python")
    assert [(c.level, c.code) for c in about_runtime(MLSERVER, failed)] == [
        ("warning", "SetupFailed"),
        ("info", "EnvironmentMissing"),
    ]
    assert "beside /opt/a/bin/python" in about_runtime(MLSERVER, failed)[1].message


@pytest.mark.parametrize("task", ["text-generation", "text2text-generation", "feature-extraction", "fill-mask", ""])
def test_vllm_serves_text_generation_only(task: str) -> None:
    model = replace(MODEL_ARTIFACT, format="huggingface", details={"task": task} if task else {})
    vllm = Runtime("kserve-vllmserver", "vLLM", ("huggingface",), ("v1", "v2"))
    other = Runtime("kserve-huggingfaceserver", "Hugging Face", ("huggingface",), ("v1", "v2"))
    refused = task not in ("", "text-generation")
    assert [check.level for check in about_model(vllm, model)] == (["error"] if refused else [])
    assert about_model(other, model) == []
    verdicts = {vllm.name: about_model(vllm, model)}
    offered = {one.name: one for one in choices([vllm], model, Asked("v1"), verdicts)}
    assert offered[vllm.name].fits is not refused
    assert (f"the model is for {task}" in offered[vllm.name].reason) is refused
