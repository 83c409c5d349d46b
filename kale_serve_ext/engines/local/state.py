"""What the state folder says, as values: the description that callers write and the status that a supervisor writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from ... import __version__
from ...entities import ServiceRef
from ...ml import JSON
from ...runner.access import Access
from ..base import Component, ComponentState, Condition, Manifest, Replica, ServiceState
from ..fields import mapping
from ..kserve import STOP, is_stopped
from .home import Home, write_json
from .processes import Identity, this_boot

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
_PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "float": (int, float), "bool": bool}

SILENT_AFTER = 180.0
"""Seconds without a sign of life after which another machine's supervisor is taken for gone."""


FORMAT = 1
"""Counts the changes of these files after which an earlier release must not go by them. A field that is added is none:
whoever does not know it reads past it."""


class StateError(Exception):
    """A file of the state folder cannot be gone by."""


class CorruptStateError(StateError):
    """It cannot be understood."""


class NewerStateError(StateError):
    """A later release of this package has written it, in a way that this one does not know."""


@dataclass(frozen=True)
class Spec:
    """What is wanted. ``revision`` counts the manifests; pausing is not a new one."""

    manifest: Manifest
    revision: int
    created: float
    updated: float
    deleting: bool = False
    writer: Identity | None = field(default=None, compare=False)
    """Who wrote it, and so on which machine it is run next; None in what was written before it was told."""

    def to_json(self) -> JSON:
        return stamped(asdict(self))

    @property
    def mark(self) -> str:
        """Another one after each change, also after one that makes no revision."""
        return f"{self.revision} {self.updated!r}{' deleting' if self.deleting else ''}"

    @property
    def paused(self) -> bool:
        return is_stopped(self.manifest)

    def with_paused(self, paused: bool, now: float) -> Spec:
        metadata = dict(mapping(self.manifest.get("metadata")))
        annotations = {k: v for k, v in mapping(metadata.get("annotations")).items() if k != STOP}
        metadata["annotations"] = {**annotations, STOP: "true"} if paused else annotations
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
    access: Access | None = None
    """Whom new processes answer; None in what was written before there was a choice."""
    follows: str = ""
    """The mark of the description that it is about; empty in what was written before it was told."""

    def to_json(self) -> JSON:
        return stamped(asdict(self))


def stamped(value: Mapping[str, JSON]) -> JSON:
    """What is to be written, with its format and the release that writes it."""
    return {"format": FORMAT, "release": __version__, **value}


def check_format(value: Mapping[str, JSON], path: Path) -> None:
    """Refuse what a later release has written in a format of its own.

    Raises:
        NewerStateError: says which.
    """
    given = value.get("format", FORMAT)
    if isinstance(given, int) and given > FORMAT:
        release = str(value.get("release") or "of unknown version")[:40]
        raise NewerStateError(
            f"The file {path} was written by a newer kale-serve-ext ({release}), in the format {given}; this one "
            f"({__version__}) knows those up to {FORMAT}. Upgrade kale-serve-ext here."
        )


def read_spec(home: Home) -> Spec | None:
    """The description; None when there is no such service.

    Raises:
        StateError: there is one, and it cannot be read.
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
            writer=_made(Identity, value["writer"]) if value.get("writer") else None,
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptStateError(f"The service's description {home.spec} cannot be understood: {exc!r}") from exc


def write_spec(home: Home, spec: Spec) -> None:
    """Replace the description by one of this process."""
    write_json(home.spec, replace(spec, writer=Identity.mine()).to_json())


def read_status(home: Home) -> Status | None:
    """The last status; None before the first supervisor wrote one.

    Raises:
        StateError: it cannot be read.
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
            access=Access.from_json(_object(value["access"])) if value.get("access") else None,
            follows=str(value.get("follows") or ""),
        )
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptStateError(f"The service's status {home.status} cannot be understood: {exc!r}") from exc


def elsewhere(spec: Spec | None, status: Status | None) -> str:
    """The name of another machine that runs the service, or has just written what it is about to run.

    Its processes, locks and sockets cannot be seen from here. Empty where there is none, or none that still lives.
    """
    signs = [(status.supervisor, status.updated)] if status else []
    if spec and spec.writer and (status is None or spec.updated > status.updated):
        signs.append((spec.writer, spec.updated))
    return next((who.host for who, when in signs if not who.is_here and time.time() - when < SILENT_AFTER), "")


def compose(ref: ServiceRef, spec: Spec, status: Status | None) -> ServiceState:
    """The service as the engine shows it, on this machine."""
    state = ServiceState(
        ref, spec.manifest, spec.revision, 0, (), created=spec.created, updated=spec.updated, deleting=spec.deleting
    )
    if status is not None:
        entry = status.ports.get("entry")
        state = replace(
            state,
            serving_revision=status.serving_revision,
            components=status.components,
            conditions=status.conditions,
            url=f"http://127.0.0.1:{entry.http}" if entry else "",
            grpc_url=f"127.0.0.1:{entry.grpc}" if entry and entry.grpc else "",
            updated=max(spec.updated, status.updated),
            failure=status.failure,
        )
    host = elsewhere(spec, status)
    if host:
        failure = f"It belongs to the machine {host}, which shares this home folder; use it there."
        return replace(state, ours=False, failure=failure)
    if status is None:
        return _nothing_runs(state) if spec.writer and not spec.writer.is_here else state
    return state if status.supervisor.boot == this_boot() else _nothing_runs(state)


def unreadable(ref: ServiceRef, home: Home, failure: str) -> ServiceState:
    """A service of which nothing is known but why: the others are listed all the same."""
    metadata: dict[str, JSON] = {"name": ref.name, "namespace": ref.namespace}
    manifest: Manifest = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {},
    }
    try:
        changed = home.folder.stat().st_mtime
    except OSError:
        changed = 0.0
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


def _read(path: Path) -> dict[str, JSON] | None:
    try:
        value: JSON = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as exc:
        raise CorruptStateError(f"The file {path} is damaged: {exc}") from exc
    if not isinstance(value, dict):
        raise CorruptStateError(f"The file {path} is damaged: it holds no object.")
    check_format(value, path)
    return value


def _made(kind: Callable[..., T], value: JSON) -> T:
    """The dataclass with those of the fields that it knows.

    Raises:
        TypeError: a field is missing, or of another type.
    """
    given = _object(value)
    made = kind(**{name: given[name] for name in known_fields(kind, given)})
    for one in fields(cast("DataclassInstance", made)):
        if not isinstance(getattr(made, one.name), _PLAIN.get(str(one.type), object)):
            raise TypeError(f"{one.name} is {str(given[one.name])[:80]!r}")
    return made


def known_fields(kind: object, given: Mapping[str, JSON]) -> list[str]:
    """The names of the fields that a dataclass has, of those that are given."""
    return [one.name for one in fields(cast("type[DataclassInstance]", kind)) if one.name in given]


def _each(kind: Callable[..., T], value: JSON) -> tuple[T, ...]:
    return tuple(_made(kind, one) for one in _list(value))


def _object(value: JSON) -> dict[str, JSON]:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:80]!r} is not an object")
    return value


def _list(value: JSON) -> list[JSON]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:80]!r} is not a list")
    return value


def _number(value: JSON, kind: Callable[[str | int | float], T]) -> T:
    if not isinstance(value, str | int | float):
        raise TypeError(f"{str(value)[:80]!r} is not a number")
    return kind(value)
