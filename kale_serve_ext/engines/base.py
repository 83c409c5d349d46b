"""What an engine is: the place where InferenceServices run.

Both engines take the very ``V1beta1InferenceService`` dict that a cluster would get and answer in KServe's own words.
Nothing above this package asks which engine it has: what differs is in :class:`EngineInfo`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ..entities import Artifact, ServiceRef
from ..ml import JSON
from .kserve import is_stopped

if TYPE_CHECKING:
    import grpc.aio
    import httpx
    from grpc import Channel as BlockingChannel

    from .sync_http import Post

Manifest = dict[str, JSON]
"""A ``serving.kserve.io/v1beta1`` InferenceService as a dict."""

OnProgress = Callable[[int, int], None]
"""Called with ``(bytes_sent, total_bytes)``, first when it is known that there is something to upload."""
Component = Literal["predictor", "transformer", "explainer"]
Phase = Literal[
    "Uploading", "Pending", "Loading", "Ready", "Idle", "Failed", "Degraded", "Paused", "Stopped", "Terminating"
]
Level = Literal["ok", "info", "warning", "error"]


@dataclass(frozen=True)
class EngineInfo:
    """Which engine this is, and what it can do."""

    kind: str
    """``local`` or ``cluster``."""
    context: str
    namespace: str
    pause: bool = True
    grpc: bool = True
    canary: bool = False
    external_url: bool = False
    revisions: bool = False
    """Whether earlier descriptions of a service are kept, to go back to any of them."""


@dataclass(frozen=True)
class Runtime:
    """A (Cluster)ServingRuntime, or the local process that stands for it.

    ``protocols`` is in the runtime's own order of preference. ``python`` is the interpreter of a local runtime.
    ``assumed`` marks a runtime that could not be read from the cluster and is taken from the built-in catalogue.
    """

    name: str
    display_name: str
    formats: tuple[str, ...]
    protocols: tuple[str, ...]
    python: str = ""
    image: str = ""
    assumed: bool = False
    preference: int = 0
    """The engine's own order, lower first. Equal ones are told apart by what is known of KServe's own runtimes."""
    foreign: bool = False
    """Whether it is another program of this machine than this package's server: it serves where it is named."""
    differs: str = ""
    """How a local one differs from the cluster's image of that name: a sentence."""
    upkeep: str = ""
    """Where it is not maintained any more: a sentence that says so and what to use instead."""
    server: str = ""
    """Which program a cluster's runtime runs, in KServe's word for it, such as ``tritonserver``; empty where nothing
    tells it."""


@dataclass(frozen=True)
class Use:
    """What is to load an artifact's files: by that it is told how they have to lie."""

    server: str = ""
    """:attr:`Runtime.server`; the files lie as they were logged where it is empty."""
    name: str = ""
    """The service's."""


AS_LOGGED = Use()


@dataclass(frozen=True)
class Setup:
    """What has to be installed on this machine before a runtime can serve here."""

    environment: str
    """Its name, for ``kale-serve-ext setup`` and the REST API."""
    title: str
    megabytes: int
    """Roughly what it takes on the disk."""
    state: Literal["missing", "outdated", "installing", "failed"]
    message: str = ""
    """What is being done, or what has failed."""
    hint: str = ""
    """What to do about a failure."""
    python: str = ""
    """The interpreter that it is laid beside; empty for an environment of its own."""
    python_version: str = ""
    """Of that interpreter, such as ``3.12``: all that have it share one; empty for an environment of its own."""
    command: str = ""
    """What sets it up from a terminal."""
    cancellable: bool = False
    """Whether the server that was asked installs it, and can be told to stop."""


@dataclass(frozen=True)
class Check:
    """One verdict of the plan."""

    level: Level
    code: str
    """Stable over releases, in CamelCase: ``InterpreterMissing``."""
    message: str
    hint: str = ""
    field: str = ""
    """The form field it is about: ``name``, ``version``, ``runtime``, ``transformer``, ``protocol``, ``method``,
    ``verify``."""


@dataclass(frozen=True)
class Staged:
    """Where an engine will find an artifact's files, and what must exist for that."""

    storage_uri: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    """The image that runs the artifact, where it is code; the usual one when empty."""
    # Secrets may be among them.
    owned: Sequence[Manifest] = field(default=(), repr=False)
    """Objects made for this artifact that the InferenceService owns (claims, secrets)."""
    node: str = ""
    """The only node whose pods can read the files; any when empty."""


