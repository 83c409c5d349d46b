"""A real Kubernetes with KServe: the one of ``$KUBECONFIG``, in a namespace that is made and removed for the tests."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace

import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier

from kale_serve_ext import Model, sync
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.api import MERGE, Api
from kale_serve_ext.engines.cluster.credentials import find_place
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.fields import mapping, mappings, name_of
from kale_serve_ext.errors import BackendUnavailableError, InvalidInputError, NotFoundError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import Service

GONE_WITHIN = 120.0
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MADE_HERE = {"api-approved.kubernetes.io": "unapproved, for tests"}
"""Annotation of the kinds that tests make."""
BUCKET = "kale-test"
NEEDED = ("KUBECONFIG", "KALE_S3_ENDPOINT")
BEFORE_PAUSE = os.environ.get("KALE_KSERVE", "").startswith("v0.15.")
"""Whether this is the older KServe, which is tried by hand."""
STANDARD, KNATIVE = ("RawDeployment", "Serverless") if BEFORE_PAUSE else ("Standard", "Knative")
"""Its words for the deployment modes."""
OF_BEFORE: dict[str, tuple[type[Exception], str]] = {
    **dict.fromkeys(
        (
            "test_a_missing_verb_is_named[delete]",
            "test_a_paused_service_says_so_and_comes_back",
            "test_every_change_is_seen_by_a_watch",
            "test_it_is_paused_resumed_and_deleted",
            "test_pausing_resuming_and_deleting_are_told",
            "test_the_documented_rights_are_enough_for_the_main_job",
        ),
        (InvalidInputError, "KServe 0.15 knows no pause, and this is said"),
    ),
    **dict.fromkeys(
        (
            "test_a_fault_is_told_with_its_cause[above-its-limit]",
            "test_a_failed_update_leaves_the_old_revision_answering[limit]",
        ),
        (AssertionError, "KServe 0.15 tells of a Deployment that is refused in an event only"),
    ),
}
"""How an older KServe differs: the tests that it ends, with what, and why."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a cluster these tests are skipped, and the summary says what they lack."""
    for item in items:
        if BEFORE_PAUSE and item.name in OF_BEFORE:
            raised, why = OF_BEFORE[item.name]
            item.add_marker(pytest.mark.xfail(raises=raised, strict=True, reason=why))
    absent = [f"${name}" for name in NEEDED if not os.environ.get(name)]
    if not absent:
        return
    why = f"needs a Kubernetes cluster with KServe, and an S3 that its pods reach ({' and '.join(absent)} not set)"
    for item in items:
        if "kube_admin" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=why))


