"""What the product keeps in MLMD, as plain values: artifacts, lineage, names of services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .ml import JSON, Signature

MODEL = "kale.Model"
TRANSFORMER = "kale.Transformer"
DATASET = "kale.Dataset"
KFP_MODEL = "system.Model"
"""The type that Kubeflow Pipelines gives to the models of its runs; listed and served like ours."""
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What Kubernetes takes for the names of services and namespaces."""


@dataclass(frozen=True)
class Environment:
    """The Python that made an artifact, and so the one that can load it."""

    python: str = ""
    """Absolute path of the interpreter."""
    python_version: str = ""
    """Such as ``3.11.7``."""
    host: str = ""
    """Name of the machine the interpreter is on."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that loading needs, by distribution name: ``{"scikit-learn": "1.9.1"}``."""


@dataclass(frozen=True)
class Artifact:
    """One version of a Model, Transformer or Dataset. ``id`` is 0 until it is in MLMD."""

    type: str
    name: str
    version: str = ""
    uri: str = ""
    """The snapshot: ``file:///…/sha256/<digest>``, or whatever another writer of MLMD put there."""
    digest: str = ""
    """``sha256:<hex>`` of the snapshot's content; empty for artifacts of other writers."""
    description: str = ""
    author: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    format: str = ""
    """A format's name (``sklearn``, ``xgboost``, …) for models; ``functional``, ``subclass`` for transformers."""
    signature: Signature | None = None
    environment: Environment = field(default_factory=Environment)
    details: Mapping[str, JSON] = field(default_factory=dict)
    """What the format or transformer needs to be run again, such as ``{"class_name": "MyModel"}``."""
    id: int = 0
    created: float = 0.0
    """Seconds since the epoch."""
    updated: float = 0.0


@dataclass(frozen=True)
class RegisteredName:
    """All versions of one (type, name), for lists: the newest version whole, and how many there are."""

    latest: Artifact
    versions: int


@dataclass(frozen=True)
class ServiceRef:
    """Full name of an InferenceService."""

    engine: str
    """``local`` or ``cluster``."""
    context: str
    """Kubeconfig context, ``in-cluster``, or ``localhost``."""
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.engine}/{self.context}/{self.namespace}/{self.name}"


@dataclass(frozen=True)
class LineageStep:
    """One execution that an artifact took part in."""

    execution_id: int
    type: str
    """``kale.Log`` (made the artifact), ``kale.Deployment`` (served it), or another writer's type."""
    name: str
    context: str
    """Where it ran: a notebook's path, a pipeline run; empty where unknown."""
    state: str
    started: float
    inputs: tuple[int, ...] = ()
    """Ids of the artifacts that went in."""
    outputs: tuple[int, ...] = ()
    service: ServiceRef | None = None
    """The service, for a deployment."""


@dataclass(frozen=True)
class Lineage:
    """Where an artifact came from and where it went."""

    artifact: Artifact
    produced_by: tuple[LineageStep, ...] = ()
    consumed_by: tuple[LineageStep, ...] = ()
    related: Mapping[int, Artifact] = field(default_factory=dict)
    """The other artifacts named by the steps, by id."""
