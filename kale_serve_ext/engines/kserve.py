"""KServe's words in an InferenceService, for those who write it and for those who run or read it."""

from __future__ import annotations

from collections.abc import Mapping

from ..ml import JSON
from .base import Manifest

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


def is_stopped(manifest: Manifest) -> bool:
    """Whether the manifest asks for a service without processes, a paused one."""
    notes = _mapping(_mapping(manifest.get("metadata")).get("annotations"))
    return str(notes.get(STOP, "")).lower() == "true"


def canaries_of(manifest: Manifest) -> list[Mapping[str, JSON]]:
    """The predictors that run beside the service's own, the newest last; none but in Standard mode."""
    listed = _mapping(manifest.get("spec")).get(CANARIES)
    return [c for c in listed if isinstance(c, Mapping)] if isinstance(listed, list) else []


def share_asked(manifest: Manifest) -> int:
    """Percent of the requests that the newest version is to get."""
    beside = canaries_of(manifest)
    predictor = _mapping(_mapping(manifest.get("spec")).get("predictor"))
    percent = beside[-1].get("trafficPercent") if beside else predictor.get(CANARY)
    return percent if isinstance(percent, int) else 100


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}