@dataclass(frozen=True)
class Condition:
    """A condition of the InferenceService, KServe's types and reasons."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    last_transition: float = 0.0


@dataclass(frozen=True)
class Replica:
    """One pod, or one local process."""

    name: str
    revision: int
    state: Literal["Waiting", "Running", "Terminated"]
    ready: bool = False
    reason: str = ""
    """``CrashLoopBackOff``, ``OOMKilled``, ``Error``, ``ImagePullBackOff``, …"""
    message: str = ""
    exit_code: int | None = None
    restarts: int = 0
    started: float = 0.0
    last_log: str = ""
    """The last lines that the process wrote before it ended."""


@dataclass(frozen=True)
class ComponentState:
    """The predictor or the transformer of a service. ``replicas`` holds those of every revision that still has some."""

    component: Component
    wanted: int
    ready: int
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True)
class RevisionShare:
    """What part of the requests one revision of the predictor gets, where they can be split."""

    revision: str
    percent: int
    newest: bool
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The labels and annotations that the service had when the revision was made."""
    assumed: bool = False
    """Whether the percent is what was asked for, since what routes the requests may not be read."""


@dataclass(frozen=True)
class Revision:
    """A description that a service has or had."""

    number: int
    manifest: Manifest
    """Whether the service is paused is no part of it."""
    created: float
    by: str = ""
    """Who asked for it, and from where; empty where that is not known."""
    back_to: int = 0
    """The earlier revision that was gone back to by it; 0 for none."""


def previous(revisions: Sequence[Revision], serving: int) -> Revision | None:
    """The revision to go back to: the one that answers while a newer one does not; else the last that was another.

    What was gone back to counts as when it was made: going back again goes further back.

    Args:
        revisions: those that are known, the newest first.
        serving: the number of the one that answers.
    """
    known = {r.number: r for r in revisions}
    newest = revisions[0]
    if 0 < serving < newest.number:
        return known.get(serving)
    start: Revision | None = newest
    while start is not None and start.back_to:
        start = known.get(start.back_to) if start.back_to < start.number else None
    if start is None:
        return None
    number = start.number
    return next((r for r in revisions if r.number < number and r.manifest != newest.manifest), None)


@dataclass(frozen=True)
class ServiceState:
    """What an engine sees of one InferenceService. The phase is derived from it by ``serving.status.phase``.

    ``revision`` is the newest generation, ``serving_revision`` the one that answers requests now (0: none).
    ``supervised`` is false where nothing watches over the service, as after a reboot of the machine.
    """

    ref: ServiceRef
    manifest: Manifest
    revision: int
    serving_revision: int
    components: tuple[ComponentState, ...]
    conditions: tuple[Condition, ...] = ()
    url: str = ""
    """Base address of the entry component, without path."""
    external_url: str = ""
    """The address that it is said to have outside of the cluster, where nothing here goes by it."""
    grpc_url: str = ""
    """``host:port`` of the entry component's gRPC, or empty."""
    created: float = 0.0
    updated: float = 0.0
    supervised: bool = True
    deleting: bool = False
    ours: bool = True
    mode: str = ""
    """``Standard`` or ``Knative``; empty where there is no choice, or nothing is known yet."""
    shares: tuple[RevisionShare, ...] = ()
    """Of the newest revision, those that get requests, and the one to go back to; empty where they are not split."""
    can_pause: bool = True
    can_split: bool = False
    """Whether a new version may be given a share of the requests."""
    serving_manifest: Manifest | None = None
    """What the service was to be when the revision was made that answers, where it is not the newest, and is known."""
    can_roll_back: bool = False
    """Whether there is an earlier version to go back to."""
    failure: str = ""
    """What the engine itself has to say where no replica can: a corrupt state folder, a taken port."""


class Version(NamedTuple):
    """Which service of a name, and which of its revisions: all zero where there is none.

    Pausing makes no revision, and counts as a change all the same.
    """

    created: float = 0.0
    revision: int = 0
    paused: bool = False


def version_of(state: ServiceState | None) -> Version:
    return Version(state.created, state.revision, is_stopped(state.manifest)) if state else Version()


@dataclass(frozen=True)
class ServiceEvent:
    """A change that ``watch`` saw."""

    kind: Literal["added", "modified", "deleted"]
    ref: ServiceRef
    state: ServiceState | None
    """None when it was deleted."""


@dataclass(frozen=True)
class LogEvent:
    """Something that happened to a service, Kubernetes' event in short."""

    time: float
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    object: str = ""
    count: int = 1


@dataclass(frozen=True)
class Connection:
    """A way to send requests to one component."""

    http: httpx.AsyncClient
    """Its base URL is the component's."""
    url: str
    """The address to show to people."""
    grpc: Callable[[], Awaitable[grpc.aio.Channel]] | None = None
    """Gives a channel, opened when it is first asked for; None where there is none.

    Raises ``InvalidInputError`` where the component does not speak gRPC, ``PermissionDeniedError`` where a right is
    missing, ``BackendUnavailableError`` where nothing answers now.
    """
    arrays_by_grpc: bool = False
    """Whether arrays of numbers may go by gRPC without being asked for."""
    blocking_grpc: Callable[[], BlockingChannel] | None = None
    """Gives a channel for calls from threads without a loop, which saves each call the way to the loop and back."""
    blocking_http: Post | None = None
    """The same for requests that ``http`` would send."""
    command: Callable[[str, str], str] | None = None
    """Gives the shell command that posts a JSON body, which comes second, to a path, where it takes more than
    ``url``. It holds no secrets."""


