"""What serving would do, before anything is done: the manifest, every check's verdict, and what would change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..engines.base import AS_LOGGED, Check, Engine, Manifest, Runtime, ServiceState, Staged, Use
from ..engines.kserve import CANARY, OWN_RUNTIME, STANDARD, is_stopped
from ..entities import KFP_MODEL, MODEL, TRANSFORMER, Artifact
from ..errors import InvalidInputError, NotFoundError, PermissionDeniedError, SnapshotError
from .changes import changes, differences
from .config import Config, for_component, normalise
from .existing_service import (
    about_name,
    about_removal,
    about_share,
    check_removal,
    default_name,
    is_recorded_as,
    laid_onto,
    mode_of,
    not_in_metadata,
    served_ids,
    service_before,
    with_container_of,
)
from .inputs import check_input
from .layout import check_layout
from .manifest import ServedArtifact, Wanted, build
from .methods import check_method, check_verify, chosen_method, chosen_verify, has_methods, methods_of
from .picking import pick_runtime
from .runtimes import Asked
from .status import protocol_of, python_of, served_artifact
from .types import Plan, ServeRequest

if TYPE_CHECKING:
    from ..metadata.store import Metadata


@dataclass(frozen=True)
class Draft:
    """A plan, and what it was made of: enough to carry it out."""

    plan: Plan
    wanted: Wanted
    current: ServiceState | None
    """The service of that name that runs already."""
    elsewhere: bool = False
    """Whether it goes on with a transformer that other metadata record."""
    runtime: Runtime | None = None
    """The runtime that is to serve it; None for a container of the user's own."""


async def make_plan(request: ServeRequest, engine: Engine, metadata: Metadata) -> Plan:
    """The plan for a request. Problems that the form can mend are checks in the plan.

    Raises:
        NotFoundError: no artifact has this id.
        InvalidInputError: an id of the wrong type of artifact, or a config that cannot be read; or what is left out is
            not in the metadata.
    """
    return (await draft(request, engine, metadata)).plan


async def draft(
    request: ServeRequest,
    engine: Engine,
    metadata: Metadata,
    *,
    replicas: int | None = None,
    canary: int | None = None,
) -> Draft:
    """The plan with what it was made of.

    Args:
        replicas: how many predictors an update asks for.
        canary: percent of the requests that an update asks for, for its version.
    """
    check_removal(request)
    config = normalise(request.config)
    model, transformer, services = await asyncio.gather(
        _artifact(metadata, request.model_id, (MODEL, KFP_MODEL), "model"),
        _artifact(metadata, request.transformer_id, (TRANSFORMER,), "transformer"),
        engine.services(),
    )
    name = request.name or default_name(model, services)
    current = next((s for s in services if s.ref.name == name), None)
    splits = current is not None and current.mode == STANDARD
    if splits:
        config, canary = _without_share(config, canary)
    before = service_before(request, config, current, model)
    elsewhere = False
    if before is not None:
        model_id, transformer_id = served_ids(request, config, before)
        if model_id:
            model = await _left_out(metadata, model_id, (MODEL, KFP_MODEL), "model", before)
            if model is None:
                raise not_in_metadata(name, "model", before)
        if transformer_id:
            transformer = await _left_out(metadata, transformer_id, (TRANSFORMER,), "transformer", before)
            elsewhere = transformer is None
            if elsewhere and "config" in request.remove:  # it cannot be made from nothing
                raise not_in_metadata(name, "transformer", before)
        if model is None and "config" not in request.remove:
            config = with_container_of(config, before, "predictor")
    method = chosen_method(request.method, config, before, model)
    verify = chosen_verify(request.verify, config, before)
    runtimes = await engine.runtimes(model)
    if before and current and not current.ours and model and model.format != "custom":
        # What others have set does not go by being left out: their predictor's model cannot give way to a container.
        runtimes = [r for r in runtimes if r.name != OWN_RUNTIME]
    python = await _python_chosen(metadata, before) if before and model and model.format == "custom" else ""
    asked = Asked("", method, verify)
    pick = await pick_runtime(request, config, asked, model, transformer, engine, runtimes, before, python, name)
    is_served = pick.runtime is not None and not any(c.level == "error" for c in pick.checks)
    use = Use(pick.runtime.server, name) if pick.runtime and is_served and pick.runtime.server else AS_LOGGED
    stays = before is not None and transformer is None and not {"transformer", "config"} & {*request.remove}
    if before and stays and (for_component(config, "transformer") or pick.protocol != protocol_of(before)):
        config = with_container_of(config, before, "transformer")
    transformer_python, transformer_checks = await _check_transformer(transformer, pick.protocol, engine)
    places: list[Check] = []
    wanted = Wanted(
        name=name,
        namespace=engine.info.namespace,
        protocol=pick.protocol,
        model=await _part(model, pick.runtime.python if pick.runtime else "", engine, places, use),
        transformer=await _part(transformer, transformer_python, engine, places),
        runtime=pick.runtime.name if pick.runtime and model and model.format != "custom" else "",
        method=method,
        verify=verify,
        config=config,
        image_tag=_image_tag(),
        # KServe refuses another mode, and leaving it out would be asking for the cluster's.
        mode=mode_of(current.manifest) if current else "",
        paused=request.update and before is not None and is_stopped(before),
        onto=laid_onto(request, before),
        replicas=replicas,
        canary=canary,
        canary_of=current.manifest if current and splits and canary is not None else None,
    )
    checks = [
        *about_name(request, name, current, model),
        *about_removal(request, current),
        *((*check_method(model, method), *check_verify(model, verify, method), *check_input(model)) if model else ()),
        *pick.checks,
        *transformer_checks,
        *places,
        *(await asyncio.to_thread(check_layout, model) if model else ()),
    ]
    manifest = build(wanted)
    if not any(c.level == "error" for c in checks):
        checks += await engine.dry_run(manifest, force=request.force)
        checks += about_share(manifest, current)
    plan = Plan(
        name=name,
        manifest=manifest,
        runtime=pick.runtime.name if pick.runtime else "",
        protocol=pick.protocol,
        ok=not any(c.level == "error" for c in checks),
        checks=tuple(dict.fromkeys(checks)),
        differences=differences(current.manifest, manifest) if current else (),
        exists=current is not None,
        runtimes=pick.choices,
        method=method if model and has_methods(model.format) else "",
        methods=methods_of(model) if model else (),
        verify=verify,
        changes=changes(current.manifest, manifest) if current else (),
        setup=pick.setup,
        transformer_now=served_artifact("transformer", current.manifest) if current else None,
    )
    return Draft(plan, wanted, current, elsewhere, pick.runtime)


