"""The rights that the documentation asks for are enough, and what is said of each missing one is so."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.credentials import find_place, load
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.errors import NotFoundError, PermissionDeniedError
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving import deploy
from kale_serve_ext.serving.client import PredictionClient
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.serving.waiting import read_log
from kale_serve_ext.sync import run
from tests.cluster.conftest import STANDARD

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

TABLE = Path(__file__).parents[2] / "docs" / "operators.md"
ROW = [[5.1, 3.5, 1.4, 0.2]]


@dataclass(frozen=True)
class Right:
    """A row of the documentation's table."""

    resources: tuple[tuple[str, str], ...]
    """Group and resource of each."""
    verbs: tuple[str, ...]
    without: str

    @property
    def name(self) -> str:
        return self.resources[0][1]

    def rules(self, *, but: str = "") -> list[JSON]:
        verbs: list[JSON] = [verb for verb in self.verbs if verb != but]
        return [{"apiGroups": [group], "resources": [name], "verbs": verbs} for group, name in self.resources]


def documented() -> list[Right]:
    """The table of the rights in a namespace."""
    section = TABLE.read_text().split("\n## Rights in a cluster\n")[1].split("\n## ")[0]
    found = []
    for row in re.findall(r"^\| (.*`.*) \| (.*) \| (.*) \|$", section, re.MULTILINE):
        named: list[tuple[str, str]] = []
        waiting: list[str] = []
        for group, resource in re.findall(r"\(`([^`]+)`\)|`([^`]+)`", row[0]):
            if resource:
                waiting.append(resource)
            else:
                # A group is that of the resources before it.
                named += [(group, one) for one in waiting]
                waiting.clear()
        found.append(Right((*named, *(("", one) for one in waiting)), tuple(row[1].split(", ")), row[2]))
    return found


RIGHTS = {right.name: right for right in documented()}
SERVICES = RIGHTS["inferenceservices"]

Account = Callable[[str, Sequence[JSON]], str]


def all_but(missing: str) -> list[JSON]:
    return [rule for name, right in RIGHTS.items() if name != missing for rule in right.rules()]


