"""Serving from a notebook or script: ``serve``, ``ServeConfig``, ``Endpoint`` (importable as ``kale.serve``).

Every call blocks until it is done; ``Endpoint.predict_async`` is there for asynchronous code.
"""

from __future__ import annotations

import asyncio
import operator
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol, SupportsIndex, runtime_checkable

from . import session
from .engines.base import Component, Phase
from .errors import InvalidInputError, InvalidNameError, KaleServeError, NotFoundError
from .ml import JSON
from .sync import loop, run

if TYPE_CHECKING:
    from .display import Progress
    from .engines.base import Engine
    from .serving.client import Client
    from .serving.types import Service

__all__ = ["Endpoint", "ServeConfig", "serve", "services"]

READY_TIMEOUT = 600.0
"""Seconds that ``serve`` and ``Endpoint.wait`` wait at most, unless told otherwise."""
PREDICT_TIMEOUT = 60.0
"""Seconds that one request may take, unless told otherwise."""


@dataclass
class ServeConfig:
    """How a service's pods (or local processes) are to be run.

    The fields beside ``predictor`` and ``transformer`` hold for both of them; what stands inside one of these two wins
    for that component (``env`` is added to). Values may be plain ones or objects of the Kubernetes client, names in
    snake_case or camelCase. ``serve`` takes a dict with the same keys too.

    Args:
        env: variables, as ``{"name": …, "value": …}``.
        env_from: sources of variables.
        requests: resources asked for: ``{"cpu": "1", "memory": "2Gi"}``.
        limits: resources allowed.
        annotations: annotations of the pods.
        labels: labels of the pods.
        predictor: anything that KServe's predictor takes: a ``container`` (image, env, …), ``runtime``,
            ``min_replicas``, ``service_account_name``, ``affinity``, …
        transformer: the same for the transformer.
        node_selector: labels of the nodes that may run the pods.
        affinity: their affinity.
        tolerations: their tolerations.
        protocol_version: ``v1`` or ``v2``.
    """

    env: Sequence[object] = field(default_factory=list)
    env_from: Sequence[object] = field(default_factory=list)
    requests: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, object] = field(default_factory=dict)
    annotations: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, object] = field(default_factory=dict)
    predictor: Mapping[str, object] = field(default_factory=dict)
    transformer: Mapping[str, object] = field(default_factory=dict)
    node_selector: Mapping[str, object] = field(default_factory=dict)
    affinity: object = None
    tolerations: Sequence[object] = field(default_factory=list)
    protocol_version: str | None = None

    def to_dict(self) -> dict[str, JSON]:
        """As plain values in KServe's camelCase; what is not set is left out.

        Raises:
            InvalidInputError: a value of the wrong kind.
        """
        from .serving.config import normalise

        return normalise({f.name: getattr(self, f.name) for f in fields(self)})


@runtime_checkable
class _Submitted(Protocol):
    """A Model or Transformer object."""

    @property
    def id(self) -> int | None: ...


