"""What the API server has of an InferenceService, as a :class:`ServiceState`. Pure.

The InferenceService's own status is the least of it: after an update that fails it says Ready and up to date, and its
``observedGeneration`` is that of a Deployment. So revisions are told apart by ReplicaSets, and what went wrong is read
from the pods.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ...ml import JSON
from ...records import ServiceRef
from ..base import Component, ComponentState, Condition, LogEvent, Manifest, Replica, ServiceState
from .eventlog import by_object, is_about
from .fields import labels_of, mapping, mappings, name_of, notes_of, number, seconds, text
from .pods import (
    KNATIVE_REVISION,
    Verdict,
    is_ending,
    is_newest,
    is_ready,
    judge,
    newest_replicasets,
    of_component,
    overdue,
    refusals,
)

_SERVICE = "serving.kserve.io/inferenceservice"
STOP = "serving.kserve.io/stop"
_OF_THE_WEBHOOK = ("modelFormat", "serving.kserve.io/deploymentMode")
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_IDLE = "It is scaled to zero; the next request starts it."
_LOOKS_WITHIN = 10.0
"""Seconds after which a change that left the Deployments alone is taken for one that does not concern them."""
_BAD_SPECS = ("InvalidPredictorSpec", "NoSupportingRuntime", "RuntimeNotRecognized", "RuntimeDisabled")


@dataclass(frozen=True)
class Objects:
    """What the API server has of one InferenceService; dicts as it gives them."""

    service: Manifest
    """The InferenceService."""
    deployments: Sequence[Manifest] = ()
    """Those of this service."""
    replicasets: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    """The core/v1 events of the service, its deployments, replicasets and pods."""


@dataclass(frozen=True)
class _Pod:
    pod: Manifest
    revision: int
    ready: bool
    verdict: Verdict


@dataclass(frozen=True)
class _Part:
    """One component: what is wanted of it, and the pods that count."""

    component: Component
    wanted: int
    pods: tuple[_Pod, ...]
    stand_ins: tuple[Replica, ...] = ()
    """What stands for pods that are not there."""
    overdue: str = ""
    """What its Deployment says when it has given up waiting."""

    @property
    def revisions(self) -> set[int]:
        """Those that something can be told of."""
        return {p.revision for p in self.pods} | {r.revision for r in self.stand_ins}

    @property
    def serving(self) -> int:
        """The newest revision that answers; 0 where none does."""
        ready = {p.revision for p in self.pods if p.ready} | {r.revision for r in self.stand_ins if r.ready}
        return max(ready, default=0)


def service_state(
    objects: Objects, *, context: str, logs: Mapping[str, str] = {}, now: float | None = None
) -> ServiceState:
    """The service as people are to be told of it.

    Args:
        logs: last lines of a failed container by pod name, as :func:`wanted_log` asks for them.
        now: seconds since the epoch; by default, the present.
    """
    metadata = mapping(objects.service.get("metadata"))
    generation = number(metadata.get("generation"))
    parts = _parts(objects, now)
    return ServiceState(
        ref=ServiceRef("cluster", context, text(metadata.get("namespace")), text(metadata.get("name"))),
        manifest=_manifest(objects.service),
        revision=generation,
        serving_revision=min((part.serving for part in parts), default=0),
        components=tuple(_component_state(part, logs) for part in parts),
        conditions=_conditions(objects, parts),
        url=_url(objects.service),
        created=seconds(metadata.get("creationTimestamp")),
        updated=_updated(objects.service),
        deleting=bool(metadata.get("deletionTimestamp")),
        ours=mapping(metadata.get("labels")).get("app.kubernetes.io/managed-by") == "kale-serve-ext",
    )


def wanted_log(objects: Objects) -> tuple[str, str, bool] | None:
    """(pod, container, previous): whose last lines say why the newest revision failed; None where nothing ended."""
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    for part in _parts(objects, None):
        for one in part.pods:
            verdict = one.verdict
            if one.revision == generation and not one.ready and verdict.exit_code is not None:
                return name_of(one.pod), verdict.container, verdict.previous
    return None


def grouped(
    services: Sequence[Manifest],
    deployments: Sequence[Manifest],
    replicasets: Sequence[Manifest],
    pods: Sequence[Manifest],
    events: Sequence[Manifest],
) -> dict[str, Objects]:
    """The objects of a whole namespace by the service that they belong to."""
    found: dict[str, Objects] = {}
    for service in services:
        name = name_of(service)
        mine = [[o for o in some if labels_of(o).get(_SERVICE) == name] for some in (deployments, replicasets, pods)]
        kinds = zip(("Deployment", "ReplicaSet", "Pod"), mine, strict=True)
        uids = {f"{kind}/{name_of(o)}": _uid(o) for kind, some in kinds for o in some}
        # The autoscaler of a Deployment has its name. It is not read, so any of that name will do.
        uids |= {f"HorizontalPodAutoscaler/{name_of(o)}": "" for o in mine[0]}
        uids[f"InferenceService/{name}"] = _uid(service)
        about = [e for e in events if is_about(e, uids)]
        found[name] = Objects(service, deployments=mine[0], replicasets=mine[1], pods=mine[2], events=about)
    return found


def _parts(objects: Objects, now: float | None) -> list[_Part]:
    spec = mapping(objects.service.get("spec"))
    moment = time.time() if now is None else now
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    current = generation if _was_looked_at(objects, moment) else _before(objects.service)
    events = by_object(objects)
    return [_part(objects, c, mapping(spec[c]), current, events, moment) for c in get_args(Component) if c in spec]


def _part(
    objects: Objects,
    component: Component,
    spec: Mapping[str, JSON],
    current: int,
    events: Mapping[str, Sequence[LogEvent]],
    now: float,
) -> _Part:
    """One component.

    Args:
        current: the generation of the service that its Deployments are of.
    """
    knative = _knative(objects.service, component)
    created = text(knative.get("latestCreatedRevision"))
    deployments = of_component(component, objects.deployments)
    if created:
        deployments = [d for d in deployments if labels_of(d).get(KNATIVE_REVISION) == created]
    replicasets = of_component(component, objects.replicasets)
    newest = newest_replicasets(deployments, replicasets)
    pods = []
    for pod in of_component(component, objects.pods):
        verdict = _verdict(objects, pod, component, events.get(f"Pod/{name_of(pod)}", ()), now)
        older = min(current, _before(objects.service))
        revision = current if is_newest(pod, created, newest, replicasets) else older
        if verdict:
            pods.append(_Pod(pod, revision, is_ready(pod), verdict))
    # A pod that is over, as after an eviction, stays for its status alone once there is another in its place.
    living = [p for p in pods if mapping(p.pod.get("status")).get("phase") not in ("Failed", "Succeeded")]
    pods = sorted(living or pods, key=lambda p: (-p.revision, name_of(p.pod)))
    counts = [number(mapping(d.get("spec")).get("replicas", 1)) for d in deployments]
    least = spec.get("minReplicas")
    started = any(labels_of(p.pod).get(KNATIVE_REVISION) == created for p in pods)
    if created and created == knative.get("latestReadyRevision") and not started and not _ends(objects.service):
        idle = Replica(created, current, "Waiting", True, "ScaledToZero", _IDLE)
        return _Part(component, 0, tuple(pods), (idle,))
    return _Part(
        component,
        wanted=sum(counts) if counts else least if isinstance(least, int) else 1,
        pods=tuple(pods),
        stand_ins=tuple(
            Replica(name, current, "Waiting", False, "FailedCreate", message)
            for name, message in refusals(deployments, replicasets, newest)[:1]
        ),
        overdue=next((o for d in deployments if (o := overdue(d))), ""),
    )


def _verdict(objects: Objects, pod: Manifest, component: str, events: Sequence[LogEvent], now: float) -> Verdict | None:
    """None for a pod that is on its way out while the service stays."""
    if not is_ending(pod):
        return judge(pod, component, events, now)
    return Verdict("Running", "Terminating", "It is being stopped.") if _ends(objects.service) else None


def _was_looked_at(objects: Objects, now: float) -> bool:
    """Whether the controller has made the Deployments to the newest spec.

    ``status.observedGeneration`` does not tell, as KServe copies it from the Deployment, whose generations are others.
    What tells is who wrote when: the Deployment is written a moment after the service, if it is changed at all.
    """
    if _is_rejected(objects.service):
        return False
    changed = _described(objects.service)
    made = max((_described(d) for d in objects.deployments), default=0.0)
    return made >= changed or now - changed > _LOOKS_WITHIN


def _described(one: Manifest) -> float:
    """When somebody last wrote an object's spec; autoscalers, who write a subresource, do not count."""
    fields = mappings(mapping(one.get("metadata")).get("managedFields"))
    of_spec = [f for f in fields if "f:spec" in mapping(f.get("fieldsV1")) and not f.get("subresource")]
    return max((seconds(f.get("time")) for f in of_spec), default=0.0)


