"""Serving from a notebook or script: ``serve``, ``ServeConfig``, ``Endpoint`` (importable as ``kale.serve``).

Every call blocks until it is done; ``Endpoint.predict_async`` is there for asynchronous code.
"""

from __future__ import annotations

import asyncio
import operator
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal, NoReturn, Protocol, SupportsIndex, overload, runtime_checkable

from . import session
from .engines.base import Component, Phase
from .errors import InvalidInputError, InvalidNameError, KaleServeError, NotFoundError, ServeFailedError
from .ml import JSON
from .serveconfig import ServeConfig, plain_config
from .sync import loop, run

if TYPE_CHECKING:
    import numpy as np

    from .display import Progress
    from .engines.base import Engine
    from .entities import Artifact
    from .serving.asking import AskingClient
    from .serving.generation import Generation, Messages, Reply
    from .serving.outputs import Outputs
    from .serving.pieces import Stream
    from .serving.plan import Draft
    from .serving.types import Plan, Service, ServiceRevision
    from .serving.verification import Verification

__all__ = ["Endpoint", "ServeConfig", "serve", "services"]

READY_TIMEOUT = 600.0
"""Seconds that ``serve`` and ``Endpoint.wait`` wait at most, unless told otherwise."""
WRITE_TIMEOUT = 300.0
"""Seconds that generating a text may take, unless told otherwise."""
PREDICT_TIMEOUT = 60.0
"""Seconds that one request may take, unless told otherwise."""
Verify = Literal["warn", "require", "off"]
"""What comes of recorded rows that are answered differently."""
Removable = Literal["transformer", "config"]
"""What can be taken away from a service."""


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
    method: str | None = None,
    verify: Verify | None = None,
    verify_with: tuple[object, object] | None = None,
    remove: Removable | Sequence[Removable] = (),
) -> Endpoint:
    """Serve a model as a KServe InferenceService.

    A service of that name that serves this model already is rolled over to the new version without a gap. Whatever is
    left out then stays as it is: transformer, runtime, protocol, method, settings, replicas. Where the runtime is a
    program that is not on this machine yet, it is installed first; an interrupt cancels that.

    Args:
        model_id: id of a Model artifact, or the submitted object. May be left out when ``serve_config`` brings a
            predictor container with an image of its own.
        transformer_id: id of a Transformer artifact, or the submitted object.
        name: the InferenceService's name; made from the model's name by default.
        serve_config: a :class:`ServeConfig`, or a dict with its keys. Its settings go over those of a service that is
            there: variables by name, mappings key by key, anything else as a whole.
        wait: wait until the service answers requests, showing its progress. An interrupt ends the waiting only.
        propagate_configurations: give the service the PodDefaults of this notebook server, where there are any.
        runtime: name of a runtime; the best fitting by default.
        protocol: ``v1`` or ``v2``; ``v1`` by default, unless the transformer says otherwise.
        engine: ``local`` or another engine; the configured one by default.
        namespace: the configured one by default.
        timeout: seconds to wait.
        method: the estimator's method that answers: ``predict`` by default, ``predict_proba``,
            ``decision_function``, ``transform``, …
        verify: what comes of it when the service does not answer the rows that are recorded with the model as the model
            did: ``"warn"`` (the default) compares them once it is ready, and shows the differences; with
            ``"require"`` such a version does not become ready, and the one before goes on answering; ``"off"``
            compares nothing.
        verify_with: rows as the service takes them, transformer included, and the answers to expect: sent the whole
            way once it is ready, and compared. With ``verify="require"`` a difference puts the version before back.
        remove: what to take away from a service that is there: ``"transformer"``, or ``"config"`` for all settings that
            a ``serve_config`` has made, so that only those given now count.

    Returns:
        The service's :class:`Endpoint`.

    Raises:
        NotFoundError: no artifact has this id.
        InvalidInputError: an artifact of another type, a name that is not legal, a config that cannot be read.
        ConflictError: the name is taken by another service.
        PlanError: the plan's checks say that this cannot run.
        EnvironmentUnavailableError: the runtime cannot be installed on this machine; says what to do.
        ServeFailedError: the service did not become ready; has the failing process's last log lines.
        DeadlineExceededError: it is not ready after ``timeout`` seconds; the service is kept.
    """
    from .display import Progress
    from .metadata.provenance import here
    from .serving import deploy
    from .serving.types import ServeRequest

    if name is not None and not name:
        raise InvalidNameError("The service's name is empty.", hint="Omit name= to have one generated.", field="name")
    config = plain_config(serve_config)
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
        remove=_parts(remove),
        method=method or "",
        verify=_checked_verify(verify, verify_with, wait),
    )
    shown = Progress()
    drafts: list[Draft] = []

    def planned(draft: Draft) -> None:
        drafts.append(draft)
        shown.planned(draft.plan)

    work = deploy.serve(
        request,
        chosen,
        session.metadata(),
        provenance=here(),
        on_progress=shown.uploading,
        planned=planned,
        on_install=shown.installing,
    )
    service = run(work)
    made = Endpoint._of(service.ref.name, chosen)
    draft = drafts[-1]  # the one that was carried out
    made.plan = draft.plan
    if wait:
        made._wait(timeout, service, shown)
        made._verify(shown, verify_with, draft, service)
    else:
        made._unverified = draft, service
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
    _client: AskingClient
    name: str
    """The InferenceService's name."""
    plan: Plan | None = None
    """What :func:`serve` or :meth:`update` planned and carried out, with its checks and warnings; None where this
    object did neither."""
    _unverified: tuple[Draft, Service] | None = None
    """What was asked for and not waited for, and what came of it: its recorded rows are compared once it is."""

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
        from .serving.asking import AskingClient

        self.name = name
        self._engine = engine
        self._client = AskingClient(engine, name, recorded=_recorded)

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

    def predict(self, data: object, *, protocol: str | None = None, timeout: float = PREDICT_TIMEOUT) -> Outputs:
        """Send a request to the service and give its parsed answer.

        A model that takes tensors by name, as its signature or its server says, takes arrays of any library and answers
        with numpy arrays.

        Args:
            data: JSON text or bytes, or a dict, sent as they are; or rows: a list, a numpy array, a pandas or polars
                DataFrame, or a single row of these. A flat list of numbers is one row, one of texts is many. Named
                columns keep their names: a transformer gets an object for each row.

                For a model of named tensors: a dict of name to array, a DataFrame with a column for each, a list of
                dicts, or, where it has one input, the array itself. An array is numpy's, a ``torch.Tensor``, nested
                lists, a list of texts, or one or more images of PIL. Its dtype becomes the model's where no value is
                lost. Where every input lacks the batch dimension, it is one row.
            protocol: ``v1``, ``v2``, or v2 with an array's numbers as raw bytes, by REST (``v2-binary``) or by gRPC
                (``grpc-v2``), instead of the service's own.
            timeout: seconds.

        Returns:
            The answer in the form of the service's protocol, whichever way it came: ``{"predictions": …}`` for v1,
            ``{"outputs": …}`` for v2. Of a model of named tensors the arrays, by every protocol the same: one, or a
            dict of name to array where it has several outputs. The batch dimension is there for one row too.

        Raises:
            PredictionError: the model answered with an error; has its message.
            ServiceNotReadyError: the service does not answer now; has the phase.
            InvalidInputError: data that cannot be sent; before that, a name, dtype or shape that is not the model's.
            DeadlineExceededError: no answer in time.
        """
        return self._client.ask_blocking(data, protocol=protocol, timeout=timeout)

    async def predict_async(
        self, data: object, *, protocol: str | None = None, timeout: float = PREDICT_TIMEOUT
    ) -> Outputs:
        """:meth:`predict` for asynchronous code: ``await endpoint.predict_async(x)``, many at once if wanted."""
        work = self._client.ask(data, protocol=protocol, timeout=timeout)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop()))

    @overload
    def chat(
        self, messages: Messages, *, stream: Literal[False] = False, timeout: float = WRITE_TIMEOUT, **options: JSON
    ) -> Reply: ...
    @overload
    def chat(
        self, messages: Messages, *, stream: Literal[True], timeout: float = WRITE_TIMEOUT, **options: JSON
    ) -> Stream: ...
    def chat(
        self, messages: Messages, *, stream: bool = False, timeout: float = WRITE_TIMEOUT, **options: JSON
    ) -> Reply | Stream:
        """Send a conversation to a text-generation model.

        Args:
            messages: a text; or messages with ``role`` (``system``, ``user``, ``assistant``) and ``content``.
            stream: whether to get the answer piece by piece, as it is generated.
            timeout: seconds that the answer may take; of a stream, each piece.
            options: of OpenAI's chat completions: ``max_tokens``, ``temperature``, ``top_p``, ``seed``, ``stop``, …

        Returns:
            The :class:`Reply`, whose ``text`` is the answer; or a :class:`Stream`, an iterator of pieces of text. A
            stream that is closed, or left by ``with``, before its end stops the model.

        Raises:
            NotFoundError: the service does not generate text.
            PredictionError: the model answered with an error; has its message.
            ServiceNotReadyError: the service does not answer now; has the phase.
            InvalidInputError: no conversation.
            DeadlineExceededError: no answer in time.
        """
        if stream:
            from .serving.generation import conversation
            from .serving.pieces import Stream

            return Stream(run(self._generation.stream(conversation(messages), options, timeout)))
        return run(self._generation.chat(messages, options, timeout))

    @overload
    def complete(
        self, prompt: str, *, stream: Literal[False] = False, timeout: float = WRITE_TIMEOUT, **options: JSON
    ) -> Reply: ...
    @overload
    def complete(
        self, prompt: str, *, stream: Literal[True], timeout: float = WRITE_TIMEOUT, **options: JSON
    ) -> Stream: ...
    def complete(
        self, prompt: str, *, stream: bool = False, timeout: float = WRITE_TIMEOUT, **options: JSON
    ) -> Reply | Stream:
        """Have a text-generation model continue a prompt: for models without a chat template.

        ``max_tokens`` is 16 unless it is given, as OpenAI has it.
        """
        if stream:
            from .serving.generation import prompted
            from .serving.pieces import Stream

            return Stream(run(self._generation.stream(prompted(prompt), options, timeout)))
        return run(self._generation.complete(prompt, options, timeout))

    def embed(self, texts: str | Sequence[str], *, timeout: float = PREDICT_TIMEOUT) -> np.ndarray:
        """Embed texts: an array of float32 with the shape ``[texts, width]``.

        Raises:
            NotFoundError: the service does not embed texts.
        """
        return run(self._generation.embed(texts, timeout))

    @property
    def openai_url(self) -> str:
        """The ``base_url`` for clients of the OpenAI API, where the model generates or embeds text; the model's name
        for them is the service's. Empty while there is no address."""
        return run(self._openai_url())

    async def _openai_url(self) -> str:
        from .serving.generation import base_path
        from .serving.status import describe

        state = await self._engine.get(self.name)
        url = describe(state).url
        return f"{url.rstrip('/')}{base_path(state.manifest)}" if url else ""

    @property
    def _generation(self) -> Generation:
        from .serving.generation import Generation

        return Generation(self._client)

    def verify(self, rows: object = None, answers: object = None, *, timeout: float = PREDICT_TIMEOUT) -> Verification:
        """Compare what the service answers with what its model answered in the notebook.

        Without arguments, the rows that are recorded with the model are sent to the predictor.

        Args:
            rows: rows as :meth:`predict` takes them, sent the whole way, transformer included.
            answers: what to expect: one answer for each row; or the whole answer as a dict.
            timeout: seconds.

        Returns:
            The verdict: ``ok``, how many ``rows`` were compared, the ``differences``; ``skipped`` says why none were.

        Raises:
            ServiceNotReadyError: the service does not answer now; has the phase.
            DeadlineExceededError: no answer in time.
        """
        from .serving.verify import verify

        return run(verify(self._engine, self.name, session.metadata(), rows=rows, answers=answers, timeout=timeout))

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
        from .display import Progress

        shown = Progress()
        self._wait(timeout, None, shown)
        if pending := self._unverified:
            self._unverified = None
            self._verify(shown, None, *pending)
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
        method: str | None = None,
        verify: Verify | None = None,
        verify_with: tuple[object, object] | None = None,
        remove: Removable | Sequence[Removable] = (),
    ) -> Endpoint:
        """Serve another version or model, another transformer, or with more replicas.

        What is left out stays as it is. The new revision is ready before the old one goes.

        Args:
            model_id: as for :func:`serve`.
            transformer_id: as for :func:`serve`.
            replicas: how many predictors there are to be, at least.
            canary: percent of the requests that the newest version gets; the rest goes to the version that had them all
                before. Alone, it changes the share of the version that is there.
            force: take over fields of the service that other programs have set.
            wait: wait until the new version answers.
            timeout: seconds to wait.
            method: as for :func:`serve`; the service's own by default, and so the next two.
            verify: as for :func:`serve`.
            verify_with: as for :func:`serve`.
            remove: as for :func:`serve`.

        Raises:
            ConflictError: another program has set what would change; names it and the fields.
            PlanError: the plan's checks say that this cannot run, or that requests cannot be split here.
        """
        from .display import Progress
        from .metadata.provenance import here
        from .serving import deploy

        shown = Progress()

        drafts: list[Draft] = []

        def planned(draft: Draft) -> None:
            drafts.append(draft)
            self.plan = draft.plan
            shown.planned(draft.plan)

        if canary is not None and not 0 <= canary <= 100:
            raise InvalidInputError(f"canary is a percentage from 0 to 100, not {canary}.", field="canary")
        work = deploy.update(
            self.name,
            model_id=_artifact_id(model_id, "model_id"),
            transformer_id=_artifact_id(transformer_id, "transformer_id"),
            remove=_parts(remove),
            replicas=replicas,
            canary=canary,
            force=force,
            method=method or "",
            verify=_checked_verify(verify, verify_with, wait),
            engine=self._engine,
            metadata=session.metadata(),
            provenance=here(),
            on_progress=shown.uploading,
            planned=planned,
            on_install=shown.installing,
        )
        changed = run(work)
        # Where only replicas or shares change, what was not compared before is still to be.
        draft = drafts[-1] if drafts else self._unverified[0] if self._unverified else None
        self._unverified = (draft, changed) if draft else None
        if wait and changed.phase != "Paused":
            self._wait(timeout, changed, shown)
            self._unverified = None
            run(self._client.close())  # which knows the version before
            if draft or verify_with:
                self._verify(shown, verify_with, draft, changed)
        return self

    def promote(self, *, force: bool = False) -> Endpoint:
        """Give all requests to the newest version, which had a share of them."""
        return self.update(canary=100, force=force)

    def revisions(self) -> list[ServiceRevision]:
        """The last ten revisions and the one that answers, the newest first.

        Each says what it serves and changed, since when and by whom.

        On a cluster, where earlier ones are not kept, it is the newest alone.
        """
        from .serving import deploy

        return list(run(deploy.revisions(self.name, self._engine)))

    def rollback(
        self,
        revision: int | None = None,
        *,
        force: bool = False,
        wait: bool = True,
        timeout: float = READY_TIMEOUT,
    ) -> Endpoint:
        """Go back to the previous version the newest, at once where that still answers.

        Going back again goes further back. On a cluster it works for versions that share the requests: all go to the
        one before then, and in Knative mode the newest stays, and gets none.

        Args:
            revision: the number of the revision to go back to, one of :meth:`revisions`.
            force: take over fields of the service that other programs have set.
            wait: wait until it answers.
            timeout: seconds to wait.

        Raises:
            ConflictError: there is no earlier version, or that revision is not kept.
            PlanError: it cannot run any more, as where its files are gone.
        """
        from .metadata.provenance import here
        from .serving import deploy

        self._unverified = None
        work = deploy.roll_back(
            self.name,
            revision=revision,
            force=force,
            engine=self._engine,
            metadata=session.metadata(),
            provenance=here(),
        )
        changed = run(work)
        if wait and changed.phase != "Paused":
            self._wait(timeout, changed)
        run(self._client.close())  # which knows the version before
        return self

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

    def _verify(
        self, shown: Progress, given: tuple[object, object] | None, draft: Draft | None, applied: Service
    ) -> None:
        """Compare what can be compared, and show it. That it cannot be asked is a warning: the service is ready.

        Args:
            applied: the service as it was when it had been changed to what is compared.

        Raises:
            ServeFailedError: it answers differently though it is required not to, or cannot be asked then; the version
                before is put back.
        """
        required = draft if draft is not None and draft.wanted.verify == "require" else None
        for pair in ((), given) if given else ((),):
            try:
                verdict = self.verify(*pair)
            except KaleServeError as error:
                if required:
                    self._take_back(error.message, required, applied, error)
                if isinstance(error, InvalidInputError):
                    raise
                warnings.warn(f"Could not check whether {self.name} answers as expected: {error}", stacklevel=3)
                continue
            shown.verified(verdict)
            if required and not verdict.ok and not verdict.skipped:
                self._take_back(repr(verdict), required, applied)

    def _take_back(self, reason: str, draft: Draft, applied: Service, cause: KaleServeError | None = None) -> NoReturn:
        """Put the version before back, and say why.

        Args:
            cause: what kept it from being compared.
        """
        from .metadata.provenance import here
        from .serving import deploy

        before = draft.current
        phase = applied.phase
        try:
            back = run(
                deploy.take_back(applied, before, engine=self._engine, metadata=session.metadata(), provenance=here())
            )
        except KaleServeError as error:
            what = f"It could not be rolled back: {error.message}"
        else:
            phase = back.phase if back else self.phase
            what = "The previous version was restored." if before else f"It is {phase.lower()} now."
            if back is None:
                what = "Someone else has changed it since, so it was left as it is."
        does = "could not be compared with what is required" if cause else "does not answer as required"
        raise ServeFailedError(
            f"The service {self.name!r} {does}. {what}\n{reason}",
            phase=phase,
            cause=reason,
            hint='With verify="warn" it is served anyway.',
        ) from cause

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


