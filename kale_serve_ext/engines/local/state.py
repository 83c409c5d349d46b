"""What the state folder says, as values: the description that callers write and the status that a supervisor writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar, cast

from ...ml import JSON
from ...records import ServiceRef
from ..base import Component, ComponentState, Condition, Manifest, Replica, ServiceState
from ..kserve import STOP, is_stopped
from .home import Home
from .processes import Identity, this_boot

T = TypeVar("T")

SILENT_AFTER = 180.0
"""Seconds without a sign of life after which another machine's supervisor is taken for gone."""


class CorruptStateError(Exception):
    """A file of the state folder cannot be understood."""


@dataclass(frozen=True)
class Spec:
    """What is wanted. ``revision`` counts the manifests; pausing is not a new one."""

    manifest: Manifest
    revision: int
    created: float
    updated: float
    deleting: bool = False

    def to_json(self) -> JSON:
        return cast(JSON, asdict(self))

    @property
    def paused(self) -> bool:
        return is_stopped(self.manifest)

    def with_paused(self, paused: bool, now: float) -> Spec:
        metadata = dict(mapping(self.manifest.get("metadata")))
        notes = {k: v for k, v in mapping(metadata.get("annotations")).items() if k != STOP}
        metadata["annotations"] = {**notes, STOP: "true"} if paused else notes
        return replace(self, manifest={**self.manifest, "metadata": metadata}, updated=now)


@dataclass(frozen=True)
class Ports:
    """The addresses of one component, kept over restarts."""

    http: int
    grpc: int


@dataclass(frozen=True)
class Status:
    """What is, as the service's supervisor saw it last."""

    supervisor: Identity
    socket: str
    ports: Mapping[str, Ports] = field(default_factory=dict)
    """By listener: ``entry``, and ``predictor`` where a transformer is the entry."""
    serving_revision: int = 0
    components: tuple[ComponentState, ...] = ()
    conditions: tuple[Condition, ...] = ()
    children: tuple[Identity, ...] = ()
    failure: str = ""
    updated: float = 0.0

    def to_json(self) -> JSON:
        return cast(JSON, asdict(self))


def read_spec(home: Home) -> Spec | None:
    """The description; None when there is no such service.

    Raises:
        CorruptStateError: there is one, and it cannot be read.
    """
    value = _read(home.spec)
    if value is None:
        if home.folder.is_dir() and home.status.exists():
            raise CorruptStateError(f"The service's description {home.spec} is missing.")
        return None
    try:
        manifest = _object(value["manifest"])
        _object(manifest["metadata"])
        _object(manifest["spec"])
        return Spec(
            manifest=manifest,
            revision=_number(value["revision"], int),
            created=_number(value["created"], float),
            updated=_number(value["updated"], float),
            deleting=bool(value.get("deleting")),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptStateError(f"The service's description {home.spec} cannot be understood: {exc!r}") from exc


def read_status(home: Home) -> Status | None:
    """The last status; None before the first supervisor wrote one.

    Raises:
        CorruptStateError: it cannot be read.
    """
    value = _read(home.status)
    if value is None:
        return None
    try:
        return Status(
            supervisor=_made(Identity, value["supervisor"]),
            socket=str(value["socket"]),
            ports={name: _made(Ports, ports) for name, ports in _object(value["ports"]).items()},
            serving_revision=_number(value["serving_revision"], int),
            components=tuple(
                replace(_made(ComponentState, component), replicas=_each(Replica, _object(component)["replicas"]))
                for component in _list(value["components"])
            ),
            conditions=_each(Condition, value["conditions"]),
            children=_each(Identity, value["children"]),
            failure=str(value["failure"]),
            updated=_number(value["updated"], float),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptStateError(f"The service's status {home.status} cannot be understood: {exc!r}") from exc


def compose(ref: ServiceRef, spec: Spec, status: Status | None) -> ServiceState:
    """The service as the engine shows it, on this machine."""
    if status is None:
        return ServiceState(
            ref, spec.manifest, spec.revision, 0, (), created=spec.created, updated=spec.updated, deleting=spec.deleting
        )
    entry = status.ports.get("entry")
    state = ServiceState(
        ref=ref,
        manifest=spec.manifest,
        revision=spec.revision,
        serving_revision=status.serving_revision,
        components=status.components,
        conditions=status.conditions,
        url=f"http://127.0.0.1:{entry.http}" if entry else "",
        grpc_url=f"127.0.0.1:{entry.grpc}" if entry and entry.grpc else "",
        created=spec.created,
        updated=max(spec.updated, status.updated),
        deleting=spec.deleting,
        failure=status.failure,
    )
    if not status.supervisor.is_here and time.time() - status.updated < SILENT_AFTER:
        return replace(
            state,
            ours=False,
            failure=f"It belongs to the machine {status.supervisor.host}, which shares this home folder; use it there.",
        )
    if not status.supervisor.is_here or status.supervisor.boot != this_boot():
        return _nothing_runs(state)
    return state


def corrupt(ref: ServiceRef, home: Home, message: str) -> ServiceState:
    """A service whose folder cannot be read: shown, so that it can be deleted."""
    metadata: dict[str, JSON] = {"name": ref.name, "namespace": ref.namespace}
    manifest: Manifest = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {},
    }
    changed = home.folder.stat().st_mtime if home.folder.exists() else 0.0
    failure = f"{message} Delete the service and serve the model again."
    return ServiceState(ref, manifest, 0, 0, (), updated=changed, supervised=False, failure=failure)


def _nothing_runs(state: ServiceState) -> ServiceState:
    components = tuple(replace(c, ready=0, replicas=()) for c in state.components)
    condition = Condition(
        "Ready", "False", "Stopped", "Nothing runs it since the machine was restarted.", state.updated
    )
    return replace(
        state, serving_revision=0, components=components, conditions=(condition,), supervised=False, failure=""
    )


def component_of(name: str) -> Component:
    return "transformer" if name == "transformer" else "predictor"


def mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _read(path: Path) -> dict[str, JSON] | None:
    try:
        value: JSON = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as exc:
        raise CorruptStateError(f"The file {path} is damaged: {exc}") from exc
    if not isinstance(value, dict):
        raise CorruptStateError(f"The file {path} is damaged: it holds no object.")
    return value


def _made(kind: Callable[..., T], value: JSON) -> T:
    return kind(**_object(value))


def _each(kind: Callable[..., T], value: JSON) -> tuple[T, ...]:
    return tuple(_made(kind, one) for one in _list(value))


def _object(value: JSON) -> dict[str, JSON]:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:80]!r} is no object")
    return value


def _list(value: JSON) -> list[JSON]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:80]!r} is no list")
    return value


def _number(value: JSON, kind: Callable[[str | int | float], T]) -> T:
    if not isinstance(value, str | int | float):
        raise TypeError(f"{str(value)[:80]!r} is no number")
    return kind(value)
