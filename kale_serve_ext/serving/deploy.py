"""Services made, changed and removed: a plan carried out by the engine and written down in the metadata."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..engines.base import Check, Engine, Manifest, Revision, ServiceState, Staged, previous, version_of
from ..engines.kserve import MANAGER, STANDARD, canaries_of, is_stopped
from ..errors import (
    ChangedMeanwhileError,
    ConflictError,
    InvalidInputError,
    InvalidNameError,
    KaleServeError,
    NotFoundError,
    PlanError,
)
from .canary import artifact_ids, changed, paused_as, reshared, with_canary
from .changes import changes
from .manifest import ServedArtifact, build
from .plan import Draft, draft
from .status import describe, served_artifact
from .types import ServeRequest, Service, ServiceRevision

if TYPE_CHECKING:
    from ..metadata.provenance import Provenance
    from ..metadata.store import Metadata

log = logging.getLogger(__name__)

Uploading = Callable[[str, int, int], None]
"""Called with ``(artifact_name, bytes_sent, total_bytes)``."""
Installing = Callable[[str], None]
"""Is told a few words on what is being installed on this machine."""
Planned = Callable[[Draft], None]
"""Is told what will be done, once nothing speaks against it and before it is begun."""

_ATTEMPTS = 3
"""How often a plan is made anew where somebody else has changed the service meanwhile."""
_RAISED = {
    "InvalidName": InvalidNameError,
    "ClusterConflict": ConflictError,
    "NameTaken": ConflictError,
    "NoModel": InvalidInputError,
    "NotMadeHere": ConflictError,
    "OtherPredictor": ConflictError,
    "OutOfReach": InvalidInputError,
    "SnapshotMissing": NotFoundError,
}


async def serve(
    request: ServeRequest,
    engine: Engine,
    metadata: Metadata,
    *,
    provenance: Provenance,
    on_progress: Uploading | None = None,
    planned: Planned | None = None,
    on_install: Installing | None = None,
) -> Service:
    """Serve what is asked for; returns once the engine has accepted it, not when it is ready.

    Without a name, the service is named after the model; a service of that model is rolled over to the new version, and
    whatever else of it is left out stays as it is. Nothing stays behind when it fails.

    Args:
        on_progress: how far an upload is, now and then while it takes longer than a moment.
        planned: told the plan that is carried out, with its warnings, and what the service was before.
        on_install: what the runtime lacks on this machine is installed first, and this is told how far that is; without
            it, such a runtime is refused.

    Raises:
        EnvironmentUnavailableError: what the runtime lacks cannot be installed here.
        InvalidNameError: the name is not legal.
        ConflictError: the name is taken by a service of another model, or one that was not made here.
        NotFoundError: no artifact has this id, or its files are gone.
        PlanError: a check says that it cannot run; the message tells all of them.
    """
    plan = partial(draft, request, engine, metadata)
    plan = partial(_set_up, plan, engine, on_install)
    return await _planned(plan, planned, partial(_carry_out, request, engine, metadata, provenance, on_progress))


async def _set_up(plan: Callable[[], Awaitable[Draft]], engine: Engine, on_install: Installing | None) -> Draft:
    """A plan whose runtime lacks nothing on this machine any more: what it lacks is installed, and planned anew."""
    made = await plan()
    lacks = made.plan.setup
    if lacks is None or made.runtime is None:
        return made
    _refuse(made.plan.checks)
    if on_install:
        await engine.install(made.runtime, on_install)
        made = await plan()
        lacks = made.plan.setup
    if lacks:
        message = f"{lacks.title} is not set up on this machine yet."
        raise PlanError(message, hint=f"Run: {lacks.command}", field="runtime")
    return made


async def _planned(
    plan: Callable[[], Awaitable[Draft]], planned: Planned | None, carry_out: Callable[[Draft], Awaitable[Service]]
) -> Service:
    """What comes of a plan; where somebody else was quicker, of one that knows what they did."""

    async def attempt() -> Service:
        made = await plan()
        _refuse(made.plan.checks)
        if planned:
            planned(made)
        return await carry_out(made)

    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(ChangedMeanwhileError):
            return await attempt()
    return await attempt()


async def update(
    name: str,
    *,
    model_id: int | None = None,
    transformer_id: int | None = None,
    remove: Sequence[str] = (),
    replicas: int | None = None,
    canary: int | None = None,
    force: bool = False,
    method: str = "",
    verify: str = "",
    engine: Engine,
    metadata: Metadata,
    provenance: Provenance,
    on_progress: Uploading | None = None,
    planned: Planned | None = None,
    on_install: Installing | None = None,
) -> Service:
    """Change what a service serves, how many predictors it has, or which share of the requests its newest version gets.

    Whatever is left out stays as it is. The new revision is ready before the old one goes. A paused service stays
    paused.

    Args:
        remove: parts to take away, of :data:`~.types.REMOVABLE`.
        canary: percent of the requests for the newest version; 100 promotes it, 0 goes back to the one before.
        force: take over fields that other programs have set.
        method: the estimator's method that is to answer.
        verify: what comes of recorded rows that are answered differently: ``require``, ``warn`` or ``off``.
        on_progress: as for :func:`serve`.
        planned: as for :func:`serve`; not told where only replicas or shares change.
        on_install: as for :func:`serve`.

    Raises:
        NotFoundError: no such service or artifact.
        ConflictError: another program has set what would change, or there is no version to go back to.
        PlanError: a check says that the new version cannot run, or that requests cannot be split here.
    """
    current = await engine.get(name)
    service = describe(current)
    if model_id is None and transformer_id is None and not (remove or method or verify):
        manifest = _reshared(changed(current.manifest, replicas), canary, current.mode)
        if canary is not None:
            _refuse(await engine.dry_run(manifest, force=force))
            _check_share(service, canary)
        if manifest == current.manifest:
            return service
        state = await engine.apply(manifest, force=force, over=version_of(current), by=asked_by(provenance))
        if artifact_ids(manifest) != artifact_ids(current.manifest):
            await _record(state, metadata, provenance)
        return describe(state)
    request = ServeRequest(
        model_id=model_id,
        transformer_id=transformer_id,
        name=name,
        remove=tuple(remove),
        update=True,
        force=force,
        method=method,
        verify=verify,
    )
    plan = partial(draft, request, engine, metadata, replicas=replicas, canary=canary)
    plan = partial(_set_up, plan, engine, on_install)
    return await _planned(plan, planned, partial(_carry_out, request, engine, metadata, provenance, on_progress))


async def take_back(
    applied: Service, before: ServiceState | None, *, engine: Engine, metadata: Metadata, provenance: Provenance
) -> Service | None:
    """Put back what a service was before its last change; one that was not there before is paused, where that can be.

    Args:
        applied: the service as it was when it had been changed.
        before: the service as it was before that.

    Returns:
        The service as it is then; None where somebody else has changed it since: nothing is done to that.

    Raises:
        NotFoundError: no such service.
    """
    name = applied.ref.name
    current = await engine.get(name)
    if (current.created, current.revision) != (applied.created, applied.revision):
        return None
    if before is None:
        return describe(await engine.set_paused(name, True) if current.can_pause else current)
    # Somebody may have paused it meanwhile.
    manifest = paused_as(current.manifest, before.manifest) if is_stopped(current.manifest) else before.manifest
    try:
        state = await engine.apply(manifest, over=version_of(current), by=asked_by(provenance), back_to=before.revision)
    except ChangedMeanwhileError:
        return None
    await _record(state, metadata, provenance)
    return describe(state)


async def revisions(name: str, engine: Engine) -> tuple[ServiceRevision, ...]:
    """The last revisions of a service, the newest first; it alone where the engine keeps no earlier ones.

    Raises:
        NotFoundError: no such service.
    """
    state, found = await asyncio.gather(engine.get(name), engine.revisions(name))
    return tuple(
        ServiceRevision(
            number=one.number,
            created=one.created,
            by=one.by,
            model=served_artifact("model", one.manifest),
            transformer=served_artifact("transformer", one.manifest),
            changes=changes(found[i + 1].manifest, one.manifest) if i + 1 < len(found) else (),
            back_to=one.back_to,
            newest=i == 0,
            answers=one.number == state.serving_revision,
        )
        for i, one in enumerate(found)
    )


async def roll_back(
    name: str,
    *,
    revision: int | None = None,
    force: bool = False,
    engine: Engine,
    metadata: Metadata,
    provenance: Provenance,
) -> Service:
    """Make a service what it was: the revision that answers while a newer one does not, else the one before the newest.

    Where two versions of it share the requests, all go to the one that had them before. A paused service stays paused.

    Args:
        revision: the number of the revision to go back to.
        force: take over fields that other programs have set.

    Raises:
        NotFoundError: no such service.
        ConflictError: there is no earlier version; or that revision is not kept.
        PlanError: the engine cannot run it any more, as where its files are gone.
    """
    state = await engine.get(name)
    if revision is None and any(not share.newest for share in state.shares):
        return await update(name, canary=0, force=force, engine=engine, metadata=metadata, provenance=provenance)
    found = await engine.revisions(name)
    if revision is None:
        target = previous(found, state.serving_revision)
    else:
        target = next((r for r in found if r.number == revision), None)
    if target is None:
        raise _nothing_to_go_back_to(name, revision, found, engine)
    manifest = paused_as(state.manifest, target.manifest)
    _refuse(await engine.dry_run(manifest, force=force))
    after = await engine.apply(
        manifest, force=force, over=version_of(state), by=asked_by(provenance), back_to=target.number
    )
    await _record(after, metadata, provenance)
    return describe(after)


def _nothing_to_go_back_to(name: str, revision: int | None, found: Sequence[Revision], engine: Engine) -> ConflictError:
    hint = "Update it to the version that is wanted: update(model)."
    if revision is None:
        return ConflictError(f"{name} has no earlier version to go back to.", hint=hint, field="revision")
    if engine.info.revisions:
        hint = f"These are kept: {', '.join(str(r.number) for r in found)}."
    return ConflictError(f"Revision {revision} of {name} is not kept.", hint=hint, field="revision")


def asked_by(provenance: Provenance) -> str:
    """Who asks, for the record: the user, and from where."""
    user = os.environ.get("JUPYTERHUB_USER", "")
    with contextlib.suppress(KeyError, OSError):  # a user id without a name, as in many containers
        user = user or getpass.getuser()
    return f"{user} ({provenance})" if user else str(provenance)


async def set_paused(name: str, paused: bool, *, engine: Engine) -> Service:
    """Stop the service's processes and keep its description, or start them again."""
    return describe(await engine.set_paused(name, paused))


