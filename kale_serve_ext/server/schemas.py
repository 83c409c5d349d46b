"""The bodies of the REST API: what comes in as pydantic models, what goes out as the core's own dataclasses.

``openapi.py`` makes the OpenAPI document from these, and the panel's TypeScript types are made from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from ..engines.base import EngineInfo, LogEvent
from ..engines.selection import By
from ..entities import Artifact, Lineage, RegisteredName
from ..environments.places import Word as EnvironmentState
from ..serving.types import RuntimeChoice, Service, ServiceRevision

T = TypeVar("T")

# No NUL: neither files nor databases take it. (A lone surrogate is no JSON to begin with.)
NO_NUL = r"^[^\x00]*$"
Name = Annotated[str, Field(max_length=253, pattern=NO_NUL)]
Text = Annotated[str, Field(max_length=10_000, pattern=NO_NUL)]
FilePath = Annotated[str, Field(min_length=1, max_length=4096, pattern=NO_NUL)]
Id = Annotated[int, Field(gt=0, lt=2**63)]
Verify = Literal["", "warn", "require", "off"]
_VERIFY = (
    "What comes of recorded rows that are answered differently: a warning, or (`require`) that the version does not "
    "become ready; `off` compares nothing."
)


class Body(BaseModel):
    """Unknown fields are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _storable(value: T) -> T:
    """Refuse what a manifest cannot hold, however deep it is: NUL, NaN and infinities."""
    todo: list[object] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str) and "\0" in item:
            raise ValueError("Text must not hold a NUL character")
        if isinstance(item, float) and not isfinite(item):
            raise ValueError("Numbers must be finite")
        if isinstance(item, dict):
            todo += [*item, *item.values()]
        elif isinstance(item, list):
            todo += item
    return value


Removed = Annotated[
    list[Literal["transformer", "config"]],
    Field(max_length=2, description="Parts of the running service to take away. What is left out otherwise stays."),
]


class RefBody(Body):
    """The service that is meant, wherever new services go."""

    engine: Name
    context: Name
    namespace: Name
    name: Name


class ServeBody(Body):
    """What to plan or serve. Of a service of that name that is there, what is left out stays as it is."""

    ref: RefBody | None = Field(
        default=None,
        description="The service to change. Without it, a service of that name is changed or made where new ones go.",
    )
    model_id: Id | None = None
    transformer_id: Id | None = None
    remove: Removed = Field(default_factory=list)
    name: Name = ""
    runtime: Name = ""
    protocol: Literal["", "v1", "v2"] = ""
    config: Annotated[dict[str, JsonValue], AfterValidator(_storable)] = Field(default_factory=dict)
    update: bool = Field(default=False, description="Change the service of that name, whoever made it.")
    force: bool = Field(default=False, description="Take over fields that other programs have set.")
    method: Name = Field(default="", description="The estimator's method that answers; `predict` when empty.")
    verify: Verify = Field(default="", description=_VERIFY)


class PatchBody(Body):
    """Changes to a service; what is left out stays as it is."""

    paused: bool | None = None
    model_id: Id | None = Field(default=None, description="Another version of the model, or another model.")
    transformer_id: Id | None = None
    remove: Removed = Field(default_factory=list)
    replicas: Annotated[int, Field(ge=1, le=64)] | None = None
    canary: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None,
        description="Percent of the requests for the newest version; 100 promotes it, 0 goes back to the one before.",
    )
    force: bool = Field(default=False, description="Take over fields that other programs have set.")
    method: Name | None = Field(default=None, description="The estimator's method that is to answer.")
    verify: Verify | None = Field(default=None, description=_VERIFY)


class RollbackBody(Body):
    """Which revision to go back to."""

    revision: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        default=None, description="Its number; the version before the newest, where it is left out."
    )
    force: bool = Field(default=False, description="Take over fields that other programs have set.")


class RegisterBody(Body):
    """A file or folder under the server's root that becomes a Model artifact."""

    path: FilePath
    name: Name = ""
    version: Name = ""
    description: Text = ""
    author: Name = ""
    tags: dict[Name, Name] = Field(default_factory=dict, max_length=100)
    format: Name = ""
    kernel: Name = Field(default="", description="Name of the kernel whose interpreter can load the model.")


class PredictBody(Body):
    """A test request: rows for the form (encoded for the service's protocol), or a raw body sent as it is."""

    rows: list[JsonValue] | str | None = Field(
        default=None, description="Or the JSON text of such a list, for numbers that a browser would round."
    )
    raw: JsonValue = Field(default=None, description="A text is sent byte for byte; it has to be JSON.")
    component: Literal["", "predictor", "transformer"] = ""


class ChatMessage(Body):
    """What somebody has said in a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(max_length=1_000_000)]


class ChatBody(Body):
    """A conversation that a model is to answer, or a prompt that it is to continue."""

    messages: list[ChatMessage] = Field(default_factory=list, max_length=1000)
    prompt: Annotated[str, Field(max_length=1_000_000)] | None = Field(
        default=None, description="Instead of messages, for models that do not support chat."
    )
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    component: Literal["", "predictor"] = Field(default="", description="The predictor, past a transformer.")


class EngineBody(Body):
    """Where new services shall go."""

    kind: Literal["", "local", "cluster"] = Field(description="Empty to withdraw the choice: the engine is found then.")
    context: Name = Field(default="", description="The kubeconfig's context, for a cluster.")
    namespace: Name = Field(default="", description="The context's own, where it is left out.")


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
class FileKind:
    """What a file or folder is."""

    format: str
    """The name of the model format that it can be registered as; empty where it is no model."""


@dataclass(frozen=True)
class RuntimeList:
    items: list[RuntimeChoice]


@dataclass(frozen=True)
class ServiceList:
    items: list[Service]


@dataclass(frozen=True)
class RevisionList:
    """The last revisions of a service, the newest first."""

    items: list[ServiceRevision]


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


State = Literal["ready", "starting", "installing", "missing", "error"]


@dataclass(frozen=True)
class BackendHealth:
    """State of one backend: ``ready``, ``starting``, ``installing``, ``missing`` or ``error``."""

    state: State
    message: str = ""
    hint: str = ""


@dataclass(frozen=True)
class EnvironmentInfo:
    """An environment that the metadata engine or a model server runs in."""

    name: str
    title: str
    purpose: str
    python_version: str
    """The version of Python that an overlay is for, such as ``3.12``; empty for an environment of its own."""
    state: EnvironmentState
    """``outdated`` is one of another release, which is made anew; ``failed`` stays until it is tried again."""
    message: str
    """What is being done, or what has failed."""
    hint: str
    version: str
    """Of what is installed, where it is known."""
    megabytes: int
    """What it takes on the disk, roughly; of one that is not installed, what it will take."""


@dataclass(frozen=True)
class EnvironmentList:
    items: list[EnvironmentInfo]


@dataclass(frozen=True)
class EngineList:
    """Where new services could go; no cluster was asked for it."""

    items: list[EngineInfo]
    message: str
    """What keeps the kubeconfig's contexts from being listed."""


@dataclass(frozen=True)
class NamespaceList:
    """Namespaces of a cluster."""

    items: list[str]
    complete: bool
    """False where they may not be listed; others can be named."""


@dataclass(frozen=True)
class Health:
    """The server extension's version, its engine, and how each backend does."""

    version: str
    engine: EngineInfo
    engine_by: By
    """How it was decided that new services go to this engine."""
    engine_reason: str
    """The same as a sentence."""
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
    request: str = ""
    """The body that was sent to the service, where a test request failed."""
