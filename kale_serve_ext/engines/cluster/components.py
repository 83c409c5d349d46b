"""The components of a service: which of their pods are of its newest spec, and what stands for pods that are not there.

Pure. Revisions are told apart by ReplicaSets, and in Knative mode by Knative's own revisions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from ...ml import JSON
from ..base import Component, ComponentState, Condition, LogEvent, Manifest, Replica
from ..fields import condition, mapping, mappings, name_of, number, seconds, text
from ..kserve import is_stopped
from .deployment_mode import (
    Revisions,
    failed_revision,
    is_beside,
    is_left_over,
    is_settled,
    is_shared_as_asked,
    revisions_of,
)
from .eventlog import by_object
from .pods import (
    Verdict,
    is_ending,
    is_newest,
    is_ready,
    judge,
    newest_replicasets,
    of_component,
    overdue,
    refusals,
    revision_of,
)
from .service_objects import Objects

_IDLE = "Scaled to zero; the next request starts it."
_TOGETHER_WITHIN = 5.0
"""Seconds in which the components of a new service are made."""
_LOOKS_WITHIN = 10.0
"""Seconds after which a change that left the Deployments alone is taken for one that does not concern them."""


@dataclass(frozen=True)
class Pod:
    """A pod that counts, with the service's generation that it is of."""

    pod: Manifest
    revision: int
    ready: bool
    verdict: Verdict


@dataclass(frozen=True)
class LiveComponent:
    """One component: what is wanted of it, and the pods that count."""

    component: Component
    wanted: int
    pods: tuple[Pod, ...]
    stand_ins: tuple[Replica, ...] = ()
    """What stands for pods that are not there."""
    overdue: str = ""
    """What its Deployment says when it has given up waiting."""
    answering: str = ""
    """The Deployment whose pods answer requests, where others run beside it."""

    @property
    def revisions(self) -> set[int]:
        """Those that something can be told of."""
        return {p.revision for p in self.pods} | {r.revision for r in self.stand_ins}

    @property
    def serving(self) -> int:
        """The newest revision that answers; 0 where none does."""
        answering = [p for p in self.pods if self.answering in ("", revision_of(p.pod))]
        ready = {p.revision for p in answering if p.ready} | {r.revision for r in self.stand_ins if r.ready}
        return max(ready, default=0)


def live_components(objects: Objects, now: float | None) -> list[LiveComponent]:
    """The service's components; ``now`` is in seconds since the epoch, and the present by default."""
    spec = mapping(objects.service.get("spec"))
    moment = time.time() if now is None else now
    generation = number(mapping(objects.service.get("metadata")).get("generation"))
    current = generation if _was_looked_at(objects, moment) else _before(objects.service)
    events = by_object(objects)
    return [_part(objects, c, mapping(spec[c]), current, events, moment) for c in get_args(Component) if c in spec]


def is_to_come(objects: Objects, part: LiveComponent) -> bool:
    """Whether an update has added this component, and it has never been ready: until it is, KServe leads no requests to
    it, and the others answer without it."""
    if part.serving or number(mapping(objects.service.get("metadata")).get("generation")) < 2:
        return False
    own = of_component(part.component, objects.deployments)
    others = [d for d in objects.deployments if d not in own]
    if not others or len(of_component(part.component, objects.replicasets)) > 1:
        return False
    since = min(map(_created, others)) + _TOGETHER_WITHIN
    return all(_created(one) > since and not _was_complete(one) for one in own)


def _created(one: Manifest) -> float:
    return seconds(mapping(one.get("metadata")).get("creationTimestamp"))


def _was_complete(deployment: Manifest) -> bool:
    return condition(mapping(deployment.get("status")), "Progressing").get("reason") == "NewReplicaSetAvailable"


def component_state(part: LiveComponent, logs: Mapping[str, str]) -> ComponentState:
    """A component as people are to be told of it, with the last lines of its pods' logs."""
    replicas = tuple(_replica(one, logs) for one in part.pods) + part.stand_ins
    return ComponentState(part.component, part.wanted, sum(r.ready for r in replicas), replicas)


def condition_of(given: Mapping[str, JSON]) -> Condition:
    """A condition of the InferenceService."""
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


