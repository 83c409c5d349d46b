"""Served in a cluster, a model answers as it did in the notebook: by this package's server where KServe's would answer
otherwise, and by KServe's where it would not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kale_serve_ext import Endpoint, Model, serve
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.kserve import OWN_RUNTIME
from kale_serve_ext.ml import JSON
from kale_serve_ext.modelmeta import compare
from kale_serve_ext.serving.client import PROTOCOLS
from kale_serve_ext.serving.verify import per_row

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

RUNTIMES = "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes/{}"
OWN_RUNTIMES = "/apis/serving.kserve.io/v1alpha1/namespaces/{}/servingruntimes"
STOCK_IMAGE = "KALE_TEST_STOCK_IMAGE"
SMALL: JSON = {"requests": {"cpu": "50m", "memory": "256Mi"}}
TIMEOUT = 150.0

FEATURES, TARGET = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[TARGET]
SIZE = FEATURES[:, 0]
CATEGORIES = pd.DataFrame(
    {
        "kind of leaf": pd.Categorical(np.where(SIZE > 5.5, "long", "short"), ["short", "long", "never seen"]),
        "code": pd.Categorical(np.where(SIZE > 6, 30, 10), [30, 10]),
        "width": FEATURES[:, 1],
    }
)
MIXED = pd.DataFrame(
    {
        "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(FEATURES[:, 1] * 10, unit="D").floor("D"),
        "place": pd.Series(np.where(SIZE > 5.5, "north", "south"), dtype=object).mask(SIZE > 7, np.nan),
        "width": FEATURES[:, 1],
    }
)


def pipeline() -> object:
    """Dates that came as texts would be none of those that it knows, and missing texts not the ones that it fills."""
    texts = make_pipeline(SimpleImputer(strategy="constant", fill_value="unknown"), OneHotEncoder())
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["day"]), (texts, ["place"]), remainder="passthrough"
    )
    return make_pipeline(columns, LinearRegression()).fit(MIXED, TARGET)


@dataclass(frozen=True)
class Case:
    fitted: Callable[[], object]
    rows: object
    """One beginning, one middle, one end of what it was fitted on."""
    method: str = "predict"


ARRAY = FEATURES[::60]
OWN: Mapping[str, Case] = {
    "lightgbm-class-names": Case(
        lambda: lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(FEATURES, NAMES), ARRAY
    ),
    "xgboost-classes": Case(lambda: xgboost.XGBClassifier(n_estimators=5).fit(FEATURES, TARGET), ARRAY),
    "xgboost-probabilities-of-two": Case(
        lambda: xgboost.XGBClassifier(n_estimators=5).fit(FEATURES, TARGET > 1), ARRAY, "predict_proba"
    ),
    "lightgbm-categories": Case(
        lambda: lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(CATEGORIES, TARGET), CATEGORIES[::60]
    ),
    "xgboost-categories": Case(
        lambda: xgboost.XGBRegressor(n_estimators=5, enable_categorical=True).fit(CATEGORIES, TARGET),
        CATEGORIES[::60],
    ),
    "sklearn-dates-and-missing-texts": Case(pipeline, MIXED.iloc[[0, 60, 117]]),
    "sklearn-decision-values": Case(
        lambda: LogisticRegression(max_iter=500).fit(FEATURES, TARGET), ARRAY, "decision_function"
    ),
    "sklearn-transform": Case(lambda: PCA(2).fit(FEATURES), ARRAY, "transform"),
}
STOCK: Mapping[str, Case] = {
    "sklearn": Case(lambda: LinearRegression().fit(FEATURES, TARGET), ARRAY),
    "sklearn-probabilities": Case(
        lambda: LogisticRegression(max_iter=500).fit(FEATURES, TARGET), ARRAY, "predict_proba"
    ),
    "xgboost": Case(lambda: xgboost.XGBRegressor(n_estimators=5).fit(FEATURES, TARGET), ARRAY),
    "lightgbm": Case(lambda: lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(FEATURES, TARGET), ARRAY),
}


def log(name: str, case: Case) -> tuple[object, Model]:
    fitted = case.fitted()
    return fitted, Model(model=fitted, name=name, example=case.rows).submit_artifact()


def serve_at(endpoint: Endpoint | None, name: str, model: Model, method: str) -> Endpoint:
    """The model in the place of the one before, since two cores hold few at a time."""
    if endpoint is None:
        return serve(model, name=name, method=method, serve_config=SMALL, timeout=TIMEOUT)  # type: ignore[arg-type]
    endpoint.update(model, method=method, timeout=TIMEOUT)
    return endpoint


def check_answers(name: str, case: Case, expected: object) -> None:
    """By every route, all rows and the last alone; over connections of their own, which no former version has."""
    endpoint = Endpoint(name)
    wanted = np.asarray(expected).tolist()
    table = isinstance(case.rows, pd.DataFrame)
    last = case.rows.iloc[-1:] if table else case.rows[-1:]  # type: ignore[attr-defined,index]
    for protocol in PROTOCOLS:
        for rows, answers in ((case.rows, wanted), (last, wanted[-1:])):
            got = per_row(cast("JSON", endpoint.predict(rows, protocol=protocol)), answers)
            assert compare(answers, got) == [], protocol


@pytest.fixture(scope="module")
def served() -> dict[str, Endpoint]:
    """The services of this module by name."""
    return {}


@pytest.mark.parametrize("name", OWN)
def test_this_package_s_server_answers_as_the_notebook_did(
    name: str, workspace: Settings, served: dict[str, Endpoint], kube_admin: Kube
) -> None:
    case = OWN[name]
    fitted, model = log(name, case)
    endpoint = served["own"] = serve_at(served.get("own"), "own", model, case.method)
    assert endpoint.plan is not None
    assert endpoint.plan.runtime == OWN_RUNTIME
    assert [c.level for c in endpoint.plan.checks if c.code == "OwnServer"] == ["ok"]
    service = endpoint.service
    assert (service.runtime, service.method, service.phase) == (OWN_RUNTIME, case.method, "Ready")
    check_answers(endpoint.name, case, getattr(fitted, case.method)(case.rows))


@pytest.fixture(scope="module")
def stock(kube_admin: Kube, namespace: str) -> None:
    """KServe's runtimes, with an image that does what theirs do."""
    image = os.environ.get(STOCK_IMAGE)
    if not image:
        pytest.skip(f"needs an image that stands in for KServe's own (${STOCK_IMAGE} not set)")
    for name in ("kserve-sklearnserver", "kserve-xgbserver", "kserve-lgbserver"):
        spec = kube_admin.get(RUNTIMES.format(name))["spec"]
        assert isinstance(spec, dict)
        assert isinstance(spec["containers"], list)
        (container,) = spec["containers"]
        assert isinstance(container, dict)
        spec["containers"] = [{**container, "image": image}]
        made: Manifest = {
            "apiVersion": "serving.kserve.io/v1alpha1",
            "kind": "ServingRuntime",
            "metadata": {"name": name},
        }
        kube_admin.create(OWN_RUNTIMES.format(namespace), {**made, "spec": spec})