async def delete(name: str, engine: Engine, metadata: Metadata) -> None:
    """Remove a service and all that was made for it; returns when it is gone.

    With the metadata away the service goes all the same: its deployment is then ended by whoever next serves under
    that name.

    Raises:
        NotFoundError: no such service.
    """
    ref = (await engine.get(name)).ref
    await engine.delete(name)
    try:
        await metadata.end_deployment(ref)
    except KaleServeError as error:
        log.warning("%s was deleted, but its deployment is still open in the metadata: %s", ref, error)


def _refuse(checks: Sequence[Check]) -> None:
    errors = [c for c in checks if c.level == "error"]
    if not errors:
        return
    first = errors[0]
    hints = " ".join(dict.fromkeys(c.hint for c in errors if c.hint))
    message = first.message if len(errors) == 1 else "\n".join(f"- {c.message}" for c in errors)
    raise _RAISED.get(first.code, PlanError)(message, hint=hints, field=first.field)


def _reshared(manifest: Manifest, canary: int | None, mode: str) -> Manifest:
    """The manifest with another share for the newest version, in the words of the deployment mode."""
    if canary is None:
        return manifest
    if mode != STANDARD:
        return changed(manifest, canary=canary)
    if canaries_of(manifest):
        return reshared(manifest, canary)
    # There is nothing to share with. Whether there could be, the engine tells of a second one like the first.
    return with_canary(manifest, manifest, canary) if 0 < canary < 100 else manifest


