"""Which runtime fits a model, and why the others do not.

The runtimes come from the engine; which of KServe's own is preferred for a format, the format says. KServe would
pick MLServer for v2; its own servers speak v2 too and are maintained, so they come first for both protocols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..engines.base import Check, Runtime, Setup
from ..entities import Artifact
from ..formats import known
from .differences import cannot_answer, differences_of, is_own
from .methods import USUAL
from .types import RuntimeChoice


@dataclass(frozen=True)
class Asked:
    """What a runtime is to do for a model."""

    protocol: str = ""
    """Empty leaves the question open."""
    method: str = USUAL
    verify: str = ""


def misfit(runtime: Runtime, model_format: str, asked: Asked) -> str:
    """Why this runtime cannot serve a model of this format as asked; empty when it can.

    An empty list of protocols means any, as in KServe.
    """
    protocol = asked.protocol
    if model_format not in runtime.formats:
        own = [title_of(name) for name in runtime.formats]
        return f"is for {_listed(own)} models" if own else "serves no model format"
    if protocol and runtime.protocols and protocol not in runtime.protocols:
        return f"does not speak {protocol}, only {_listed(runtime.protocols)}"
    return cannot_answer(runtime, model_format, asked.method, asked.verify)


def title_of(model_format: str) -> str:
    """What people call the models of a format, as in "a scikit-learn model"."""
    format_ = known(model_format)
    return format_.title if format_ and not format_.is_code else model_format


def usual_protocol(offered: Sequence[RuntimeChoice], fitting: Sequence[Runtime], protocol: str) -> str:
    """The protocol to speak where none was asked for: ``protocol`` where the runtime that would be chosen takes it, or
    the first of its own.

    Args:
        offered: the verdicts on all runtimes; where none is chosen, the first that fits counts.
        fitting: those that serve the format, in order, of which the first counts where something speaks against all.
    """
    fits = sorted((one for one in offered if one.fits), key=lambda one: not one.chosen)
    spoken = [*(one.protocols for one in fits), *(one.protocols for one in fitting), ()][0]
    return protocol if not spoken or protocol in spoken else spoken[0]


def in_order(runtimes: Sequence[Runtime], model: Artifact, method: str = USUAL) -> list[Runtime]:
    """The runtimes, the one that should serve the model first: one that answers as the model did before one that would
    not, and of two alike the one with the model's own Python."""
    preferred = format_.runtimes if (format_ := known(model.format)) else ()

    def rank(runtime: Runtime) -> tuple[int, bool, int, int, int]:
        fits = 0 if model.format in runtime.formats else 1
        # One server under several interpreters: NAME--KERNEL.
        name = runtime.name.partition("--")[0]
        place = preferred.index(name) if name in preferred else len(preferred)
        return (
            fits,
            fits == 0 and bool(differences_of(model, runtime, method)),
            runtime.preference,
            place,
            0 if runtime.python and runtime.python == model.environment.python else 1,
        )

    return sorted(runtimes, key=rank)


