"""Which method answers, and what is said of a model that does not have it."""

from __future__ import annotations

import pytest

from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.config import normalise
from kale_serve_ext.serving.methods import check_method, check_verify, chosen_method, chosen_verify, methods_of


def model(format_: str = "sklearn", **details: JSON) -> Artifact:
    return Artifact(MODEL, "m", format=format_, details=details)


def service(**env: str) -> Manifest:
    listed: list[JSON] = [{"name": name, "value": value} for name, value in env.items()]
    return {"spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "env": listed}}}}


CLASSIFIER = model(estimator="LogisticRegression", methods=["predict", "predict_proba", "decision_function"])
PROBABILITIES = {"env": [{"name": "PREDICT_PROBA", "value": "true"}]}


@pytest.mark.parametrize(
    ("asked", "config", "kept", "method"),
    [
        ("", {}, None, "predict"),
        ("decision_function", PROBABILITIES, service(PREDICT_PROBA="true"), "decision_function"),
        ("", PROBABILITIES, None, "predict_proba"),
        ("", {"predictor": {"env": [{"name": "KALE_SERVE_METHOD", "value": "transform"}]}}, None, "transform"),
        ("", {"predictor": {"container": PROBABILITIES}}, None, "predict_proba"),
        ("", {}, service(KALE_SERVE_METHOD="transform"), "transform"),
        ("", {}, service(PREDICT_PROBA="true"), "predict_proba"),
        ("predict", {}, service(PREDICT_PROBA="true"), "predict"),
    ],
)
def test_what_is_asked_for_counts_first_and_then_what_is_set(
    asked: str, config: dict[str, object], kept: Manifest | None, method: str
) -> None:
    assert chosen_method(asked, normalise(config), kept, CLASSIFIER) == method


def test_people_s_own_code_has_no_method() -> None:
    assert chosen_method("", normalise(PROBABILITIES), None, model("custom")) == ""
    for own in (model("custom"), None):
        assert check_method(own, "") == []
        [told] = check_method(own, "predict_proba")
        assert (told.level, told.field) == ("error", "method")
        assert told.message == "Custom code has no methods to choose from, and predict_proba was asked for."


@pytest.mark.parametrize(
    ("artifact", "method", "message", "hint"),
    [
        (
            model(estimator="PCA", methods=["transform"]),
            "predict",
            "PCA has no predict; it can answer transform.",
            'method="transform"',
        ),
        (
            model(estimator="sklearn.cluster._dbscan.DBSCAN", methods=[]),
            "predict",
            "DBSCAN answers only the rows that it was fitted on: it has no method for new ones.",
            "Fit a classifier on the labels that it gave, such as KNeighborsClassifier, and serve that.",
        ),
        (
            CLASSIFIER,
            "transform",
            "LogisticRegression has no transform; it can answer predict, predict_proba or decision_function.",
            'method="predict"',
        ),
        (
            model("xgboost", methods=["predict"]),
            "predict_proba",
            "m has no predict_proba; it can answer predict.",
            'method="predict"',
        ),
    ],
)
def test_what_a_model_cannot_do_is_refused(artifact: Artifact, method: str, message: str, hint: str) -> None:
    [told] = check_method(artifact, method)
    assert (told.level, told.code, told.field) == ("error", "NoMethod", "method")
    assert (told.message, told.hint) == (message, hint)


@pytest.mark.parametrize("artifact", [CLASSIFIER, model(estimator="LogisticRegression"), model("lightgbm")])
def test_what_it_can_do_and_what_is_not_recorded_is_not(artifact: Artifact) -> None:
    assert check_method(artifact, "predict_proba") == []


def test_the_recorded_methods_are_those_to_choose_from() -> None:
    assert methods_of(CLASSIFIER) == ("predict", "predict_proba", "decision_function")
    assert methods_of(model()) == ()


def test_whether_rows_are_compared_is_kept_too() -> None:
    kept = service(KALE_SERVE_VERIFY="require")
    assert [chosen_verify(a, {}, kept) for a in ("", "warn", "off")] == ["require", "warn", "off"]
    assert chosen_verify("", {}, None) == "warn"
    with pytest.raises(InvalidInputError, match="verify is 'always'"):
        chosen_verify("always", {}, None)


@pytest.mark.parametrize(
    ("artifact", "verify", "method", "told"),
    [
        (model(recorded_rows=20, methods=["predict", "transform"]), "require", "predict", ""),
        (model(), "warn", "predict", ""),
        (model(), "require", "predict", "No rows are recorded with 'm'."),
        (None, "warn", "", ""),
        (
            None,
            "require",
            "",
            "No rows are recorded for a container of your own.",
        ),
        (model("custom"), "require", "", "No rows are recorded with 'm'."),
        (
            model(recorded_rows=20, methods=["predict", "transform"]),
            "require",
            "transform",
            "The answers that are recorded with 'm' are those of predict, not of transform.",
        ),
    ],
)
def test_a_condition_that_cannot_be_checked_is_told(
    artifact: Artifact | None, verify: str, method: str, told: str
) -> None:
    found = check_verify(artifact, verify, method)
    assert [(c.level, c.field, c.message) for c in found] == ([("warning", "verify", told)] if told else [])