def _is_rejected(service: Manifest) -> bool:
    """Whether the controller makes nothing of the newest spec."""
    status = mapping(service.get("status"))
    invalid = mapping(status.get("modelStatus")).get("transitionStatus") == "InvalidSpec"
    return invalid or any(_condition(c).reason == "ReconcileFailed" for c in mappings(status.get("conditions")))


def _before(service: Manifest) -> int:
    """The generation before. A first one has none: if its pods are made anew, the service itself was not changed."""
    return max(1, number(mapping(service.get("metadata")).get("generation")) - 1)


def _component_state(part: _Part, logs: Mapping[str, str]) -> ComponentState:
    replicas = tuple(_replica(one, logs) for one in part.pods) + part.stand_ins
    return ComponentState(part.component, part.wanted, sum(r.ready for r in replicas), replicas)


def _replica(one: _Pod, logs: Mapping[str, str]) -> Replica:
    verdict = one.verdict
    created = seconds(mapping(one.pod.get("metadata")).get("creationTimestamp"))
    return Replica(
        name=name_of(one.pod),
        revision=one.revision,
        state=verdict.state,
        ready=one.ready,
        reason=verdict.reason,
        message=verdict.message,
        exit_code=verdict.exit_code,
        restarts=verdict.restarts,
        started=verdict.started or created,
        last_log=logs.get(name_of(one.pod), "") or verdict.log,
    )