def serve(
    model_id: int | _Submitted | None = None,
    transformer_id: int | _Submitted | None = None,
    name: str | None = None,
    serve_config: ServeConfig | Mapping[str, object] | None = None,
    wait: bool = True,
    propagate_configurations: bool = False,
    *,
    runtime: str | None = None,
    protocol: str | None = None,
    engine: str | None = None,
    namespace: str | None = None,
    timeout: float = READY_TIMEOUT,
) -> Endpoint:
    """Serve a model as a KServe InferenceService.

    Args:
        model_id: id of a Model artifact, or the submitted object. May be left out when ``serve_config`` brings a
            predictor container with an image of its own.
        transformer_id: id of a Transformer artifact, or the submitted object.
        name: the InferenceService's name. Without one it is made from the model's name; a service that serves this
            model already is then rolled over to the new version without a gap.
        serve_config: a :class:`ServeConfig`, or a dict with its keys.
        wait: wait until the service answers requests, showing its progress. An interrupt ends the waiting only.
        propagate_configurations: give the service the PodDefaults of this notebook server, where there are any.
        runtime: name of a runtime; the best fitting by default.
        protocol: ``v1`` or ``v2``; ``v1`` by default, unless the transformer says otherwise.
        engine: ``local`` or another engine; the configured one by default.
        namespace: the configured one by default.
        timeout: seconds to wait.

    Returns:
        The service's :class:`Endpoint`.

    Raises:
        NotFoundError: no artifact has this id.
        InvalidInputError: an artifact of another type, a name that is not legal, a config that cannot be read.
        ConflictError: the name is taken by another service.
        PlanError: the plan's checks say that this cannot run.
        ServeFailedError: the service did not become ready; has the failing process's last log lines.
        DeadlineExceededError: it is not ready after ``timeout`` seconds; the service is kept.
    """
    from .display import Progress
    from .metadata.where import here
    from .serving import deploy
    from .serving.types import ServeRequest

    if name is not None and not name:
        raise InvalidNameError("The service's name is empty.", hint="Leave out name= to have one made.", field="name")
    config = serve_config.to_dict() if isinstance(serve_config, ServeConfig) else _config(serve_config)
    chosen = session.engine(engine or "", namespace or "")
    if propagate_configurations:
        config = _propagated(config, run(chosen.pod_labels()))
    request = ServeRequest(
        model_id=_artifact_id(model_id, "model_id"),
        transformer_id=_artifact_id(transformer_id, "transformer_id"),
        name=name or "",
        runtime=runtime or "",
        protocol=protocol or "",
        config=config,
    )
    shown = Progress()
    service = run(deploy.serve(request, chosen, session.metadata(), where=here(), told=shown.uploading))
    made = Endpoint._of(service.ref.name, chosen)
    if wait:
        made._wait(timeout, service, shown)
    return made


def services(*, engine: str | None = None, namespace: str | None = None) -> list[Service]:
    """The services of the namespace, as they are now."""
    from .serving.status import describe

    return [describe(state) for state in run(session.engine(engine or "", namespace or "").services())]


