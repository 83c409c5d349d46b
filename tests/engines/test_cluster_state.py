"""What is said of a service, by what the API server has of it. The dicts are cut down from those of a real cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from kale_serve_ext.engines.base import Condition, Manifest, ServiceState
from kale_serve_ext.engines.cluster.eventlog import log_events
from kale_serve_ext.engines.cluster.service_objects import Objects
from kale_serve_ext.engines.cluster.state import grouped, service_state, wanted_log
from kale_serve_ext.engines.fields import mapping
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.status import describe

NOW = 1_800_000_000.0
TRACEBACK = 'Traceback (most recent call last):\n  File "load.py", line 1, in <module>\nValueError: no such column\n'
NO_BUCKET = "Traceback (most recent call last):\nRuntimeError: S3 authentication failed.\n"
PULL = 'Failed to pull image "registry.invalid/none": no such host'
REFUSED = "Readiness probe failed: dial tcp 10.244.0.9:8080: connect: connection refused"
REFUSED_HTTP = (
    'Startup probe failed: Get "http://10.244.0.9:8085/v2/health/ready": '
    "dial tcp 10.244.0.9:8085: connect: connection refused"
)
UNREADY = "Readiness probe failed: HTTP probe failed with statuscode: 503"
QUOTA = 'pods "iris-predictor-1-x7k2p" is forbidden: exceeded quota: q, requested: requests.cpu=50m'
COLLISION = 'Operation cannot be fulfilled on "iris": the object has been modified; please apply your changes'


def at(ago: float) -> str:
    """The time so many seconds ago, as the API writes it."""
    return datetime.fromtimestamp(NOW - ago, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def written(ago: float, manager: str = "kserve-manager", **more: JSON) -> dict[str, JSON]:
    return {"manager": manager, "time": at(ago), "fieldsV1": {"f:spec": {}}, **more}


def service(
    generation: int = 1, status: Mapping[str, JSON] | None = None, changed: float = 60, **metadata: JSON
) -> Manifest:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "iris",
            "namespace": "team",
            "uid": "s1",
            "generation": generation,
            "creationTimestamp": at(600),
            "labels": {"app.kubernetes.io/managed-by": "kale-serve-ext"},
            "managedFields": [written(changed, "kale-serve-ext")],
            **metadata,
        },
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}},
        "status": dict(status or {}),
    }


def marks(component: str = "predictor", **more: JSON) -> dict[str, JSON]:
    return {"serving.kserve.io/inferenceservice": "iris", "component": component, **more}


def template(version: int, **labels: JSON) -> dict[str, JSON]:
    return {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "kserve-container", "image": f"i:{version}"}]},
    }


def deployment(version: int = 1, changed: float = 59, component: str = "predictor", **status: JSON) -> Manifest:
    return {
        "metadata": {
            "name": f"iris-{component}",
            "labels": marks(component),
            "managedFields": [written(changed), written(0, "kube-controller-manager", subresource="scale")],
        },
        "spec": {"replicas": 1, "template": template(version)},
        "status": status,
    }


def replicaset(version: int = 1, component: str = "predictor", **status: JSON) -> Manifest:
    return {
        "metadata": {
            "name": f"iris-{component}-{version}",
            "labels": marks(component),
            "ownerReferences": [{"kind": "Deployment", "name": f"iris-{component}", "controller": True}],
        },
        "spec": {"template": template(version, **{"pod-template-hash": str(version)})},
        "status": status,
    }


def container(name: str = "kserve-container", restarts: int = 0, last: JSON = None, **state: JSON) -> dict[str, JSON]:
    """A container's status: ``running={...}``, ``waiting={...}`` or ``terminated={...}``."""
    flags = {flag: state.pop(flag, False) for flag in ("ready", "started")}
    return {
        "name": name,
        "restartCount": restarts,
        **flags,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


def pod(
    *containers: JSON,
    version: int = 1,
    ready: bool = False,
    component: str = "predictor",
    since: float = 500,
    inits: list[JSON] | None = None,
    unscheduled: str = "",
    scheduled_reason: str = "Unschedulable",
    name: str = "",
    **metadata: JSON,
) -> Manifest:
    conditions: list[JSON] = [{"type": "Ready", "status": str(ready), "lastTransitionTime": at(since)}]
    if unscheduled:
        told = {"reason": scheduled_reason, "message": unscheduled}
        conditions.append({"type": "PodScheduled", "status": "False", **told})
    limits: JSON = {"limits": {"memory": "64Mi"}}
    probe: JSON = {"tcpSocket": {"port": 8080}}
    return {
        "metadata": {
            "name": name or f"iris-{component}-{version}-x7k2p",
            "creationTimestamp": at(500),
            "labels": marks(component),
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"iris-{component}-{version}", "controller": True}],
            **metadata,
        },
        "spec": {"containers": [{"name": "kserve-container", "resources": limits, "readinessProbe": probe}]},
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "initContainerStatuses": inits or [],
            "containerStatuses": list(containers),
        },
    }


def event(
    reason: str, message: str, about: str = "Pod/iris-predictor-1-x7k2p", ago: float = 10, **more: JSON
) -> Manifest:
    kind, _, name = about.partition("/")
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": kind, "name": name},
        "lastTimestamp": at(ago),
        **more,
    }


def waiting(reason: str, message: str = "", **more: JSON) -> dict[str, JSON]:
    return container(waiting={"reason": reason, "message": message}, **more)  # type: ignore[arg-type]  # states by name


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, JSON]:
    return {"exitCode": code, "reason": reason, "message": message}


