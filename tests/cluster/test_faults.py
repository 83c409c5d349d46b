"""What goes wrong on a real cluster is told with its cause, and soon."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import Service
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
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
        r"The predictor runs, but does not answer yet: .*connection refused\.",
        phase="Loading",
        within=90.0,
    ),
}


def manifest(namespace: str, name: str, predictor: JSON) -> Manifest:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "kale-serve-ext"},
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {"predictor": predictor},
    }


@pytest.fixture
def make(engine: ClusterEngine, kube_admin: Kube, namespace: str) -> Iterator[Make]:
    """Applies a service of one predictor; those that were made are removed afterwards."""
    made: set[str] = set()

    def apply(name: str, predictor: JSON) -> None:
        made.add(name)
        run(engine.apply(manifest(namespace, name, predictor)))

    yield apply
    for name in made:
        kube_admin.delete(f"{SERVICES.format(namespace)}/{name}")


def told(engine: ClusterEngine, name: str, phase: str, reason: str = ".*", within: float = 60.0) -> Service:
    """Look until the service is said to be in this phase for this reason."""
    end = time.monotonic() + within
    while True:
        service = describe(run(engine.get(name)))
        if service.phase == phase and re.fullmatch(reason, service.reason):
            return service
        assert time.monotonic() < end, f"not told within {within:g} s, but {service.phase}: {service.reason}"
        time.sleep(0.2)


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
    while restarts < 2:
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
