"""MLServer on this machine, through the notebook's own calls: set up, planned, served and asked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import lightgbm
import psutil
import pytest
import xgboost
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, Transformer, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Check, Setup
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.engines.local.state import read_status
from kale_serve_ext.errors import EnvironmentUnavailableError, PlanError
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.notebook import services
from kale_serve_ext.serving import deploy
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import Plan, ServeRequest
from kale_serve_ext.sync import run

RUNTIME = "kserve-mlserver"
TABLE, TARGET = load_diabetes(return_X_y=True)
FLOWERS, KINDS = load_iris(return_X_y=True)
MAKERS: dict[str, Callable[[], object]] = {
    "sklearn": lambda: LogisticRegression(max_iter=1000).fit(FLOWERS, KINDS),
    "xgboost": lambda: xgboost.XGBRegressor(n_estimators=5).fit(TABLE, TARGET),
    "lightgbm": lambda: lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(TABLE, TARGET),
}

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning"),
]


@pytest.fixture
def set_up(workspace: Settings, mlserver: Path) -> Iterator[None]:
    """The workspace has MLServer's environment."""
    place = workspace.data_dir / "environments"
    shutil.rmtree(place, ignore_errors=True)  # what an attempt without an index has noted
    workspace.data_dir.mkdir(parents=True, exist_ok=True)
    place.symlink_to(mlserver)
    yield
    place.unlink()


def plan(model: Model, runtime: str = RUNTIME) -> Plan:
    request = ServeRequest(model_id=model.id, runtime=runtime)
    return run(make_plan(request, session.engine(), session.metadata()))


def check(made: Plan, code: str) -> Check:
    return next(one for one in made.checks if one.code == code)


def outputs(answer: object) -> list[float]:
    assert isinstance(answer, dict)
    [output] = answer["outputs"]
    return [float(value) for value in output["data"]]


def test_the_plan_says_that_it_is_not_set_up_and_how_to(workspace: Settings, iris: Model) -> None:
    made = plan(iris)
    assert made.ok
    assert made.setup == Setup("mlserver", "MLServer", 730, "missing", command="kale-serve-ext setup mlserver")
    told = check(made, "EnvironmentMissing")
    assert told.message == "MLServer is installed first, once: about 730 MB in an environment of its own."
    usual = plan(iris, "")
    assert usual.setup is None
    [listed] = [one for one in usual.runtimes if one.name == RUNTIME]
    assert (listed.fits, listed.chosen, listed.setup) == (True, False, made.setup)


def test_a_server_that_installs_nothing_refuses_and_says_how_to(workspace: Settings, iris: Model) -> None:
    request = ServeRequest(model_id=iris.id, name="too-early", runtime=RUNTIME)
    with pytest.raises(PlanError, match="not set up on this machine yet") as error:
        run(deploy.serve(request, session.engine(), session.metadata(), provenance=here()))
    assert error.value.hint == "Run: kale-serve-ext setup mlserver"


def test_without_a_package_index_one_sentence_tells_the_way_out(
    workspace: Settings, iris: Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with pytest.raises(EnvironmentUnavailableError) as error:
        serve(iris.id, name="offline", runtime=RUNTIME)
    assert "MLServer could not be installed (to fetch its packages)" in error.value.message
    assert "With a connection to a package index, run `kale-serve-ext setup mlserver`" in error.value.hint
    assert "Installing MLServer: making its environment (once, about 730 MB)" in capsys.readouterr().out
    assert "offline" not in [service.ref.name for service in services()]
    again = plan(iris)
    assert again.setup is not None
    assert again.setup.state == "failed"
    assert check(again, "SetupFailed").message == error.value.message


def test_the_plan_says_what_differs(set_up: None, iris: Model) -> None:
    metadata = session.metadata()
    usual = plan(iris, "")
    assert usual.runtime == "kserve-sklearnserver"
    asked = plan(iris)
    assert (asked.ok, asked.runtime, asked.protocol) == (True, RUNTIME, "v2")
    found = run(metadata.artifact(iris.id or 0))
    older = replace(
        found,
        environment=replace(
            found.environment, python_version="3.9.1", packages={**found.environment.packages, "scikit-learn": "1.2.0"}
        ),
    )
    engine = session.engine()
    [runtime] = [one for one in run(engine.runtimes(older)) if one.name == RUNTIME]
    told = {one.code: one.message for one in run(engine.check(older, runtime))}
    assert "made with Python 3.9.1; MLServer runs on" in told["PythonSkew"]
    assert "made with scikit-learn 1.2.0; MLServer's environment has" in told["VersionSkew"]
    lacking = replace(
        found, environment=replace(found.environment, packages={**found.environment.packages, "category-encoders": "2"})
    )
    [error] = [one for one in run(engine.check(lacking, runtime)) if one.level == "error"]
    assert "lacks category-encoders" in error.message


@pytest.fixture
def served(set_up: None, request: pytest.FixtureRequest) -> Iterator[tuple[Endpoint, object]]:
    """An endpoint of MLServer, and the model that it serves."""
    kind = request.param
    estimator = MAKERS[kind]()
    model = Model(model=estimator, name=f"ml-{kind}").submit_artifact()
    endpoint = serve(model.id, name=f"ml-{kind}", runtime=RUNTIME, timeout=300)
    yield endpoint, estimator
    endpoint.delete()


@pytest.mark.parametrize("served", list(MAKERS), indirect=True)
def test_it_answers_as_the_model_does_by_rest_and_grpc(workspace: Settings, served: tuple[Endpoint, object]) -> None:
    endpoint, estimator = served
    rows = (FLOWERS if endpoint.name == "ml-sklearn" else TABLE)[::40]
    wanted = estimator.predict(rows).tolist()  # type: ignore[attr-defined]  # each of the three has it
    for protocol in (None, "v2", "grpc-v2"):
        assert outputs(endpoint.predict(rows, protocol=protocol)) == pytest.approx(wanted, rel=1e-6), protocol
    # On unix sockets: nothing of it listens where others of this machine could ask.
    status = read_status(Home.of(workspace, workspace.namespace or "default", endpoint.name))
    assert status is not None
    kept = [psutil.Process(child.pid) for child in status.children]
    running = [one for each in kept for one in (each, *each.children(recursive=True))]
    assert len(running) == 2
    assert not [c for each in running for c in each.connections("inet") if c.status == "LISTEN"]
    assert "model_infer_request_duration" in run(session.engine().metrics(endpoint.name))


def test_a_transformer_stands_before_it(set_up: None, tmp_path: Path) -> None:
    (tmp_path / "transformer.py").write_text(
        """
protocol = "v2"

def preprocess(request):
    given = request["inputs"][0]
    given["data"] = [value / 2 for value in given["data"]]
    return request
"""
    )
    halving = Transformer(name="halving-v2", transformer_dir=tmp_path).submit_artifact()
    estimator = LogisticRegression(max_iter=1000).fit(FLOWERS, KINDS)
    model = Model(model=estimator, name="ml-behind").submit_artifact()
    endpoint = serve(model.id, halving.id, name="ml-behind", runtime=RUNTIME, timeout=300)
    assert outputs(endpoint.predict(FLOWERS[::40])) == estimator.predict(FLOWERS[::40] / 2).tolist()
    endpoint.delete()