@pytest.fixture(scope="module")
def account(kube_admin: Kube, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Makes an account that has these rights only; the path of its kubeconfig."""
    folder = tmp_path_factory.mktemp("accounts")
    admin = load(find_place(os.environ["KUBECONFIG"]))

    def make(name: str, rules: Sequence[JSON]) -> str:
        kube_admin.make_account(namespace, name, rules)
        cluster = {"server": admin.server, "certificate-authority": admin.config.ssl_ca_cert}
        made = {
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": kube_admin.new_token(namespace, name)}}],
        }
        path = folder / name
        path.write_text(json.dumps(made))
        return str(path)

    return make


@pytest.fixture(scope="module")
def workspace(
    settings: Settings, account: Account, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Iterator[Settings]:
    with new_workspace(replace(settings, kubeconfig=account("all", all_but("")), namespace="")) as made:
        yield made


@pytest.fixture(scope="module")
def model(workspace: Settings) -> Model:
    features, target = load_iris(return_X_y=True)
    return Model(LogisticRegression(max_iter=500).fit(features, target), name="rights", version="1").submit_artifact()


@pytest.fixture(scope="module")
def endpoint(model: Model, kube_admin: Kube, namespace: str) -> Endpoint:
    # Those of the cluster may not be read.
    spec = kube_admin.get("/apis/serving.kserve.io/v1alpha1/clusterservingruntimes/kale-sklearn")["spec"]
    own: Manifest = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ServingRuntime", "metadata": {"name": "own"}}
    path = f"/apis/serving.kserve.io/v1alpha1/namespaces/{namespace}/servingruntimes"
    kube_admin.create(path, {**own, "spec": spec})
    # Little is asked for, as other tests may leave little room.
    return serve(model.id, name="rights", serve_config={"requests": {"cpu": "10m"}}, timeout=120)


@pytest.fixture
def engine_with(settings: Settings, account: Account) -> Iterator[Callable[[str, Sequence[JSON]], ClusterEngine]]:
    """Makes engines of accounts that have these rights only."""
    made: list[ClusterEngine] = []

    def make(name: str, rules: Sequence[JSON]) -> ClusterEngine:
        made.append(ClusterEngine(replace(settings, kubeconfig=account(name, rules), namespace="")))
        return made[-1]

    yield make
    for engine in made:
        run(engine.close())


def test_the_documented_rights_are_enough_for_the_main_job(endpoint: Endpoint, model: Model) -> None:
    assert endpoint.predict(ROW) == {"predictions": [0]}
    assert endpoint.logs().strip()
    assert {"Scheduled", "Started"} <= {event.reason for event in run(session.engine().events("rights"))}
    endpoint.pause()
    assert endpoint.phase == "Paused"
    endpoint.update(model.id, replicas=1)
    endpoint.resume(timeout=120)
    assert (endpoint.service.runtime, endpoint.service.replicas_ready) == ("own", 1)
    other = serve(model.id, name="other", wait=False)
    other.delete()
    assert [state.ref.name for state in run(session.engine().services())] == ["rights"]


@pytest.mark.parametrize("verb", SERVICES.verbs)
def test_a_missing_verb_is_named(
    engine_with: Callable[[str, Sequence[JSON]], ClusterEngine], endpoint: Endpoint, model: Model, verb: str
) -> None:
    rules = [*all_but(SERVICES.name), *SERVICES.rules(but=verb)]
    engine = engine_with(f"no-{verb}", rules)
    with pytest.raises(PermissionDeniedError, match=rf"inferenceservices.* cannot {verb} resource"):
        run(use_every_verb(engine, endpoint.service.manifest))


async def use_every_verb(engine: ClusterEngine, manifest: Manifest) -> None:
    """Until one is refused."""
    await engine.services()
    async with aclosing(engine.watch()) as changes:
        async for event in changes:
            if event.state:
                break
        if engine.info.context == "no-watch":
            await anext(changes)
    name = engine.info.context
    notes: JSON = {"serving.kserve.io/stop": "true", "serving.kserve.io/deploymentMode": STANDARD}
    await engine.apply({**manifest, "metadata": {"name": name, "annotations": notes}})
    await engine.set_paused(name, True)
    await engine.delete(name)


def without_runtimes(engine: ClusterEngine, request: ServeRequest) -> None:
    with pytest.raises(PermissionDeniedError, match='cannot list resource "servingruntimes"'):
        run(make_plan(request, engine, session.metadata()))


def without_pods(engine: ClusterEngine, request: ServeRequest) -> None:
    with pytest.raises(PermissionDeniedError, match='cannot list resource "pods"'):
        run(read_log(engine, "rights"))


def without_logs(engine: ClusterEngine, request: ServeRequest) -> None:
    with pytest.raises(PermissionDeniedError, match='cannot get resource "pods/log"'):
        run(read_log(engine, "rights"))


def without_proxy(engine: ClusterEngine, request: ServeRequest) -> None:
    client = PredictionClient(engine, "rights")
    assert run(client.call(ROW)) == {"predictions": [0]}
    run(client.close())


def without_forwarding(engine: ClusterEngine, request: ServeRequest) -> None:
    client = PredictionClient(engine, "rights")
    assert run(client.call(np.array(ROW))) == {"predictions": [0]}
    with pytest.raises(PermissionDeniedError, match='cannot get resource "pods/portforward"'):
        run(client.call(np.array(ROW), protocol="grpc-v2"))
    run(client.close())


def without_secrets(engine: ClusterEngine, request: ServeRequest) -> None:
    with pytest.raises(PermissionDeniedError, match='resource "secrets"'):
        run(deploy.serve(request, engine, session.metadata(), provenance=here()))
    with pytest.raises(NotFoundError):
        run(engine.get(request.name))


def serves(engine: ClusterEngine, request: ServeRequest) -> None:
    """What is not needed to serve the files of this machine by S3."""
    run(deploy.serve(request, engine, session.metadata(), provenance=here()))
    run(engine.delete(request.name))


WITHOUT = {
    "servingruntimes": without_runtimes,
    "deployments": without_pods,
    "pods/log": without_logs,
    "services/proxy": without_proxy,
    "pods/portforward": without_forwarding,
    "secrets": without_secrets,
}


@pytest.mark.parametrize("missing", [name for name in RIGHTS if name != SERVICES.name])
def test_without_a_right_the_rest_goes_on(
    engine_with: Callable[[str, Sequence[JSON]], ClusterEngine], endpoint: Endpoint, model: Model, missing: str
) -> None:
    async def until_ready() -> None:
        async with aclosing(engine.watch()) as changes:
            async for event in changes:
                if event.ref.name == "rights" and event.state and describe(event.state).phase == "Ready":
                    return

    engine = engine_with(f"without-{missing.replace('/', '-')}", all_but(missing))
    # Without the pods it takes a moment to be sure that the service's own word is about what was changed last.
    run(asyncio.wait_for(until_ready(), 30))
    assert describe(run(engine.get("rights"))).phase == "Ready"
    WITHOUT.get(missing, serves)(engine, ServeRequest(model_id=model.id, name="less"))