class Endpoint:
    """One InferenceService: what it does now, and requests to it.

    Args:
        name: the InferenceService's name.
        engine: ``local`` or another engine; the configured one by default.
        namespace: the configured one by default.

    Raises:
        NotFoundError: no such service; names those that there are.
    """

    _engine: Engine
    _client: Client
    name: str
    """The InferenceService's name."""

    def __init__(self, name: str, *, engine: str | None = None, namespace: str | None = None) -> None:
        _check_given_name(name)
        self._bind(name, session.engine(engine or "", namespace or ""))
        try:
            run(self._engine.get(name))
        except NotFoundError as error:
            raise _no_such_service(name, self._engine) from error

    @classmethod
    def _of(cls, name: str, engine: Engine) -> Endpoint:
        """An endpoint of a service that is known to exist."""
        made = cls.__new__(cls)
        made._bind(name, engine)
        return made

    def _bind(self, name: str, engine: Engine) -> None:
        from .serving.client import Client

        self.name = name
        self._engine = engine
        self._client = Client(engine, name)

    @property
    def service(self) -> Service:
        """Everything about the service, as it is now."""
        from .serving.status import describe

        return describe(run(self._engine.get(self.name)))

    @property
    def url(self) -> str:
        """Base address for REST; empty while there is none."""
        return self.service.url

    @property
    def grpc_url(self) -> str:
        """``host:port`` for gRPC; empty where it cannot be reached."""
        return self.service.grpc_url

    @property
    def phase(self) -> Phase:
        """What it does now: ``Pending``, ``Loading``, ``Ready``, ``Idle``, ``Failed``, ``Degraded``, ``Paused``,
        ``Stopped`` or ``Terminating``."""
        return self.service.phase

    @property
    def reason(self) -> str:
        """One sentence about the phase; empty when there is nothing to add."""
        return self.service.reason

    def predict(self, data: object, *, protocol: str | None = None, timeout: float = PREDICT_TIMEOUT) -> JSON:
        """Send a request to the service and give its parsed answer.

        Args:
            data: JSON text or bytes, or a dict, sent as they are; or rows: a list, a numpy array, a pandas or polars
                DataFrame, or a single row of these. A flat list of numbers is one row, one of texts is many. Named
                columns keep their names: a transformer gets an object for each row.
            protocol: ``v1``, ``v2``, or v2 with an array's numbers as raw bytes, by REST (``v2-binary``) or by gRPC
                (``grpc-v2``), instead of the service's own.
            timeout: seconds.

        Returns:
            The answer in the form of the service's protocol, whichever way it came: ``{"predictions": …}`` for v1,
            ``{"outputs": …}`` for v2.

        Raises:
            PredictionError: the model answered with an error; has its message.
            ServiceNotReadyError: the service does not answer now; has the phase.
            InvalidInputError: data that cannot be sent.
            DeadlineExceededError: no answer in time.
        """
        return self._client.call_blocking(data, protocol=protocol, timeout=timeout)

    async def predict_async(
        self, data: object, *, protocol: str | None = None, timeout: float = PREDICT_TIMEOUT
    ) -> JSON:
        """:meth:`predict` for asynchronous code: ``await endpoint.predict_async(x)``, many at once if wanted."""
        work = self._client.call(data, protocol=protocol, timeout=timeout)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop()))

    def explain(self, data: object) -> JSON:
        """Explanations, for services that have an explainer. Those that ``serve`` makes have none.

        Raises:
            NotFoundError: the service has no explainer.
        """
        raise NotFoundError(
            f"The service {self.name!r} has no explainer.", hint="Use predict(); serve() makes no explainers."
        )

    def logs(self, component: Component = "predictor", *, tail: int = 200, previous: bool = False) -> str:
        """The last ``tail`` lines of a component's log; ``previous`` is the run before the last restart."""
        from .serving.waiting import read_log

        return run(read_log(self._engine, self.name, component, tail=tail, previous=previous))

    def wait(self, timeout: float = READY_TIMEOUT) -> Endpoint:
        """Wait until the service answers requests, showing its progress.

        Raises:
            ServeFailedError: it failed; has the failing process's last log lines.
            DeadlineExceededError: it is not ready after ``timeout`` seconds.
        """
        self._wait(timeout, None)
        return self

    def update(
        self,
        model_id: int | _Submitted | None = None,
        transformer_id: int | _Submitted | None = None,
        *,
        replicas: int | None = None,
        canary: int | None = None,
        force: bool = False,
        wait: bool = True,
        timeout: float = READY_TIMEOUT,
    ) -> Endpoint:
        """Serve another version or model, another transformer, or with more replicas; the rest stays as it is.

        The new revision is ready before the old one goes.

        Args:
            model_id: as for :func:`serve`.
            transformer_id: as for :func:`serve`.
            replicas: how many predictors there are to be, at least.
            canary: percent of the requests that the newest version gets; the rest goes to the version that had them all
                before. Alone, it changes the share of the version that is there.
            force: take over fields of the service that other programs have set.
            wait: wait until the new version answers.
            timeout: seconds to wait.

        Raises:
            ConflictError: another program has set what would change; names it and the fields.
            PlanError: the plan's checks say that this cannot run, or that requests cannot be split here.
        """
        from .display import Progress
        from .metadata.where import here
        from .serving import deploy

        shown = Progress()
        if canary is not None and not 0 <= canary <= 100:
            raise InvalidInputError(f"canary is a percentage from 0 to 100, not {canary}.", field="canary")
        work = deploy.update(
            self.name,
            model_id=_artifact_id(model_id, "model_id"),
            transformer_id=_artifact_id(transformer_id, "transformer_id"),
            replicas=replicas,
            canary=canary,
            force=force,
            engine=self._engine,
            metadata=session.metadata(),
            where=here(),
            told=shown.uploading,
        )
        changed = run(work)
        if wait and changed.phase != "Paused":
            self._wait(timeout, changed, shown)
        return self

    def promote(self, *, force: bool = False) -> Endpoint:
        """Give all requests to the newest version, which had a share of them."""
        return self.update(canary=100, force=force)

    def rollback(self, *, force: bool = False) -> Endpoint:
        """Give all requests to the version before the newest, at once. In Knative mode the newest stays, and gets none.

        Raises:
            ConflictError: there is no earlier version.
        """
        return self.update(canary=0, force=force)

    def pause(self) -> None:
        """Stop the service's processes and keep everything else."""
        from .serving import deploy

        run(deploy.set_paused(self.name, True, engine=self._engine))

    def resume(self, *, wait: bool = True, timeout: float = READY_TIMEOUT) -> Endpoint:
        """Start a paused or stopped service again."""
        from .serving import deploy

        changed = run(deploy.set_paused(self.name, False, engine=self._engine))
        if wait:
            self._wait(timeout, changed)
        return self

    def delete(self) -> None:
        """Remove the service and all that was made for it; returns when it is gone."""
        from .serving import deploy

        run(self._client.close())
        run(deploy.delete(self.name, self._engine, session.metadata()))

    def _wait(self, timeout: float, applied: Service | None, shown: Progress | None = None) -> None:
        from . import display
        from .serving.waiting import wait_ready

        shown = shown or display.Progress()
        run(wait_ready(self._engine, self.name, timeout=timeout, applied=applied, seen=shown.show))

    def __repr__(self) -> str:
        from .display import service_text

        try:
            return service_text(self.service)
        except KaleServeError as error:
            return f"InferenceService {self.name}: {error.message}"

    def _repr_html_(self) -> str:
        from html import escape

        from .display import service_html

        try:
            return service_html(self.service)
        except KaleServeError as error:
            return f"<strong>InferenceService {escape(self.name)}</strong>: {escape(error.message)}"