def _without_share(config: Config, canary: int | None) -> tuple[Config, int | None]:
    """The config without its share of the requests, and the share where it is one: 100 % is no share."""
    predictor = config.get("predictor")
    given = predictor.get(CANARY) if isinstance(predictor, Mapping) else None
    if isinstance(predictor, Mapping) and isinstance(given, int):
        canary = given if canary is None else canary
        config = {**config, "predictor": {k: v for k, v in predictor.items() if k != CANARY}}
    return config, None if canary == 100 else canary


async def _artifact(metadata: Metadata, number: object, types: Sequence[str], field: str) -> Artifact | None:
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise InvalidInputError(
            f"{str(number)[:100]!r} is not the id of an artifact.",
            hint=f"Pass the number that submit_artifact() gave: serve({field}_artifact.id).",
            field=f"{field}_id",
        )
    found = await metadata.artifact(number)
    if found.type not in types:
        kind = found.type.rpartition(".")[2] or found.type
        raise InvalidInputError(
            f"Artifact {number} ({found.name!r}) is a {kind}, not a {field.capitalize()}.",
            hint="serve() takes the model's id first and the transformer's second.",
            field=f"{field}_id",
        )
    return found


async def _left_out(
    metadata: Metadata, number: int, types: Sequence[str], role: Literal["model", "transformer"], before: Manifest
) -> Artifact | None:
    """The artifact that goes on being served; None where the metadata have none of its id, or another one."""
    try:
        found = await metadata.artifact(number)
    except NotFoundError:
        return None
    return found if found.type in types and is_recorded_as(found, role, before) else None


async def _python_chosen(metadata: Metadata, before: Manifest) -> str:
    """The interpreter of a service's custom code; empty for the one that made it, which comes with the model."""
    python, served = python_of(before), served_artifact("model", before)
    if not python or not served:
        return python
    model = await _left_out(metadata, served.id, (MODEL, KFP_MODEL), "model", before)
    return "" if model is not None and model.environment.python == python else python


async def _check_transformer(
    transformer: Artifact | None, protocol: str, engine: Engine
) -> tuple[str, tuple[Check, ...]]:
    """The Python that runs the transformer, and what speaks against it."""
    if transformer is None:
        return "", ()
    found: list[Check] = []
    own = str(transformer.details.get("protocol") or "")
    # KServe converts nothing on the way, so a transformer written for one protocol cannot read the other.
    if own and own != protocol:
        message = f"The transformer {transformer.name!r} speaks {own}, and the predictor {protocol}."
        hint = f'Choose {own}, or a transformer whose module says protocol = "{protocol}".'
        found.append(Check("error", "TransformerProtocol", message, hint, "protocol"))
    runtimes = await engine.runtimes(transformer)
    # A transformer is code of the user's own, like a custom predictor; it has no server of another kind.
    runtime = next((r for r in runtimes if "custom" in r.formats), None)
    if runtime is None:
        return "", tuple(found)
    found += [replace(c, field="transformer") for c in await engine.check(transformer, runtime)]
    return runtime.python, tuple(found)


async def _part(
    artifact: Artifact | None, python: str, engine: Engine, checks: list[Check], use: Use = AS_LOGGED
) -> ServedArtifact | None:
    """The artifact where the engine would find its files; why it cannot goes to ``checks``."""
    if artifact is None:
        return None
    try:
        return ServedArtifact(artifact, await engine.address(artifact, use), python, use)
    except (InvalidInputError, PermissionDeniedError, SnapshotError) as error:
        checks.append(Check("error", "OutOfReach", error.message, error.hint, error.field))
        return ServedArtifact(artifact, Staged(artifact.uri), python)


def _image_tag() -> str:
    from .. import __version__

    return __version__
