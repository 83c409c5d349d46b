"""The conditions that a KServe controller would set, from what the processes do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ..base import Component, ComponentState, Condition, Replica

Verdict = tuple[Literal["True", "False", "Unknown"], str, str]


def conditions(
    components: Sequence[ComponentState],
    paused: bool,
    before: Mapping[str, Condition],
    now: float,
    late: Mapping[Component, tuple[str, str]] = {},
) -> dict[str, Condition]:
    """The conditions by type; ``last_transition`` is kept where the status did not change.

    Args:
        late: reason and message of the components whose newest revision takes too long.
    """
    found: dict[str, Verdict] = {}
    for component in components:
        found[f"{component.component.capitalize()}Ready"] = _component(component, paused)
    waiting = next(((t, v) for t, v in found.items() if v[0] != "True"), None)
    if waiting is None:
        found["IngressReady"] = ("True", "", "")
        found["Ready"] = ("True", "", "")
    else:
        title, (_, reason, message) = waiting
        found["IngressReady"] = ("False", "Stopped" if paused else f"{title.removesuffix('Ready')}NotReady", "")
        found["Ready"] = ("False", reason, message)
    found["Stopped"] = ("True", "Stopped", "") if paused else ("False", "", "")
    found |= {f"{c.capitalize()}Progressing": ("False", *why) for c, why in late.items()}
    return {title: _condition(title, verdict, before.get(title), now) for title, verdict in found.items()}


def trouble(components: Sequence[ComponentState]) -> Replica | None:
    """The first replica that failed and has not come right since."""
    for component in components:
        for replica in component.replicas:
            if not replica.ready and replica.exit_code is not None:
                return replica
            if replica.reason in ("CrashLoopBackOff", "OOMKilled"):
                return replica
    return None


def _component(component: ComponentState, paused: bool) -> Verdict:
    if paused:
        return "False", "Stopped", ""
    if component.ready:
        return "True", "", ""
    failed = trouble([component])
    if failed:
        return "False", failed.reason or "Error", failed.message
    message = next((r.message for r in component.replicas if r.message), "")
    return "False", "MinimumReplicasUnavailable", message


def _condition(title: str, verdict: Verdict, before: Condition | None, now: float) -> Condition:
    status, reason, message = verdict
    since = before.last_transition if before and before.status == status else now
    return Condition(title, status, reason, message, since)