@dataclass(frozen=True)
class Kube:
    """The API server, as the kubeconfig's user."""

    api: Api

    def list(self, path: str) -> list[Manifest]:
        return sync.run(self.api.list(path))[0]

    def get(self, path: str) -> Manifest:
        return sync.run(self.api.get(path))

    def has(self, path: str) -> bool:
        try:
            self.get(path)
        except NotFoundError:
            return False
        return True

    def create(self, path: str, body: Manifest) -> Manifest:
        return sync.run(self.api.create(path, body))

    def patch_merge(self, path: str, body: Manifest) -> Manifest:
        return sync.run(self.api.patch(path, body, MERGE))

    def delete(self, path: str) -> None:
        sync.run(self.api.delete(path))

    def make_account(self, namespace: str, name: str, rules: Sequence[JSON]) -> None:
        """A service account that may do what the rules say, in its namespace."""
        self.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        self.create(f"{rights}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        binding: Manifest = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        self.create(f"{rights}/rolebindings", binding)

    def new_token(self, namespace: str, account: str, bound_to: Manifest | None = None) -> str:
        """A token of a service account; it holds for as long as the object that it is bound to."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        status = self.create(path, {"spec": {"boundObjectRef": bound_to}})["status"]
        assert isinstance(status, dict)
        return str(status["token"])


@pytest.fixture(scope="session")
def kube_admin() -> Iterator[Kube]:
    api = Api(find_place(os.environ["KUBECONFIG"]))
    made = Kube(api)
    # Kinds outlive the namespaces, and so may have outlived a run that was killed.
    for left in made.list(CRDS):
        if MADE_HERE.items() <= mapping(mapping(left["metadata"]).get("annotations")).items():
            _remove_kind(made, left)
    yield made
    sync.run(api.close())


@contextmanager
def kind(kube: Kube, group: str, version: str, name: str, plural: str) -> Iterator[None]:
    """A kind of any content, with nobody who acts on it; removed afterwards, unless the cluster had it already."""
    made: Manifest = {
        "metadata": {"name": f"{plural}.{group}", "annotations": {**MADE_HERE}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": name, "plural": plural},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    if kube.has(f"{CRDS}/{plural}.{group}"):
        yield
        return
    kube.create(CRDS, made)
    _until_served(kube, made, True)
    try:
        yield
    finally:
        _remove_kind(kube, made)


def _remove_kind(kube: Kube, definition: Manifest) -> None:
    kube.delete(f"{CRDS}/{name_of(definition)}")
    _until_served(kube, definition, False)


def _until_served(kube: Kube, definition: Manifest, wanted: bool) -> None:
    """Wait until objects of this kind can be listed, or cannot any more."""
    spec = mapping(definition["spec"])
    (version,) = mappings(spec["versions"])
    path = f"/apis/{spec['group']}/{version['name']}/{mapping(spec['names'])['plural']}"
    end = time.monotonic() + 60
    while _serves(kube, path) is not wanted:
        assert time.monotonic() < end, f"{name_of(definition)} is {'not' if wanted else 'still'} served"
        time.sleep(0.2)


def _serves(kube: Kube, path: str) -> bool | None:
    """Whether objects can be listed there; None while the server makes itself ready for them (429)."""
    try:
        return kube.has(path)
    except BackendUnavailableError:
        return None


@pytest.fixture(scope="session")
def leaving(kube_admin: Kube) -> Iterator[list[str]]:
    """Namespaces that are being removed while other tests run; at the end all of them must have gone."""
    names: list[str] = []
    yield names
    end = time.monotonic() + GONE_WITHIN
    while left := [name for name in names if kube_admin.has(f"/api/v1/namespaces/{name}")]:
        if time.monotonic() > end:
            pytest.fail(f"still there after {GONE_WITHIN:g} s: the namespaces {', '.join(left)}")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def namespace(kube_admin: Kube, leaving: list[str]) -> Iterator[str]:
    name = f"kale-test-{secrets.token_hex(3)}"
    kube_admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    kube_admin.delete(f"/api/v1/namespaces/{name}")
    leaving.append(name)


@pytest.fixture(scope="module")
def settings(namespace: str) -> Settings:
    """The cluster engine's; artifacts reach the pods by the S3 of ``$KALE_S3_ENDPOINT``."""
    import boto3

    endpoint = os.environ["KALE_S3_ENDPOINT"]
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=BUCKET)
    storage = f"s3://{BUCKET}/{namespace}?endpoint={endpoint}"
    return replace(Settings.from_environ(), engine="cluster", namespace=namespace, cluster_storage=storage)


@pytest.fixture(scope="module")
def workspace(
    settings: Settings, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Iterator[Settings]:
    """Settings of this module, also in the environment; what was served goes with it."""
    with new_workspace(settings) as made:
        yield made


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[ClusterEngine]:
    made = ClusterEngine(settings)
    yield made
    sync.run(made.close())


@pytest.fixture(scope="module")
def versions(workspace: Settings) -> list[Model]:
    """Models that answer with their number."""
    features, target = load_iris(return_X_y=True)
    return [
        Model(
            model=DummyClassifier(strategy="constant", constant=number).fit(features, target),
            name="constant",
            version=str(number),
        ).submit_artifact()
        for number in (1, 2)
    ]


def told(engine: ClusterEngine, name: str, phase: str, reason: str = ".*", within: float = 60.0) -> Service:
    """Look until the service is said to be in this phase for this reason."""
    end = time.monotonic() + within
    while True:
        service = describe(sync.run(engine.get(name)))
        if service.phase == phase and re.fullmatch(reason, service.reason):
            return service
        assert time.monotonic() < end, f"not told within {within:g} s, but {service.phase}: {service.reason}"
        time.sleep(0.2)


def manifest(
    namespace: str, name: str, spec: JSON, mode: str = STANDARD, annotations: Mapping[str, JSON] = {}
) -> Manifest:
    """A service as this package would make it."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "kale-serve-ext"},
            "annotations": {"serving.kserve.io/deploymentMode": mode, **annotations},
        },
        "spec": spec,
    }