RUNNING: dict[str, JSON] = {"startedAt": at(45)}
ANSWERS = container(running=RUNNING, ready=True)
LATE = "failed to sync secret cache:"
LOADS = container(running=RUNNING)
PROXY = container("queue-proxy", running=RUNNING)
DOWNLOADED = container("storage-initializer", terminated=ended(0, "Completed"))


def objects(*pods: Manifest, events: list[Manifest] | None = None, of: Manifest | None = None) -> Objects:
    """A first generation, that has one ReplicaSet."""
    return Objects(of or service(), [deployment()], [replicaset()], pods, events or [])


def updated(*pods: Manifest, of: Manifest | None = None, changed: float = 59) -> Objects:
    """A second generation, in the middle of its rollout."""
    return Objects(of or service(2), [deployment(2, changed=changed)], [replicaset(1), replicaset(2)], [OLD, *pods], [])


def with_sidecar(made: Manifest) -> Manifest:
    return {**made, "spec": {"initContainers": [{"name": "modelcar", "restartPolicy": "Always"}]}}


OLD = pod(ANSWERS, ready=True)
EVICTED: Manifest = {
    **pod(name="iris-predictor-1-gone"),
    "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."},
}


def state(given: Objects, logs: Mapping[str, str] | None = None) -> ServiceState:
    return service_state(given, context="kind", logs=logs or {}, now=NOW)


def invalid(reason: str, message: str) -> dict[str, JSON]:
    return {
        "modelStatus": {
            "transitionStatus": "InvalidSpec",
            "lastFailureInfo": {"reason": reason, "message": message},
            "states": {"targetModelState": "FailedToLoad"},
        }
    }


FAILED_TO_LOAD: dict[str, JSON] = {
    "modelStatus": {
        "transitionStatus": "BlockedByFailedLoad",
        "states": {"targetModelState": "FailedToLoad"},
        "lastFailureInfo": {"reason": "ModelLoadFailed", "exitCode": 1, "message": NO_BUCKET},
    }
}


def condition(status: str, reason: str = "", message: str = "", kind: str = "PredictorReady") -> dict[str, JSON]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(30)}


ON_THE_WAY = {
    "nothing is there yet": (Objects(service()), "Pending", "The predictor is about to start."),
    "its node is chosen": (objects(pod()), "Pending", "The predictor is about to start."),
    "its image is pulled": (
        objects(pod(waiting("ContainerCreating")), events=[event("Pulling", 'Pulling image "big:1"')]),
        "Pending",
        'Pulling image "big:1".',
    ),
    "the node has not heard of a secret yet": (
        objects(pod(waiting("CreateContainerConfigError", f"{LATE} timed out waiting for the condition"))),
        "Pending",
        f"The node tries again: {LATE} timed out waiting for the condition.",
    ),
    "a volume cannot be mounted": (
        objects(pod(waiting("ContainerCreating")), events=[event("FailedMount", 'configmap "ca" not found')]),
        "Pending",
        'configmap "ca" not found.',
    ),
    "its claim is new": (
        objects(pod(unscheduled="pod has unbound immediate PersistentVolumeClaims", creationTimestamp=at(5))),
        "Pending",
        "Its volume is being made.",
    ),
    "a node is being added": (
        objects(
            pod(unscheduled="0/1 nodes are available"), events=[event("TriggeredScaleUp", "pod triggered scale-up")]
        ),
        "Pending",
        "The cluster is adding a node for it.",
    ),
    "it is not to be scheduled yet": (
        objects(pod(unscheduled="gated by kueue", scheduled_reason="SchedulingGated")),
        "Pending",
        "gated by kueue.",
    ),
    "the model is downloaded": (
        objects(pod(waiting("PodInitializing"), inits=[container("storage-initializer", running=RUNNING)])),
        "Loading",
        "Downloading the model.",
    ),
    "the server starts": (objects(pod(LOADS, inits=[DOWNLOADED])), "Loading", "The predictor is loading."),
    "the server has not listened so far": (
        objects(pod(LOADS), events=[event("Unhealthy", REFUSED, count=2)]),
        "Loading",
        "The predictor is loading.",
    ),
    "the server does not listen": (
        objects(pod(LOADS), events=[event("Unhealthy", REFUSED, count=3)]),
        "Loading",
        f"The predictor runs, but nothing listens on its port 8080, 40 s after it was started: {REFUSED}.",
    ),
    "the server never listens": (
        objects(pod(container(running={"startedAt": at(400)})), events=[event("Unhealthy", REFUSED_HTTP, count=30)]),
        "Loading",
        f"The predictor runs, but nothing listens on its port 8085, 6 min after it was started: {REFUSED_HTTP}.",
    ),
    "the server listens and is not ready": (
        objects(pod(container(running={"startedAt": at(430)})), events=[event("Unhealthy", UNREADY, count=30)]),
        "Loading",
        f"The predictor runs, but is not ready, 7 min after it was started: {UNREADY}.",
    ),
    "nothing is heard of its probes": (
        objects(pod(container(running={"startedAt": at(400)}))),
        "Loading",
        "The predictor is loading, 6 min after it was started.",
    ),
    "the server stopped answering": (
        objects(pod(LOADS, since=20), events=[event("Unhealthy", REFUSED, count=1)]),
        "Loading",
        f"The predictor runs, but does not answer any more: {REFUSED}.",
    ),
    "it crashed some day, and stopped answering now": (
        objects(pod(container(running=RUNNING, restarts=1, last=ended(1)), since=20)),
        "Loading",
        "The predictor runs, but does not answer any more.",
    ),
    "a sidecar is not ready": (
        objects(pod(ANSWERS, container("agent", running=RUNNING))),
        "Loading",
        "The container agent of the predictor is not ready.",
    ),
    "it is ready": (objects(pod(ANSWERS, ready=True, inits=[DOWNLOADED])), "Ready", ""),
    "it came right after a crash": (
        objects(pod(container(running=RUNNING, ready=True, restarts=3, last=ended(1)), ready=True)),
        "Ready",
        "",
    ),
    "it came right after a failed download": (
        objects(pod(ANSWERS, ready=True), of=service(status=FAILED_TO_LOAD)),
        "Ready",
        "",
    ),
    "its only pod is being stopped": (
        objects(pod(ANSWERS, ready=True, deletionTimestamp=at(1))),
        "Pending",
        "The predictor is about to start.",
    ),
    "the Deployment gave up, and then it came right": (
        Objects(
            service(),
            [deployment(conditions=[condition("False", "ProgressDeadlineExceeded", "It timed out.", "Progressing")])],
            [replicaset()],
            [OLD],
        ),
        "Ready",
        "",
    ),
    "its model's image runs beside it": (
        objects(with_sidecar(pod(LOADS, inits=[container("modelcar", running=RUNNING, ready=True, started=True)]))),
        "Loading",
        "The predictor is loading.",
    ),
    "its model's image is not there yet": (
        objects(with_sidecar(pod(waiting("PodInitializing"), inits=[container("modelcar", running=RUNNING)]))),
        "Loading",
        "The container modelcar of the predictor is not ready.",
    ),
    "an evicted pod has another in its place": (
        objects(EVICTED, OLD),
        "Ready",
        "",
    ),
    "the controller collided with somebody": (
        objects(pod(LOADS), of=service(status={"conditions": [condition("False", "ReconcileFailed", COLLISION)]})),
        "Loading",
        "The predictor is loading.",
    ),
}

