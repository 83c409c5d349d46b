"""What it means for a plan that a service is there already: its name, what it serves, who made it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..engines.base import Check, Manifest, ServiceState
from ..engines.kserve import MODE, STANDARD, canaries_of, share_asked
from ..ml import JSON
from ..records import Artifact
from .names import check_name, service_name
from .status import describe
from .types import ServeRequest

_MOST_NAMES = 100


def default_name(model: Artifact | None, services: Sequence[ServiceState]) -> str:
    """A name made from the model's: that of the service that serves this model already, else the first free one."""
    taken = {s.ref.name: s for s in services}
    for number in range(1, _MOST_NAMES):
        name = service_name(model.name if model else "model", number)
        if name not in taken or (model is not None and _serves(taken[name], model)):
            return name
    return service_name(model.name if model else "model")


def about_name(request: ServeRequest, name: str, current: ServiceState | None, model: Artifact | None) -> list[Check]:
    """Whether the service of that name may be made, or changed."""
    illegal = check_name(name)
    if illegal:
        return [illegal]
    if current is None:
        return [Check("ok", "NameFree", f"The name {name!r} is free.", "", "name")]
    if not current.ours and request.update and _has_own_container(current.manifest) and model:
        message = f"The service {name!r} runs a container of its own, which only who has set it can take out."
        return [Check("error", "OtherPredictor", message, "Change it where it was made, or delete it first.", "name")]
    if not current.ours and request.update:
        message = f"The service {name!r} was not made here. What others have set on it stays, but for what it serves."
        return [Check("warning", "NotMadeHere", message, "", "name")]
    if request.update:
        return []
    if not current.ours:
        message = f"The name {name!r} is taken by a service that was not made here."
        hint = f"Choose another name, or update that service: Endpoint({name!r}).update(…)."
        return [Check("error", "NotMadeHere", message, hint, "name")]
    if not _serves(current, model):
        served = describe(current).model
        what = f"the model {served.name!r}" if served else "another model"
        hint = f"Choose another name, or delete the service {name!r} first."
        return [Check("error", "NameTaken", f"The name {name!r} is taken: that service serves {what}.", hint, "name")]
    message = f"The service {name!r} serves this model already; it will be rolled over without a gap."
    return [Check("ok", "Update", message, "", "name")]


def about_share(manifest: Manifest, current: ServiceState | None) -> list[Check]:
    """What a share of the requests will mean, where the engine takes it."""
    percent = share_asked(manifest)
    if current and current.mode == STANDARD and canaries_of(current.manifest) not in ([], canaries_of(manifest)):
        message = f"The version that gets {share_asked(current.manifest)} % of the requests goes."
        return [Check("warning", "ShareLost", message, "To keep it, promote it first.", "canary")]
    if percent == 100:
        if (
            current is None
            or share_asked(current.manifest) == 100
            or not any(s.percent for s in current.shares if not s.newest)
        ):
            return []
        # KServe gives everything to the newest that is ready, which is the one that had only a share.
        message = (
            f"The version that gets {share_asked(current.manifest)} % of the requests now gets all until this one is "
            "ready."
        )
        return [Check("warning", "ShareLost", message, "Give this one a share too, and promote it then.", "canary")]
    if current is None:
        message = f"Of a first version the share ({percent} %) has no effect: it gets all requests."
        return [Check("warning", "FirstVersion", message, "", "canary")]
    message = f"The new version gets {percent} % of the requests until it is promoted."
    return [Check("ok", "Canary", message, "", "canary")]


def mode_of(manifest: Manifest) -> str:
    """The deployment mode that somebody has asked for."""
    return str(_mapping(_mapping(manifest.get("metadata")).get("annotations")).get(MODE) or "")


def _has_own_container(manifest: Manifest) -> bool:
    return "containers" in _mapping(_mapping(manifest.get("spec")).get("predictor"))


def _serves(state: ServiceState, model: Artifact | None) -> bool:
    served = describe(state).model
    return state.ours and (served.name if served else "") == (model.name if model else "")


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}
