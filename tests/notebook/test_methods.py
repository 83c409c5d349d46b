"""What is answered: the estimator's method that was chosen, or a refusal before anything is started."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Check
from kale_serve_ext.errors import PlanError
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import Plan, ServeRequest
from kale_serve_ext.sync import run

FEATURES, TARGET = load_iris(return_X_y=True)
TABLE = pd.DataFrame(FEATURES, columns=["a", "b", "c", "d"])
NAMES = np.array(["setosa", "versicolor", "virginica"])[TARGET]
ROWS = FEATURES[::50]


def plan(model: Model, **request: object) -> Plan:
    made = ServeRequest(model_id=model.id, **request)  # type: ignore[arg-type]  # by name
    return run(make_plan(made, session.engine(), session.metadata()))


def refusal(made: Plan) -> Check:
    (told,) = [check for check in made.checks if check.level == "error"]
    return told


@pytest.fixture(scope="module")
def classifier(workspace: Settings) -> LogisticRegression:
    return LogisticRegression(max_iter=500).fit(FEATURES, NAMES)


@pytest.fixture(scope="module")
def logged(classifier: LogisticRegression) -> Model:
    return Model(model=classifier, name="classes").submit_artifact()


@pytest.fixture(scope="module")
def endpoint(logged: Model) -> Endpoint:
    return serve(logged, name="classes", method="predict_proba")


def test_the_plan_has_the_methods_to_choose_from(logged: Model) -> None:
    made = plan(logged)
    assert made.ok
    assert made.method == "predict"
    assert made.methods == ("predict", "predict_proba", "predict_log_proba", "decision_function")
    assert plan(logged, method="decision_function").method == "decision_function"


def test_probabilities_are_answered_where_they_are_asked_for(
    endpoint: Endpoint, classifier: LogisticRegression
) -> None:
    answer = endpoint.predict(ROWS)
    assert np.allclose(answer["predictions"], classifier.predict_proba(ROWS))  # type: ignore[index,call-overload,arg-type]
    assert endpoint.service.method == "predict_proba"


def test_an_update_keeps_the_method_and_changes_it(
    endpoint: Endpoint, classifier: LogisticRegression, logged: Model
) -> None:
    same = plan(logged, name="classes", update=True)
    assert (same.method, same.differences) == ("predict_proba", ())
    changed = plan(logged, name="classes", update=True, method="predict")
    assert [d.path for d in changed.differences] == [
        "spec.predictor.model.env[KALE_SERVE_METHOD].name",
        "spec.predictor.model.env[KALE_SERVE_METHOD].value",
        "spec.predictor.model.env[PREDICT_PROBA].name",
        "spec.predictor.model.env[PREDICT_PROBA].value",
    ]
    endpoint.update(method="decision_function")
    answer = endpoint.predict(ROWS)
    assert np.allclose(answer["predictions"], classifier.decision_function(ROWS))  # type: ignore[index,call-overload,arg-type]


def test_what_transforms_is_served_when_it_is_asked_to(workspace: Settings) -> None:
    fitted = make_pipeline(StandardScaler(), PCA(2)).fit(TABLE)
    model = Model(model=fitted, name="reduced").submit_artifact()
    told = refusal(plan(model))
    assert (told.field, told.message) == (
        "method",
        "Pipeline has no predict; it can answer transform or score_samples.",
    )
    assert told.hint == 'method="transform"'
    with pytest.raises(PlanError, match="it can answer transform"):
        serve(model)
    endpoint = serve(model, method="transform")
    answer = endpoint.predict(TABLE[::50])
    assert np.allclose(answer["predictions"], fitted.transform(TABLE[::50]))  # type: ignore[index,call-overload,arg-type]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PCA(2).fit(FEATURES), "PCA has no predict; it can answer transform or score_samples."),
        (lambda: DBSCAN().fit(FEATURES), "DBSCAN answers only the rows that it was fitted on"),
    ],
)
def test_what_cannot_answer_new_rows_is_refused_before_it_is_started(
    workspace: Settings, make: Callable[[], object], words: str
) -> None:
    fitted = make()
    told = refusal(plan(Model(model=fitted, name=type(fitted).__name__.lower()).submit_artifact()))
    assert told.field == "method"
    assert told.message.startswith(words)