FAILED = {
    "the image cannot be pulled": (
        objects(pod(waiting("ImagePullBackOff", "Back-off pulling image")), events=[event("Failed", PULL)]),
        f"The predictor cannot start: {PULL}.",
    ),
    "the image cannot be pulled, without events": (
        objects(pod(waiting("ErrImagePull", "no such host"))),
        "The predictor cannot start: no such host.",
    ),
    "the image is not on the node": (
        objects(pod(waiting("ErrImageNeverPull", "not present with pull policy of Never"))),
        "The predictor cannot start: not present with pull policy of Never.",
    ),
    "a secret is missing": (
        objects(pod(waiting("CreateContainerConfigError", 'secret "nope" not found'))),
        'The predictor cannot start: secret "nope" not found.',
    ),
    "the program is missing": (
        objects(
            pod(
                waiting(
                    "RunContainerError",
                    'exec: "nope": no such file',
                    last=ended(128, "StartError", "exec"),
                )
            )
        ),
        'The predictor cannot start: exec: "nope": no such file.',
    ),
    "no node has room": (
        objects(pod(unscheduled="0/1 nodes are available: 1 Insufficient cpu.")),
        "The predictor cannot start: 0/1 nodes are available: 1 Insufficient cpu.",
    ),
    "the claim is missing": (
        objects(pod(unscheduled='0/1 nodes are available: persistentvolumeclaim "nope" not found. not found')),
        'The predictor cannot start: persistentvolumeclaim "nope" not found.',
    ),
    "the claim is never bound": (
        objects(pod(unscheduled="pod has unbound immediate PersistentVolumeClaims")),
        "The predictor cannot start: pod has unbound immediate PersistentVolumeClaims.",
    ),
    "out of memory just now": (
        objects(pod(container(terminated=ended(137, "OOMKilled")))),
        "The predictor was killed because it used more memory than its limit. The limit is 64Mi.",
    ),
    "out of memory again and again": (
        objects(pod(waiting("CrashLoopBackOff", "back-off", restarts=4, last=ended(137, "OOMKilled")))),
        "The predictor was killed because it used more memory than its limit. The limit is 64Mi. "
        "It was restarted 4 times.",
    ),
    "crashed": (
        objects(pod(container(terminated=ended(1)))),
        "The predictor ended with exit code 1: ValueError: no such column.",
    ),
    "crash loop": (
        objects(pod(waiting("CrashLoopBackOff", "back-off", restarts=1, last=ended(1)))),
        "The predictor ended with exit code 1: ValueError: no such column. It was restarted once.",
    ),
    "crash loop, in a moment of running": (
        objects(pod(container(running={"startedAt": at(1)}, restarts=2, last=ended(1)))),
        "The predictor ended with exit code 1: ValueError: no such column. It was restarted 2 times.",
    ),
    "ends without an error": (
        objects(pod(waiting("CrashLoopBackOff", restarts=2, last=ended(0, "Completed")))),
        "The predictor ended with exit code 0: ValueError: no such column. It was restarted 2 times.",
    ),
    "the download failed": (
        objects(
            pod(
                waiting("PodInitializing"),
                inits=[container("storage-initializer", terminated=ended(1, message=NO_BUCKET))],
            )
        ),
        "The predictor ended with exit code 1: RuntimeError: S3 authentication failed.",
    ),
    "the download fails again and again": (
        objects(
            pod(
                waiting("PodInitializing"),
                inits=[container("storage-initializer", running={"startedAt": at(1)}, restarts=2, last=ended(1))],
            )
        ),
        "The predictor ended with exit code 1: ValueError: no such column. It was restarted 2 times.",
    ),
    "the node forgets how it ended": (
        objects(pod(container(running=RUNNING, restarts=3))),
        "The predictor cannot start: It ended, and was started again. It was restarted 3 times.",
    ),
    "a sidecar crashes while the server loads": (
        objects(pod(LOADS, container("agent", terminated=ended(2)))),
        "The predictor ended with exit code 2: ValueError: no such column.",
    ),
    "a sidecar's image cannot be pulled while the server loads": (
        objects(pod(LOADS, container("agent", waiting={"reason": "ErrImagePull", "message": "no such host"}))),
        "The predictor cannot start: no such host.",
    ),
    "a sidecar cannot be made while the server loads": (
        objects(pod(LOADS, container("agent", waiting={"reason": "CreateContainerError", "message": "no device"}))),
        "The predictor cannot start: no device.",
    ),
    "a sidecar crashes": (
        objects(pod(ANSWERS, container("agent", terminated=ended(2)))),
        "The predictor ended with exit code 2: ValueError: no such column.",
    ),
    "the quota is used up": (
        Objects(
            service(),
            [deployment()],
            [replicaset(conditions=[condition("True", "FailedCreate", QUOTA, "ReplicaFailure")])],
        ),
        f"The predictor cannot start: {QUOTA}.",
    ),
    "a webhook refuses, and ReplicaSets may not be read": (
        Objects(service(), [deployment(conditions=[condition("True", "FailedCreate", "denied", "ReplicaFailure")])]),
        "The predictor cannot start: denied.",
    ),
    "it takes too long": (
        Objects(
            service(),
            [deployment(conditions=[condition("False", "ProgressDeadlineExceeded", "It timed out.", "Progressing")])],
            [replicaset()],
            [pod(LOADS)],
        ),
        "The predictor is loading. It timed out.",
    ),
    "the API server refuses the Deployment": (
        Objects(service(status={"conditions": [condition("False", "ReconcileFailed", "must be less than 1")]})),
        "must be less than 1.",
    ),
    "nobody serves the format": (
        Objects(service(status=invalid("NoSupportingRuntime", "No runtime found"))),
        "No runtime found.",
    ),
    "the runtime is unknown, as the event says better": (
        Objects(
            service(status=invalid("RuntimeNotRecognized", "Waiting for runtime to become available")),
            events=[event("InternalError", "No ServingRuntimes with the name: nope", "InferenceService/iris")],
        ),
        "No ServingRuntimes with the name: nope.",
    ),
    "the spec is invalid for a reason of tomorrow": (
        Objects(service(status=invalid("SomethingNew", "no"))),
        "no.",
    ),
    "the model failed to load, and its pods are gone": (
        Objects(service(status=FAILED_TO_LOAD)),
        "RuntimeError: S3 authentication failed.",
    ),
}

