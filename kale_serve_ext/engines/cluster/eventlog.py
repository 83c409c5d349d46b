"""What happened to a service: the events of its objects, merged, without those that mean nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ...ml import JSON
from ..base import LogEvent, Manifest
from ..fields import mapping, number, seconds, text
from .service_objects import Objects

_NO_METRICS = ("FailedGetResourceMetric", "FailedComputeMetricsReplicas")
"""Every autoscaler's, where the cluster has no metrics-server."""
_COLLISIONS = ("UpdateFailed", "InternalError")
"""The controller's at nearly every start: somebody wrote between its reading and its writing, and it tries again."""
_SAME_AGAIN = "(combined from similar events): "


def log_events(objects: Objects) -> list[LogEvent]:
    """The events, oldest first; those that say the same of the same object are one, with the time of the last."""
    merged: dict[tuple[str, str, str], LogEvent] = {}
    for event in sorted(map(parsed, objects.events), key=lambda e: e.time):
        if is_noise(event):
            continue
        key = (event.object, event.reason, _without_names(event))
        before = merged.pop(key, None)
        merged[key] = replace(event, count=event.count + before.count) if before else event
    return list(merged.values())


def parsed(event: Manifest) -> LogEvent:
    """An event of core/v1. Newer reporters fill ``eventTime`` and ``series`` in place of the times and the count."""
    series = mapping(event.get("series"))
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        mapping(event.get("metadata")).get("creationTimestamp"),
    )
    return LogEvent(
        time=next((seconds(t) for t in times if t), 0.0),
        type="Warning" if event.get("type") == "Warning" else "Normal",
        reason=text(event.get("reason")),
        message=text(event.get("message")).removeprefix(_SAME_AGAIN),
        object=about(event),
        count=number(series.get("count")) or number(event.get("count")) or 1,
    )


def is_noise(event: LogEvent) -> bool:
    """Whether an event comes up where all is well."""
    if event.reason in _COLLISIONS:
        return "the object has been modified" in event.message
    return event.reason in _NO_METRICS


def by_object(objects: Objects) -> dict[str, list[LogEvent]]:
    """The events by ``Kind/name``, oldest first."""
    found: dict[str, list[LogEvent]] = {}
    for event in sorted(map(parsed, objects.events), key=lambda e: e.time):
        if not is_noise(event):
            found.setdefault(event.object, []).append(event)
    return found


def about(event: Manifest) -> str:
    """The object that an event is about, as ``Kind/name``."""
    found = mapping(event.get("involvedObject"))
    return f"{text(found.get('kind'))}/{text(found.get('name'))}"


def is_about(event: Manifest, uids: Mapping[str, str]) -> bool:
    """Whether an event is about one of these objects, given as uid by ``Kind/name``.

    Events outlive their objects: those of an earlier one of the same name tell of something else.
    """
    uid = uids.get(about(event))
    return uid is not None and uid in ("", text(mapping(event.get("involvedObject")).get("uid")) or uid)


def _without_names(event: LogEvent) -> str:
    """The message without the random end of a pod's name, which is another one at each attempt to make the pod."""
    owner: JSON = event.object.partition("/")[2]
    return re.sub(rf"\b{re.escape(str(owner))}-\w{{5}}\b", "", event.message)
