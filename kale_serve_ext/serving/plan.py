"""What serving would do, before anything is done: the manifest, every check's verdict, and what would change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..engines.base import Check, Engine, Manifest, Runtime, ServiceState, Staged
from ..engines.kserve import CANARY, SERVING, STANDARD
from ..errors import InvalidInputError, PermissionDeniedError
from ..ml import JSON
from ..records import KFP_MODEL, MODEL, TRANSFORMER, Artifact
from .config import Config, normalise
from .existing import about_name, about_share, default_name, mode_of
from .layout import check_layout
from .manifest import PREFIX, Part, Wanted, build, has_container
from .runtimes import TITLES, choices, in_order, misfit
from .types import Difference, Plan, RuntimeChoice, ServeRequest

if TYPE_CHECKING:
    from ..metadata.store import Metadata


@dataclass(frozen=True)
class Draft:
    """A plan, and what it was made of: enough to carry it out."""

    plan: Plan
    wanted: Wanted
    current: ServiceState | None
    """The service of that name that runs already."""


@dataclass(frozen=True)
class _Pick:
    """The runtime's side of a plan."""

    runtime: Runtime | None
    protocol: str
    choices: tuple[RuntimeChoice, ...]
    checks: tuple[Check, ...]


async def make_plan(request: ServeRequest, engine: Engine, metadata: Metadata) -> Plan:
    """The plan for a request. Problems that the form can mend are checks in the plan.

    Raises:
        NotFoundError: no artifact has this id.
        InvalidInputError: an id of the wrong type of artifact, or a config that cannot be read.
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
    pick = await _pick_runtime(request, config, model, transformer, engine)
    transformer_python, transformer_checks = await _check_transformer(transformer, pick.protocol, engine)
    places: list[Check] = []
    wanted = Wanted(
        name=name,
        namespace=engine.info.namespace,
        protocol=pick.protocol,
        model=await _part(model, pick.runtime.python if pick.runtime else "", engine, places),
        transformer=await _part(transformer, transformer_python, engine, places),
        runtime=pick.runtime.name if pick.runtime and model and model.format != "custom" else "",
        config=config,
        image_tag=_image_tag(),
        # KServe refuses another mode, and leaving it out would be asking for the cluster's.
        mode=mode_of(current.manifest) if current else "",
        onto=current.manifest if current and request.update else None,
        replicas=replicas,
        canary=canary,
        beside=current.manifest if current and splits and canary is not None else None,
    )
    checks = [
        *about_name(request, name, current, model),
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
    )
    return Draft(plan, wanted, current)


def _without_share(config: Config, canary: int | None) -> tuple[Config, int | None]:
    """The config without its share of the requests, and the share where it is one: 100 % is no share."""
    predictor = config.get("predictor")
    given = predictor.get(CANARY) if isinstance(predictor, Mapping) else None
    if isinstance(predictor, Mapping) and isinstance(given, int):
        canary = given if canary is None else canary
        config = {**config, "predictor": {k: v for k, v in predictor.items() if k != CANARY}}
    return config, None if canary == 100 else canary


def differences(before: Manifest, after: Manifest) -> tuple[Difference, ...]:
    """What differs between two manifests, field by field: of the spec, and of the notes that this package writes."""
    old, new = _fields(before), _fields(after)
    return tuple(
        Difference(path, old.get(path), new.get(path))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


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


async def _pick_runtime(
    request: ServeRequest, config: Config, model: Artifact | None, transformer: Artifact | None, engine: Engine
) -> _Pick:
    asked = request.protocol or _said(config, "protocolVersion")
    implied = str(transformer.details.get("protocol") or "") if transformer else ""
    if asked not in ("", "v1", "v2"):
        raise InvalidInputError(f"{asked[:100]!r} is not a protocol.", hint="Choose v1 or v2.", field="protocol")
    protocol = asked or implied or "v1"
    wanted = request.runtime or _said(config, "runtime")
    runtimes = await engine.runtimes(model)
    if model is None:
        listed = tuple(_without_model(runtime) for runtime in runtimes)
        if has_container(config, "predictor"):
            return _Pick(None, protocol, listed, ())
        message, hint = "No model was chosen.", "Pass model_id, or a predictor container with an image in serve_config."
        return _Pick(None, protocol, listed, (Check("error", "NoModel", message, hint, "version"),))
    named = next((r for r in runtimes if r.name == wanted), None)
    if wanted and named is None and any(r.assumed for r in runtimes):
        # Not all runtimes could be read: the user may know of one.
        named = Runtime(wanted, wanted, (model.format,), (), assumed=True)
        runtimes = [*runtimes, named]
    if named and not asked and not implied and named.protocols and protocol not in named.protocols:
        # MLServer and Triton speak only v2: naming one of them is asking for it.
        protocol = named.protocols[0]
    fitting = [r for r in in_order(runtimes, model) if not misfit(r, model.format, protocol)]
    said = await asyncio.gather(*(engine.check(model, runtime) for runtime in fitting))
    verdicts = {runtime.name: checks for runtime, checks in zip(fitting, said, strict=True)}
    offered = choices(runtimes, model, protocol, verdicts, wanted)
    chosen = next((r for r in runtimes if any(c.chosen and c.name == r.name for c in offered)), None)
    if chosen:
        return _Pick(chosen, protocol, tuple(offered), tuple(verdicts[chosen.name]))
    problem = _no_runtime(wanted, named, model, protocol, runtimes)
    own = verdicts.get(wanted) or (next(iter(verdicts.values())) if not wanted and verdicts else ())
    errors = [c for c in own if c.level == "error"]
    # What the engine found out about the one runtime in question says more than that none fits.
    return _Pick(named, protocol, tuple(offered), tuple(errors) or (problem,))


def _no_runtime(
    wanted: str, named: Runtime | None, model: Artifact, protocol: str, runtimes: Sequence[Runtime]
) -> Check:
    title = TITLES.get(model.format, model.format)
    if wanted and named is None:
        names = ", ".join(r.name for r in runtimes)
        return Check(
            "error", "RuntimeUnknown", f"There is no runtime {wanted[:100]!r} here.", f"Use: {names}.", "runtime"
        )
    if named:
        why = misfit(named, model.format, protocol)
        hint = "Choose another runtime or protocol."
        return Check("error", "RuntimeMisfit", f"{named.name} {why}, and this is a {title} model.", hint, "runtime")
    if not model.format:
        message = f"It is not recorded what format the model {model.name!r} has."
        hint = "Log it with Model(...).submit_artifact(), which records that."
        return Check("error", "FormatUnknown", message, hint, "version")
    message = f"No runtime here serves {title} models by {protocol}."
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
        message = f"The transformer {transformer.name!r} speaks {own}, and {protocol} was asked for."
        hint = f'Choose {own}, or a transformer whose module says protocol = "{protocol}".'
        found.append(Check("error", "TransformerProtocol", message, hint, "protocol"))
    runtimes = await engine.runtimes(transformer)
    # A transformer is code of the user's own, like a custom predictor; it has no server of another kind.
    runtime = next((r for r in runtimes if "custom" in r.formats), None)
    if runtime is None:
        return "", tuple(found)
    found += [replace(c, field="transformer") for c in await engine.check(transformer, runtime)]
    return runtime.python, tuple(found)


async def _part(artifact: Artifact | None, python: str, engine: Engine, checks: list[Check]) -> Part | None:
    """The artifact where the engine would find its files; why it cannot goes to ``checks``."""
    if artifact is None:
        return None
    try:
        return Part(artifact, await engine.address(artifact), python)
    except (InvalidInputError, PermissionDeniedError) as error:
        checks.append(Check("error", "OutOfReach", error.message, error.hint, error.field))
        return Part(artifact, Staged(artifact.uri), python)


def _said(config: Config, key: str) -> str:
    """A value that may stand at the top, in ``predictor`` or in ``predictor.model``; the innermost counts."""
    predictor = config.get("predictor")
    own = predictor if isinstance(predictor, Mapping) else {}
    model = own.get("model")
    places = (model if isinstance(model, Mapping) else {}, own, config)
    return next((str(place[key]) for place in places if place.get(key)), "")


def _image_tag() -> str:
    from .. import __version__

    return __version__


def _fields(manifest: Manifest) -> dict[str, JSON]:
    out: dict[str, JSON] = {}
    _flatten(manifest.get("spec"), "spec", out)
    metadata = manifest.get("metadata")
    for kind in ("labels", "annotations"):
        notes = metadata.get(kind) if isinstance(metadata, Mapping) else None
        for key, value in (notes if isinstance(notes, Mapping) else {}).items():
            if key.startswith((PREFIX, SERVING)):
                out[f"metadata.{kind}.{key}"] = value
    return out


def _flatten(value: JSON, path: str, out: dict[str, JSON]) -> None:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(item, f"{path}.{key}", out)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for i, item in enumerate(value):
            name = item.get("name", i) if isinstance(item, Mapping) else i
            _flatten(item, f"{path}[{name}]", out)
    else:
        out[path] = value