ROLLOUTS = {
    "the controller has not looked": (
        Objects(service(2, changed=1), [deployment(1)], [replicaset(1)], [OLD], []),
        "Loading",
        "The predictor is about to start. Revision 1 answers until revision 2 is ready.",
        1,
    ),
    "the Deployment has no new ReplicaSet yet": (
        Objects(service(2), [deployment(2)], [replicaset(1)], [OLD], []),
        "Loading",
        "The predictor is about to start. Revision 1 answers until revision 2 is ready.",
        1,
    ),
    "the change does not concern the pods": (
        Objects(service(2, changed=30), [deployment(1)], [replicaset(1)], [OLD], []),
        "Ready",
        "",
        2,
    ),
    "the new pod is ready at once": (
        Objects(
            service(2, changed=1),
            [deployment(2, changed=0)],
            [replicaset(1), replicaset(2)],
            [OLD, pod(ANSWERS, version=2, ready=True)],
        ),
        "Ready",
        "",
        2,
    ),
    "the new pod was seen before its ReplicaSet": (
        Objects(service(2), [deployment(2)], [replicaset(1)], [OLD, pod(ANSWERS, version=2, ready=True)]),
        "Ready",
        "",
        2,
    ),
    "the new pod loads": (
        updated(pod(LOADS, version=2)),
        "Loading",
        "The predictor is loading. Revision 1 answers until revision 2 is ready.",
        1,
    ),
    "the new pod cannot start": (
        updated(pod(waiting("ErrImagePull", "no such host"), version=2)),
        "Degraded",
        "Revision 2 fails, revision 1 still answers. The predictor cannot start: no such host.",
        1,
    ),
    "the new pod answers beside the old one": (updated(pod(ANSWERS, version=2, ready=True)), "Ready", "", 2),
    "the new pod fails, the old one is being stopped": (
        Objects(
            service(2),
            [deployment(2)],
            [replicaset(1), replicaset(2)],
            [pod(ANSWERS, ready=True, deletionTimestamp=at(1)), pod(container(terminated=ended(1)), version=2)],
        ),
        "Failed",
        "The predictor ended with exit code 1.",
        0,
    ),
    "the new spec is refused": (
        Objects(
            service(2, {"conditions": [condition("False", "ReconcileFailed", "invalid")]}),
            [deployment(1)],
            [replicaset(1)],
            [OLD],
        ),
        "Degraded",
        "Revision 2 fails, revision 1 still answers. invalid.",
        1,
    ),
    "the new spec has no runtime": (
        Objects(service(2, invalid("NoSupportingRuntime", "none")), [deployment(1)], [replicaset(1)], [OLD]),
        "Degraded",
        "Revision 2 fails, revision 1 still answers. none.",
        1,
    ),
    "back to the template of before": (
        Objects(
            service(3),
            [deployment(1)],
            [replicaset(1), replicaset(2)],
            [OLD, pod(waiting("ErrImagePull", "no such host"), version=2)],
        ),
        "Ready",
        "",
        3,
    ),
    "the runtime's image changed under a first generation": (
        Objects(
            service(),
            [deployment(2)],
            [replicaset(1), replicaset(2)],
            [OLD, pod(waiting("ErrImagePull", "no such host"), version=2)],
        ),
        "Degraded",
        "1 of 1 predictor replicas answer. The predictor cannot start: no such host.",
        1,
    ),
    "what makes pods may not be read": (
        Objects(service(2), [], [], [pod(ANSWERS, version=2, ready=True)]),
        "Ready",
        "",
        2,
    ),
}


