"""The InferenceService that is asked for, as KServe's v1beta1 manifest. Pure: everything that it says is passed in.

``modelFormat``, ``runtime`` and ``protocolVersion`` are always written: leaving them to KServe is the commonest reason
for a first deployment to fail. KServe converts no protocol between transformer and predictor and tells the transformer
nothing about it, so ``--predictor_protocol v2`` is added here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..engines.base import Component, Manifest, Staged
from ..engines.kserve import CANARIES, CANARY, MANAGED_BY, MANAGER, MODE, SERVING, STOP, canaries_of
from ..ml import JSON
from ..records import Artifact
from .config import Config, for_component, merge_env

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
PREFIX = "kale-serve-ext/"

_NODES = "nodeSelector"
_NODE = "kubernetes.io/hostname"
_CONTAINER = "kserve-container"
_IN_CONTAINER = (
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "ports",
    "volumeMounts",
    "securityContext",
    "workingDir",
)
_IN_MODEL = ("runtimeVersion", "model")
_OURS = ("env", "envFrom", "requests", "limits", "resources", "container", "containers", "runtime", "protocolVersion")
_BESIDE = "canary"
"""Name of the predictor that is made beside the service's own."""
_OF_PREDICTOR = (f"{PREFIX}model-", f"{PREFIX}predictor-", f"{SERVING}storage")
"""Begins of the names of labels and annotations that are about the predictor's model."""
_PINNED = f"{PREFIX}predictor-node"
_SCALING = ("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType", "autoScaling")
"""What KServe does not let a predictor have that runs beside another."""
_OUR_ENV = ("STORAGE_URI", "PROTOCOL", "KALE_SERVE_MODULE", "KALE_SERVE_CLASS")


@dataclass(frozen=True)
class Part:
    """An artifact in its place in a service: where the engine finds its files, and which Python runs it (locally)."""

    artifact: Artifact
    staged: Staged
    python: str = ""


@dataclass(frozen=True)
class Wanted:
    """Everything that a manifest is made from. ``model`` is None where the config brings its own predictor container.

    ``image_tag`` is the version of this package, which names the images of the code that it brings along.
    """

    name: str
    namespace: str
    protocol: str
    model: Part | None = None
    transformer: Part | None = None
    runtime: str = ""
    config: Config | None = None
    image_tag: str = "latest"
    paused: bool = False
    mode: str = ""
    """The deployment mode, unless the config says another; the cluster's own when empty."""
    onto: Manifest | None = None
    """What the service is now, where it is to be changed: what is not asked for stays."""
    replicas: int | None = None
    canary: int | None = None
    """Percent of the requests that the new version gets."""
    beside: Manifest | None = None
    """What the service is now, where its predictor is to stay and the new one to run beside it, in Standard mode."""


def build(wanted: Wanted) -> Manifest:
    """The manifest."""
    made = _built(wanted)
    if wanted.onto:
        made = overlay(wanted.onto, made)
    if wanted.beside and wanted.canary is not None:
        return beside(changed(wanted.beside, wanted.replicas), made, wanted.canary)
    return changed(made, wanted.replicas, wanted.canary)


def _built(wanted: Wanted) -> Manifest:
    config, notes = _split(wanted.config or {})
    spec: dict[str, JSON] = {"predictor": _predictor(wanted, for_component(config, "predictor"))}
    own = for_component(config, "transformer")
    if wanted.transformer or _container_of(own):
        spec["transformer"] = _transformer(wanted, own)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": wanted.name,
            "namespace": wanted.namespace,
            "labels": _labels(wanted),
            "annotations": {**_annotations(wanted), **notes},
        },
        "spec": spec,
    }


def _split(config: Config) -> tuple[Config, dict[str, JSON]]:
    """The config without KServe's own annotations, and these: it reads them of the service, not of a component."""
    given = _mapping(config.get("annotations"))
    notes = {k: v for k, v in given.items() if k.startswith(SERVING)}
    return {**config, "annotations": {k: v for k, v in given.items() if k not in notes}} if notes else config, notes


def has_container(config: Config, component: Component) -> bool:
    """Whether the config brings a container of its own with an image for this component."""
    own = config.get(component)
    return isinstance(own, Mapping) and bool(_container_of(own).get("image") or own.get("image"))


