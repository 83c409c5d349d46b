"""KServe's words in an InferenceService, for those who write it and for those who run or read it."""

from __future__ import annotations

from collections.abc import Mapping

from ..ml import JSON
from .fields import mapping

SERVING = "serving.kserve.io/"
"""What the names of KServe's own labels and annotations begin with."""
OF_SERVICE = f"{SERVING}inferenceservice"
"""The label that names the service on everything that KServe makes for it."""
STOP = f"{SERVING}stop"
MODE = f"{SERVING}deploymentMode"
CANARY = "canaryTrafficPercent"
"""The predictor's field for the share of the requests that its newest version gets, in Knative mode."""
CANARIES = "canary"
"""The service's list of predictors that run beside its own in Standard mode, each with a ``trafficPercent``."""
STANDARD, KNATIVE = "Standard", "Knative"
"""The deployment modes."""
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "kale-serve-ext"
"""Who manages what is made here: by that label, and as the field manager under which it is applied."""
OWN_RUNTIME = "kale-serve-ext"
"""This package's own model server among a cluster's runtimes: it runs as a container, without a ServingRuntime."""
OLD_KEPT = "OldRevisionKept"
"""Reason of a component that answers by an earlier revision's processes too, long after its newest took over."""
MODEL_KIND = "KALE_SERVE_KIND"
"""The variable of that container that names the format of its model; without it the model is people's own code."""


def is_stopped(manifest: Mapping[str, JSON]) -> bool:
    """Whether the manifest asks for a service without processes, a paused one."""
    annotations = mapping(mapping(manifest.get("metadata")).get("annotations"))
    return str(annotations.get(STOP, "")).lower() == "true"


def model_protocol(model: Mapping[str, JSON]) -> str:
    """``v1`` or ``v2`` for a ``spec.predictor.model``, inferred as the KServe controller does where it does not say:
    MLServer and Triton then mean v2."""
    said = str(model.get("protocolVersion") or "")
    if not said and any(word in str(model.get("runtime") or "") for word in ("mlserver", "triton")):
        said = "v2"
    return said.removeprefix("grpc-") or "v1"


def canaries_of(manifest: Mapping[str, JSON]) -> list[Mapping[str, JSON]]:
    """The predictors that run beside the service's own, the newest last; none but in Standard mode."""
    listed = mapping(manifest.get("spec")).get(CANARIES)
    return [c for c in listed if isinstance(c, Mapping)] if isinstance(listed, list) else []


def share_asked(manifest: Mapping[str, JSON]) -> int:
    """Percent of the requests that the newest version is to get."""
    beside = canaries_of(manifest)
    predictor = mapping(mapping(manifest.get("spec")).get("predictor"))
    percent = beside[-1].get("trafficPercent") if beside else predictor.get(CANARY)
    return percent if isinstance(percent, int) else 100
