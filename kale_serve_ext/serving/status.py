"""One truthful word about a service, with a sentence that says why. Pure: a :class:`ServiceState` in, a Service out.

The order of the rules follows what is more urgent to know. A component that crash-loops is "running" for moments, so
it is judged by its restarts and its last end, not by the state of the instant; and a service is only Ready when its
newest revision answers, whatever the InferenceService's own Ready condition says.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from typing import Literal

from ..engines.base import Component, ComponentState, Manifest, Phase, Replica, ServiceState
from ..engines.fields import mapping
from ..engines.kserve import OLD_KEPT, OWN_RUNTIME, is_stopped, model_protocol
from ..ml import JSON
from .answering import method_of, verify_of
from .containers import PREFIX
from .manifest_view import runs_own_server, task_of
from .types import Answering, Replicas, ServedArtifact, Service, Share, Step

_BAD_WAITS = {
    "CrashLoopBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "FailedCreate",
    "RevisionFailed",
    "RunContainerError",
    "Unschedulable",
}
# Reasons of a condition or of modelStatus that mean "this will not come right by waiting".
_FATAL = {
    "InvalidSpec",
    "InvalidPredictorSpec",
    "NoSupportingRuntime",
    "RuntimeNotRecognized",
    "RuntimeDisabled",
    "ReconcileFailed",
    "BlockedByFailedLoad",
    "ModelLoadFailed",
    "FailedToLoad",
    "ProgressDeadlineExceeded",
    OLD_KEPT,
}
_SCALED_DOWN = "ScaledToZero"
_SILENT = "Unresponsive"
"""What a replica that is ready may yet have to say."""
_ERROR_LINE = re.compile(r"^(?:[\w.]+\.)?(?:\w*(?:Error|Exception|Interrupt|Exit|Missing|NotFound)\w*)\b.*")
_LONGEST = 500


def describe(state: ServiceState) -> Service:
    """The service as people see it."""
    phase, reason = _judge(state)
    failed = _failing(state)
    wanted = sum(c.wanted for c in state.components)
    shares = tuple(
        Share(s.revision, s.percent, s.newest, _served("model", s.annotations, s.annotations), s.assumed)
        for s in state.shares
    )
    return Service(
        ref=state.ref,
        phase=phase,
        reason=" ".join(filter(None, (reason, _split(shares) if phase in ("Ready", "Idle") else ""))),
        log_tail=failed[1].last_log if failed and phase in ("Failed", "Degraded") else "",
        model=served_artifact("model", state.manifest),
        transformer=served_artifact("transformer", state.manifest),
        answering=_answering(state),
        runtime=runtime_of(state.manifest),
        protocol=protocol_of(state.manifest),
        method=method_of(state.manifest),
        task=task_of(state.manifest),
        verify=verify_of(state.manifest),
        url=state.url,
        external_url=state.external_url,
        grpc_url=state.grpc_url,
        replicas_ready=sum(min(c.ready, c.wanted) for c in state.components),
        replicas_wanted=wanted,
        replicas=tuple(Replicas(c.component, min(c.ready, c.wanted), c.wanted) for c in state.components),
        restarts=sum(r.restarts for c in state.components for r in c.replicas),
        revision=state.revision,
        serving_revision=state.serving_revision,
        components=tuple(c.component for c in state.components),
        steps=_steps(state, phase, reason),
        conditions=state.conditions,
        created=state.created,
        updated=state.updated,
        ours=state.ours,
        mode=state.mode,
        shares=shares,
        can_pause=state.can_pause and not state.deleting,
        can_split=state.can_split,
        can_roll_back=state.can_roll_back and not state.deleting,
        manifest=state.manifest,
    )


def _answering(state: ServiceState) -> Answering | None:
    before = state.serving_manifest
    if before is None or not 0 < state.serving_revision < state.revision:
        return None
    model, transformer = served_artifact("model", before), served_artifact("transformer", before)
    spec = mapping(before.get("spec"))
    # A transformer that is still to come is a component already.
    components = tuple(c.component for c in state.components if c.component in spec)
    return Answering(state.serving_revision, model, transformer, protocol_of(before), components, task_of(before))


def served_artifact(role: Literal["model", "transformer"], manifest: Manifest) -> ServedArtifact | None:
    """The model or the transformer that a manifest serves; None for none, and for code that is no artifact."""
    metadata = mapping(manifest.get("metadata"))
    return _served(role, mapping(metadata.get("labels")), mapping(metadata.get("annotations")))


def runtime_of(manifest: Manifest) -> str:
    """The runtime's name; empty for a predictor that is a container of its own, with people's own code."""
    if runs_own_server(manifest):
        return OWN_RUNTIME
    return str(mapping(_predictor(manifest).get("model")).get("runtime") or "")


def python_of(manifest: Manifest) -> str:
    """The interpreter that was chosen for custom code on this machine; empty where a runtime's name says it."""
    annotations = mapping(mapping(manifest.get("metadata")).get("annotations"))
    return "" if runtime_of(manifest) else str(annotations.get(f"{PREFIX}predictor-python") or "")