def _conditions(objects: Objects, parts: Sequence[_Part]) -> tuple[Condition, ...]:
    """KServe's, and what it says elsewhere in words of its own."""
    status = mapping(objects.service.get("status"))
    found = [_condition(c) for c in mappings(status.get("conditions"))]
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    for part in parts:
        if part.overdue and part.serving < generation:
            slow = next((p.verdict.message for p in part.pods if not p.ready and p.verdict.message), "")
            what = f"{slow.rstrip('.')}. {part.overdue}" if slow else part.overdue
            kind = f"{part.component.capitalize()}Progressing"
            found.append(Condition(kind, "False", "ProgressDeadlineExceeded", what))
    failure = _model_failure(objects, parts)
    return (*found, failure) if failure else tuple(found)


def _condition(given: Mapping[str, JSON]) -> Condition:
    said = text(given.get("status"))
    reason = text(given.get("reason"))
    message = text(given.get("message"))
    if reason == "ReconcileFailed" and "the object has been modified" in message:
        # The controller tries again at once; there is nothing wrong with the service.
        reason = "Conflict"
    return Condition(
        type=text(given.get("type")),
        status="True" if said == "True" else "False" if said == "False" else "Unknown",
        reason=reason,
        message=message,
        last_transition=seconds(given.get("lastTransitionTime")),
    )


