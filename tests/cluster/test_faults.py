"""What goes wrong on a real cluster is told with its cause, and soon."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest, ServiceState, Staged, Version, version_of
from kale_serve_ext.engines.cluster import logs, pods
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.cluster.storage.s3_target import S3Target, access_secret
from kale_serve_ext.errors import ChangedMeanwhileError, InvalidInputError, NotFoundError, PermissionDeniedError
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.status import describe
from kale_serve_ext.sync import run
from tests.cluster.conftest import manifest, told

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
CLAIMS = "/api/v1/namespaces/{}/persistentvolumeclaims"
RUNTIMES = "/apis/serving.kserve.io/v1alpha1/namespaces/{}/servingruntimes"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
QUOTAS = "/api/v1/namespaces/{}/resourcequotas"
IMAGE = "kale/sklearnserver:local"
NO_IMAGE = "registry.invalid/none:1"
# A program that is the first of its container must ask for SIGTERM, or its pod stays for 30 s.
POLITE = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
SERVE = POLITE + "from http.server import *\nHTTPServer(('', 8080), SimpleHTTPRequestHandler).serve_forever()"
SLOW_TO_END = SERVE.replace("sys.exit()", "(time.sleep(5), sys.exit())")

Make = Callable[[str, JSON], None]


def program(code: str, **more: JSON) -> dict[str, JSON]:
    """A predictor that is a Python program."""
    container: JSON = {"name": "kserve-container", "image": IMAGE, "command": ["python3", "-uc", code], **more}
    return {"containers": [container]}


def model(**more: JSON) -> dict[str, JSON]:
    """A predictor that is a model in a bucket that is not there."""
    wanted: dict[str, JSON] = {"modelFormat": {"name": "sklearn"}, "runtime": "kale-sklearn", "protocolVersion": "v2"}
    return {"model": {**wanted, "storageUri": "s3://nope/model", **more}}


@dataclass(frozen=True)
class Fault:
    predictor: JSON
    reason: str
    """A regular expression for the whole reason."""
    phase: str = "Failed"
    within: float = 30.0
    log: str = ""
    """What the last lines that were logged have."""


FAULTS = {
    "image": Fault(program(SERVE, image=NO_IMAGE), r"The predictor cannot start: Failed to pull image .*"),
    "above-its-limit": Fault(
        program(SERVE, resources={"requests": {"cpu": "100"}}), r".*must be less than or equal to cpu limit of 1\."
    ),
    "no-room": Fault(
        program(SERVE, resources={"requests": {"cpu": "100"}, "limits": {"cpu": "100"}}),
        r"The predictor cannot start: 0/\d+ nodes are available: .*Insufficient cpu.*",
    ),
    "memory": Fault(
        program("x = []\nwhile True: x.append(bytearray(10**7))", resources={"limits": {"memory": "300Mi"}}),
        r"The predictor was killed because it used more memory than its limit\. The limit is 300Mi\..*",
    ),
    "crash": Fault(
        program("import time\ntime.sleep(1)\nraise ValueError('no such column')"),
        r"The predictor ended with exit code 1: ValueError: no such column\..*",
        log="Traceback (most recent call last)",
    ),
    "crash-loop": Fault(
        program("raise ValueError('no such column')"),
        r"The predictor ended with exit code 1: ValueError: no such column\. It was restarted \d+ times\.",
        within=60.0,
        log="Traceback (most recent call last)",
    ),
    "ends": Fault(program("print('bye')"), r"The predictor ended with exit code 0\..*", log="bye"),
    "no-program": Fault(
        program(SERVE, command=["nope"]),
        r"The predictor (ended with exit code 128|cannot start): .*executable file not.*",
    ),
    "secret": Fault(
        program(SERVE, env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "nope", "key": "a"}}}]),
        r'The predictor cannot start: secret "nope" not found\.',
    ),
    "claim": Fault(
        model(storageUri="pvc://nope/model"),
        r'The predictor cannot start: persistentvolumeclaim "nope" not found\.',
    ),
    "bucket": Fault(
        model(), r"The predictor ended with exit code 1: RuntimeError: S3 .*", log="Traceback (most recent call last)"
    ),
    "format": Fault(
        {"model": {"modelFormat": {"name": "nope"}, "storageUri": "s3://nope/model"}},
        r"no runtime found to support predictor with model type: .*nope.*",
    ),
    "runtime": Fault(model(runtime="nope"), r"No ServingRuntimes or ClusterServingRuntimes with the name: nope\."),
    "protocol": Fault(
        model(protocolVersion="grpc-v1"),
        r"specified runtime kale-sklearn does not support specified protocol version\.",
    ),
    "silent": Fault(
        program(POLITE + "time.sleep(3600)"),
        r"The predictor runs, but nothing listens on its port 8080, .* after it was started: .*connection refused\.",
        phase="Loading",
        within=90.0,
    ),
}


@pytest.fixture
def make(engine: ClusterEngine, kube_admin: Kube, namespace: str) -> Iterator[Make]:
    """Applies a service of one predictor; those that were made are removed afterwards."""
    made: set[str] = set()

    def apply(name: str, predictor: JSON) -> None:
        made.add(name)
        run(engine.apply(manifest(namespace, name, {"predictor": predictor})))

    yield apply
    for name in made:
        kube_admin.delete(f"{SERVICES.format(namespace)}/{name}")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_cause(engine: ClusterEngine, make: Make, name: str) -> None:
    fault = FAULTS[name]
    make(name, fault.predictor)
    service = told(engine, name, fault.phase, fault.reason, fault.within)
    assert service.replicas_ready == 0
    assert service.serving_revision == 0
    assert fault.log in service.log_tail


def test_a_crash_loop_is_never_called_anything_else(engine: ClusterEngine, make: Make) -> None:
    make("loop", program("import time\ntime.sleep(2)\nraise SystemExit(3)"))
    told(engine, "loop", "Failed", within=30)
    seen: set[str] = set()
    restarts = 0
    end = time.monotonic() + 90
    while restarts < 2:
        assert time.monotonic() < end, f"restarted {restarts} times only"
        service = describe(run(engine.get("loop")))
        seen.add(service.phase)
        restarts = service.restarts
        time.sleep(0.2)
    assert seen == {"Failed"}


def test_a_used_up_quota_is_told(engine: ClusterEngine, make: Make, kube_admin: Kube, namespace: str) -> None:
    quota: Manifest = {"metadata": {"name": "small"}, "spec": {"hard": {"requests.cpu": "1m"}}}
    kube_admin.create(QUOTAS.format(namespace), {"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    try:
        make("quota", program(SERVE))
        told(engine, "quota", "Failed", r"The predictor cannot start: pods .* is forbidden: exceeded quota: small.*")
    finally:
        kube_admin.delete(f"{QUOTAS.format(namespace)}/small")


@pytest.mark.parametrize(
    ("update", "why"),
    [
        (program(SERVE, image=NO_IMAGE), r"The predictor cannot start: Failed to pull image .*"),
        (program("raise SystemExit(3)"), r"The predictor ended with exit code 3\..*"),
        (program(SERVE, resources={"requests": {"cpu": "100"}}), r".*must be less than or equal to cpu limit of 1\."),
        (model(runtime="nope"), r"No ServingRuntimes or ClusterServingRuntimes with the name: nope\."),
    ],
    ids=["image", "crash", "limit", "runtime"],
)
def test_a_failed_update_leaves_the_old_revision_answering(
    engine: ClusterEngine, make: Make, request: pytest.FixtureRequest, update: JSON, why: str
) -> None:
    name = f"update-{request.node.callspec.id}"
    make(name, program(SERVE))
    told(engine, name, "Ready")
    make(name, update)
    # It must not be called Ready on the way, as KServe itself does.
    assert describe(run(engine.get(name))).phase in ("Loading", "Degraded")
    service = told(engine, name, "Degraded", rf"Revision 2 fails, revision 1 still answers\. {why}")
    assert (service.replicas_ready, service.serving_revision, service.revision) == (1, 1, 2)
    make(name, program(SERVE + "\n"))
    assert told(engine, name, "Ready").serving_revision == 3


def test_pausing_resuming_and_deleting_are_told(
    engine: ClusterEngine, make: Make, kube_admin: Kube, namespace: str
) -> None:
    make("rest", program(SLOW_TO_END))
    told(engine, "rest", "Ready")
    assert run(engine.set_paused("rest", True)).serving_revision in (0, 1)
    told(engine, "rest", "Paused", r"Its processes are being stopped\.")
    told(engine, "rest", "Paused", r"It is paused; resume it to send requests\.")
    run(engine.set_paused("rest", False))
    told(engine, "rest", "Ready")
    run(kube_admin.api.delete(f"{SERVICES.format(namespace)}/rest", "Foreground"))
    told(engine, "rest", "Terminating", within=3)


def test_the_events_tell_what_happened_without_noise(engine: ClusterEngine, make: Make) -> None:
    make("eventful", program(SERVE, image=NO_IMAGE))
    told(engine, "eventful", "Failed", FAULTS["image"].reason)
    events = run(engine.events("eventful"))
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulling", "Failed"} <= {e.reason for e in events}
    assert not [e for e in events if "object has been modified" in e.message or "metrics" in e.reason.lower()]


def test_a_log_is_followed_through_its_silences(
    engine: ClusterEngine, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read() -> str:
        text = ""
        async with aclosing(engine.logs("pensive", follow=True)) as pieces:
            async for piece in pieces:
                text += piece
                if "late" in text:
                    break
        return text

    monkeypatch.setattr(logs, "READ_TIMEOUT", 1.0)
    make("pensive", program(f"{POLITE}print('first')\ntime.sleep(4)\nprint('late')\ntime.sleep(600)"))
    told(engine, "pensive", "Loading", r"The predictor is loading\.")
    assert run(asyncio.wait_for(read(), 30)).splitlines() == ["first", "late"]


def test_a_claim_that_gets_no_volume_is_told(
    engine: ClusterEngine, make: Make, kube_admin: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec: JSON = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "nope",
    }
    kube_admin.create(CLAIMS.format(namespace), {"metadata": {"name": "unbound"}, "spec": spec})
    make("unbound", model(storageUri="pvc://unbound/model"))
    told(engine, "unbound", "Pending", r"Its volume is being made\.")
    # So long it may take with nothing being wrong.
    monkeypatch.setattr(pods, "_BINDS_WITHIN", 1.0)
    told(engine, "unbound", "Failed", r"The predictor cannot start: .*unbound immediate PersistentVolumeClaims.*")


@pytest.mark.parametrize(
    ("files", "why"),
    [(["README.txt"], r".*Missing.* found 0\..*"), (["model.joblib", "model.pkl"], r".*Missing.* found 2\..*")],
    ids=["no-file", "two-files"],
)
def test_a_folder_without_a_model_is_told_from_the_traceback(
    engine: ClusterEngine,
    settings: Settings,
    kube_admin: Kube,
    namespace: str,
    request: pytest.FixtureRequest,
    files: list[str],
    why: str,
) -> None:
    import boto3

    name = request.node.callspec.id
    target = S3Target.parse(settings.cluster_storage)
    bucket = boto3.resource("s3", endpoint_url=target.endpoint, region_name="us-east-1").Bucket(target.bucket)
    for file in files:
        bucket.put_object(Key=f"{target.prefix}/{name}/{file}", Body=b"not a model")
    predictor = model(storageUri=f"s3://{target.bucket}/{target.prefix}/{name}")
    annotations = {"serving.kserve.io/storageSecretName": target.secret}
    access = Staged("", owned=(access_secret(target, namespace),))
    run(engine.apply(manifest(namespace, name, {"predictor": predictor}, annotations=annotations), [access]))
    try:
        service = told(engine, name, "Failed", rf"The predictor ended with exit code 1: {why}")
        assert "Traceback (most recent call last)" in service.log_tail
    finally:
        kube_admin.delete(f"{SERVICES.format(namespace)}/{name}")


def test_a_runtime_that_is_switched_off_is_told(
    engine: ClusterEngine, make: Make, kube_admin: Kube, namespace: str
) -> None:
    spec: JSON = {
        "disabled": True,
        "supportedModelFormats": [{"name": "sklearn", "version": "1"}],
        "containers": [{"name": "kserve-container", "image": IMAGE}],
    }
    kind: Manifest = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ServingRuntime"}
    kube_admin.create(RUNTIMES.format(namespace), {**kind, "metadata": {"name": "off"}, "spec": spec})
    make("disabled", model(runtime="off"))
    told(engine, "disabled", "Failed", r".*runtime off is disabled.*")


def test_what_an_admission_policy_refuses_is_told_before_and_leaves_nothing(
    engine: ClusterEngine, kube_admin: Kube, namespace: str, settings: Settings
) -> None:
    rule: JSON = {
        "apiGroups": ["serving.kserve.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["inferenceservices"],
    }
    ours: JSON = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    spec: Manifest = {
        "matchConstraints": {"namespaceSelector": ours, "resourceRules": [rule]},
        "validations": [
            {"expression": "!object.metadata.name.startsWith('secret-')", "message": "Nothing secret here, please."}
        ],
    }
    kube_admin.create(f"{POLICIES}/validatingadmissionpolicies", {"metadata": {"name": namespace}, "spec": spec})
    bound: JSON = {"policyName": namespace, "validationActions": ["Deny"]}
    binding: Manifest = {"metadata": {"name": namespace}, "spec": bound}
    kube_admin.create(f"{POLICIES}/validatingadmissionpolicybindings", binding)
    try:
        wanted = manifest(namespace, "secret-plan", {"predictor": model()})
        end = time.monotonic() + 30
        while (check := run(engine.dry_run(wanted))[0]).level == "ok":
            assert time.monotonic() < end, "the policy does not come to hold"
            time.sleep(0.2)
        assert (check.level, check.code) == ("error", "ClusterInvalidInput")
        assert "Nothing secret here, please." in check.message
        target = replace(S3Target.parse(settings.cluster_storage), prefix="refused")
        with pytest.raises(InvalidInputError, match="Nothing secret here, please"):
            run(engine.apply(wanted, [Staged("", owned=(access_secret(target, namespace),))]))
        with pytest.raises(NotFoundError):
            run(engine.get("secret-plan"))
        with pytest.raises(NotFoundError):
            kube_admin.get(f"/api/v1/namespaces/{namespace}/secrets/{target.secret}")
    finally:
        kube_admin.delete(f"{POLICIES}/validatingadmissionpolicybindings/{namespace}")
        kube_admin.delete(f"{POLICIES}/validatingadmissionpolicies/{namespace}")


def test_a_service_that_somebody_else_deletes_is_told(
    engine: ClusterEngine, make: Make, kube_admin: Kube, namespace: str
) -> None:
    async def watch() -> list[str]:
        seen: list[str] = []
        async with aclosing(engine.watch()) as changes:
            async for event in changes:
                if event.ref.name == "fleeting":
                    seen.append(event.kind)
                    if len(seen) == 1:
                        await kube_admin.api.delete(f"{SERVICES.format(namespace)}/fleeting")
                if seen[-1:] == ["deleted"]:
                    break
        return seen

    run(engine.apply(manifest(namespace, "fleeting", {"predictor": program(SERVE)})))
    seen = run(asyncio.wait_for(watch(), 30))
    assert (seen[0], seen[-1]) == ("added", "deleted")
    with pytest.raises(NotFoundError, match="There is no service 'fleeting' in the namespace"):
        run(engine.get("fleeting"))


def test_a_namespace_that_is_deleted_is_told(kube_admin: Kube, settings: Settings) -> None:
    name = f"kale-test-{secrets.token_hex(3)}"
    kube_admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    engine = ClusterEngine(replace(settings, namespace=name))
    stopped = {"serving.kserve.io/stop": "true"}

    async def watch() -> set[str]:
        there: set[str] = set()
        async with aclosing(engine.watch()) as changes:
            async for event in changes:
                if event.kind == "added":
                    there.add(event.ref.name)
                    if there == {"one", "two"}:
                        await kube_admin.api.delete(f"/api/v1/namespaces/{name}")
                elif event.kind == "deleted":
                    there.remove(event.ref.name)
                    if not there:
                        break
        return there

    for service in ("one", "two"):
        run(engine.apply(manifest(name, service, {"predictor": program(SERVE)}, annotations=stopped)))
    assert run(asyncio.wait_for(watch(), 60)) == set()
    late = manifest(name, "late", {"predictor": program(SERVE)})
    with pytest.raises((NotFoundError, PermissionDeniedError), match=f"namespace.*{name}.*"):
        run(engine.apply(late))
    end = time.monotonic() + 60
    while not gone(kube_admin, name):
        assert time.monotonic() < end, "the namespace is still there"
        time.sleep(0.2)
    with pytest.raises(NotFoundError, match=f'namespaces "{name}" not found') as refused:
        run(engine.apply(late))
    assert "namespace" in refused.value.hint
    assert run(engine.services()) == []
    run(engine.close())


def gone(kube: Kube, namespace: str) -> bool:
    try:
        kube.get(f"/api/v1/namespaces/{namespace}")
    except NotFoundError:
        return True
    return False


def test_of_two_who_make_or_change_a_service_at_once_one_is_told(engine: ClusterEngine, namespace: str) -> None:
    """Without pods: what counts is what the API server takes."""
    paused: dict[str, JSON] = {"serving.kserve.io/stop": "true"}

    def wanted(most: int) -> Manifest:
        spec: JSON = {"predictor": {**program(SERVE), "maxReplicas": most}}
        return manifest(namespace, "raced", spec, annotations=paused)

    async def race(over: Version, *most: int) -> list[object]:
        applied = (engine.apply(wanted(number), over=over) for number in most)
        return await asyncio.gather(*applied, return_exceptions=True)

    over = Version()
    for most in ((2, 3), (4, 5)):
        one, other = run(race(over, *most))
        (lost,) = [found for found in (one, other) if isinstance(found, BaseException)]
        (won,) = [found for found in (one, other) if isinstance(found, ServiceState)]
        assert isinstance(lost, ChangedMeanwhileError)
        assert run(engine.get("raced")).manifest["spec"] == won.manifest["spec"]
        over = version_of(won)
    run(engine.delete("raced"))