def overlay(current: Manifest, built: Manifest) -> Manifest:
    """``current`` serving what ``built`` serves: everything else that was set on the service stays.

    Args:
        built: made with an empty config.
    """
    metadata = _mapping(current.get("metadata"))
    notes: dict[str, JSON] = {**metadata, **_mapping(built.get("metadata"))}
    for kind in ("labels", "annotations"):
        kept = {k: v for k, v in _mapping(metadata.get(kind)).items() if not k.startswith(PREFIX)}
        made = _mapping(_mapping(built.get("metadata")).get(kind))
        # Whose the service is does not change with what it serves.
        notes[kind] = {**kept, **{k: v for k, v in made.items() if k != MANAGED_BY}}
    # What ran beside the predictor goes with it.
    spec: dict[str, JSON] = {k: v for k, v in _mapping(current.get("spec")).items() if k != CANARIES}
    for component, wanted in _mapping(built.get("spec")).items():
        pinned = f"{PREFIX}{component}-node" in _mapping(metadata.get("annotations"))
        spec[component] = _overlaid(_mapping(spec.get(component)), _mapping(wanted), pinned=pinned)
    return {**{k: v for k, v in current.items() if k != "status"}, "metadata": notes, "spec": spec}


def changed(manifest: Manifest, replicas: int | None = None, canary: int | None = None) -> Manifest:
    """The manifest with at least so many predictors, whose newest version gets so many percent of the requests.

    A lower ceiling of the replicas is raised to them.
    """
    spec = _mapping(manifest.get("spec"))
    predictor: dict[str, JSON] = dict(_mapping(spec.get("predictor")))
    if replicas is not None:
        most = predictor.get("maxReplicas")
        if isinstance(most, int) and most < replicas:
            predictor["maxReplicas"] = replicas
        predictor["minReplicas"] = replicas
    if canary is not None:
        predictor[CANARY] = canary
    return _with_spec(manifest, {"predictor": predictor})


def beside(current: Manifest, built: Manifest, percent: int) -> Manifest:
    """``current`` with the predictor of ``built`` beside its own, which KServe may give a share of the requests.

    Args:
        percent: of the requests; with 0 it only runs, to be asked under a name of its own.
    """
    predictor = _mapping(_mapping(built.get("spec")).get("predictor"))
    own = _mapping(_mapping(current.get("spec")).get("predictor"))
    entry: dict[str, JSON] = {k: v for k, v in predictor.items() if k not in (*_SCALING, CANARY)}
    for kind in ("labels", "annotations"):
        made = _mapping(_mapping(built.get("metadata")).get(kind))
        # What the service says of its model, each of the two predictors then says for itself.
        said = {k: v for k, v in made.items() if k.startswith(_OF_PREDICTOR)}
        if notes := {**_mapping(entry.get(kind)), **said}:
            entry[kind] = notes
    entry["name"] = _BESIDE if own.get("name") != _BESIDE else f"{_BESIDE}-2"
    # Which transformers can go along, the engine says.
    transformer = {k: v for k, v in _mapping(built.get("spec")).items() if k == "transformer"}
    return _with_spec(current, {**transformer, CANARIES: [{"predictor": entry, "trafficPercent": percent}]})


def reshared(manifest: Manifest, percent: int) -> Manifest:
    """The manifest of a service with a predictor beside its own, which gets so many percent of the requests.

    Of several it is the last, and the others stay; with 0 % it goes. With 100 % it becomes the service's own, and the
    others go: what it did not say, the own one says, as when KServe ran it. KServe's own way, to give its name to the
    own one, spares the restart, and takes the service's address away.
    """
    *others, newest = canaries_of(manifest)
    if percent < 100:
        kept: list[JSON] = [*others, *([{**newest, "trafficPercent": percent}] if percent else [])]
        return _with_spec(manifest, {CANARIES: kept or None})
    settled = _with_spec(manifest, {CANARIES: None})
    own = dict(_mapping(_mapping(settled.get("spec")).get("predictor")))
    predictor = {k: v for k, v in _mapping(newest.get("predictor")).items() if k not in ("name", *_SCALING)}
    metadata: dict[str, JSON] = dict(_mapping(settled.get("metadata")))
    # The node that had the files of the one before.
    nodes = _kept_nodes(own, pinned=_PINNED in _mapping(metadata.get("annotations")))
    own = {**{k: v for k, v in own.items() if k != _NODES}, **({_NODES: nodes} if nodes else {})}
    for kind in ("labels", "annotations"):
        notes = _mapping(predictor.pop(kind, None))
        said = {k: v for k, v in notes.items() if k.startswith(_OF_PREDICTOR)}
        of_others = {k: v for k, v in _mapping(metadata.get(kind)).items() if not k.startswith(_OF_PREDICTOR)}
        metadata[kind] = {**(of_others if said else _mapping(metadata.get(kind))), **said}
        if rest := {k: v for k, v in notes.items() if k not in said}:
            predictor[kind] = rest
    return {**_with_spec(settled, {"predictor": _merged(own, predictor)}), "metadata": metadata}


