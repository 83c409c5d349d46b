"""Plans of real artifacts by a real engine, without anything being started."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from kale_serve_ext import Endpoint, Model, Transformer, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import AS_LOGGED, OnProgress, Staged, Use
from kale_serve_ext.engines.local.engine import LocalEngine
from kale_serve_ext.entities import Artifact, ServiceRef
from kale_serve_ext.errors import (
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    KaleServeError,
    MetadataUnavailableError,
    NotFoundError,
    PlanError,
)
from kale_serve_ext.metadata.provenance import Provenance, here
from kale_serve_ext.metadata.store import Metadata
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
        ({"name": "Not legal"}, InvalidNameError, "not a valid InferenceService name"),
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
    # Both are looked up at once.
    with pytest.raises(InvalidInputError, match=r"is a (Transformer, not a Model|Model, not a Transformer)"):
        serve(halving, iris)


def test_a_vanished_snapshot_is_told_before_anything_starts(workspace: object) -> None:
    logged = Model(DecisionTreeRegressor().fit([[0.0], [1.0]], [0, 1]), name="vanishing").submit_artifact()
    shutil.rmtree(urlsplit(logged.uri or "").path)

    with pytest.raises(NotFoundError, match="does not exist"):
        serve(logged)

    assert run(session.engine().services()) == []


class Unwritable(Metadata):
    """Metadata that goes away before the deployment is written down."""

    async def record_deployment(self, ref: ServiceRef, artifact_ids: object, *, provenance: Provenance) -> int:
        raise MetadataUnavailableError("It went away.")


def test_a_service_that_cannot_be_written_down_is_taken_back(iris: Model, workspace: object) -> None:
    async def attempt() -> None:
        metadata = Unwritable(Settings.from_environ())
        try:
            request = ServeRequest(model_id=iris.id, name="taken-back")
            await deploy.serve(request, session.engine(), metadata, provenance=here())
        finally:
            await metadata.close()

    with pytest.raises(MetadataUnavailableError):
        run(attempt())

    assert run(session.engine().services()) == []
    assert run(session.metadata().deployments(iris.id or 0)) == []


class ChangedAndUnwritable(Unwritable):
    """The same, and somebody else is quick to change the service again."""

    async def record_deployment(self, ref: ServiceRef, artifact_ids: object, *, provenance: Provenance) -> int:
        await deploy.update(
            ref.name, replicas=3, engine=session.engine(), metadata=session.metadata(), provenance=provenance
        )
        return await super().record_deployment(ref, artifact_ids, provenance=provenance)


@pytest.mark.parametrize(
    ("kind", "made"),
    [(Unwritable, [(3, 1), (2, 0), (1, 0)]), (ChangedAndUnwritable, [(3, 0), (2, 0), (1, 0)])],
)
def test_a_change_that_cannot_be_written_down_is_taken_back_unless_it_was_changed_again(
    iris: Model, kind: type[Unwritable], made: list[tuple[int, int]]
) -> None:
    async def attempt() -> None:
        metadata = kind(Settings.from_environ())
        try:
            request = ServeRequest(name=first.name, update=True, method="predict_proba")
            await deploy.serve(request, session.engine(), metadata, provenance=here())
        finally:
            await metadata.close()

    first = serve(iris, name="put-back", wait=False)
    try:
        with pytest.raises(MetadataUnavailableError):
            run(attempt())
        assert [(r.number, r.back_to) for r in first.revisions()] == made
        assert first.service.replicas_wanted == (3 if kind is ChangedAndUnwritable else 1)
    finally:
        first.delete()


def test_what_is_taken_back_stays_paused(iris: Model) -> None:
    first = serve(iris, name="paused-and-back", wait=False)
    try:
        engine, metadata = session.engine(), session.metadata()
        before = run(engine.get(first.name))
        applied = run(deploy.update(first.name, replicas=2, engine=engine, metadata=metadata, provenance=here()))
        first.pause()
        back = run(deploy.take_back(applied, before, engine=engine, metadata=metadata, provenance=here()))
        assert back is not None
        assert (back.phase, back.replicas_wanted) == ("Paused", 1)
        assert [(r.number, r.back_to) for r in first.revisions()] == [(3, 1), (2, 0), (1, 0)]
    finally:
        first.delete()


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


def test_what_is_left_out_of_an_update_stays(iris: Model, halving: Transformer, estimator: LogisticRegression) -> None:
    config: dict[str, object] = {
        "env": [{"name": "A", "value": "1"}],
        "limits": {"memory": "2Gi"},
        "predictor": {"minReplicas": 2},
    }
    first = serve(
        iris,
        halving,
        name="kept",
        serve_config=config,
        method="predict_proba",
        verify="off",
        runtime="kserve-sklearnserver",
        wait=False,
    )
    newer = Model(model=estimator, name="iris", version="newer").submit_artifact()
    try:
        version = plan(model_id=newer.id, name="kept")
        by_update = plan(model_id=newer.id, name="kept", update=True)
        more = plan(name="kept", config={"env": [{"name": "B", "value": "2"}], "limits": {"cpu": "1"}}, verify="warn")
        alone = plan(model_id=iris.id, name="kept", remove=("transformer",))
        plain = plan(name="kept", remove=("config",))
        first.pause()
        again, still = plan(model_id=iris.id, name="kept"), plan(model_id=iris.id, name="kept", update=True)
    finally:
        first.delete()

    assert version.ok
    assert version.changes == ("model iris 1 → newer",)
    assert by_update.manifest == version.manifest
    assert more.changes == (
        "recorded answers off → warn",
        "predictor limits.cpu 1: added",
        "predictor variable B: added",
        "transformer limits.cpu 1: added",
        "transformer variable B: added",
    )
    assert alone.changes == ("transformer halving 1: removed",)
    assert alone.transformer_now is not None
    assert alone.transformer_now.name == "halving"
    assert "transformer" not in str(alone.manifest).replace("transformer-image", "")
    assert plain.changes == (
        "replicas 2 → 1",
        "predictor limits.memory 2Gi: removed",
        "predictor variable A: removed",
        "transformer limits.memory 2Gi: removed",
        "transformer variable A: removed",
    )
    # Serving is asking for something that runs; an update of a paused service is not.
    assert (again.changes, still.changes) == (("paused: resumed",), ())


@pytest.mark.parametrize(
    ("removed", "told"), [(("nothing",), "no part 'nothing'"), (("transformer",), "Both a transformer and its removal")]
)
def test_what_cannot_be_removed_is_told(iris: Model, halving: Transformer, removed: tuple[str], told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        plan(model_id=iris.id, transformer_id=halving.id, remove=removed)


class Meeting(LocalEngine):
    """An engine on which two serves are planned before either is carried out."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, settings.namespace or "default")
        self._here = 0
        self._both = asyncio.Event()

    async def stage(self, artifact: Artifact, on_progress: OnProgress | None = None, use: Use = AS_LOGGED) -> Staged:
        self._here += 1
        if self._here >= 2:
            self._both.set()
        await asyncio.wait_for(self._both.wait(), 60)
        return await super().stage(artifact, on_progress)