@pytest.mark.parametrize("name", STOCK)
def test_kserve_s_server_stays_where_it_answers_the_same(
    name: str, workspace: Settings, served: dict[str, Endpoint], stock: None
) -> None:
    case = STOCK[name]
    fitted, model = log(f"stock-{name}", case)
    endpoint = served["stock"] = serve_at(served.get("stock"), "stock", model, case.method)
    assert endpoint.plan is not None
    assert endpoint.plan.runtime.startswith("kserve-")
    assert not {"OwnServer", "StockDiffers"} & {c.code for c in endpoint.plan.checks}
    check_answers(endpoint.name, case, getattr(fitted, case.method)(case.rows))


def test_kserve_s_server_by_name_is_warned_of_and_answers_otherwise(
    workspace: Settings, served: dict[str, Endpoint], stock: None
) -> None:
    case = OWN["xgboost-classes"]
    fitted, model = log("by-name", case)
    if "stock" in served:
        served["stock"].delete()
    endpoint = serve(model, name="by-name", runtime="kserve-xgbserver", serve_config=SMALL, timeout=TIMEOUT)  # type: ignore[arg-type]
    assert endpoint.plan is not None
    (told,) = [c for c in endpoint.plan.checks if c.code == "StockDiffers"]
    assert told.level == "warning"
    assert told.message.endswith("It answers probabilities instead of classes.")
    check_answers(endpoint.name, case, fitted.predict_proba(case.rows))  # type: ignore[attr-defined]
    # What was chosen stays until something else is; the plan goes on saying what it costs, and names the way back.
    endpoint.update(model, timeout=TIMEOUT)
    assert endpoint.service.runtime == "kserve-xgbserver"
    (told,) = [c for c in endpoint.plan.checks if c.code == "StockDiffers"]
    assert f'runtime="{OWN_RUNTIME}"' in told.hint
    endpoint = serve(model, name="by-name", runtime=OWN_RUNTIME, timeout=TIMEOUT)
    assert endpoint.service.runtime == OWN_RUNTIME
    check_answers(endpoint.name, case, fitted.predict(case.rows))  # type: ignore[attr-defined]
