"""Services made, changed and removed: a plan carried out by the engine and written down in the metadata."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..engines.base import Check, Engine, Manifest, ServiceState, Staged
from ..engines.kserve import STANDARD, canaries_of
from ..errors import ConflictError, InvalidInputError, InvalidNameError, KaleServeError, NotFoundError, PlanError
from ..ml import JSON
from .manifest import Part, artifact_ids, beside, build, changed, reshared
from .plan import Draft, draft
from .status import describe, protocol_of, runtime_of
from .types import ServeRequest, Service

if TYPE_CHECKING:
    from ..metadata.store import Metadata
    from ..metadata.where import Where

log = logging.getLogger(__name__)

Uploading = Callable[[str, int, int], None]
"""Is told how many bytes of how many have gone of the artifact of that name."""

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
    request: ServeRequest, engine: Engine, metadata: Metadata, *, where: Where, told: Uploading | None = None
) -> Service:
    """Serve what is asked for; returns once the engine has accepted it, not when it is ready.

    Without a name, the service is named after the model; a service of that model is rolled over to the new version.
    Nothing stays behind when it fails.

    Args:
        told: how far an upload is, now and then while it takes longer than a moment.

    Raises:
        InvalidNameError: the name is not legal.
        ConflictError: the name is taken by a service of another model, or one that was not made here.
        NotFoundError: no artifact has this id, or its files are gone.
        PlanError: a check says that it cannot run; the message tells all of them.
    """
    made = await draft(request, engine, metadata)
    _refuse(made.plan.checks)
    return await _carry_out(made, request, engine, metadata, where, told)


async def update(
    name: str,
    *,
    model_id: int | None = None,
    transformer_id: int | None = None,
    replicas: int | None = None,
    canary: int | None = None,
    force: bool = False,
    engine: Engine,
    metadata: Metadata,
    where: Where,
    told: Uploading | None = None,
) -> Service:
    """Change what a service serves, how many predictors it has, or which share of the requests its newest version gets.

    The rest of its manifest stays as it is. The new revision is ready before the old one goes. A paused service stays
    paused.

    Args:
        canary: percent of the requests for the newest version; 100 promotes it, 0 goes back to the one before.
        force: take over fields that other programs have set.
        told: as for :func:`serve`.

    Raises:
        NotFoundError: no such service or artifact.
        ConflictError: another program has set what would change, or there is no version to go back to.
        PlanError: a check says that the new version cannot run, or that requests cannot be split here.
    """
    current = await engine.get(name)
    service = describe(current)
    if model_id is None and transformer_id is None:
        manifest = _reshared(changed(current.manifest, replicas), canary, current.mode)
        if canary is not None:
            _refuse(await engine.dry_run(manifest, force=force))
            _check_share(service, canary)
        if manifest == current.manifest:
            return service
        state = await engine.apply(manifest, force=force)
        ids = artifact_ids(manifest)
        if ids != artifact_ids(current.manifest):
            try:
                await metadata.record_deployment(state.ref, ids, where=where)
            except KaleServeError as error:
                log.warning("What %s serves now is not written down in the metadata: %s", state.ref, error)
        return describe(state)
    request = ServeRequest(
        model_id=model_id or (service.model.id if service.model else None) or None,
        transformer_id=transformer_id or (service.transformer.id if service.transformer else None) or None,
        name=name,
        protocol=protocol_of(current.manifest),
        runtime=runtime_of(current.manifest) if model_id is None else "",
        config=_container_config(current.manifest) if not model_id and not service.model else {},
        update=True,
        force=force,
    )
    made = await draft(request, engine, metadata, replicas=replicas, canary=canary)
    _refuse(made.plan.checks)
    return await _carry_out(made, request, engine, metadata, where, told)


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
        log.warning("%s is deleted, but its deployment is still open in the metadata: %s", ref, error)


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
    return beside(manifest, manifest, canary) if 0 < canary < 100 else manifest


def _check_share(service: Service, canary: int) -> None:
    if canary < 100 and not any(not share.newest for share in service.shares):
        raise ConflictError(
            f"{service.ref.name} has no earlier version that could get requests.",
            hint="Update it to another version, which then gets a share: update(model, canary=20).",
            field="canary",
        )


async def _carry_out(
    made: Draft, request: ServeRequest, engine: Engine, metadata: Metadata, where: Where, told: Uploading | None
) -> Service:
    staged, manifest = await _stage(made, engine, told)
    state = await engine.apply(manifest, staged, force=request.force)
    try:
        await metadata.record_deployment(state.ref, artifact_ids(manifest), where=where)
    except BaseException:
        await _undo(made.current, state, engine)
        raise
    return describe(state)


async def _stage(made: Draft, engine: Engine, told: Uploading | None) -> tuple[list[Staged], Manifest]:
    """The files where the engine can read them, and the manifest that names them there."""
    staged: list[Staged] = []

    async def placed(part: Part | None) -> Part | None:
        if part is None:
            return None
        staged.append(await engine.stage(part.artifact, partial(told, part.artifact.name) if told else None))
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
            await engine.apply(before.manifest)
        else:
            await engine.delete(made.ref.name)
    except KaleServeError as error:
        log.warning("%s could not be put back: %s", made.ref, error)


def _container_config(manifest: Manifest) -> dict[str, JSON]:
    """The predictor's own container as a config, for a service that has no model artifact."""
    spec = manifest.get("spec")
    predictor = spec.get("predictor") if isinstance(spec, Mapping) else None
    containers = predictor.get("containers") if isinstance(predictor, Mapping) else None
    return {"predictor": {"containers": containers}} if isinstance(containers, list) else {}
