"""What it means for a plan that a service is there already: its name, what it serves, who made it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..engines.base import Check, Manifest, ServiceState
from ..engines.fields import mapping
from ..engines.kserve import MODE, STANDARD, STOP, canaries_of, share_asked
from ..entities import Artifact
from ..errors import InvalidInputError
from .config import Config
from .containers import PREFIX, has_container
from .names import check_name, service_name
from .overlay import with_containers
from .status import describe, served_artifact
from .types import REMOVABLE, ServeRequest

_MOST_NAMES = 100


def check_removal(request: ServeRequest) -> None:
    """Whether what is to be taken away can be, and is not asked for at once.

    Raises:
        InvalidInputError: it cannot.
    """
    for part in request.remove:
        if part not in REMOVABLE:
            hint = f"What can be removed: {', '.join(REMOVABLE)}."
            raise InvalidInputError(f"There is no part {part[:100]!r} to remove.", hint=hint, field="remove")
    if "transformer" in request.remove and request.transformer_id is not None:
        raise InvalidInputError(
            "Both a transformer and its removal were requested.",
            hint="A new transformer replaces the previous one by itself.",
            field="transformer",
        )


def service_before(
    request: ServeRequest, config: Config, current: ServiceState | None, model: Artifact | None
) -> Manifest | None:
    """What the service of that name is, where the request is laid over it; None where one is made from nothing."""
    if current is None:
        return None
    is_left_out = model is None and current.ours and bool(request.name) and not has_container(config, "predictor")
    return current.manifest if request.update or is_left_out or _serves(current, model) else None


def served_ids(request: ServeRequest, config: Config, before: Manifest) -> tuple[int | None, int | None]:
    """The artifacts that go on being served since the request leaves them out: model and transformer."""
    model, transformer = served_artifact("model", before), served_artifact("transformer", before)
    model_id = model.id if model and request.model_id is None and not has_container(config, "predictor") else 0
    stays = request.transformer_id is None and "transformer" not in request.remove
    return model_id or None, (transformer.id if transformer and stays else 0) or None


def is_recorded_as(artifact: Artifact, role: Literal["model", "transformer"], before: Manifest) -> bool:
    """Whether an artifact is the one that a service serves, and not one of other metadata with the same id."""
    annotations = mapping(mapping(before.get("metadata")).get("annotations"))
    name, digest = (annotations.get(f"{PREFIX}{role}-{word}", "") for word in ("name", "digest"))
    return not name or (name, digest) == (artifact.name, artifact.digest)


def not_in_metadata(name: str, role: Literal["model", "transformer"], before: Manifest) -> InvalidInputError:
    """What is said where the artifact that a service serves cannot be found, and would have to be."""
    served = served_artifact(role, before)
    what = f"{role} {served.name!r} (artifact {served.id})" if served else role
    return InvalidInputError(
        f"The service {name!r} was made with another metadata store, which has its {what}; this one does not.",
        hint=f"Name the {role} to serve, by its id here.",
        field=f"{role}_id",
    )


def with_container_of(config: Config, before: Manifest, component: Literal["predictor", "transformer"]) -> Config:
    """The config of a component that serves no artifact, laid over the containers that it has."""
    running = mapping(mapping(before.get("spec")).get(component))
    if has_container(config, component) or not isinstance(running.get("containers"), list):
        return config
    return with_containers(config, component, running)


def laid_onto(request: ServeRequest, before: Manifest | None) -> Manifest | None:
    """What of the service the new description is laid over: without what is to go. To serve it is to resume it."""
    if before is None or "config" in request.remove:
        return None
    spec = {k: v for k, v in mapping(before.get("spec")).items() if k not in request.remove}
    metadata = mapping(before.get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    if not request.update and STOP in annotations:
        metadata = {**metadata, "annotations": {k: v for k, v in annotations.items() if k != STOP}}
    return {**before, "metadata": metadata, "spec": spec}


def about_removal(request: ServeRequest, current: ServiceState | None) -> list[Check]:
    """Whether what is to be taken away is ours to take."""
    if current is None or current.ours or not request.remove:
        return []
    message = f"Nothing can be removed from {current.ref.name!r}, which was not made here."
    return [Check("error", "NotMadeHere", message, "Remove it where it was set.", "name")]


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
        return [Check("warning", "ShareLost", message, "Give this version a share too, then promote it.", "canary")]
    if current is None:
        message = f"Of a first version the share ({percent} %) has no effect: it gets all requests."
        return [Check("warning", "FirstVersion", message, "", "canary")]
    if percent == 0:
        # As a rollback leaves it: without one the version taken back would get all until this one is ready.
        hint = f"Give it a share, such as canary=20, or promote it: Endpoint({current.ref.name!r}).promote()."
        return [Check("warning", "Canary", "The new version gets no requests until it is promoted.", hint, "canary")]
    message = f"The new version gets {percent} % of the requests until it is promoted."
    return [Check("ok", "Canary", message, "", "canary")]


def mode_of(manifest: Manifest) -> str:
    """The deployment mode that somebody has asked for."""
    return str(mapping(mapping(manifest.get("metadata")).get("annotations")).get(MODE) or "")


def _has_own_container(manifest: Manifest) -> bool:
    return "containers" in mapping(mapping(manifest.get("spec")).get("predictor"))


def _serves(state: ServiceState, model: Artifact | None) -> bool:
    served = describe(state).model
    return state.ours and (served.name if served else "") == (model.name if model else "")