def _check_given_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidInputError("An Endpoint is made from the name of a service: Endpoint('iris').", field="name")


def _config(given: Mapping[str, object] | None) -> dict[str, JSON]:
    from .serving.config import normalise

    if given is not None and not isinstance(given, Mapping):
        raise InvalidInputError(
            f"serve_config is a {type(given).__name__}.", hint="Pass a ServeConfig or a dict.", field="config"
        )
    return normalise(given or {})


def _propagated(config: dict[str, JSON], labels: Mapping[str, str]) -> dict[str, JSON]:
    from .serving.config import with_labels

    if labels:
        return with_labels(config, labels)
    message = "propagate_configurations has no effect: no PodDefault configures this process's pod, or it is in none."
    warnings.warn(message, stacklevel=3)
    return config


def _artifact_id(given: int | _Submitted | None, argument: str) -> int | None:
    if given is None:
        return None
    number: object = given
    if not isinstance(given, int) and isinstance(given, _Submitted):
        number = given.id
        if not number:
            raise InvalidInputError(
                f"{argument} is a {type(given).__name__} that has not been submitted.",
                hint="Call its submit_artifact() first.",
                field=argument,
            )
    if isinstance(number, SupportsIndex) and not isinstance(number, bool):
        return operator.index(number)
    raise InvalidInputError(
        f"{argument} is a {type(given).__name__}, not the id of an artifact.",
        hint="Pass the number that submit_artifact() gave, or the submitted object itself.",
        field=argument,
    )


def _no_such_service(name: str, engine: Engine) -> NotFoundError:
    names = sorted(state.ref.name for state in run(engine.services()))
    close = get_close_matches(name, names, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    listed = (
        f"Services here: {', '.join(names[:20])}." if names else "There are no services here yet: serve() makes one."
    )
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    return NotFoundError(f"There is no service {shown!r}.", hint=guess + listed, field="name")
