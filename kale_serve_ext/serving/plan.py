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
from .runtimes import (
    Asked,
    about_differences,
    about_model,
    about_runtime,
    choices,
    in_order,
    misfit,
    title_of,
    usual_protocol,
)
from .status import protocol_of, python_of, runtime_of, served_artifact
from .types import Plan, RuntimeChoice, ServeRequest

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


async def _pick_runtime(
    request: ServeRequest,
    config: Config,
    asked: Asked,
    model: Artifact | None,
    transformer: Artifact | None,
    engine: Engine,
    runtimes: Sequence[Runtime],
    before: Manifest | None,
    python: str,
    name: str,
) -> _Pick:
    """The runtime and the protocol: as asked, else those of the service ``before``, else the best fitting.

    Args:
        python: the interpreter that was chosen for custom code before.
        name: the service's.
    """
    said = request.protocol or _said(config, "protocolVersion")
    if said not in ("", "v1", "v2"):
        raise InvalidInputError(f"{said[:100]!r} is not a protocol.", hint="Choose v1 or v2.", field="protocol")
    implied = str(transformer.details.get("protocol") or "") if transformer else ""
    if model is not None and request.transformer_id is not None:
        # To give a transformer is to ask for its protocol; people's own container speaks what it speaks.
        said = said or implied
    protocol = said or (protocol_of(before) if before else "") or implied or "v1"
    wanted = request.runtime or _said(config, "runtime")
    if model is None:
        listed = tuple(_without_model(runtime) for runtime in runtimes)
        if has_container(config, "predictor"):
            return _Pick(None, protocol, listed, ())
        message, hint = "No model was chosen.", "Pass model_id, or a predictor container with an image in serve_config."
        return _Pick(None, protocol, listed, (Check("error", "NoModel", message, hint, "version"),))
    usual = runtime_of(before) if before and not wanted else ""
    if python and not wanted and model.format == "custom":
        usual = next((r.name for r in runtimes if "custom" in r.formats and r.python == python), "")
    candidate = wanted or (usual if usual != OWN_RUNTIME else "")
    if candidate and all(r.name != candidate for r in runtimes) and any(r.assumed for r in runtimes):
        # Not all runtimes could be read: the user may know of one.
        runtimes = [*runtimes, Runtime(candidate, candidate, (model.format,), (), assumed=True)]
    named = next((r for r in runtimes if r.name == wanted), None)
    any_protocol = not said and not (implied and not before)
    if named and any_protocol and named.protocols and protocol not in named.protocols:
        # MLServer and Triton speak only v2: naming one of them is asking for it.
        protocol = named.protocols[0]
    is_open = not (wanted or said or implied or before)
    asked = replace(asked, protocol="" if is_open else protocol)
    may = replace(asked, protocol="") if any_protocol else asked
    fitting = [r for r in in_order(runtimes, model, asked.method) if not misfit(r, model.format, may)]
    found = await asyncio.gather(*(engine.check(model, runtime, name) for runtime in fitting))
    verdicts = {
        runtime.name: [*about_model(runtime, model), *checks] for runtime, checks in zip(fitting, found, strict=True)
    }
    needed = await asyncio.gather(*(engine.lacks(runtime) for runtime in fitting))
    lacking = {runtime.name: setup for runtime, setup in zip(fitting, needed, strict=True) if setup}
    if is_open:
        protocol = usual_protocol(choices(runtimes, model, asked, verdicts), fitting, protocol)
        asked = replace(asked, protocol=protocol)
    kept = bool(before and usual in verdicts and _stays(usual, fitting, verdicts, model, asked, before))
    by_name = bool(wanted)
    if kept:
        wanted = usual
    offered = choices(runtimes, model, asked, verdicts, wanted, lacking, any_protocol=any_protocol)
    chosen = next((r for r in runtimes if any(c.chosen and c.name == r.name for c in offered)), None)
    if chosen:
        about = about_differences(chosen, runtimes, model, asked, named=by_name, kept=kept)
        setup = lacking.get(chosen.name)
        told = (*verdicts[chosen.name], *about, *about_runtime(chosen, setup))
        return _Pick(chosen, protocol, tuple(offered), told, setup)
    problem = _no_runtime(wanted, named, model, asked, runtimes)
    own = verdicts.get(wanted) or (next(iter(verdicts.values())) if not wanted and verdicts else ())
    errors = [c for c in own if c.level == "error"]
    # What the engine found out about the one runtime in question says more than that none fits.
    return _Pick(named, protocol, tuple(offered), tuple(errors) or (problem,))


def _stays(
    name: str,
    fitting: Sequence[Runtime],
    verdicts: Mapping[str, Sequence[Check]],
    model: Artifact,
    asked: Asked,
    before: Manifest,
) -> bool:
    """Whether the runtime of the service before can serve what comes, and answers it no worse than what was."""
    if any(c.level == "error" for c in verdicts[name]):
        return False
    served = served_artifact("model", before)
    is_same = served is not None and served.id == model.id and method_of(before) == asked.method
    return is_same or not any(differences_of(model, r, asked.method) for r in fitting if r.name == name)


def _no_runtime(
    wanted: str, named: Runtime | None, model: Artifact, asked: Asked, runtimes: Sequence[Runtime]
) -> Check:
    title = title_of(model.format)
    if wanted and named is None:
        names = ", ".join(r.name for r in runtimes)
        return Check(
            "error", "RuntimeUnknown", f"There is no runtime {wanted[:100]!r} here.", f"Use: {names}.", "runtime"
        )
    if named and not misfit(named, model.format, Asked(asked.protocol)):
        why = misfit(named, model.format, asked)
        own = [r.name for r in runtimes if r.name == OWN_RUNTIME]
        hint = f'Choose runtime="{own[0]}", or leave it out.' if own else "Choose another runtime."
        return Check("error", "RuntimeMisfit", f"{named.name} {why}.", hint, "runtime")
    if named:
        why = misfit(named, model.format, asked)
        hint = "Choose another runtime or protocol."
        return Check("error", "RuntimeMisfit", f"{named.name} {why}, and this is a {title} model.", hint, "runtime")
    if not model.format:
        message = f"It is not recorded what format the model {model.name!r} has."
        hint = "Log it with Model(...).submit_artifact(), which records that."
        return Check("error", "FormatUnknown", message, hint, "version")
    format_ = known(model.format)
    is_local = any(r.python for r in runtimes)
    if is_local and format_ and format_.runtimes and not any(model.format in r.formats for r in runtimes):
        message = f"{title} models are not served on one machine."
        hint = f"In a cluster KServe serves them by {' or '.join(format_.runtimes)}."
        return Check("error", "NoRuntime", message, hint, "runtime")
    message = f"No runtime here serves {title} models by {asked.protocol}."
    return Check("error", "NoRuntime", message, "Log the model as custom code, or choose another protocol.", "runtime")


def _without_model(runtime: Runtime) -> RuntimeChoice:
    return RuntimeChoice(
        name=runtime.name,
        display_name=runtime.display_name,
        protocols=runtime.protocols,
        fits=False,
        reason="choose a model first",
        python=runtime.python,
        image=runtime.image,
        assumed=runtime.assumed,
        differs=runtime.differs,
        upkeep=runtime.upkeep,
    )


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
