"""What a service's pods and their makers tell: what a pod is doing, or why it cannot, and which pods are new. Pure.

KServe's own status says "in progress" for most failures, for ever; the pods and their events have the cause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...ml import JSON
from ..base import LogEvent, Manifest
from ..durations import in_words
from ..fields import condition, labels_of, mapping, mappings, name_of, number, owner_of, seconds, text

COMPONENT = "component"
"""The label that says which component of its service an object is of."""

_KNATIVE_REVISION = "serving.knative.dev/revision"
_APP = "app"
"""The label with the name of the Deployment that KServe has made, after a word of its own."""

_TEMPLATE_HASH = "pod-template-hash"
_SERVER = "kserve-container"
_DOWNLOADER = "storage-initializer"
_ABOUT_IMAGES = {
    "ErrImagePull": "ErrImagePull",
    "ImagePullBackOff": "ImagePullBackOff",
    "ErrImageNeverPull": "ErrImagePull",
    "ImageInspectError": "ErrImagePull",
    "RegistryUnavailable": "ErrImagePull",
    "SignatureValidationFailed": "ErrImagePull",
}
_BAD = {"InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_IN_THE_WAY = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
_SCALING = ("TriggeredScaleUp", "NotTriggerScaleUp", "FailedScaleUp")
_NO_CLAIM = re.compile(r'persistentvolumeclaim "[^"]*" not found')
_PASSING = re.compile(r"failed to sync \w+ cache: timed out waiting for the condition")
"""What a busy node says of a secret or config that it has not heard of yet."""
_BINDS_WITHIN = 60.0
"""Seconds in which a new claim may get its volume without anything being wrong."""
_SILENT_PROBES = 3
"""Failed probes, ten seconds apart as KServe sets them, from which on they are worth a word: as many as make Kubernetes
take a container for not ready."""
_SLOW_AFTER = 60.0
"""Seconds of loading from which on it is said for how long, also where no failed probe is heard of."""
_REFUSED = re.compile(r":(\d+)\b[^:]*: connect: connection refused")
"""How a probe fails where nothing listens on its port."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a pod, in the words of :class:`~kale_serve_ext.engines.base.Replica`."""

    state: Literal["Waiting", "Running", "Terminated"]
    reason: str = ""
    message: str = ""
    container: str = ""
    """The container that it is about."""
    exit_code: int | None = None
    restarts: int = 0
    started: float = 0.0
    log: str = ""
    """The last lines as the pod's status has them, which are few."""
    previous: bool = False
    """Whether the run that ended is the one before the container's present one."""


def judge(pod: Manifest, component: str, events: Sequence[LogEvent], now: float) -> Verdict:
    """What a pod does, or what is wrong with it; of several containers, the one that keeps it from being ready.

    Args:
        events: the pod's, oldest first.
        now: seconds since the epoch.
    """
    status = mapping(pod.get("status"))
    if status.get("phase") in ("Failed", "Succeeded") and status.get("reason"):
        # Evicted and the like: the pod is over, whatever its containers said last.
        return Verdict("Terminated", text(status.get("reason")), text(status.get("message")))
    scheduled = condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return _without_node(pod, scheduled, events, now)
    for one in _first_ones(pod, status):
        verdict = _container(pod, one, component, events, now)
        if verdict.exit_code != 0 or verdict.state != "Terminated":
            return verdict
    statuses = sorted(mappings(status.get("containerStatuses")), key=lambda s: s.get("name") != _SERVER)
    verdicts = [_container(pod, one, component, events, now) for one in statuses]
    if not verdicts:
        return Verdict("Waiting", message=_preparing(events))
    if is_ready(pod):
        return verdicts[0]
    failed = [v for v in verdicts if v.exit_code is not None or v.reason in _BAD or v.reason in _ABOUT_IMAGES]
    slow = [v for v, s in zip(verdicts, statuses, strict=True) if not (s.get("ready") and _is_probed(pod, v.container))]
    return (failed or slow or verdicts)[0]


def newest_replicasets(deployments: Sequence[Manifest], replicasets: Sequence[Manifest]) -> set[str] | None:
    """Names of the ReplicaSets that the Deployments have now; None where either may not be read.

    Goes by the template as the Deployment's controller does: between a Deployment's update and its new ReplicaSet, the
    revision that both have as annotation is still the old one.
    """
    if not deployments or not replicasets:
        return None
    wanted = {name_of(d): _template(d) for d in deployments}
    return {name_of(r) for r in replicasets if owner_of(r) in wanted and _template(r) == wanted[owner_of(r)]}


