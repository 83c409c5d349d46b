"""Which runtime serves what is asked for, and by which protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..engines.base import Check, Engine, Manifest, Runtime, Setup
from ..engines.kserve import OWN_RUNTIME
from ..entities import Artifact
from ..errors import InvalidInputError
from ..formats import known
from .answering import method_of
from .config import Config
from .containers import has_container
from .differences import differences_of
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
from .status import protocol_of, runtime_of, served_artifact
from .types import RuntimeChoice, ServeRequest


@dataclass(frozen=True)
class Pick:
    """The runtime's side of a plan."""

    runtime: Runtime | None
    protocol: str
    choices: tuple[RuntimeChoice, ...]
    checks: tuple[Check, ...]
    setup: Setup | None = None


@dataclass(frozen=True)
class _Protocol:
    """What is known of the protocol before a runtime is."""

    name: str
    any: bool
    """Whether nobody has said one: to name a runtime is to ask for one that it speaks."""
    is_open: bool
    """Whether nothing else says one either: it is the chosen runtime's then."""


@dataclass(frozen=True)
class _Found:
    """What the engine says of the runtimes that may serve the model, by their names."""

    fitting: Sequence[Runtime]
    verdicts: Mapping[str, Sequence[Check]]
    lacking: Mapping[str, Setup]


async def pick_runtime(
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
) -> Pick:
    """The runtime and the protocol: as asked, else those of the service ``before``, else the best fitting.

    Args:
        python: the interpreter that was chosen for custom code before.
        name: the service's.
    """
    spoken = _protocol(request, config, model, transformer, before)
    if model is None:
        return _without_model(config, runtimes, spoken.name)
    wanted = request.runtime or _said(config, "runtime")
    usual = "" if wanted else _usual(model, runtimes, before, python)
    runtimes = _with_known(wanted or (usual if usual != OWN_RUNTIME else ""), model, runtimes)
    named = next((r for r in runtimes if r.name == wanted), None)
    protocol = spoken.name
    if named and spoken.any and named.protocols and protocol not in named.protocols:
        # MLServer and Triton speak only v2: naming one of them is asking for it.
        protocol = named.protocols[0]
    is_open = spoken.is_open and not wanted
    asked = replace(asked, protocol="" if is_open else protocol)
    found = await _look(model, runtimes, replace(asked, protocol="") if spoken.any else asked, engine, name)
    if is_open:
        protocol = usual_protocol(choices(runtimes, model, asked, found.verdicts), found.fitting, protocol)
        asked = replace(asked, protocol=protocol)
    kept = bool(before and usual in found.verdicts and _stays(usual, found, model, asked, before))
    chosen_name = usual if kept else wanted
    offered = choices(runtimes, model, asked, found.verdicts, chosen_name, found.lacking, any_protocol=spoken.any)
    chosen = next((r for r in runtimes if any(c.chosen and c.name == r.name for c in offered)), None)
    if chosen:
        about = about_differences(chosen, runtimes, model, asked, named=bool(wanted), kept=kept)
        setup = found.lacking.get(chosen.name)
        told = (*found.verdicts[chosen.name], *about, *about_runtime(chosen, setup))
        return Pick(chosen, protocol, tuple(offered), told, setup)
    problem = _no_runtime(chosen_name, named, model, asked, runtimes)
    return Pick(named, protocol, tuple(offered), _against(chosen_name, found) or (problem,))


def _protocol(
    request: ServeRequest, config: Config, model: Artifact | None, transformer: Artifact | None, before: Manifest | None
) -> _Protocol:
    """
    Raises:
        InvalidInputError: what was said is none.
    """
    said = request.protocol or _said(config, "protocolVersion")
    if said not in ("", "v1", "v2"):
        raise InvalidInputError(f"{said[:100]!r} is not a protocol.", hint="Choose v1 or v2.", field="protocol")
    implied = str(transformer.details.get("protocol") or "") if transformer else ""
    if model is not None and request.transformer_id is not None:
        # To give a transformer is to ask for its protocol; people's own container speaks what it speaks.
        said = said or implied
    protocol = said or (protocol_of(before) if before else "") or implied or "v1"
    return _Protocol(protocol, not said and not (implied and not before), not (said or implied or before))


def _without_model(config: Config, runtimes: Sequence[Runtime], protocol: str) -> Pick:
    listed = tuple(_unused(runtime) for runtime in runtimes)
    if has_container(config, "predictor"):
        return Pick(None, protocol, listed, ())
    message, hint = "No model was chosen.", "Pass model_id, or a predictor container with an image in serve_config."
    return Pick(None, protocol, listed, (Check("error", "NoModel", message, hint, "version"),))


def _usual(model: Artifact, runtimes: Sequence[Runtime], before: Manifest | None, python: str) -> str:
    """The name of the runtime that goes on where none is asked for; empty where there is none."""
    if python and model.format == "custom":
        return next((r.name for r in runtimes if "custom" in r.formats and r.python == python), "")
    return runtime_of(before) if before else ""


def _with_known(name: str, model: Artifact, runtimes: Sequence[Runtime]) -> Sequence[Runtime]:
    """The runtimes with the one of this name: where not all could be read, the user may know of another."""
    if name and all(r.name != name for r in runtimes) and any(r.assumed for r in runtimes):
        return [*runtimes, Runtime(name, name, (model.format,), (), assumed=True)]
    return runtimes


async def _look(model: Artifact, runtimes: Sequence[Runtime], asked: Asked, engine: Engine, name: str) -> _Found:
    fitting = [r for r in in_order(runtimes, model, asked.method) if not misfit(r, model.format, asked)]
    found = await asyncio.gather(*(engine.check(model, runtime, name) for runtime in fitting))
    needed = await asyncio.gather(*(engine.lacks(runtime) for runtime in fitting))
    return _Found(
        fitting,
        {r.name: [*about_model(r, model), *checks] for r, checks in zip(fitting, found, strict=True)},
        {runtime.name: setup for runtime, setup in zip(fitting, needed, strict=True) if setup},
    )


def _against(wanted: str, found: _Found) -> tuple[Check, ...]:
    """What speaks against the one runtime in question, which says more than that none fits."""
    own = found.verdicts.get(wanted, ()) if wanted else next(iter(found.verdicts.values()), ())
    return tuple(check for check in own if check.level == "error")


def _stays(name: str, found: _Found, model: Artifact, asked: Asked, before: Manifest) -> bool:
    """Whether the runtime of the service before can serve what comes, and answers it no worse than what was."""
    if any(c.level == "error" for c in found.verdicts[name]):
        return False
    served = served_artifact("model", before)
    is_same = served is not None and served.id == model.id and method_of(before) == asked.method
    return is_same or not any(differences_of(model, r, asked.method) for r in found.fitting if r.name == name)


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


def _unused(runtime: Runtime) -> RuntimeChoice:
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


def _said(config: Config, key: str) -> str:
    """A value that may stand at the top, in ``predictor`` or in ``predictor.model``; the innermost counts."""
    predictor = config.get("predictor")
    own = predictor if isinstance(predictor, Mapping) else {}
    model = own.get("model")
    places = (model if isinstance(model, Mapping) else {}, own, config)
    return next((str(place[key]) for place in places if place.get(key)), "")