def choices(
    runtimes: Sequence[Runtime],
    model: Artifact,
    asked: Asked,
    verdicts: Mapping[str, Sequence[Check]],
    wanted: str = "",
    lacking: Mapping[str, Setup] | None = None,
    *,
    any_protocol: bool = False,
) -> list[RuntimeChoice]:
    """Every runtime with the verdict on this model; one that fits is marked as chosen, where there is one.

    Args:
        verdicts: what the engine's own checks said, by runtime name.
        wanted: the runtime that was asked for; the best fitting when empty.
        lacking: what has to be installed first, by runtime name.
        any_protocol: whether nobody has said a protocol: to name a runtime is to ask for one that it speaks.
    """
    made = []
    may = replace(asked, protocol="") if any_protocol else asked
    chosen = ""
    # Another program is chosen by itself where there is nothing else.
    has_own = any(model.format in r.formats and not r.foreign for r in runtimes)
    for runtime in in_order(runtimes, model, asked.method):
        reason = misfit(runtime, model.format, may)
        if not reason:
            reason = next((c.message for c in verdicts.get(runtime.name, ()) if c.level == "error"), "")
        fits = not reason
        is_next = wanted == runtime.name or not (wanted or (runtime.foreign and has_own))
        if fits and not chosen and is_next and not misfit(runtime, model.format, asked):
            chosen = runtime.name
        made.append(
            RuntimeChoice(
                name=runtime.name,
                display_name=runtime.display_name,
                protocols=runtime.protocols,
                fits=fits,
                reason=reason or _praise(runtime, model, asked.method),
                chosen=fits and runtime.name == chosen,
                python=runtime.python,
                image=runtime.image,
                assumed=runtime.assumed,
                differs=runtime.differs,
                upkeep=runtime.upkeep,
                setup=(lacking or {}).get(runtime.name) if fits else None,
            )
        )
    return made


def about_differences(
    chosen: Runtime, runtimes: Sequence[Runtime], model: Artifact, asked: Asked, *, named: bool, kept: bool = False
) -> list[Check]:
    """What the chosen runtime would answer otherwise than the model, or why it was preferred to others.

    Args:
        named: whether it was asked for by its name.
        kept: whether it is that of the service before.
    """
    if found := differences_of(model, chosen, asked.method):
        message = f"{chosen.name} would not answer as the model did. {' '.join(found)}"
        own = next((r for r in runtimes if is_own(r) and not misfit(r, model.format, asked)), None)
        hint = f'runtime="{own.name}" answers as the model did.' if own and (named or kept) else ""
        return [Check("warning", "StockDiffers", message, hint, "runtime")]
    if named or not is_own(chosen):
        return []
    usual = min((r for r in runtimes if not misfit(r, model.format, Asked(asked.protocol))), key=lambda r: r.preference)
    if is_own(usual):
        return []
    why = misfit(usual, model.format, asked)
    if why:
        why = f"{why}."
    elif differences := differences_of(model, usual, asked.method):
        why = f"would not answer as the model did. {' '.join(differences)}"
    return [Check("ok", "OwnServer", f"{chosen.name} serves it: {usual.name} {why}", "", "runtime")] if why else []


def about_model(runtime: Runtime, model: Artifact) -> list[Check]:
    """What speaks against a model where the runtime takes others of its format."""
    format_ = known(model.format)
    why = format_.refused_by(model, runtime.name) if format_ else ""
    return [Check("error", "ModelNotServed", why, "Choose another runtime.", "runtime")] if why else []


def about_runtime(chosen: Runtime, setup: Setup | None = None) -> list[Check]:
    """What there is to know of the chosen runtime, whatever the model.

    Args:
        setup: what has to be installed first.
    """
    found = []
    if setup and setup.state == "failed":
        found.append(Check("warning", "SetupFailed", setup.message, setup.hint, "runtime"))
    if setup:
        where = f"beside {setup.python}" if setup.python else "in an environment of its own"
        again = ", as what is there is of another release" if setup.state == "outdated" else ""
        message = f"{setup.title} is installed first, once: about {setup.megabytes} MB {where}{again}."
        found.append(Check("info", "EnvironmentMissing", message))
    if chosen.upkeep:
        found.append(Check("warning", "Upkeep", chosen.upkeep, "", "runtime"))
    if chosen.differs:
        found.append(Check("info", "LocalDiffers", chosen.differs))
    return found


def _praise(runtime: Runtime, model: Artifact, method: str) -> str:
    if found := differences_of(model, runtime, method):
        return f"would not answer as the model did: {found[0]}"
    if runtime.python and runtime.python == model.environment.python:
        version = f" {model.environment.python_version}" if model.environment.python_version else ""
        return f"the Python{version} that the model was made with"
    return runtime.python


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