def is_newest(pod: Manifest, created: str, newest: set[str] | None, replicasets: Sequence[Manifest]) -> bool:
    """Whether a pod is of what its Deployment, or Knative with ``created`` as its newest revision, has now."""
    if created:
        return revision_of(pod) == created
    # A pod whose ReplicaSet is not known is newer than the list of ReplicaSets.
    return newest is None or owner_of(pod) in newest or owner_of(pod) not in {name_of(r) for r in replicasets}


def refusals(
    deployments: Sequence[Manifest], replicasets: Sequence[Manifest], newest: set[str] | None
) -> list[tuple[str, str]]:
    """Why the API server takes no pod, by the name of what makes it: a quota is used up, a webhook says no."""
    makers = deployments if newest is None else [r for r in replicasets if name_of(r) in newest]
    failures = [(name_of(m), condition(mapping(m.get("status")), "ReplicaFailure")) for m in makers]
    return [(n, text(f.get("message")) or text(f.get("reason"))) for n, f in failures if f.get("status") == "True"]


def overdue(deployment: Manifest) -> str:
    """What a Deployment says when it has given up waiting; empty while it has not."""
    progress = condition(mapping(deployment.get("status")), "Progressing")
    return text(progress.get("message")) if progress.get("reason") == "ProgressDeadlineExceeded" else ""


def is_ready(pod: Manifest) -> bool:
    """Whether requests reach it. One that is being stopped gets none any more."""
    return not is_ending(pod) and condition(mapping(pod.get("status")), "Ready").get("status") == "True"


def is_ending(pod: Manifest) -> bool:
    return bool(mapping(pod.get("metadata")).get("deletionTimestamp"))


def revision_of(one: Manifest) -> str:
    """Knative's revision that an object is of, or the Deployment that KServe has made for it."""
    labels = labels_of(one)
    return text(labels.get(_KNATIVE_REVISION)) or text(labels.get(_APP)).removeprefix("isvc.")


def of_component(component: str, objects: Sequence[Manifest]) -> list[Manifest]:
    return [o for o in objects if labels_of(o).get(COMPONENT) == component]


