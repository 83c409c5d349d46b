"""A service with two versions of its predictor, and other changes of a manifest that need no artifact. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..engines.base import Manifest
from ..engines.fields import mapping
from ..engines.kserve import CANARIES, CANARY, SERVING, STOP, canaries_of, is_stopped
from ..ml import JSON
from .containers import NODES, PREFIX
from .overlay import kept_nodes, merge

_BESIDE = "canary"
"""Name of the predictor that is made beside the service's own."""
_OF_PREDICTOR = (f"{PREFIX}model-", f"{PREFIX}predictor-", f"{SERVING}storage")
"""Begins of the names of labels and annotations that are about the predictor's model."""
_PINNED = f"{PREFIX}predictor-node"
_SCALING = ("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType", "autoScaling")
"""What KServe does not let a predictor have that runs beside another."""


def changed(manifest: Manifest, replicas: int | None = None, canary: int | None = None) -> Manifest:
    """The manifest with at least so many predictors, whose newest version gets so many percent of the requests.

    A lower ceiling of the replicas is raised to them.
    """
    spec = mapping(manifest.get("spec"))
    predictor: dict[str, JSON] = dict(mapping(spec.get("predictor")))
    if replicas is not None:
        most = predictor.get("maxReplicas")
        if isinstance(most, int) and most < replicas:
            predictor["maxReplicas"] = replicas
        predictor["minReplicas"] = replicas
    if canary is not None:
        predictor[CANARY] = canary
    return _with_spec(manifest, {"predictor": predictor})


def with_canary(current: Manifest, built: Manifest, percent: int) -> Manifest:
    """``current`` with the predictor of ``built`` beside its own, which KServe may give a share of the requests.

    Args:
        percent: of the requests; with 0 it only runs, to be asked under a name of its own.
    """
    predictor = mapping(mapping(built.get("spec")).get("predictor"))
    own = mapping(mapping(current.get("spec")).get("predictor"))
    entry: dict[str, JSON] = {k: v for k, v in predictor.items() if k not in (*_SCALING, CANARY)}
    for kind in ("labels", "annotations"):
        made = mapping(mapping(built.get("metadata")).get(kind))
        # What the service says of its model, each of the two predictors then says for itself.
        said = {k: v for k, v in made.items() if k.startswith(_OF_PREDICTOR)}
        if entries := {**mapping(entry.get(kind)), **said}:
            entry[kind] = entries
    entry["name"] = _BESIDE if own.get("name") != _BESIDE else f"{_BESIDE}-2"
    # Which transformers can go along, the engine says.
    transformer = {k: v for k, v in mapping(built.get("spec")).items() if k == "transformer"}
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
    own = dict(mapping(mapping(settled.get("spec")).get("predictor")))
    predictor = {k: v for k, v in mapping(newest.get("predictor")).items() if k not in ("name", *_SCALING)}
    metadata: dict[str, JSON] = dict(mapping(settled.get("metadata")))
    # The node that had the files of the one before.
    nodes = kept_nodes(own, pinned=_PINNED in mapping(metadata.get("annotations")))
    own = {**{k: v for k, v in own.items() if k != NODES}, **({NODES: nodes} if nodes else {})}
    for kind in ("labels", "annotations"):
        entries = mapping(predictor.pop(kind, None))
        said = {k: v for k, v in entries.items() if k.startswith(_OF_PREDICTOR)}
        of_others = {k: v for k, v in mapping(metadata.get(kind)).items() if not k.startswith(_OF_PREDICTOR)}
        metadata[kind] = {**(of_others if said else mapping(metadata.get(kind))), **said}
        if rest := {k: v for k, v in entries.items() if k not in said}:
            predictor[kind] = rest
    return {**_with_spec(settled, {"predictor": merge(own, predictor)}), "metadata": metadata}


def paused_as(current: Manifest, wanted: Manifest) -> Manifest:
    """``wanted``, paused where ``current`` is, and not where it is not."""
    metadata = mapping(wanted.get("metadata"))
    annotations = {k: v for k, v in mapping(metadata.get("annotations")).items() if k != STOP}
    annotations |= {STOP: "true"} if is_stopped(current) else {}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def artifact_ids(manifest: Manifest) -> list[int]:
    """Of the artifacts that a service serves, those beside its own predictor's too."""
    canaries = [mapping(mapping(c.get("predictor")).get("labels")) for c in canaries_of(manifest)]
    labels = [mapping(mapping(manifest.get("metadata")).get("labels")), *canaries]
    said = [str(one.get(f"{PREFIX}{role}-id") or "") for one in labels for role in ("model", "transformer")]
    return [int(number) for number in dict.fromkeys(said) if number.isdecimal()]


def _with_spec(manifest: Manifest, change: Mapping[str, JSON]) -> Manifest:
    """The manifest with other fields in its spec; without those that are None."""
    spec = {**mapping(manifest.get("spec")), **change}
    kept = {k: v for k, v in manifest.items() if k != "status"}
    return {**kept, "spec": {k: v for k, v in spec.items() if v is not None}}
