"""Recorded rows, sent through services that really run: the verdict, and what it keeps from taking over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import joblib
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, Transformer, modelmeta, serve
from kale_serve_ext.artifacts.base import Written
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import DeadlineExceededError, InvalidInputError, ServeFailedError
from kale_serve_ext.ml import JSON
from kale_serve_ext.modelmeta import ModelMeta, Recorded
from kale_serve_ext.serving.verification import Verification

Record = Callable[..., Model]
METHODS = ("predict", "predict_proba")


class Recording(Model):
    """A model whose snapshot is given, with what its record says of it."""

    def _write(self, stage: Path) -> Written:
        written = super()._write(stage)
        details = {**written.record.details, "methods": list(METHODS), "recorded_rows": 4}
        return replace(written, record=replace(written.record, details=details))


@pytest.fixture(scope="module")
def record(
    workspace: Settings, features: pd.DataFrame, estimator: LogisticRegression, tmp_path_factory: pytest.TempPathFactory
) -> Record:
    """Logs the estimator with four recorded rows, whose answers can be said to have been others."""
    rows = features.iloc[::40]

    def logged(name: str, change: dict[int, JSON] | None = None, method: str = "predict") -> Model:
        folder: Path = tmp_path_factory.mktemp("model")
        joblib.dump(estimator, folder / "model.joblib")
        answers = list(getattr(estimator, method)(rows).tolist())
        for row, answer in (change or {}).items():
            answers[row] = answer
        recorded = Recorded(tuple(rows.to_dict(orient="records")), tuple(answers), method)
        modelmeta.write(folder, ModelMeta(methods=METHODS, recorded=recorded))
        return Recording(name=name, artifact_uri=folder).submit_artifact()

    return logged


@contextmanager
def served(*args: object, **options: object) -> Iterator[Endpoint]:
    """A service that goes at the end."""
    endpoint = serve(*args, **options)  # type: ignore[arg-type]  # passed through
    yield endpoint
    endpoint.delete()


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_recorded_rows_are_compared_once_the_service_is_ready(
    record: Record, protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(record("honest"), name=f"honest-{protocol}", protocol=protocol) as endpoint:
        assert "✓ 4 recorded rows answered as in the notebook\n" in capsys.readouterr().out
        verdict = endpoint.verify()
        assert (verdict.ok, verdict.component, verdict.rows, verdict.different) == (True, "predictor", 4, 0)
        assert "4 recorded rows match the answers recorded with the model." in endpoint.logs()


def test_a_difference_is_a_warning_with_row_expected_and_got(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(record("other", {1: 7}), name="other", wait=False) as endpoint:
        endpoint.wait()
        shown = "⚠ 1 of 4 recorded rows answered differently from the notebook\n  row 1: expected 7, got 0\n"
        assert shown in capsys.readouterr().err
        verdict = endpoint.verify()
        assert not verdict.ok
        assert [(one.row, one.expected, one.got) for one in verdict.differences] == [(1, 7, 0)]
        assert "1 of 4 recorded rows was answered differently: row 1: expected 7, got 0" in endpoint.logs()


def test_a_version_that_answers_otherwise_never_takes_over_where_that_is_required(
    record: Record, features: pd.DataFrame, estimator: LogisticRegression
) -> None:
    some = features.iloc[::40]
    with served(record("strict"), name="strict", verify="require") as endpoint:
        assert endpoint.service.verify == "require"
        with pytest.raises(ServeFailedError, match="1 of 4 recorded rows was answered differently: row 2: expected 5"):
            endpoint.update(record("strict", {2: 5}))
        service = endpoint.service
        assert (service.phase, service.serving_revision) == ("Degraded", 1)
        assert endpoint.verify().skipped == "revision 1 answers, not revision 2"
        assert endpoint.predict(some) == {"predictions": estimator.predict(some).tolist()}


def test_the_whole_way_is_compared_with_rows_of_the_callers(
    record: Record, halving: Transformer, features: pd.DataFrame, estimator: LogisticRegression
) -> None:
    some = features.iloc[::40]
    halved = estimator.predict(some / 2)
    other = [*halved[:-1].tolist(), "other"]
    model = record("behind")
    given = (some.to_numpy(), halved)
    with served(model, halving, name="behind", verify_with=given) as endpoint:
        # The recorded rows are what the model itself takes: they go past the transformer.
        assert (endpoint.verify().component, endpoint.verify().ok) == ("predictor", True)
        verdict = endpoint.verify(*given)
        assert (verdict.ok, verdict.component, verdict.recorded) == (True, "transformer", False)
        assert endpoint.verify(some.to_numpy()[:1], {"predictions": halved[:1].tolist(), "transformed": True}).ok
        assert [one.row for one in endpoint.verify(some.to_numpy(), other).differences] == [3]
        with pytest.raises(ServeFailedError, match=r"does not answer as required\. The previous version was restored"):
            endpoint.update(replicas=2, verify="require", verify_with=(some.to_numpy(), other))
        assert endpoint.wait().service.verify == "warn"
        # What was put back counts as when it was made: the way back does not lead to what was rejected.
        assert [(r.number, r.back_to) for r in endpoint.revisions()] == [(3, 1), (2, 0), (1, 0)]
        assert not endpoint.service.can_roll_back


def test_what_cannot_be_compared_is_put_back_where_it_is_required(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(endpoint: Endpoint, *given: object) -> Verification:
        raise DeadlineExceededError("The rows were not answered within 60 s.")

    with served(record("slow"), name="slow") as endpoint:
        monkeypatch.setattr(Endpoint, "verify", late)
        with pytest.warns(UserWarning, match="answers as expected: The rows were not answered"):
            endpoint.update(method="predict_proba")
        told = r"could not be compared with what is required\. The previous version was restored\.\nThe rows were not"
        with pytest.raises(ServeFailedError, match=told):
            endpoint.update(method="predict", verify="require")
        service = endpoint.service
        assert (service.verify, service.method) == ("warn", "predict_proba")


def test_what_somebody_else_has_changed_meanwhile_is_left_as_it_is(
    record: Record, features: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = features.iloc[::40]
    compare = Endpoint.verify

    def changed_meanwhile(endpoint: Endpoint, *given: object) -> Verification:
        verdict = compare(endpoint, *given)
        if given:
            Endpoint(endpoint.name).update(replicas=2, wait=False)
        return verdict

    with served(record("shared"), name="shared") as endpoint:
        monkeypatch.setattr(Endpoint, "verify", changed_meanwhile)
        with pytest.raises(ServeFailedError, match="Someone else has changed it since, so it was left as it is"):
            endpoint.update(verify="require", verify_with=(some, ["other"] * len(some)))
        service = endpoint.service
        assert (service.verify, service.replicas_wanted, service.revision) == ("require", 2, 3)


def test_what_was_required_of_a_version_that_was_not_waited_for_goes_with_it(record: Record) -> None:
    with served(record("hasty", {1: 7}), name="hasty", verify="require", wait=False) as endpoint:
        endpoint.update(verify="warn")
        assert endpoint.wait().service.verify == "warn"
        assert endpoint.service.phase == "Ready"


def test_nothing_is_compared_where_that_is_said_or_another_method_answers(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(record("quiet", {0: 9}), name="quiet", verify="off") as endpoint:
        said = capsys.readouterr()
        assert "recorded" not in said.out + said.err
        assert endpoint.verify().skipped == "off"
        endpoint.update(method="predict_proba", verify="warn")
        assert endpoint.service.method == "predict_proba"
        assert endpoint.verify().skipped == "the answers of predict are recorded, and predict_proba answers"
        assert "recorded" not in endpoint.logs()


def test_probabilities_are_compared_where_they_are_recorded(record: Record) -> None:
    with served(record("likely", method="predict_proba"), name="likely", method="predict_proba") as endpoint:
        assert endpoint.verify().ok


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"verify": "always"}, "verify is 'always'"),
        ({"verify_with": [1]}, "not a pair"),
        ({"verify_with": ([[1]], None)}, "The answers are missing"),
        ({"verify_with": (None, [1])}, "The rows are missing"),
        ({"verify_with": ([[1]], "abc")}, "The answers are a str"),
        ({"verify_with": ([[1], [2]], [1])}, r"rows \(2\) and of answers to expect \(1\) differ"),
        (
            {"verify_with": (pd.DataFrame({"a": [1, 2, 3]}), pd.Series([1]))},
            r"rows \(3\) and of answers to expect \(1\)",
        ),
        ({"verify_with": ([[1]], [1]), "wait": False}, "once the service is ready"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(
    iris: Model, options: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidInputError, match=told):
        serve(iris, name="refused", **options)  # type: ignore[arg-type]  # refused


def test_the_plan_is_on_the_endpoint_and_its_warnings_are_shown(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    config = {"env": [secret], "limits": {"nvidia.com/gpu": "1"}}
    with served(record("warned"), name="warned", serve_config=config) as endpoint:
        assert endpoint.plan
        warned = [check.message for check in endpoint.plan.checks if check.level == "warning"]
        said = capsys.readouterr().err
        assert any("DB_PASSWORD" in message for message in warned)
        assert any("nvidia.com/gpu" in message for message in warned)
        assert all(f"⚠ {message}" in said for message in warned)
        assert Endpoint("warned").plan is None
