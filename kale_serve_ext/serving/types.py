"""The values that plans, services and predictions are told in: to notebooks as objects, to the panel as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..engines.base import Check, Component, Condition, Manifest, Phase, Setup
from ..entities import ServiceRef
from ..ml import JSON

REMOVABLE = ("transformer", "config")
"""What can be taken away from a service: its transformer; the settings that were made by a ServeConfig."""


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
    """A ServeConfig as a dict in KServe's camelCase. Of a service that is there, its settings go over those of before:
    variables by name, mappings key by key, anything else as a whole."""
    remove: tuple[str, ...] = ()
    """Parts of the service that is there to take away, of :data:`REMOVABLE`. Whatever else is left out stays."""
    update: bool = False
    """Change the service of that name, whatever it serves and whoever made it; one that is paused stays so."""
    force: bool = False
    """Take over fields that other programs have set."""
    method: str = ""
    """The estimator's method that answers, such as ``predict_proba``; the service's own, else the usual, when empty."""
    verify: str = ""
    """``require`` (a version that answers its recorded rows otherwise never takes over), ``warn`` or ``off``; the
    service's own, else ``warn``, when empty."""


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
    differs: str = ""
    """How a local one differs from the cluster's image of that name."""
    upkeep: str = ""
    """Where it is not maintained any more: that, and what to use instead."""
    setup: Setup | None = None
    """What has to be installed first, of one that fits."""


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
    manifest: Manifest = field(repr=False)
    runtime: str
    protocol: str
    ok: bool
    """No check is an error."""
    checks: tuple[Check, ...]
    differences: tuple[Difference, ...]
    exists: bool
    """A service of this name runs already: applying is an update."""
    runtimes: tuple[RuntimeChoice, ...]
    method: str = ""
    """The estimator's method that would answer; empty for people's own code."""
    methods: tuple[str, ...] = ()
    """Those that can be chosen for this model; empty where that is not recorded."""
    verify: str = "warn"
    """What would come of recorded rows that are answered differently: ``require``, ``warn`` or ``off``."""
    changes: tuple[str, ...] = ()
    """What changes of the running service, in words: ``model iris 1.0.0 → 1.1.0``, ``transformer scale 1: removed``."""
    setup: Setup | None = None
    """What has to be installed before this can be carried out."""
    transformer_now: ServedArtifact | None = None
    """The transformer of the running service, which stays unless another is chosen or it is removed."""


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
class Replicas:
    """How many processes or pods of one component there are."""

    component: Component
    ready: int
    wanted: int


@dataclass(frozen=True)
class Answering:
    """What answers requests while another revision is to come."""

    revision: int
    model: ServedArtifact | None
    transformer: ServedArtifact | None
    protocol: str
    components: tuple[Component, ...]
    task: str
    """As :attr:`Service.task`."""


@dataclass(frozen=True)
class ServiceRevision:
    """One of the descriptions that a service has or had."""

    number: int
    created: float
    by: str
    """Who asked for it, and from where; empty where that is not known."""
    model: ServedArtifact | None
    transformer: ServedArtifact | None
    changes: tuple[str, ...]
    """What it changed of the one before, in words; empty for the oldest that is known."""
    back_to: int
    """The earlier revision that was gone back to by it; 0 for none."""
    newest: bool
    answers: bool
    """Whether it is the one that answers requests now."""


@dataclass(frozen=True)
class Upload:
    """Files on their way to where a service will read them."""

    artifact: str
    """The artifact's name."""
    done: int
    """Bytes that have gone."""
    total: int
    """Bytes in all."""
    error: str
    """Why the upload, or what was to follow it, failed; empty while it goes on."""


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
    answering: Answering | None
    """What answers now, where ``model`` and ``transformer`` are still to come, or fail; None where they answer."""
    runtime: str
    protocol: str
    method: str
    """The estimator's method that answers, such as ``predict_proba``; empty for people's own code."""
    task: str
    """Of a model of transformers that an argument gives another task than its record: that one, such as
    ``feature-extraction``; empty where the record counts."""
    verify: str
    """What comes of recorded rows that are answered differently: ``require``, ``warn`` or ``off``."""
    url: str
    external_url: str
    """The address that it is said to have outside of the cluster; nobody has looked whether it answers."""
    grpc_url: str
    replicas_ready: int
    replicas_wanted: int
    replicas: tuple[Replicas, ...]
    """The same for each component."""
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
    can_roll_back: bool
    """Whether there is an earlier version to go back to."""
    manifest: Manifest = field(repr=False)
    upload: Upload | None = None
    """What is being uploaded by the Jupyter server to serve it, or another version of it."""


@dataclass(frozen=True)
class Prediction:
    """The answer to a test request, with what was sent."""

    answer: str
    """The answer's body: JSON text, whose numbers may be more than a float can hold."""
    latency_ms: float
    protocol: str
    url: str
    request: str
    """The body as it was sent: JSON text, byte for byte."""
    python: str
    """The same call as Python code."""
    command: str
    """The same call as a shell command; it holds no secrets."""