async def _recorded(artifact: int) -> Artifact:
    return await session.metadata().artifact(artifact)


def _check_given_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidInputError("An Endpoint is made from the name of a service: Endpoint('iris').", field="name")


def _checked_verify(verify: str | None, given: object, wait: bool) -> str:
    """What is asked for, checked before anything is done."""
    if verify not in (None, "warn", "require", "off"):
        hint = 'Use "warn", "require" or "off".'
        raise InvalidInputError(f"verify is {str(verify)[:100]!r}.", hint=hint, field="verify")
    if given is not None:
        from .serving.verify import check_given

        if not (isinstance(given, tuple | list) and len(given) == 2):
            hint = "Pass rows and the expected answers: verify_with=(rows, answers)."
            raise InvalidInputError("verify_with is not a pair.", hint=hint, field="verify_with")
        check_given(*given, field="verify_with")
    if given is not None and not wait:
        hint = "Leave out wait=False, or call Endpoint.verify(rows, answers) later."
        raise InvalidInputError("verify_with is compared once the service is ready.", hint=hint, field="verify_with")
    return verify or ""


def _parts(remove: str | Sequence[str]) -> tuple[str, ...]:
    return (remove,) if isinstance(remove, str) else tuple(remove)


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
        hint="Pass the id that submit_artifact() returned, or the submitted object itself.",
        field=argument,
    )


def _no_such_service(name: str, engine: Engine) -> NotFoundError:
    names = sorted(state.ref.name for state in run(engine.services()))
    close = get_close_matches(name, names, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    listed = (
        f"Services here: {', '.join(names[:20])}."
        if names
        else "There are no services here yet: create one with serve()."
    )
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    return NotFoundError(f"There is no service {shown!r}.", hint=guess + listed, field="name")