@pytest.mark.parametrize(("given", "phase", "reason"), ON_THE_WAY.values(), ids=ON_THE_WAY)
def test_what_goes_its_way_is_not_called_failed(given: Objects, phase: str, reason: str) -> None:
    seen = describe(state(given))
    assert (seen.phase, seen.reason) == (phase, reason)
    assert wanted_log(given) is None


@pytest.mark.parametrize(("given", "reason"), FAILED.values(), ids=FAILED)
def test_a_failure_is_told_with_its_cause(given: Objects, reason: str) -> None:
    wanted = wanted_log(given)
    has_no_log = any(word in reason for word in ("memory", "S3"))
    seen = describe(state(given, {wanted[0]: TRACEBACK} if wanted and not has_no_log else None))
    assert (seen.phase, seen.reason) == ("Failed", reason)


@pytest.mark.parametrize(("given", "phase", "reason", "serving"), ROLLOUTS.values(), ids=ROLLOUTS)
def test_an_update_is_judged_by_its_own_pods(given: Objects, phase: str, reason: str, serving: int) -> None:
    found = state(given)
    seen = describe(found)
    assert (seen.phase, seen.reason) == (phase, reason)
    assert found.serving_revision == serving


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (container(terminated=ended(1)), ("kserve-container", False)),
        (waiting("CrashLoopBackOff", last=ended(1)), ("kserve-container", True)),
        (container(running={"startedAt": at(1)}, restarts=1, last=ended(1)), ("kserve-container", True)),
        (waiting("ErrImagePull"), None),
        (LOADS, None),
    ],
)
def test_the_log_of_the_run_that_ended_is_asked_for(given: JSON, wanted: tuple[str, bool] | None) -> None:
    assert wanted_log(objects(pod(given))) == (wanted and ("iris-predictor-1-x7k2p", *wanted))
    init = {**given, "name": "storage-initializer"} if isinstance(given, dict) else {}
    expected = ("iris-predictor-1-x7k2p", "storage-initializer", wanted[1]) if wanted else None
    assert wanted_log(objects(pod(waiting("PodInitializing"), inits=[init]))) == expected


def test_an_old_revisions_failure_is_nobodys_log() -> None:
    old = pod(container(terminated=ended(1)))
    given = Objects(service(2), [deployment(2)], [replicaset(1), replicaset(2)], [old, pod(LOADS, version=2)])
    assert wanted_log(given) is None
    assert describe(state(given)).phase == "Loading"


def test_every_component_must_answer() -> None:
    both = service(status={"address": {"url": "http://iris-transformer.team.svc"}})
    both["spec"] = {"predictor": {"minReplicas": 2}, "transformer": {"containers": []}}
    transformer = pod(LOADS, component="transformer")
    given = Objects(both, [deployment()], [replicaset()], [OLD, transformer])
    found = state(given)
    assert [(c.component, c.ready, c.wanted) for c in found.components] == [("predictor", 1, 1), ("transformer", 0, 1)]
    assert found.serving_revision == 0
    assert describe(found).reason == "The transformer is loading."
    assert found.url == "http://iris-transformer.team.svc"


def test_a_component_that_an_update_adds_takes_nothing_away_until_it_is_ready() -> None:
    def given(transformer: Manifest, *replicasets: Manifest, generation: int = 2) -> Objects:
        both = service(generation)
        both["spec"] = {"predictor": {}, "transformer": {"containers": []}}
        crashed = pod(waiting("CrashLoopBackOff", last=ended(1)), component="transformer")
        notes: dict[str, JSON] = {"kale-serve-ext/model-name": "iris", "kale-serve-ext/model-version": "1"}
        old = pod(ANSWERS, ready=True, annotations={**notes, "kale-serve-ext/transformer-name": "scale"})
        made = [created(deployment(), 600), transformer]
        return Objects(both, made, [replicaset(), *replicasets], [old, crashed])

    def created(one: Manifest, ago: float) -> Manifest:
        return {**one, "metadata": {**mapping(one["metadata"]), "creationTimestamp": at(ago)}}

    complete: JSON = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
    added = created(deployment(component="transformer"), 59)
    told = describe(state(given(added)))
    assert (told.phase, told.serving_revision) == ("Degraded", 1)
    assert told.answering is not None
    assert told.answering.model is not None
    assert (told.answering.model.name, told.answering.model.version) == ("iris", "1")
    assert told.answering.transformer is None
    assert (told.components, told.answering.components) == (("predictor", "transformer"), ("predictor",))
    assert told.answering.protocol == "v1"
    # One that was ready before stands before the predictor, and so does one of a new service.
    for other in (
        given(created(deployment(component="transformer", conditions=complete), 59)),
        given(added, replicaset(1, "transformer"), replicaset(2, "transformer")),
        given(created(deployment(component="transformer"), 600)),
        given(added, generation=1),
    ):
        assert describe(state(other)).phase == "Failed"