def _model_failure(objects: Objects, parts: Sequence[_Part]) -> Condition | None:
    """What modelStatus has against the spec or the model.

    It is about the first pod alone and stays as it was when that comes right, so pods are believed before it.
    """
    status = mapping(objects.service.get("status"))
    model = mapping(status.get("modelStatus"))
    info = mapping(model.get("lastFailureInfo"))
    reason = text(info.get("reason"))
    said = text(info.get("message")).strip().rpartition("\n")[2].strip()
    if model.get("transitionStatus") == "InvalidSpec":
        told = by_object(objects).get(f"InferenceService/{name_of(objects.service)}", [])
        errors = [e.message for e in told if e.reason == "InternalError"]
        return Condition(
            "ModelReady", "False", reason if reason in _BAD_SPECS else "InvalidSpec", (errors or [said])[-1]
        )
    if mapping(model.get("states")).get("targetModelState") != "FailedToLoad":
        return None
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    if any(generation in part.revisions for part in parts):
        return None
    refusals = [text(c.get("message")) for c in mappings(status.get("conditions")) if c.get("status") == "False"]
    return Condition("ModelReady", "False", "ModelLoadFailed", said or next((r for r in refusals if r), ""))


def _manifest(service: Manifest) -> Manifest:
    """The service as somebody would write it: without status, and without what the webhook leaves empty."""
    metadata = mapping(service.get("metadata"))
    kept: dict[str, JSON] = {k: metadata[k] for k in ("name", "namespace", "labels") if k in metadata}
    notes = {k: v for k, v in notes_of(service).items() if k != _APPLIED and _is_somebodys(k, metadata)}
    if notes:
        kept["annotations"] = notes
    spec = {k: _without_defaults(v) for k, v in mapping(service.get("spec")).items()}
    # The items of a list do not say what they are.
    kind = text(service.get("kind")) or "InferenceService"
    version = text(service.get("apiVersion")) or "serving.kserve.io/v1beta1"
    return {"apiVersion": version, "kind": kind, "metadata": kept, "spec": spec}


def _is_somebodys(note: str, metadata: Mapping[str, JSON]) -> bool:
    """Whether somebody has set this annotation: what the webhook writes has no owner."""
    if note not in _OF_THE_WEBHOOK:
        return True
    managed = mappings(metadata.get("managedFields"))
    owned = [mapping(mapping(mapping(m.get("fieldsV1")).get("f:metadata")).get("f:annotations")) for m in managed]
    return any(f"f:{note}" in fields for fields in owned)


def _without_defaults(component: JSON) -> JSON:
    if not isinstance(component, Mapping):
        return component
    cleaned = dict(component)
    if "model" in cleaned:
        cleaned["model"] = _without_empty(cleaned["model"])
    if isinstance(cleaned.get("containers"), list):
        cleaned["containers"] = [_without_empty(c) for c in mappings(cleaned["containers"])]
    return cleaned


def _without_empty(container: JSON) -> JSON:
    return {
        k: v for k, v in mapping(container).items() if not ((k == "name" and v == "") or (k == "resources" and not v))
    }


def _url(service: Manifest) -> str:
    """The entry component's address in the cluster; ``status.url`` is there whether or not anything answers it."""
    status = mapping(service.get("status"))
    entry = "transformer" if "transformer" in mapping(service.get("spec")) else "predictor"
    of_entry = mapping(mapping(mapping(status.get("components")).get(entry)).get("address"))
    return text(mapping(status.get("address")).get("url")) or text(of_entry.get("url"))


def _updated(service: Manifest) -> float:
    metadata = mapping(service.get("metadata"))
    written = [m.get("time") for m in mappings(metadata.get("managedFields"))]
    turned = [c.get("lastTransitionTime") for c in mappings(mapping(service.get("status")).get("conditions"))]
    return max(seconds(t) for t in (metadata.get("creationTimestamp"), *written, *turned))


def _ends(service: Manifest) -> bool:
    """Whether all pods are to go: of a service that is paused or deleted, those that still end are worth telling."""
    return bool(mapping(service.get("metadata")).get("deletionTimestamp")) or (
        text(notes_of(service).get(STOP)).lower() == "true"
    )


def _knative(service: Manifest, component: str) -> Mapping[str, JSON]:
    """The status of a component that Knative runs; empty for one that KServe runs by a Deployment of its own."""
    status = mapping(service.get("status"))
    if status.get("deploymentMode") not in ("Knative", "Serverless"):
        return {}
    return mapping(mapping(status.get("components")).get(component))


def _uid(one: Manifest) -> str:
    return text(mapping(one.get("metadata")).get("uid"))
