"""Which runtime fits, and why the others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import Check, Runtime
from kale_serve_ext.records import MODEL, Artifact, Environment
from kale_serve_ext.serving.runtimes import choices, in_order, misfit

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
    assert misfit(runtime, model_format, protocol) == reason


def test_kserves_own_server_comes_before_mlserver_for_v2() -> None:
    made = choices([MLSERVER, XGBOOST, SKLEARN], MODEL_ARTIFACT, "v2", {})

    assert [(c.name, c.fits, c.chosen) for c in made] == [
        ("kserve-sklearnserver", True, True),
        ("kserve-mlserver", True, False),
        ("kserve-xgbserver", False, False),
    ]


def test_of_two_alike_the_models_own_python_comes_first() -> None:
    other = replace(SKLEARN, python="/usr/bin/python3")

    assert in_order([other, SKLEARN], MODEL_ARTIFACT)[0] is SKLEARN


def test_the_runtime_asked_for_is_chosen() -> None:
    made = choices([SKLEARN, MLSERVER], MODEL_ARTIFACT, "v2", {}, wanted="kserve-mlserver")

    assert [c.name for c in made if c.chosen] == ["kserve-mlserver"]


def test_what_the_engine_found_out_keeps_a_runtime_from_being_chosen() -> None:
    missing = Check("error", "InterpreterMissing", "The Python /opt/a/bin/python is gone.")
    made = choices([SKLEARN, MLSERVER], MODEL_ARTIFACT, "v2", {SKLEARN.name: [missing]})

    assert (made[0].fits, made[0].reason) == (False, "The Python /opt/a/bin/python is gone.")
    assert [c.name for c in made if c.chosen] == ["kserve-mlserver"]


def test_a_warning_does_not() -> None:
    skew = Check("warning", "VersionSkew", "scikit-learn is 1.4 there.")

    assert choices([SKLEARN], MODEL_ARTIFACT, "v1", {SKLEARN.name: [skew]})[0].chosen


def test_nothing_is_chosen_where_nothing_fits() -> None:
    assert not any(c.chosen for c in choices([XGBOOST], MODEL_ARTIFACT, "v1", {}))
