"""The phase of a service, by what its processes do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kale_serve_ext.engines.base import (
    Component,
    ComponentState,
    Condition,
    Manifest,
    Replica,
    RevisionShare,
    ServiceState,
)
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.status import describe
from kale_serve_ext.serving.types import Replicas

REF = ServiceRef("local", "localhost", "default", "iris")
MANIFEST: Manifest = {
    "metadata": {
        "name": "iris",
        "labels": {"kale-serve-ext/model-id": "12", "kale-serve-ext/transformer-id": "no number"},
        "annotations": {
            "kale-serve-ext/model-name": "iris",
            "kale-serve-ext/model-version": "2",
            "kale-serve-ext/transformer-name": "scale",
        },
    },
    "spec": {"predictor": {"model": {"runtime": "kserve-sklearnserver", "protocolVersion": "v2"}}},
}
TRACEBACK = """Traceback (most recent call last):
  File "load.py", line 1, in <module>
ModuleNotFoundError: No module named 'lightgbm'
the server is going down
"""


def replica(revision: int = 1, **changes: object) -> Replica:
    made = Replica("iris-predictor-0", revision, "Running", message="The predictor is loading.")
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of Replica, by name


def ready(revision: int = 1, **changes: object) -> Replica:
    return replica(revision, ready=True, message="", **changes)


def component(*replicas: Replica, name: Component = "predictor", wanted: int = 1) -> ComponentState:
    return ComponentState(name, wanted, sum(r.ready for r in replicas), replicas)


def state(*components: ComponentState, **changes: object) -> ServiceState:
    made = ServiceState(REF, MANIFEST, revision=1, serving_revision=0, components=components)
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields of ServiceState, by name


PAUSED: Manifest = {**MANIFEST, "metadata": {"name": "iris", "annotations": {"serving.kserve.io/stop": "true"}}}
CRASHED = replica(
    state="Waiting", reason="CrashLoopBackOff", exit_code=1, last_log=TRACEBACK, message="It ended with exit code 1."
)


@pytest.mark.parametrize(
    ("given", "phase", "reason"),
    [
        (state(), "Pending", "It is about to start."),
        (state(component(replica(state="Waiting", message=""))), "Pending", "The predictor is about to start."),
        (state(component(replica(state="Waiting", message="No node has room"))), "Pending", "No node has room."),
        (state(component(replica())), "Loading", "The predictor is loading."),
        (state(component(replica(message=""))), "Loading", "The predictor is loading."),
        (
            state(component(ready()), component(replica(message=""), name="transformer")),
            "Loading",
            "The transformer is loading.",
        ),
        (state(component(ready()), serving_revision=1), "Ready", ""),
        (
            state(component(ready(), replica(), wanted=2), serving_revision=1),
            "Ready",
            "1 of 2 predictor replicas are ready.",
        ),
        # KServe says Ready on its own condition while the new revision loads or fails; this does not.
        (
            state(
                component(ready(1), replica(2)),
                revision=2,
                serving_revision=1,
                conditions=(Condition("Ready", "True"),),
            ),
            "Loading",
            "The predictor is loading. Revision 1 answers until revision 2 is ready.",
        ),
        (
            state(
                component(ready(1), replace(CRASHED, revision=2)),
                revision=2,
                serving_revision=1,
                conditions=(Condition("Ready", "True"),),
            ),
            "Degraded",
            "Revision 2 fails, revision 1 still answers. The predictor ended with exit code 1: "
            "ModuleNotFoundError: No module named 'lightgbm'.",
        ),
        (
            state(component(CRASHED)),
            "Failed",
            "The predictor ended with exit code 1: ModuleNotFoundError: No module named 'lightgbm'.",
        ),
        # It runs again for the moment, and has not come right.
        (
            state(component(replace(CRASHED, state="Running", restarts=3))),
            "Failed",
            "The predictor ended with exit code 1: ModuleNotFoundError: No module named 'lightgbm'. "
            "It was restarted 3 times.",
        ),
        (state(component(ready(restarts=3)), serving_revision=1), "Ready", ""),
        # It may be busy as well as frozen, so the phase stays.
        (
            state(component(replace(ready(), reason="Unresponsive", message="It says nothing.")), serving_revision=1),
            "Ready",
            "It says nothing.",
        ),
        (
            state(component(replica(state="Waiting", reason="CrashLoopBackOff", exit_code=137, restarts=1))),
            "Failed",
            "The predictor was killed by SIGKILL. It was restarted once.",
        ),
        (
            state(
                component(
                    replica(state="Terminated", reason="OOMKilled", exit_code=137, message="It used 600 of 512 MiB")
                )
            ),
            "Failed",
            "The predictor was killed because it used more memory than its limit. It used 600 of 512 MiB.",
        ),
        (
            state(component(replica(state="Waiting", reason="ImagePullBackOff", message="not found: a/b:1"))),
            "Failed",
            "The predictor cannot start: not found: a/b:1.",
        ),
        (
            state(component(replica(state="Terminated", exit_code=0, message=""))),
            "Failed",
            "The predictor ended with exit code 0.",
        ),
        (
            state(component(ready(), replace(CRASHED, name="iris-predictor-1"), wanted=2), serving_revision=1),
            "Degraded",
            "1 of 2 predictor replicas answer. The predictor ended with exit code 1: "
            "ModuleNotFoundError: No module named 'lightgbm'.",
        ),
        (
            state(conditions=(Condition("PredictorReady", "False", "NoSupportingRuntime", "No runtime found"),)),
            "Failed",
            "No runtime found.",
        ),
        (
            state(
                component(replica(message="")),
                conditions=(Condition("Ready", "False", "MinimumReplicasUnavailable", "not yet"),),
            ),
            "Loading",
            "The predictor is loading.",
        ),
        (
            state(component(ready(reason="ScaledToZero", state="Waiting"), wanted=0), serving_revision=1),
            "Idle",
            "",
        ),
        (state(failure="The state folder is damaged"), "Failed", "The state folder is damaged."),
        (state(component(replica()), manifest=PAUSED), "Paused", "Its processes are being stopped."),
        (
            state(component(replace(CRASHED, state="Terminated")), manifest=PAUSED),
            "Paused",
            "It is paused; resume it to send requests.",
        ),
        (
            state(supervised=False),
            "Stopped",
            "Nothing runs it since the machine was restarted; start it again with Resume.",
        ),
        (state(component(CRASHED), deleting=True, failure="damaged"), "Terminating", "It is being deleted."),
    ],
)
def test_phase_and_reason(given: ServiceState, phase: str, reason: str) -> None:
    made = describe(given)

    assert (made.phase, made.reason) == (phase, reason)


def share(percent: int, *, newest: bool = False, version: str = "", name: str = "iris") -> RevisionShare:
    notes = {"kale-serve-ext/model-name": name, "kale-serve-ext/model-version": version} if version else {}
    return RevisionShare("r2" if newest else "r1", percent, newest, notes)


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ((share(100, newest=True, version="2"), share(0, version="1")), ""),
        (
            (share(20, newest=True, version="2"), share(80, version="1")),
            "Of the requests 20 % go to version 2 and 80 % go to version 1.",
        ),
        (
            (share(20, newest=True, version="2", name="wine"), share(80, version="1")),
            "Of the requests 20 % go to wine 2 and 80 % go to iris 1.",
        ),
        # The same model with other settings, and what nothing is known of.
        (
            (share(20, newest=True, version="2"), share(80, version="2")),
            "Of the requests 20 % go to r2 and 80 % go to r1.",
        ),
        ((share(0, newest=True), share(100)), "All requests go to r1; r2 gets none."),
    ],
)
def test_who_gets_the_requests_is_told(shares: tuple[RevisionShare, ...], reason: str) -> None:
    assert describe(state(component(ready()), serving_revision=1, shares=shares)).reason == reason


def test_what_a_service_serves_is_read_from_its_manifest() -> None:
    made = describe(state(component(ready()), serving_revision=1, url="http://127.0.0.1:1"))

    assert made.model is not None
    assert made.transformer is not None
    assert (made.model.id, made.model.name, made.model.version) == (12, "iris", "2")
    assert (made.transformer.id, made.transformer.name) == (0, "scale")
    assert (made.runtime, made.protocol, made.url) == ("kserve-sklearnserver", "v2", "http://127.0.0.1:1")
    assert (made.replicas_ready, made.replicas_wanted, made.components) == (1, 1, ("predictor",))


def test_a_damaged_service_is_still_told() -> None:
    made = describe(ServiceState(REF, {}, 0, 0, (), failure="Its state folder cannot be read."))

    assert (made.phase, made.model, made.protocol, made.steps) == ("Failed", None, "v1", ())


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (
            state(component(replica(state="Waiting"))),
            ["active Start the predictor", "waiting Load the model", "waiting Answer requests"],
        ),
        (
            state(component(replica())),
            ["done Start the predictor", "active Load the model", "waiting Answer requests"],
        ),
        (
            state(component(ready()), component(replica(), name="transformer")),
            [
                "done Start the predictor",
                "done Load the model",
                "done Start the transformer",
                "active Load the transformer",
                "waiting Answer requests",
            ],
        ),
        (
            state(component(CRASHED)),
            ["done Start the predictor", "failed Load the model", "waiting Answer requests"],
        ),
        (
            state(component(replace(CRASHED, exit_code=None))),
            ["failed Start the predictor", "waiting Load the model", "waiting Answer requests"],
        ),
        (
            state(component(replace(CRASHED, state="Running", restarts=1))),
            ["done Start the predictor", "failed Load the model", "waiting Answer requests"],
        ),
        (
            state(component(ready()), serving_revision=1),
            ["done Start the predictor", "done Load the model", "done Answer requests"],
        ),
        (state(manifest=PAUSED), []),
        # In a service that failed, nothing is under way.
        (
            state(component(replica()), component(CRASHED, name="transformer")),
            [
                "done Start the predictor",
                "waiting Load the model",
                "done Start the transformer",
                "failed Load the transformer",
                "waiting Answer requests",
            ],
        ),
        (
            state(component(replica()), conditions=(Condition("PredictorReady", "False", "ModelLoadFailed"),)),
            ["done Start the predictor", "failed Load the model", "waiting Answer requests"],
        ),
    ],
)
def test_steps(given: ServiceState, steps: list[str]) -> None:
    assert [f"{s.state} {s.title}" for s in describe(given).steps] == steps


def test_replicas_are_counted_for_each_component() -> None:
    made = describe(state(component(ready(), replica(), wanted=2), component(ready(), name="transformer")))
    assert made.replicas == (Replicas("predictor", 1, 2), Replicas("transformer", 1, 1))


def test_the_log_of_what_failed_comes_along() -> None:
    assert describe(state(component(CRASHED))).log_tail == TRACEBACK
    assert describe(state(component(ready(last_log=TRACEBACK)), serving_revision=1)).log_tail == ""


def test_a_long_reason_is_cut() -> None:
    made = describe(state(component(replace(CRASHED, last_log=f"ValueError: {'x' * 10**6}"))))

    assert len(made.reason) < 600


def test_its_text_leaves_the_manifest_out_with_its_secrets() -> None:
    """It ends up in notebooks, which are handed on."""
    env = [{"name": "DB_PASSWORD", "value": "hunter2"}]
    service = describe(state(manifest={**MANIFEST, "spec": {"predictor": {"model": {"env": env}}}}))
    assert "hunter2" in str(service.manifest)
    assert "hunter2" not in repr(service)


@pytest.mark.parametrize(
    ("args", "task"),
    [
        (["--task=text_embedding"], "feature-extraction"),
        (["--task", "text-generation"], "text-generation"),
        (["--task=no_such_task"], ""),
        (["--return_probabilities"], ""),
        ("no list", ""),
    ],
)
def test_an_argument_names_another_task_than_the_record(args: JSON, task: str) -> None:
    model: JSON = {"modelFormat": {"name": "huggingface"}, "args": args}
    manifest: Manifest = {**MANIFEST, "spec": {"predictor": {"model": model}}}
    told = describe(
        state(component(ready()), manifest=manifest, serving_manifest=manifest, revision=2, serving_revision=1)
    )
    assert told.task == task
    assert told.answering is not None
    assert told.answering.task == task
    # An argument of the same name may mean anything to others.
    other: JSON = {"modelFormat": {"name": "sklearn"}, "args": args}
    assert describe(state(manifest={**MANIFEST, "spec": {"predictor": {"model": other}}})).task == ""