def artifact_ids(manifest: Manifest) -> list[int]:
    """Of the artifacts that a service serves, those beside its own predictor's too."""
    beside = [_mapping(_mapping(c.get("predictor")).get("labels")) for c in canaries_of(manifest)]
    labels = [_mapping(_mapping(manifest.get("metadata")).get("labels")), *beside]
    said = [str(one.get(f"{PREFIX}{role}-id") or "") for one in labels for role in ("model", "transformer")]
    return [int(number) for number in dict.fromkeys(said) if number.isdecimal()]


def _with_spec(manifest: Manifest, change: Mapping[str, JSON]) -> Manifest:
    """The manifest with other fields in its spec; without those that are None."""
    spec = {**_mapping(manifest.get("spec")), **change}
    kept = {k: v for k, v in manifest.items() if k != "status"}
    return {**kept, "spec": {k: v for k, v in spec.items() if v is not None}}


def _merged(below: Mapping[str, JSON], above: Mapping[str, JSON]) -> dict[str, JSON]:
    """``above`` over ``below``, field by field; a list counts as a whole."""
    merged: dict[str, JSON] = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _overlaid(current: Mapping[str, JSON], built: Mapping[str, JSON], *, pinned: bool) -> dict[str, JSON]:
    old_model = _mapping(current.get("model"))
    old = _container_of(current) or dict(old_model)
    rest = {k: v for k, v in current.items() if k not in ("model", "containers", _NODES)}
    if nodes := {**_kept_nodes(current, pinned=pinned), **_mapping(built.get(_NODES))}:
        rest[_NODES] = nodes
    if "model" in built:
        new = dict(_mapping(built["model"]))
        carried = old_model if old_model else _carried(old)
        return {**rest, "model": {**carried, **new}}
    new = _container_of(built)
    kept = old if not old_model else _carried(old)
    image = kept.get("image")
    merged: dict[str, JSON] = {**kept, **new}
    if isinstance(image, str) and not image.startswith(f"{MANAGER}/"):
        merged["image"] = image
    env = merge_env(_listed(kept.get("env")), _listed(new.get("env")))
    if env:
        merged["env"] = env
    given = _listed(kept.get("args"))
    if given:
        merged["args"] = given
    return {**rest, "containers": [merged, *_listed(current.get("containers"))[1:]]}


def _kept_nodes(predictor: Mapping[str, JSON], *, pinned: bool) -> dict[str, JSON]:
    """The node selector without the node that the files of its version kept it to, if they did."""
    return {k: v for k, v in _mapping(predictor.get(_NODES)).items() if not (pinned and k == _NODE)}


def _carried(old: Mapping[str, JSON]) -> dict[str, JSON]:
    """What of a container holds for another kind of server too: the user's own variables and the resources."""
    carried: dict[str, JSON] = {k: old[k] for k in ("envFrom", "resources") if k in old}
    env = [v for v in _listed(old.get("env")) if _mapping(v).get("name") not in _OUR_ENV]
    return {**carried, "env": env} if env else carried


def _labels(wanted: Wanted) -> dict[str, JSON]:
    labels: dict[str, JSON] = {MANAGED_BY: MANAGER}
    for role, part in (("model", wanted.model), ("transformer", wanted.transformer)):
        if part:
            labels[f"{PREFIX}{role}-id"] = str(part.artifact.id)
    return labels


def _annotations(wanted: Wanted) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for role, component, part in (
        ("model", "predictor", wanted.model),
        ("transformer", "transformer", wanted.transformer),
    ):
        if not part:
            continue
        found[f"{PREFIX}{role}-name"] = part.artifact.name
        found[f"{PREFIX}{role}-version"] = part.artifact.version
        if part.artifact.digest:
            found[f"{PREFIX}{role}-digest"] = part.artifact.digest
        if part.python:
            found[f"{PREFIX}{component}-python"] = part.python
        if part.staged.node:
            found[f"{PREFIX}{component}-node"] = part.staged.node
        found.update(part.staged.annotations)
    if wanted.paused:
        found[STOP] = "true"
    if wanted.mode:
        found[MODE] = wanted.mode
    return found