def test_wanted_replicas_are_the_specs_where_there_is_no_deployment() -> None:
    many = service()
    many["spec"] = {"predictor": {"minReplicas": 3}}
    assert [c.wanted for c in state(Objects(many)).components] == [3]


def test_a_pod_that_is_over_is_told_of_until_there_is_another() -> None:
    def told(*pods: Manifest) -> list[tuple[str, str]]:
        return [(r.state, r.reason) for c in state(objects(*pods)).components for r in c.replicas]

    assert told(EVICTED) == [("Terminated", "Evicted")]
    assert told(EVICTED, OLD) == [("Running", "")]


def test_a_paused_service_is_stopping_until_its_pods_are_gone() -> None:
    paused = service(annotations={"serving.kserve.io/stop": "true"})
    ending = pod(ANSWERS, ready=True, deletionTimestamp=at(1))
    stopping = state(Objects(paused, pods=[ending]))
    assert describe(stopping).reason == "Its processes are being stopped."
    assert [c.ready for c in stopping.components] == [0]
    gone = state(Objects(paused))
    assert describe(gone).reason == "It is paused; resume it to send requests."
    assert gone.serving_revision == 0


def test_a_deleted_service_is_terminating() -> None:
    found = state(objects(OLD, of=service(deletionTimestamp=at(1))))
    assert found.deleting
    assert describe(found).phase == "Terminating"


def test_the_state_names_the_service_and_its_times() -> None:
    status: dict[str, JSON] = {"conditions": [condition("True"), condition("weird", kind="Ready")]}
    found = state(Objects(service(4, status, labels={})))
    assert str(found.ref) == "cluster/kind/team/iris"
    assert (found.revision, found.created, found.updated, found.ours) == (4, NOW - 600, NOW - 30, False)
    assert found.conditions == (
        Condition("PredictorReady", "True", last_transition=NOW - 30),
        Condition("Ready", "Unknown", last_transition=NOW - 30),
    )
    assert found.url == ""


def test_the_manifest_is_what_somebody_would_write() -> None:
    webhook = {"modelFormat": "sklearn", "serving.kserve.io/deploymentMode": "Standard"}
    stored = service(annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "1", **webhook})
    stored["spec"] = {
        "predictor": {"model": {"name": "", "resources": {}, "runtime": "kale-sklearn"}, "minReplicas": 1},
        "transformer": {"containers": [{"name": "kserve-container", "image": "i", "resources": {}}]},
    }
    del stored["kind"]
    assert state(Objects(stored)).manifest == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": "iris",
            "namespace": "team",
            "labels": {"app.kubernetes.io/managed-by": "kale-serve-ext"},
            "annotations": {"mine": "1"},
        },
        "spec": {
            "predictor": {"model": {"runtime": "kale-sklearn"}, "minReplicas": 1},
            "transformer": {"containers": [{"name": "kserve-container", "image": "i"}]},
        },
    }


def knative(
    created: str,
    ready: str,
    failed: str = "",
    *,
    generation: int = 1,
    percents: Mapping[str, int] | None = None,
    previous: str = "",
    asked: int | None = None,
) -> Manifest:
    """A service in Knative mode; ``percents`` are those that its route has, which is there when one is ready."""
    shared = percents if percents is not None else {ready: 100} if ready else {}
    traffic: list[JSON] = [{"revisionName": name, "percent": percent} for name, percent in shared.items()]
    revisions: dict[str, JSON] = {
        "latestCreatedRevision": created,
        "latestReadyRevision": ready,
        "previousRolledoutRevision": previous,
        "traffic": traffic,
        "url": "http://iris-predictor.team.example.com" if ready else None,
    }
    told = f'Revision "{created}" failed with message: {failed}'
    failure = {"type": "PredictorConfigurationReady", "status": "False", "reason": "RevisionFailed", "message": told}
    made = service(
        generation,
        {
            "deploymentMode": "Knative",
            "components": {"predictor": revisions},
            "conditions": [failure] if failed else [],
        },
    )
    if asked is not None:
        mapping(mapping(made["spec"])["predictor"])["canaryTrafficPercent"] = asked  # type: ignore[index]
    return made


def of_revision(name: str, *containers: JSON, ready: bool = False) -> Manifest:
    made = pod(*containers, ready=ready, name=f"{name}-x", labels=marks(**{"serving.knative.dev/revision": name}))
    # The server has no probe of its own there; the proxy beside it asks in its place.
    return {**made, "spec": {"containers": [{"name": "kserve-container"}, {"name": "queue-proxy"}]}}


def scaled(**replicas: int) -> list[Manifest]:
    """The Deployments of revisions."""
    made: list[Manifest] = []
    for name, count in replicas.items():
        labels = marks(**{"serving.knative.dev/revision": name})
        made.append({**deployment(), "metadata": {"name": name, "labels": labels}, "spec": {"replicas": count}})
    return made