def _part(
    objects: Objects,
    component: Component,
    spec: Mapping[str, JSON],
    current: int,
    events: Mapping[str, Sequence[LogEvent]],
    now: float,
) -> LiveComponent:
    """One component.

    Args:
        current: the generation of the service that its Deployments are of.
    """
    revisions = revisions_of(objects.service, component)
    has_beside = component == "predictor" and is_beside(objects.service)
    # Of Deployments beside each other, each has a newest ReplicaSet of its own.
    created = "" if has_beside else revisions.created
    deployments, all_pods = (
        [one for one in of_component(component, some) if not is_left_over(objects.service, component, one)]
        for some in (objects.deployments, objects.pods)
    )
    if created:
        deployments = [d for d in deployments if revision_of(d) in {created, *revisions.percents}]
    newest_ones = [d for d in deployments if revision_of(d) == created or not created]
    replicasets = of_component(component, objects.replicasets)
    newest = newest_replicasets(newest_ones, replicasets)
    older = min(current, _before(objects.service))
    pods = []
    for pod in all_pods:
        verdict = _verdict(objects, pod, component, events.get(f"Pod/{name_of(pod)}", ()), now)
        if verdict:
            is_new = is_newest(pod, created, newest, replicasets)
            ready = is_ready(pod) and revisions.reaches(revision_of(pod))
            pods.append(Pod(pod, current if is_new else older, ready, verdict))
    if has_beside:
        pods = _together(pods, revisions, current, older)
    # A pod that is over, as after an eviction, stays for its status alone once there is another in its place.
    living = [p for p in pods if mapping(p.pod.get("status")).get("phase") not in ("Failed", "Succeeded")]
    pods = sorted(living or pods, key=lambda p: (-p.revision, name_of(p.pod)))
    least = spec.get("minReplicas")
    stand_ins = [
        Replica(name, current, "Waiting", False, "FailedCreate", message)
        for name, message in refusals(newest_ones, replicasets, newest)[:1]
    ]
    running = {revision_of(p.pod) for p in pods}
    failure = failed_revision(objects.service, component)
    if failure and revisions.created not in running:
        stand_ins.append(Replica(revisions.created, current, "Waiting", False, "RevisionFailed", failure))
    if created and not _ends(objects.service):
        stand_ins += [
            Replica(name, current if name == revisions.created else older, "Waiting", True, "ScaledToZero", _IDLE)
            for name in _idle(revisions, deployments, running)
        ]
    if not (deployments or pods or stand_ins) and _says_ready(objects.service, component):
        # They may not be read: what the service says itself is all there is.
        stand_ins.append(Replica(f"{name_of(objects.service)}-{component}", current, "Running", True))
    counts = {name_of(d): number(mapping(d.get("spec")).get("replicas", 1)) for d in deployments}
    return LiveComponent(
        component,
        wanted=sum(counts.values()) if counts else least if isinstance(least, int) else 1,
        pods=tuple(pods),
        stand_ins=tuple(stand_ins),
        overdue=next((o for d in newest_ones if (o := overdue(d))), ""),
        answering=revisions.previous if has_beside else "",
    )


def _together(pods: Sequence[Pod], revisions: Revisions, current: int, older: int) -> list[Pod]:
    """The pods with those of the service's own Deployment as older ones until all that is beside it is ready."""
    own = revisions.previous
    ready = {own} | {revision_of(p.pod) for p in pods if p.ready and p.revision == current}
    if ready.issuperset(revisions.percents):
        return list(pods)
    return [replace(p, revision=older) if revision_of(p.pod) == own else p for p in pods]


def _idle(revisions: Revisions, deployments: Sequence[Manifest], running: set[str]) -> list[str]:
    """The revisions that have no pods and answer all the same: the next request starts some."""
    at_rest = {revision_of(d) for d in deployments if mapping(d.get("spec")).get("replicas") == 0} - running
    return sorted(r for r in at_rest if r == revisions.ready or r in revisions.percents)


def _verdict(objects: Objects, pod: Manifest, component: str, events: Sequence[LogEvent], now: float) -> Verdict | None:
    """None for a pod that is on its way out while the service stays."""
    if not is_ending(pod):
        return judge(pod, component, events, now)
    return Verdict("Running", "Terminating", "It is being stopped.") if _ends(objects.service) else None


def _was_looked_at(objects: Objects, now: float) -> bool:
    """Whether the controller has made the Deployments to the newest spec.

    ``status.observedGeneration`` does not tell, as KServe copies it from the Deployment, whose generations are others.
    What tells is who wrote when: the Deployment is written a moment after the service, if it is changed at all. In
    Knative mode, where it is the autoscaler's too, that is the Knative Service.
    """
    if _is_rejected(objects.service) or not is_shared_as_asked(objects.service):
        return False
    changed = _described(objects.service)
    made = max((_described(d) for d in objects.knative or objects.deployments), default=0.0)
    return (made >= changed and is_settled(objects)) or now - changed > _LOOKS_WITHIN


def _described(one: Manifest) -> float:
    """When somebody last wrote an object's spec; autoscalers, who write a subresource, do not count."""
    fields = mappings(mapping(one.get("metadata")).get("managedFields"))
    of_spec = [f for f in fields if "f:spec" in mapping(f.get("fieldsV1")) and not f.get("subresource")]
    return max((seconds(f.get("time")) for f in of_spec), default=0.0)


def _is_rejected(service: Manifest) -> bool:
    """Whether the controller makes nothing of the newest spec."""
    status = mapping(service.get("status"))
    invalid = mapping(status.get("modelStatus")).get("transitionStatus") == "InvalidSpec"
    return invalid or any(condition_of(c).reason == "ReconcileFailed" for c in mappings(status.get("conditions")))


def _before(service: Manifest) -> int:
    """The generation before. A first one has none: if its pods are made anew, the service itself was not changed."""
    return max(1, number(mapping(service.get("metadata")).get("generation")) - 1)


def _replica(one: Pod, logs: Mapping[str, str]) -> Replica:
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


def _says_ready(service: Manifest, component: Component) -> bool:
    said = condition(mapping(service.get("status")), f"{component.capitalize()}Ready")
    return said.get("status") == "True" and not _ends(service)


def _ends(service: Manifest) -> bool:
    """Whether all pods are to go: of a service that is paused or deleted, those that still end are worth telling."""
    return bool(mapping(service.get("metadata")).get("deletionTimestamp")) or is_stopped(service)
