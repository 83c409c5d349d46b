"""Plans of real artifacts by a real engine, without anything being started."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from kale_serve_ext import Model, Transformer, serve, session
from kale_serve_ext.errors import (
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    KaleServeError,
    MetadataUnavailableError,
    NotFoundError,
    PlanError,
)
from kale_serve_ext.metadata.store import Metadata
from kale_serve_ext.metadata.where import Where, here
from kale_serve_ext.records import ServiceRef
from kale_serve_ext.serving import deploy
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import Plan, ServeRequest
from kale_serve_ext.sync import run


def plan(**request: object) -> Plan:
    return run(make_plan(ServeRequest(**request), session.engine(), session.metadata()))  # type: ignore[arg-type]  # by name


def errors(made: Plan) -> list[str]:
    return [check.code for check in made.checks if check.level == "error"]


def test_a_plan_says_what_would_be_applied(iris: Model, halving: Transformer) -> None:
    made = plan(model_id=iris.id, transformer_id=halving.id)

    assert made.ok
    assert not errors(made)
    assert (made.name, made.runtime, made.protocol, made.exists) == ("iris", "kserve-sklearnserver", "v1", False)
    assert [c.name for c in made.runtimes if c.chosen] == ["kserve-sklearnserver"]
    assert {c.name: c.reason for c in made.runtimes}["kserve-xgbserver"] == "is for XGBoost models"
    assert "transformer" in made.manifest["spec"]  # type: ignore[operator]  # an object
    assert run(session.engine().services()) == []


def test_a_model_is_needed_and_the_plan_says_so(workspace: object) -> None:
    made = plan()

    assert errors(made) == ["NoModel"]
    assert made.runtimes
    assert not any(choice.fits for choice in made.runtimes)
    with pytest.raises(InvalidInputError, match="No model was chosen"):
        serve()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"name": "Not legal"}, "InvalidName"),
        ({"name": "x" * 10**6}, "InvalidName"),
        ({"runtime": "nope"}, "RuntimeUnknown"),
        ({"runtime": "kserve-xgbserver"}, "RuntimeMisfit"),
        ({"config": {"limits": {"memory": "much"}}}, "Unsupported"),
        ({"config": {"predictor": {"canaryTrafficPercent": 20}}}, "CanaryIgnored"),
    ],
)
def test_what_the_form_can_mend_is_a_check(iris: Model, request_: Mapping[str, object], code: str) -> None:
    made = plan(model_id=iris.id, **request_)

    assert errors(made) == [code]
    assert not made.ok
    assert all(len(c.message) < 500 for c in made.checks)


def test_protocols_have_to_agree(iris: Model, halving: Transformer) -> None:
    made = plan(model_id=iris.id, transformer_id=halving.id, protocol="v2")

    assert errors(made) == ["TransformerProtocol"]


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        ({"model_id": 999_999}, NotFoundError, "999999"),
        ({"model_id": 0}, InvalidInputError, "not the id of an artifact"),
        ({"model_id": True}, InvalidInputError, "is a bool, not the id"),
        ({"model_id": "12"}, InvalidInputError, "is a str"),
        ({"model_id": object()}, InvalidInputError, "is a object"),
        ({"model_id": Model(None, name="never")}, InvalidInputError, "has not been submitted"),
        ({"name": ""}, InvalidNameError, "empty"),
        ({"name": "Not legal"}, InvalidNameError, "not a legal name"),
        ({"runtime": "nope"}, PlanError, "no runtime 'nope'"),
        ({"protocol": "v3"}, InvalidInputError, "'v3' is not a protocol"),
        ({"engine": "moon"}, InvalidInputError, "no engine 'moon'"),
        ({"serve_config": ["env"]}, InvalidInputError, "is a list"),
        ({"serve_config": {"limit": {}}}, InvalidInputError, "Did you mean `limits`"),
    ],
)
def test_bad_arguments_are_told_and_leave_nothing(
    iris: Model, arguments: dict[str, object], kind: type[KaleServeError], told: str
) -> None:
    with pytest.raises(kind, match=told) as caught:
        serve(**{"model_id": iris.id, **arguments})  # type: ignore[arg-type]  # bad on purpose

    assert type(caught.value) is kind
    assert run(session.engine().services()) == []


def test_ids_in_the_wrong_places_are_told(iris: Model, halving: Transformer) -> None:
    with pytest.raises(InvalidInputError, match="is a Transformer, not a Model"):
        serve(halving, iris)


def test_a_vanished_snapshot_is_told_before_anything_starts(workspace: object) -> None:
    logged = Model(DecisionTreeRegressor().fit([[0.0], [1.0]], [0, 1]), name="vanishing").submit_artifact()
    shutil.rmtree(urlsplit(logged.uri or "").path)

    with pytest.raises(NotFoundError, match="does not exist"):
        serve(logged)

    assert run(session.engine().services()) == []


class Unwritable(Metadata):
    """Metadata that goes away before the deployment is written down."""

    async def record_deployment(self, ref: ServiceRef, artifact_ids: object, *, where: Where) -> int:
        raise MetadataUnavailableError("It went away.")


def test_a_service_that_cannot_be_written_down_is_taken_back(iris: Model, workspace: object) -> None:
    from kale_serve_ext.config import Settings

    async def attempt() -> None:
        metadata = Unwritable(Settings.from_environ())
        try:
            request = ServeRequest(model_id=iris.id, name="taken-back")
            await deploy.serve(request, session.engine(), metadata, where=here())
        finally:
            await metadata.close()

    with pytest.raises(MetadataUnavailableError):
        run(attempt())

    assert run(session.engine().services()) == []
    assert run(session.metadata().deployments(iris.id or 0)) == []


def test_names_are_taken_and_services_updated(iris: Model, estimator: LogisticRegression) -> None:
    other = Model(DecisionTreeRegressor().fit([[0.0], [1.0]], [0, 1]), name="Iris").submit_artifact()
    first = serve(iris, wait=False)
    try:
        again = plan(model_id=iris.id)
        newer = Model(
            model=clone(estimator).set_params(C=2.0).fit([[0.0] * 4, [1.0] * 4], [0, 1]), name="iris"
        ).submit_artifact()
        changed = plan(model_id=newer.id)
        elsewhere = plan(model_id=other.id)
        with pytest.raises(ConflictError, match="serves the model 'iris'"):
            serve(other, name="iris")
        with pytest.raises(PlanError, match="is for XGBoost models"):
            serve(newer, runtime="kserve-xgbserver")
    finally:
        first.delete()

    assert (first.name, again.name, again.exists, again.ok, again.differences) == ("iris", "iris", True, True, ())
    assert {d.path for d in changed.differences} == {
        "metadata.annotations.kale-serve-ext/model-digest",
        "metadata.annotations.kale-serve-ext/model-version",
        "metadata.labels.kale-serve-ext/model-id",
        "spec.predictor.model.storageUri",
    }
    # Its own name would be taken: the next free one.
    assert (elsewhere.name, elsewhere.exists) == ("iris-2", False)
    with pytest.raises(NotFoundError):
        first.delete()


def test_the_checks_of_one_plan_are_not_repeated(iris: Model) -> None:
    made = plan(model_id=iris.id, config={"predictor": {"nodeSelector": {"zone": "a"}}})

    assert made.ok
    assert len(made.checks) == len(set(made.checks))
    assert any("node selectors" in c.message for c in made.checks)
    assert replace(made).ok