class Engine(Protocol):
    """The interface of an engine. Async at the core; ``kale_serve_ext.sync`` gives notebooks a blocking face.

    Every method may raise ``BackendUnavailableError`` and ``PermissionDeniedError``; those that take a name,
    ``NotFoundError``.
    """

    @property
    def info(self) -> EngineInfo: ...

    async def runtimes(self, artifact: Artifact | None = None) -> list[Runtime]:
        """The runtimes that exist here. With an artifact, local ones include the interpreter that it was made with."""
        ...

    async def check(self, artifact: Artifact, runtime: Runtime, name: str = "") -> list[Check]:
        """What would keep this runtime from loading the artifact here: interpreter, libraries, files.

        Args:
            name: the service's.
        """
        ...

    async def lacks(self, runtime: Runtime) -> Setup | None:
        """What has to be installed before this runtime can serve here; None where nothing has to."""
        ...

    async def install(self, runtime: Runtime, on_progress: Callable[[str], None] | None = None) -> None:
        """Install what :meth:`lacks` tells of, if anything; what is half done is removed when this is cancelled.

        Args:
            on_progress: told a few words on what is being done.

        Raises:
            EnvironmentUnavailableError: it cannot be installed here, and what to do.
        """
        ...

    async def address(self, artifact: Artifact, use: Use = AS_LOGGED) -> Staged:
        """What :meth:`stage` would give, without doing anything.

        Raises:
            InvalidInputError: the engine's processes cannot be brought these files, or not so as they have to lie.
        """
        ...

    async def stage(self, artifact: Artifact, on_progress: OnProgress | None = None, use: Use = AS_LOGGED) -> Staged:
        """Make the artifact's snapshot reachable for the engine's processes.

        Args:
            on_progress: how far an upload is: before it begins, where that takes long, and now and then.
            use: what is to load it.
        """
        ...

    async def unstage(self, staged: Staged) -> None:
        """Take back what was made for an artifact that will not be served after all."""
        ...

    async def dry_run(self, manifest: Manifest, *, force: bool = False) -> list[Check]:
        """What the engine itself says of this manifest, without doing anything."""
        ...

    async def apply(
        self,
        manifest: Manifest,
        staged: Sequence[Staged] = (),
        *,
        force: bool = False,
        over: Version | None = None,
        by: str = "",
        back_to: int = 0,
    ) -> ServiceState:
        """Create the service or roll it over to this manifest; returns once it is accepted, not ready.

        Where it is cancelled, what is staged goes too, unless the service has come to use it.

        Args:
            force: take over fields that other programs have set.
            over: what the service has to be still; None changes whatever is there.
            by: who asks for it, and from where, to be kept with the revision where revisions are kept.
            back_to: the revision whose manifest it is; 0 for a new one.

        Raises:
            ConflictError: another program has set fields that would change.
            ChangedMeanwhileError: the service is not ``over`` any more. Nothing is changed, nor what is staged removed.
        """
        ...

    async def revisions(self, name: str) -> list[Revision]:
        """The last revisions of the service, the newest first; it alone where earlier ones are not kept."""
        ...

    async def set_paused(self, name: str, paused: bool) -> ServiceState:
        """Stop the service's processes and keep its description, or start them again."""
        ...

    async def get(self, name: str) -> ServiceState: ...

    async def services(self) -> list[ServiceState]:
        """Every service of the namespace, ours and others'."""
        ...

    def watch(self) -> AsyncIterator[ServiceEvent]:
        """Changes from now on, preceded by an ``added`` for each service that exists. Ends only when it is closed."""
        ...

    async def delete(self, name: str) -> None:
        """Remove the service and all that was made for it; returns when it is gone."""
        ...

    def logs(
        self,
        name: str,
        component: Component = "predictor",
        *,
        tail: int = 200,
        previous: bool = False,
        follow: bool = False,
    ) -> AsyncIterator[str]:
        """Pieces of text of the component's log, oldest first; ``previous`` is the run before the last restart.

        The first one, which may be empty, comes as soon as it is known that the log can be read.
        """
        ...

    async def events(self, name: str) -> list[LogEvent]: ...

    async def metrics(self, name: str, component: Component = "predictor") -> str:
        """The component's metrics in Prometheus' text format."""
        ...

    def connect(self, name: str, component: Component | None = None) -> AbstractAsyncContextManager[Connection]:
        """A connection to one component; None is the service's entry: its transformer, or else its predictor."""
        ...

    async def pod_labels(self) -> dict[str, str]:
        """Labels that give a service's pods what PodDefaults gave the pod that this process runs in; mostly none."""
        ...

    async def close(self) -> None:
        """Let go of connections; the services run on."""
        ...
