"""The bodies of the REST API: what comes in as pydantic models, what goes out as the core's own dataclasses.

``openapi.py`` makes the OpenAPI document from these, and the panel's TypeScript types are made from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from ..engines.base import EngineInfo, LogEvent
from ..records import Artifact, Lineage, RegisteredName
from ..serving.types import RuntimeChoice, Service

Name = Annotated[str, Field(max_length=253)]
Text = Annotated[str, Field(max_length=10_000)]
Id = Annotated[int, Field(gt=0, lt=2**63)]


class Body(BaseModel):
    """Unknown fields are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ServeBody(Body):
    """What to plan or serve."""

    model_id: Id | None = None
    transformer_id: Id | None = None
    name: Name = ""
    runtime: Name = ""
    protocol: Literal["", "v1", "v2"] = ""
    config: dict[str, JsonValue] = Field(default_factory=dict)


class PatchBody(Body):
    """Changes to a service; what is left out stays as it is."""

    paused: bool | None = None
    model_id: Id | None = Field(default=None, description="Another version of the model, or another model.")
    transformer_id: Id | None = None
    replicas: Annotated[int, Field(ge=1, le=64)] | None = None


class RegisterBody(Body):
    """A file or folder under the server's root that becomes a Model artifact."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    name: Name = ""
    version: Name = ""
    description: Text = ""
    author: Name = ""
    tags: dict[Name, Name] = Field(default_factory=dict, max_length=100)
    format: Name = ""
    kernel: Name = Field(default="", description="Name of the kernel whose interpreter can load the model.")


class PredictBody(Body):
    """A test request: rows for the form (encoded for the service's protocol), or a raw body sent as it is."""

    rows: list[JsonValue] | None = None
    raw: JsonValue = None
    component: Literal["", "predictor", "transformer"] = ""


@dataclass(frozen=True)
class ModelPage:
    """One page of registered models (or transformers), the newest first."""

    items: list[RegisteredName]
    next_cursor: str
    """Pass it as ``cursor`` for the next page; empty on the last."""
    total: int


@dataclass(frozen=True)
class ModelDetail:
    """One version of a model, its siblings, its lineage and the services that run it."""

    artifact: Artifact
    versions: list[Artifact]
    lineage: Lineage
    services: list[Service]


@dataclass(frozen=True)
class RuntimeList:
    items: list[RuntimeChoice]


@dataclass(frozen=True)
class ServiceList:
    items: list[Service]


@dataclass(frozen=True)
class EventList:
    items: list[LogEvent]


@dataclass(frozen=True)
class Kernel:
    """An installed kernel, whose interpreter may run a model."""

    name: str
    display_name: str
    python: str


@dataclass(frozen=True)
class KernelList:
    items: list[Kernel]


@dataclass(frozen=True)
class BackendHealth:
    """State of one backend: ``ready``, ``starting``, ``installing``, ``missing`` or ``error``."""

    state: Literal["ready", "starting", "installing", "missing", "error"]
    message: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Health:
    """The server extension's version, its engine, and how each backend does."""

    version: str
    engine: EngineInfo
    engines: list[EngineInfo]
    backends: dict[Literal["engine", "metadata", "store"], BackendHealth]


@dataclass(frozen=True)
class Metrics:
    """A component's metrics in Prometheus' text format."""

    text: str


@dataclass(frozen=True)
class ErrorBody:
    """Every error that the API answers with."""

    message: str
    reason: str
    hint: str = ""
    field: str = ""