def revision(name: str, version: str) -> Manifest:
    notes: JSON = {"kale-serve-ext/model-name": "iris", "kale-serve-ext/model-version": version}
    return {"metadata": {"name": name, "labels": marks(), "annotations": notes}}


def up(*names: str) -> list[Manifest]:
    return [of_revision(name, ANSWERS, ready=True) for name in names]


@pytest.mark.parametrize(
    ("given", "phase", "serving"),
    [
        (Objects(knative("r1", "r1"), scaled(r1=1), pods=up("r1")), "Ready", 1),
        (Objects(knative("r1", ""), scaled(r1=1), pods=up("r1")), "Loading", 0),
        (Objects(knative("r1", "r1"), scaled(r1=0)), "Idle", 1),
        (Objects(knative("r1", "r1"), scaled(r1=1), pods=[of_revision("r1", LOADS)]), "Loading", 0),
        (Objects(knative("r1", ""), pods=[of_revision("r1", ANSWERS, PROXY)]), "Loading", 0),
        (
            Objects(
                knative("r2", "r1", generation=2),
                pods=[*up("r1"), of_revision("r2", container(terminated=ended(1)))],
            ),
            "Degraded",
            1,
        ),
        (Objects(knative("r1", "", "Unable to fetch image.")), "Failed", 0),
        (Objects(knative("r2", "r1", "Unable.", generation=2), scaled(r1=1), pods=up("r1")), "Degraded", 1),
        (Objects(knative("r2", "r1", "Unable.", generation=2), scaled(r1=0)), "Degraded", 1),
        (
            Objects(
                knative("r2", "r2", generation=3, percents={"r1": 100}, asked=0), scaled(r1=1, r2=0), pods=up("r1")
            ),
            "Ready",
            3,
        ),
        (
            Objects(knative("r2", "r2", generation=2, percents={"r2": 20, "r1": 80}, asked=20), scaled(r1=0, r2=0)),
            "Idle",
            2,
        ),
    ],
    ids=[
        "answers",
        "has no route yet",
        "scaled to zero",
        "starts from zero",
        "starts",
        "an update fails",
        "given up",
        "an update given up",
        "an update of what is scaled to zero given up",
        "rolled back",
        "both at zero",
    ],
)
def test_knative_revisions(given: Objects, phase: str, serving: int) -> None:
    found = state(given)
    assert (describe(found).phase, found.serving_revision, found.mode) == (phase, serving, "Knative")


def test_a_revision_that_was_given_up_says_why() -> None:
    assert describe(state(Objects(knative("r1", "", "No such image.")))).reason == (
        "The predictor cannot start: No such image."
    )


@pytest.mark.parametrize(
    ("given", "shares", "reason", "wanted"),
    [
        (knative("r1", "r1"), [("r1", 100)], "", 1),
        (
            knative("r2", "r2", percents={"r2": 20, "r1": 80}),
            [("r2", 20), ("r1", 80)],
            "Of the requests 20 % go to version 2 and 80 % go to version 1.",
            2,
        ),
        (
            knative("r2", "r2", percents={"r1": 100}),
            [("r2", 0), ("r1", 100)],
            "All requests go to version 1; version 2 gets none.",
            2,
        ),
        (knative("r2", "r2", previous="r1"), [("r2", 100), ("r1", 0)], "", 1),
        (knative("r2", "r2", previous="r0"), [("r2", 100)], "", 1),
    ],
    ids=["one", "split", "rolled back", "can be rolled back", "the one before is gone"],
)
def test_who_gets_the_requests(given: Manifest, shares: list[tuple[str, int]], reason: str, wanted: int) -> None:
    revisions = [revision("r1", "1"), revision("r2", "2")]
    service = describe(state(Objects(given, scaled(r1=1, r2=1), pods=up("r1", "r2"), revisions=revisions)))
    assert [(s.revision, s.percent) for s in service.shares] == shares
    assert [s.newest for s in service.shares] == [True, False][: len(shares)]
    assert service.reason == reason
    assert (service.replicas_ready, service.replicas_wanted) == (wanted, wanted)


def test_a_service_whose_requests_are_split_is_not_paused() -> None:
    split = knative("r2", "r2", percents={"r1": 100}, asked=0)
    assert describe(state(Objects(split, scaled(r1=1, r2=1), pods=up("r1", "r2")))).can_pause is False
    # While a new version loads, the one before has the requests too: that is no choice to be kept.
    assert state(Objects(knative("r2", "r1"), scaled(r1=1, r2=1), pods=up("r1"))).can_pause is True


@pytest.mark.parametrize(
    ("word", "mode", "can_pause"), [("RawDeployment", "Standard", False), ("Standard",) * 2 + (True,)]
)
def test_the_words_of_an_old_kserve_mean_that_it_cannot_pause(word: str, mode: str, can_pause: bool) -> None:
    found = state(Objects(service(1, {"deploymentMode": word})))
    assert (found.mode, found.can_pause) == (mode, can_pause)


