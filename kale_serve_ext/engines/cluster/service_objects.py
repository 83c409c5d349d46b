"""Everything that the API server has of one InferenceService."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..base import Manifest


@dataclass(frozen=True)
class Objects:
    """What the API server has of one InferenceService; dicts as it gives them."""

    service: Manifest
    """The InferenceService."""
    deployments: Sequence[Manifest] = ()
    """Those of this service."""
    replicasets: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    """The core/v1 events of the service, its deployments, replicasets and pods."""
    knative: Sequence[Manifest] = ()
    """The Knative Services that its components are in Knative mode."""
    revisions: Sequence[Manifest] = ()
    """And their revisions."""
    routes: Sequence[Manifest] | None = ()
    """The HTTPRoutes of the Gateway API that lead to it; None where they may not be read."""