def _check_share(service: Service, canary: int) -> None:
    if canary < 100 and not any(not share.newest for share in service.shares):
        raise ConflictError(
            f"{service.ref.name} has no earlier version that could get requests.",
            hint="Update it to another version, which then gets a share: update(model, canary=20).",
            field="canary",
        )


async def _carry_out(
    request: ServeRequest,
    engine: Engine,
    metadata: Metadata,
    provenance: Provenance,
    on_progress: Uploading | None,
    made: Draft,
) -> Service:
    staged, manifest = await _stage(made, engine, on_progress)
    over = version_of(made.current)
    try:
        state = await engine.apply(manifest, staged, force=request.force, over=over, by=asked_by(provenance))
    except ChangedMeanwhileError:
        # What is cancelled the engine itself takes back: it knows what has become of it.
        for one in staged:
            await engine.unstage(one)
        raise
    ids = artifact_ids(manifest)
    if made.elsewhere:  # an id of other metadata is another artifact's here
        ids = [part.artifact.id for part in (made.wanted.model, made.wanted.transformer) if part]
    try:
        await metadata.record_deployment(state.ref, ids, provenance=provenance)
    except BaseException:
        await _undo(made.current, state, engine)
        raise
    return describe(state)


async def _record(state: ServiceState, metadata: Metadata, provenance: Provenance) -> None:
    """Write down what a service serves now, of what was served before: that this fails does not undo it."""
    try:
        await metadata.record_deployment(state.ref, artifact_ids(state.manifest), provenance=provenance)
    except KaleServeError as error:
        log.warning("What %s serves now could not be recorded in the metadata: %s", state.ref, error)


async def _stage(made: Draft, engine: Engine, on_progress: Uploading | None) -> tuple[list[Staged], Manifest]:
    """The files where the engine can read them, and the manifest that names them there."""
    staged: list[Staged] = []

    async def placed(part: ServedArtifact | None) -> ServedArtifact | None:
        if part is None:
            return None
        telling = partial(on_progress, part.artifact.name) if on_progress else None
        staged.append(await engine.stage(part.artifact, telling, part.use))
        return replace(part, staged=staged[-1])

    try:
        model = await placed(made.wanted.model)
        transformer = await placed(made.wanted.transformer)
    except BaseException:
        for one in staged:
            await engine.unstage(one)
        raise
    return staged, build(replace(made.wanted, model=model, transformer=transformer))


async def _undo(before: ServiceState | None, made: ServiceState, engine: Engine) -> None:
    """Put back what was there: a service whose origin is not written down is not left running."""
    try:
        if before:
            await engine.apply(before.manifest, over=version_of(made), by=MANAGER, back_to=before.revision)
        else:
            await engine.delete(made.ref.name)
    except KaleServeError as error:
        log.warning("%s could not be restored: %s", made.ref, error)