def test_a_change_of_the_shares_is_done_when_the_status_says_so() -> None:
    def given(asked: int, routed: int, **status: JSON) -> Objects:
        told = knative("r2", "r2", generation=2, percents={"r2": routed, "r1": 100 - routed}, asked=asked)
        of_route: JSON = [{"revisionName": "r2", "percent": asked}, {"revisionName": "r1", "percent": 100 - asked}]
        own: Manifest = {
            "metadata": {"labels": marks(), "generation": 5, "managedFields": [written(1)]},
            "status": {
                "observedGeneration": 5,
                "latestCreatedRevisionName": "r2",
                "latestReadyRevisionName": "r2",
                "traffic": of_route,
                **status,
            },
        }
        changed = {**told, "metadata": {**mapping(told["metadata"]), "managedFields": [written(2, "kale-serve-ext")]}}
        return Objects(changed, scaled(r1=1, r2=1), pods=up("r1", "r2"), knative=[own])

    assert describe(state(given(50, 50))).phase == "Ready"
    # On its way back from having all requests, the newest version first shares them with itself.
    way_back = given(100, 100)
    back = {**mapping(way_back.service["spec"])["predictor"], "canaryTrafficPercent": 20}  # type: ignore[dict-item]
    own = mapping(mapping(way_back.service["status"])["components"])["predictor"]
    own["previousRolledoutRevision"] = "r1"  # type: ignore[index]
    service_ = {**way_back.service, "spec": {"predictor": back}}
    assert describe(state(replace(way_back, service=service_))).phase == "Loading"
    assert describe(state(given(50, 20))).phase == "Loading"
    assert describe(state(given(50, 50, observedGeneration=4))).phase == "Loading"
    assert describe(state(given(50, 50, conditions=[{"type": "Ready", "reason": "OutOfDate"}]))).phase == "Loading"


def test_a_share_that_kserve_has_not_got_to_yet_is_not_taken_for_done() -> None:
    late = knative("r2", "r2", generation=2, percents={"r2": 20, "r1": 80}, asked=70)
    # Long ago, so that its having been left alone would else mean that there was nothing to do.
    found = state(Objects(late, scaled(r1=1, r2=1), pods=up("r1", "r2")))
    assert (describe(found).phase, found.serving_revision) == ("Loading", 1)


def test_what_the_knative_proxy_waits_for_is_the_server() -> None:
    starting = Objects(knative("r1", ""), pods=[of_revision("r1", ANSWERS, PROXY)])
    assert describe(state(starting)).reason == "The predictor is loading."
    crashed = container(running={"startedAt": at(1)}, ready=True, restarts=2, last=ended(1))
    looping = Objects(knative("r1", "r1"), pods=[of_revision("r1", crashed, PROXY)])
    assert describe(state(looping)).phase == "Failed"


def test_scaled_to_zero_wants_no_replica_and_says_so() -> None:
    found = state(Objects(knative("r1", "r1"), scaled(r1=0)))
    (predictor,) = found.components
    assert predictor.wanted == 0
    assert [(r.name, r.reason) for r in predictor.replicas] == [("r1", "ScaledToZero")]
    assert describe(found).reason == "Scaled to zero; the next request starts it."


def test_objects_are_grouped_by_their_service() -> None:
    other = service(uid="s2", name="iris-predictor")
    mine = pod(LOADS, uid="p1")
    earlier = event("Failed", "of an earlier pod of this name")
    earlier["involvedObject"] = {"kind": "Pod", "name": "iris-predictor-1-x7k2p", "uid": "p0"}
    events = [
        event("Unhealthy", REFUSED),
        earlier,
        event("InternalError", "oh", "InferenceService/iris"),
        event("InternalError", "oh", "InferenceService/iris-predictor"),
        event("SuccessfulRescale", "New size: 2", "HorizontalPodAutoscaler/iris-predictor"),
        event("Created", "else", "Pod/elsewhere"),
    ]
    found = grouped([service(), other], [deployment()], [replicaset()], [mine], events)
    assert list(found) == ["iris", "iris-predictor"]
    iris = found["iris"]
    assert (iris.deployments, iris.replicasets, iris.pods) == ([deployment()], [replicaset()], [mine])
    assert sorted(map(str, iris.events)) == sorted(map(str, (events[0], events[2], events[4])))
    assert found["iris-predictor"] == Objects(other, [], [], [], [events[3]], [], [])


def test_events_are_merged_and_without_noise() -> None:
    refused = "Error creating: pods "
    again = "(combined from similar events): "
    owner = "ReplicaSet/iris-predictor-1"
    given = [
        event("Started", "Started container", ago=5, type="Normal", count=3),
        event("Scheduled", "assigned", ago=50, lastTimestamp=None, eventTime=at(50.0), count=None),
        event("FailedCreate", f'{refused}"iris-predictor-1-aaaaa" is forbidden', owner, 40, count=1),
        event(
            "FailedCreate",
            f'{again}{refused}"iris-predictor-1-bbbbb" is forbidden',
            owner,
            20,
            count=4,
        ),
        event("Probing", "still", ago=60, series={"count": 7, "lastObservedTime": at(30)}),
        event("FailedGetResourceMetric", "no metrics", "HorizontalPodAutoscaler/iris-predictor"),
        event("FailedComputeMetricsReplicas", "no metrics", "HorizontalPodAutoscaler/iris-predictor"),
        event("UpdateFailed", COLLISION, "InferenceService/iris"),
        event("InternalError", COLLISION, "InferenceService/iris"),
        event("InternalError", "no runtime", "InferenceService/iris", ago=1),
    ]
    found = log_events(Objects(service(), events=given))
    assert [(NOW - e.time, e.type, e.reason, e.count) for e in found] == [
        (50, "Warning", "Scheduled", 1),
        (30, "Warning", "Probing", 7),
        (20, "Warning", "FailedCreate", 5),
        (5, "Normal", "Started", 3),
        (1, "Warning", "InternalError", 1),
    ]
    assert found[2].object == owner
    assert found[2].message.startswith(refused)