def test_of_two_who_take_a_name_at_once_one_is_told(iris: Model, workspace: Settings) -> None:
    other = Model(DecisionTreeRegressor().fit([[0.0], [1.0]], [0, 1]), name="rival").submit_artifact()

    async def race() -> list[object]:
        engine = Meeting(workspace)
        requests = (ServeRequest(model_id=one.id, name="contested") for one in (iris, other))
        serves = (deploy.serve(request, engine, session.metadata(), provenance=here()) for request in requests)
        try:
            return list(await asyncio.gather(*serves, return_exceptions=True))
        finally:
            await engine.close()

    results = run(race())
    endpoint = Endpoint("contested")
    try:
        served = endpoint.service
        assert served.revision == 1
        assert served.model is not None
        (refused,) = [result for result in results if isinstance(result, BaseException)]
        assert isinstance(refused, ConflictError)
        assert f"that service serves the model '{served.model.name}'" in str(refused)
    finally:
        endpoint.delete()


def test_the_checks_of_one_plan_are_not_repeated(iris: Model) -> None:
    made = plan(model_id=iris.id, config={"predictor": {"nodeSelector": {"zone": "a"}}})

    assert made.ok
    assert len(made.checks) == len(set(made.checks))
    assert any("node selectors" in c.message for c in made.checks)
    assert replace(made).ok
