"""What stays of a service that is to serve something else: the settings of earlier calls and of others. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..engines.base import Manifest
from ..engines.fields import listed, mapping
from ..engines.kserve import CANARIES, MANAGED_BY, MANAGER, MODEL_KIND
from ..ml import JSON
from ..modelmeta import METHOD, PROBABILITIES, VERIFY
from .config import Config, for_component
from .containers import (
    NODE,
    NODES,
    PREDICTOR_PROTOCOL,
    PREFIX,
    container_of,
    container_wanted,
    sidecars,
    with_env,
)

PACKAGES = "KALE_SERVE_PACKAGES"
"""The versions that a model was made with, for the image that loads it: ``scikit-learn==1.9.1 python==3.11.7``."""
_OUR_ENV = ("KALE_SERVE_MODULE", "KALE_SERVE_CLASS", MODEL_KIND, PACKAGES, METHOD, VERIFY)
_OF_CONTAINER = ("STORAGE_URI", "PROTOCOL")
"""Further variables of a container of ours."""


def with_containers(
    config: Config, component: Literal["predictor", "transformer"], running: Mapping[str, JSON]
) -> Config:
    """The config laid over the containers of the component that runs: as if these were part of it."""
    own = for_component(config, component)
    given = container_wanted(own)
    kept = container_of(running)
    if PREDICTOR_PROTOCOL in (args := listed(kept.get("args"))):
        kept["args"] = _kept_args(args, [])
    made = _laid_over(kept, given, listed(kept.get("env")))
    # Those of the config are added to these once more.
    made["envFrom"] = [one for one in listed(kept.get("envFrom")) if one not in listed(given.get("envFrom"))]
    said = {k: v for k, v in mapping(config.get(component)).items() if k != "container"}
    others = sidecars(own) or listed(running.get("containers"))[1:]
    return {**config, component: {**said, "containers": [{k: v for k, v in made.items() if v != []}, *others]}}


def overlay(current: Manifest, built: Manifest, config: Config | None = None) -> Manifest:
    """``current`` serving what ``built`` serves: everything else that was set on the service stays.

    Args:
        built: made with this config.
        config: settings to lay over those of the service: variables by name, mappings key by key, anything else as a
            whole.
    """
    config = config or {}
    metadata = mapping(current.get("metadata"))
    described: dict[str, JSON] = {**metadata, **mapping(built.get("metadata"))}
    labels = [mapping(mapping(one.get("metadata")).get("labels")) for one in (current, built)]
    of_transformer = f"{PREFIX}transformer-"
    # That of other metadata stays without being known here.
    stays = "transformer" in mapping(current.get("spec")) and f"{of_transformer}id" not in labels[1]
    for kind in ("labels", "annotations"):
        before = mapping(metadata.get(kind))
        kept = {k: v for k, v in before.items() if not k.startswith(PREFIX) or (stays and k.startswith(of_transformer))}
        made = mapping(mapping(built.get("metadata")).get(kind))
        # Whose the service is does not change with what it serves.
        described[kind] = {**kept, **{k: v for k, v in made.items() if k != MANAGED_BY}}
    # What ran beside the predictor goes with it.
    spec: dict[str, JSON] = {k: v for k, v in mapping(current.get("spec")).items() if k != CANARIES}
    for component, wanted in mapping(built.get("spec")).items():
        pinned = f"{PREFIX}{component}-node" in mapping(metadata.get("annotations"))
        given = container_wanted(for_component(config, "transformer" if component == "transformer" else "predictor"))
        number = f"{PREFIX}{'transformer' if component == 'transformer' else 'model'}-id"
        # People's own container does not run an artifact, nor this package's server their image.
        other = (number in labels[0]) != (number in labels[1] or (stays and component == "transformer"))
        before = mapping(spec.get(component))
        chosen = mapping(metadata.get("annotations")).get(f"{PREFIX}{component}-image")
        spec[component] = _overlaid(before, mapping(wanted), given, pinned=pinned, other=other, chosen=chosen)
    return {**{k: v for k, v in current.items() if k != "status"}, "metadata": described, "spec": spec}


def of_container(component: Mapping[str, JSON]) -> dict[str, JSON]:
    """What was set on a component's container, but for what comes of its artifact and of the service's name."""
    container = container_of(component) or dict(mapping(component.get("model")))
    not_set = ("name", "modelFormat", "runtime", "protocolVersion", "storageUri")
    found = {k: v for k, v in container.items() if k not in not_set}
    if str(found.get("image", "")).startswith(f"{MANAGER}/"):
        del found["image"]
    if PREDICTOR_PROTOCOL in (args := listed(found.get("args"))):
        found["args"] = args = _kept_args(args, [])
    if len(args) == 2 and args[0] == "--model_name":
        del found["args"]
    return with_env(found, _env_kept(found, PROBABILITIES, *_OF_CONTAINER), [])


def merge(below: Mapping[str, JSON], above: Mapping[str, JSON]) -> dict[str, JSON]:
    """``above`` over ``below``, field by field; a list counts as a whole."""
    merged: dict[str, JSON] = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _overlaid(
    current: Mapping[str, JSON],
    built: Mapping[str, JSON],
    given: Mapping[str, JSON],
    *,
    pinned: bool,
    other: bool,
    chosen: JSON,
) -> dict[str, JSON]:
    """One component.

    Args:
        given: what the config says of its container.
        other: an artifact takes the place of people's own container, or the other way round.
        chosen: the image that the settings had chosen for it, which may choose another now.
    """
    old_model = mapping(current.get("model"))
    old = container_of(current) or dict(old_model)
    of_servers = ("model", "containers", NODES)
    rest = merge(
        {k: v for k, v in current.items() if k not in of_servers},
        {k: v for k, v in built.items() if k not in of_servers},
    )
    if nodes := {**kept_nodes(current, pinned=pinned), **mapping(built.get(NODES))}:
        rest[NODES] = nodes
    if "model" in built:
        new = dict(mapping(built["model"]))
        kept = old_model if old_model else _carried(old)
        return {**rest, "model": _laid_over(kept, new, _env_kept(kept, PROBABILITIES))}
    new = container_of(built)
    kept = _carried(old) if old_model or other else old
    # Of people's own code it is their own variable.
    is_format = any(mapping(v).get("name") == MODEL_KIND for v in listed(new.get("env")))
    merged = _laid_over(kept, new, _env_kept(kept, *([PROBABILITIES] if is_format else [])))
    image = kept.get("image")
    if isinstance(image, str) and not image.startswith(f"{MANAGER}/") and image != chosen and "image" not in given:
        merged["image"] = image
    if "args" in kept and not given.get("args"):
        merged["args"] = _kept_args(listed(kept["args"]), listed(new.get("args")))
    others = listed(built.get("containers"))[1:] or listed(current.get("containers"))[1:]
    return {**rest, "containers": [merged, *others]}


def _laid_over(kept: Mapping[str, JSON], new: Mapping[str, JSON], env: list[JSON]) -> dict[str, JSON]:
    """A container over the one before, of which the variables ``env`` stay."""
    made: dict[str, JSON] = {**kept, **new}
    if resources := merge(mapping(kept.get("resources")), mapping(new.get("resources"))):
        made["resources"] = resources
    if "envFrom" in kept and "envFrom" in new:
        before = listed(kept["envFrom"])
        made["envFrom"] = [*before, *(one for one in listed(new["envFrom"]) if one not in before)]
    return with_env(made, env, listed(new.get("env")))


def _kept_args(kept: list[JSON], new: list[JSON]) -> list[JSON]:
    """The arguments of before, with the protocol of now: of a transformer they say which one its predictor speaks."""
    protocol = new[new.index(PREDICTOR_PROTOCOL) :][:2] if PREDICTOR_PROTOCOL in new else []
    if PREDICTOR_PROTOCOL in kept:
        at = kept.index(PREDICTOR_PROTOCOL)
        return [*kept[:at], *protocol, *kept[at + 2 :]]
    return [*kept, *protocol]


def kept_nodes(predictor: Mapping[str, JSON], *, pinned: bool) -> dict[str, JSON]:
    """The node selector without the node that the files of its version kept it to, if they did."""
    return {k: v for k, v in mapping(predictor.get(NODES)).items() if not (pinned and k == NODE)}


def _carried(old: Mapping[str, JSON]) -> dict[str, JSON]:
    """What of a container holds for another kind of server too: the user's own variables and the resources."""
    carried: dict[str, JSON] = {k: old[k] for k in ("envFrom", "resources") if k in old}
    return with_env(carried, _env_kept(old, *_OF_CONTAINER), [])


def _env_kept(old: Mapping[str, JSON], *others: str) -> list[JSON]:
    """The variables of a container that are not about what it serves and how, and have none of these other names."""
    return [v for v in listed(old.get("env")) if mapping(v).get("name") not in (*_OUR_ENV, *others)]