def protocol_of(manifest: Manifest) -> str:
    """``v1`` or ``v2``, inferred as the KServe controller does where the manifest does not say.

    A container says it in its ``PROTOCOL`` variable.
    """
    predictor = _predictor(manifest)
    model = mapping(predictor.get("model"))
    if model:
        return model_protocol(model)
    env = mapping(_first(predictor.get("containers"))).get("env")
    for variable in env if isinstance(env, list) else ():
        if mapping(variable).get("name") == "PROTOCOL":
            return str(mapping(variable).get("value") or "v1").removeprefix("grpc-")
    return "v1"


def _judge(state: ServiceState) -> tuple[Phase, str]:
    if state.deleting:
        return "Terminating", "It is being deleted."
    if state.failure:
        return "Failed", _sentence(state.failure)
    if is_stopped(state.manifest):
        ending = any(r.state == "Running" for c in state.components for r in c.replicas)
        return "Paused", "Its processes are being stopped." if ending else "It is paused; resume it to send requests."
    if not state.supervised:
        return "Stopped", "Nothing runs it since the machine was restarted; start it again with Resume."
    failing = _failing(state)
    fatal = next((c for c in state.conditions if c.status == "False" and c.reason in _FATAL), None)
    if failing or fatal:
        said = _sentence(fatal.message or fatal.reason) if fatal else ""
        why = _why(*failing) if failing else said
        if failing and fatal and fatal.reason == OLD_KEPT:
            why = f"{why} {said}"
        if 0 < state.serving_revision < state.revision:
            return (
                "Degraded",
                f"Revision {state.revision} fails, revision {state.serving_revision} still answers. {why}",
            )
        if state.serving_revision == state.revision and _answers(state):
            return "Degraded", f"{_count(state)} replicas answer. {why}"
        return "Failed", why
    if state.serving_revision == state.revision and state.revision > 0 and _answers(state):
        idle = next((r for c in state.components if not c.wanted for r in c.replicas if r.reason == _SCALED_DOWN), None)
        if idle:
            return "Idle", idle.message
        missing = any(c.ready < c.wanted for c in state.components)
        notable = (r.message for c in state.components for r in c.replicas if r.ready and r.reason == _SILENT)
        return "Ready", f"{_count(state)} replicas are ready." if missing else next(notable, "")
    return _on_the_way(state)


def _on_the_way(state: ServiceState) -> tuple[Phase, str]:
    if not state.components:
        return "Pending", "It is about to start."
    before = ""
    if 0 < state.serving_revision < state.revision:
        before = f" Revision {state.serving_revision} answers until revision {state.revision} is ready."
    for component in state.components:
        current = [r for r in component.replicas if r.revision == state.revision]
        if component.ready >= component.wanted > 0 and any(r.ready for r in current):
            continue
        running = next((r for r in current if r.state == "Running"), None)
        if running:
            what = running.message or f"The {component.component} is loading."
            return "Loading", f"{_sentence(what)}{before}"
        waiting = next((r for r in current if r.state == "Waiting"), None)
        what = waiting.message if waiting and waiting.message else f"The {component.component} is about to start."
        return "Loading" if before else "Pending", f"{_sentence(what)}{before}"
    return "Loading", f"It is about to answer.{before}"


def _failing(state: ServiceState) -> tuple[ComponentState, Replica] | None:
    """The first replica of the newest revision that failed and has not come right since."""
    for component in state.components:
        for replica in component.replicas:
            if replica.revision != state.revision or replica.ready:
                continue
            bad_wait = replica.state == "Waiting" and replica.reason in _BAD_WAITS
            # An exit code stays until the process has come right: one that runs again has not yet.
            if bad_wait or replica.exit_code is not None:
                return component, replica
    return None


def _why(component: ComponentState, replica: Replica) -> str:
    """What became of a replica, in one or two sentences."""
    who = f"The {component.component}"
    again = f" It was restarted {replica.restarts} times." if replica.restarts > 1 else ""
    if replica.restarts == 1:
        again = " It was restarted once."
    if replica.reason == "OOMKilled":
        detail = f" {_sentence(replica.message)}" if replica.message else ""
        return f"{who} was killed because it used more memory than its limit.{detail}{again}"
    cause = _cause(replica)
    if replica.exit_code is None:
        return f"{who} cannot start: {cause or _sentence(replica.reason or 'the reason is not known')}{again}"
    signalled = _signal_name(replica.exit_code)
    if signalled:
        return f"{who} was killed by {signalled}.{again}"
    ended = f"{who} ended with exit code {replica.exit_code}"
    return f"{ended}: {cause}{again}" if cause else f"{ended}.{again}"


