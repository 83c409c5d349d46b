"""The values that plans, services and predictions are told in: to notebooks as objects, to the panel as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..engines.base import Check, Component, Condition, Manifest, Phase
from ..ml import JSON
from ..records import ServiceRef


@dataclass(frozen=True)
class ServeRequest:
    """What somebody wants served; everything but a model (or a custom predictor in ``config``) may be left out."""

    model_id: int | None = None
    transformer_id: int | None = None
    name: str = ""
    """The InferenceService's name; made from the model's when empty."""
    runtime: str = ""
    """A runtime's name; the best fitting when empty."""
    protocol: str = ""
    """``v1`` or ``v2``; ``v1`` when empty, unless the transformer says otherwise."""
    config: Mapping[str, JSON] = field(default_factory=dict)
    """A ServeConfig as a dict in KServe's camelCase."""
    update: bool = False
    """Change the service of that name, whatever it serves and whoever made it; what is not asked for stays."""
    force: bool = False
    """Take over fields that other programs have set."""


@dataclass(frozen=True)
class RuntimeChoice:
    """A runtime as the picker shows it, with the verdict on one model."""

    name: str
    display_name: str
    protocols: tuple[str, ...]
    fits: bool
    reason: str
    """Why it does not fit, or what it is good for."""
    chosen: bool = False
    python: str = ""
    image: str = ""
    assumed: bool = False


@dataclass(frozen=True)
class Difference:
    """One field that applying the plan would change. ``before`` or ``after`` is None where it is absent."""

    path: str
    before: JSON
    after: JSON


@dataclass(frozen=True)
class Plan:
    """What would be applied, every check's verdict, and what it would change."""

    name: str
    manifest: Manifest
    runtime: str
    protocol: str
    ok: bool
    """No check is an error."""
    checks: tuple[Check, ...]
    differences: tuple[Difference, ...]
    exists: bool
    """A service of this name runs already: applying is an update."""
    runtimes: tuple[RuntimeChoice, ...]


@dataclass(frozen=True)
class ServedArtifact:
    """The model or transformer inside a service; ``id`` is 0 where it cannot be told."""

    id: int
    name: str
    version: str


@dataclass(frozen=True)
class Share:
    """What part of the requests one revision gets; the newest is first."""

    revision: str
    percent: int
    newest: bool
    model: ServedArtifact | None
    """None where it cannot be told."""
    assumed: bool = False
    """Whether the percent is what was asked for, since what routes the requests may not be read."""


@dataclass(frozen=True)
class Step:
    """One step on a component's way to ready, for the progress list."""

    component: Component
    title: str
    state: str
    """``done``, ``active``, ``failed`` or ``waiting``."""
    message: str = ""


@dataclass(frozen=True)
class Service:
    """One InferenceService, told truthfully."""

    ref: ServiceRef
    phase: Phase
    reason: str
    """One sentence; empty when there is nothing to add to the phase."""
    log_tail: str
    """The failing process's last lines, where one failed."""
    model: ServedArtifact | None
    transformer: ServedArtifact | None
    runtime: str
    protocol: str
    url: str
    external_url: str
    """The address that it is said to have outside of the cluster; nobody has looked whether it answers."""
    grpc_url: str
    replicas_ready: int
    replicas_wanted: int
    restarts: int
    revision: int
    serving_revision: int
    components: tuple[Component, ...]
    steps: tuple[Step, ...]
    conditions: tuple[Condition, ...]
    created: float
    updated: float
    ours: bool
    mode: str
    """``Standard`` or ``Knative``; empty where there is no choice, or nothing is known yet."""
    shares: tuple[Share, ...]
    """Who gets the requests, with the revision to go back to; empty where they cannot be split."""
    can_pause: bool
    can_split: bool
    """Whether a new version may be given a share of the requests."""
    manifest: Manifest


@dataclass(frozen=True)
class Prediction:
    """The answer to a test request, with what was sent."""

    answer: JSON
    latency_ms: float
    protocol: str
    url: str
    request: JSON
    """The body as it was sent."""
    python: str
    """The same call as Python code."""
    command: str
    """The same call as a shell command; it holds no secrets."""