def _template(owner: Manifest) -> JSON:
    """A pod template as it was before the ReplicaSet's own label."""
    template = mapping(mapping(owner.get("spec")).get("template"))
    metadata = mapping(template.get("metadata"))
    labels = {k: v for k, v in mapping(metadata.get("labels")).items() if k != _TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _without_node(pod: Manifest, scheduled: Mapping[str, JSON], events: Sequence[LogEvent], now: float) -> Verdict:
    message = text(scheduled.get("message"))
    reason = text(scheduled.get("reason")) or "Unschedulable"
    lost = _NO_CLAIM.search(message)
    if lost:
        return Verdict("Waiting", reason, lost.group())
    age = now - seconds(mapping(pod.get("metadata")).get("creationTimestamp"))
    if "unbound" in message and age < _BINDS_WITHIN:
        return Verdict("Waiting", "VolumeBinding", "Its volume is being made.")
    scaling = [e.reason for e in events if e.reason in _SCALING]
    if scaling and scaling[-1] == "TriggeredScaleUp":
        return Verdict("Waiting", "TriggeredScaleUp", "The cluster is adding a node for it.")
    return Verdict("Waiting", reason, message)


def _first_ones(pod: Manifest, status: Mapping[str, JSON]) -> list[Mapping[str, JSON]]:
    """The init containers that others wait for; of a sidecar, which is one that always restarts, just its start."""
    described = mappings(mapping(pod.get("spec")).get("initContainers"))
    beside = {c.get("name") for c in described if c.get("restartPolicy") == "Always"}
    return [
        s for s in mappings(status.get("initContainerStatuses")) if s.get("name") not in beside or not s.get("started")
    ]


def _container(
    pod: Manifest, status: Mapping[str, JSON], component: str, events: Sequence[LogEvent], now: float
) -> Verdict:
    name = text(status.get("name"))
    state = mapping(status.get("state"))
    last = mapping(mapping(status.get("lastState")).get("terminated"))
    base = Verdict("Waiting", container=name, restarts=number(status.get("restartCount")))
    if "terminated" in state:
        return _ended(pod, replace(base, state="Terminated"), mapping(state["terminated"]))
    if "running" in state:
        started = seconds(mapping(state["running"]).get("startedAt"))
        base = replace(base, state="Running", started=started)
        if status.get("ready") and (is_ready(pod) or _is_probed(pod, name)):
            return base
        before = _was_ready(pod, started)
        if last and not before:
            # It ended and has not come right since: of a crash loop, this is one of the moments in which it runs.
            return _ended(pod, replace(base, previous=True), last)
        if base.restarts and not before:
            # A busy node forgets the end of the run before.
            return replace(base, state="Waiting", reason="CrashLoopBackOff", message="It ended, and was started again.")
        return replace(base, message=_loading(name, component, before, events, now - started if started else 0.0))
    waiting = mapping(state.get("waiting"))
    reason = text(waiting.get("reason"))
    message = text(waiting.get("message"))
    if reason in _BAD and _PASSING.search(message):
        return replace(base, message=f"The node tries again: {message}.")
    if reason in _ABOUT_IMAGES:
        told = [e.message for e in events if e.message.startswith("Failed to pull image")]
        return replace(base, reason=_ABOUT_IMAGES[reason], message=told[-1] if told else message)
    if last and reason not in _BAD:
        return _ended(pod, replace(base, reason=reason, previous=True), last)
    return replace(base, reason=reason, message=message or _preparing(events))


def _ended(pod: Manifest, base: Verdict, end: Mapping[str, JSON]) -> Verdict:
    """The verdict on a container whose run ended."""
    code = number(end.get("exitCode"))
    told = text(end.get("message")).strip()
    reason = text(end.get("reason"))
    if base.state == "Waiting" and reason != "OOMKilled":
        reason = base.reason or reason
    if reason == "OOMKilled":
        limit = _memory_limit(pod, base.container)
        message = f"The limit is {limit}." if limit else ""
    elif told and "\n" not in told:
        message = told
    elif base.container == _DOWNLOADER:
        message = "Downloading the model failed."
    elif base.container != _SERVER:
        message = f"It was its container {base.container}."
    else:
        message = f"It ended with exit code {code}."
    return replace(base, reason=reason or "Error", message=message, exit_code=code, log=told if "\n" in told else "")


def _is_probed(pod: Manifest, container: str) -> bool:
    """Whether a container's being ready means anything: without a probe it is from its first moment on."""
    described = mappings(mapping(pod.get("spec")).get("containers"))
    return any(c.get("name") == container and c.get("readinessProbe") for c in described)


def _was_ready(pod: Manifest, started: float) -> bool:
    """Whether a container that is not ready has been, since it was started."""
    ready = condition(mapping(pod.get("status")), "Ready")
    return ready.get("status") == "False" and 0 < started < seconds(ready.get("lastTransitionTime"))


def _loading(name: str, component: str, before: bool, events: Sequence[LogEvent], age: float) -> str:
    """What a container is at that runs and is not ready, ``age`` seconds after it was started."""
    if name == _DOWNLOADER:
        return "Downloading the model."
    if name != _SERVER:
        return f"The container {name} of the {component} is not ready."
    probes = [e for e in events if e.reason == "Unhealthy"]
    probed = f": {probes[-1].message}" if probes else ""
    if before:
        return f"The {component} runs, but does not answer any more{probed}"
    since = f", {in_words(age)} after it was started" if age else ""
    if not probes or probes[-1].count < _SILENT_PROBES:
        return f"The {component} is loading{since if age >= _SLOW_AFTER else ''}."
    refused = _REFUSED.search(probes[-1].message)
    what = f"nothing listens on its port {refused[1]}" if refused else "is not ready"
    return f"The {component} runs, but {what}{since}{probed}"


def _preparing(events: Sequence[LogEvent]) -> str:
    """What the node is at before a container can be started."""
    last = next((e for e in reversed(events) if e.reason in ("Pulling", "Pulled", *_IN_THE_WAY)), None)
    if last is None or last.reason == "Pulled":
        return ""
    return last.message if last.reason in _IN_THE_WAY else f"{last.message.rstrip('.')}."


def _memory_limit(pod: Manifest, container: str) -> str:
    spec = mapping(pod.get("spec"))
    for one in mappings(spec.get("containers")) + mappings(spec.get("initContainers")):
        if one.get("name") == container:
            return text(mapping(mapping(one.get("resources")).get("limits")).get("memory"))
    return ""