def _cause(replica: Replica) -> str:
    """The line that says why: the last exception in the log, else the engine's own message."""
    for line in reversed(replica.last_log.splitlines()[-200:]):
        if _ERROR_LINE.match(line):
            return _sentence(line)
    told = replica.message.startswith("It ended with exit code")
    return _sentence(replica.message) if replica.message and not told else ""


def _signal_name(exit_code: int) -> str:
    number = -exit_code if exit_code < 0 else exit_code - 128
    try:
        return signal.Signals(number).name if number > 0 else ""
    except ValueError:
        return ""


def _steps(state: ServiceState, phase: Phase, reason: str) -> tuple[Step, ...]:
    if phase in ("Paused", "Stopped", "Terminating", "Idle"):
        return ()
    failing = _failing(state)
    is_over = phase == "Failed"
    made: list[Step] = []
    for component in state.components:
        name = component.component
        current = [r for r in component.replicas if r.revision == state.revision]
        failed = failing is not None and failing[0].component == name
        # What ended has been started: it is the loading that went wrong.
        ended = failed and failing is not None and failing[1].exit_code is not None
        started = ended or any(r.state == "Running" for r in current)
        ready = any(r.ready for r in current) and component.ready > 0
        titles = (f"Start the {name}", "Load the model" if name == "predictor" else f"Load the {name}")
        done = (started or ready, ready)
        # In what has failed nothing is under way; where no replica tells which part it was, the first open step is.
        unknown = is_over and failing is None and all(s.state == "done" for s in made)
        open_step = "failed" if failed or unknown else "waiting" if is_over else "active"
        for title, finished in zip(titles, done, strict=True):
            if finished and not (failed and not ready and title == titles[1]):
                made.append(Step(name, title, "done"))
            else:
                made.append(Step(name, title, open_step, reason if open_step == "failed" else ""))
                open_step = "waiting"
    if made:
        last: Component = made[-1].component
        answering = {"Ready": "done", "Degraded": "failed", "Failed": "waiting"}.get(phase, "active")
        blocked = any(s.state != "done" for s in made)
        made.append(Step(last, "Answer requests", "waiting" if blocked else answering))
    return tuple(made)


def _answers(state: ServiceState) -> bool:
    return bool(state.components) and all(c.ready > 0 for c in state.components)


def _count(state: ServiceState) -> str:
    short = [c for c in state.components if c.ready < c.wanted] or list(state.components)
    return " and ".join(f"{c.ready} of {c.wanted} {c.component}" for c in short)


def _split(shares: Sequence[Share]) -> str:
    """Who gets the requests; empty where the newest version gets them all."""
    newest = next((s for s in shares if s.newest), None)
    asked = [s for s in shares if s.percent]
    if newest is None or newest.percent >= 100 or not asked:
        return ""
    if not newest.percent and len(asked) == 1:
        return f"All requests go to {_title(asked[0], shares)}; {_title(newest, shares)} gets none."
    said = " and ".join(f"{s.percent} % go to {_title(s, shares)}" for s in asked)
    if any(s.assumed for s in shares):
        return f"Of the requests {said}, as was asked for: what they get may not be read."
    return f"Of the requests {said}."


def _title(share: Share, shares: Sequence[Share]) -> str:
    """A version by the shortest name that tells it from the others."""
    models = [s.model for s in shares if s.model]
    if share.model is None or len({(m.name, m.version) for m in models}) < len(shares):
        return share.revision
    same = len({m.name for m in models}) == 1
    return f"version {share.model.version}" if same else f"{share.model.name} {share.model.version}"


def _served(role: str, labels: Mapping[str, JSON], annotations: Mapping[str, JSON]) -> ServedArtifact | None:
    number = str(labels.get(f"{PREFIX}{role}-id") or "")
    name = str(annotations.get(f"{PREFIX}{role}-name") or "")
    if not number and not name:
        return None
    return ServedArtifact(
        id=int(number) if number.isdecimal() else 0,
        name=name,
        version=str(annotations.get(f"{PREFIX}{role}-version") or ""),
    )


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    return line if not line or line[-1] in ".!?…" else f"{line}."


def _predictor(manifest: Manifest) -> Mapping[str, JSON]:
    return mapping(mapping(manifest.get("spec")).get("predictor"))


def _first(value: JSON) -> JSON:
    return value[0] if isinstance(value, list) and value else None