def _predictor(wanted: Wanted, own: Config) -> dict[str, JSON]:
    spec = _component(own, wanted.model)
    container = _container(own)
    part = wanted.model
    if part is None:
        spec["containers"] = [{**container, "name": _CONTAINER, "args": _args(container, wanted.name)}, *_others(own)]
        return spec
    if part.artifact.format == "custom":
        details = part.artifact.details
        env = _env(
            STORAGE_URI=part.staged.storage_uri,
            PROTOCOL=wanted.protocol,
            KALE_SERVE_MODULE=details.get("module_name"),
            KALE_SERVE_CLASS=details.get("class_name"),
        )
        spec["containers"] = [
            {
                "image": part.staged.image or f"kale-serve-ext/predictor:{wanted.image_tag}",
                **container,
                "name": _CONTAINER,
                "args": _args(container, wanted.name),
                "env": merge_env(_listed(container.get("env")), env),
            },
            *_others(own),
        ]
        return spec
    model: dict[str, JSON] = {
        "modelFormat": {"name": part.artifact.format},
        "runtime": wanted.runtime,
        "protocolVersion": wanted.protocol,
        "storageUri": part.staged.storage_uri,
    }
    given = own.get("model")
    extra = {**(dict(given) if isinstance(given, Mapping) else {}), **container}
    if "runtimeVersion" in own:
        extra["runtimeVersion"] = own["runtimeVersion"]
    # The image's container is unnamed here: KServe forbids a name in `model`.
    spec["model"] = {**{k: v for k, v in extra.items() if k != "name"}, **model}
    return spec


def _transformer(wanted: Wanted, own: Config) -> dict[str, JSON]:
    spec = _component(own, wanted.transformer)
    container = _container(own)
    args = _args(container, wanted.name)
    if wanted.protocol == "v2":
        args += ["--predictor_protocol", "v2"]
    made: dict[str, JSON] = {**container, "name": _CONTAINER, "args": args}
    if wanted.transformer:
        details = wanted.transformer.artifact.details
        env = _env(
            STORAGE_URI=wanted.transformer.staged.storage_uri,
            KALE_SERVE_MODULE=details.get("module_name"),
            KALE_SERVE_CLASS=details.get("class_name"),
        )
        made["env"] = merge_env(_listed(container.get("env")), env)
        usual = f"kale-serve-ext/transformer:{wanted.image_tag}"
        made.setdefault("image", wanted.transformer.staged.image or usual)
    spec["containers"] = [made, *_others(own)]
    return spec


def _component(own: Config, part: Part | None) -> dict[str, JSON]:
    """The fields that belong to the component itself (replicas, scheduling, account), in KServe's words."""
    spec = {k: v for k, v in own.items() if k not in _OURS + _IN_CONTAINER + _IN_MODEL}
    if part and part.staged.node:
        spec[_NODES] = {_NODE: part.staged.node, **_mapping(own.get(_NODES))}
    return spec


def _container(own: Config) -> dict[str, JSON]:
    """The container's fields: of ``container``, of those given flat beside it, and of requests and limits."""
    given = _container_of(own)
    container: dict[str, JSON] = {**{k: own[k] for k in _IN_CONTAINER if k in own}, **given}
    for field in ("env", "envFrom"):
        merged = merge_env(_listed(own.get(field)), _listed(given.get(field)))
        if merged:
            container[field] = merged
    resources: dict[str, JSON] = {}
    for field in ("requests", "limits"):
        merged_amounts: dict[str, JSON] = {}
        for source in (own.get(field), _inside(own.get("resources"), field), _inside(given.get("resources"), field)):
            if isinstance(source, Mapping):
                merged_amounts |= source
        if merged_amounts:
            resources[field] = merged_amounts
    if resources:
        container["resources"] = resources
    return container


def _container_of(own: Mapping[str, JSON]) -> dict[str, JSON]:
    single = own.get("container")
    if isinstance(single, Mapping):
        return dict(single)
    several = own.get("containers")
    if isinstance(several, list) and several and isinstance(several[0], Mapping):
        return dict(several[0])
    return {}


def _others(own: Config) -> list[JSON]:
    """Containers that run beside the server."""
    return [] if "container" in own else _listed(own.get("containers"))[1:]


def _args(container: Mapping[str, JSON], name: str) -> list[JSON]:
    given = _listed(container.get("args"))
    named = any(str(word).partition("=")[0] == "--model_name" for word in given)
    return given if named else ["--model_name", name, *given]


def _env(**values: JSON) -> list[JSON]:
    return [{"name": name, "value": str(value)} for name, value in values.items() if value]


def _listed(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _inside(value: JSON, key: str) -> JSON:
    return value.get(key) if isinstance(value, Mapping) else None
