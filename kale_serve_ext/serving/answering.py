"""What a manifest says about how its model answers: which method is called, and whether recorded rows are compared."""

from __future__ import annotations

from collections.abc import Mapping

from ..engines.base import Manifest
from ..ml import JSON
from ..modelmeta import VERIFY, method_in
from .manifest_view import serves_format, variables


def method_of(manifest: Manifest) -> str:
    """The estimator's method that answers; empty for a container of people's own, which says none."""
    said = method_in(variables(_predictor(manifest)))
    return said or ("predict" if serves_format(manifest) else "")


def verify_of(manifest: Manifest) -> str:
    """``require``, ``warn`` or ``off``."""
    said = variables(_predictor(manifest)).get(VERIFY, "")
    return said if said in ("require", "off") else "warn"


def _predictor(manifest: Manifest) -> Mapping[str, JSON]:
    spec = manifest.get("spec")
    predictor = spec.get("predictor") if isinstance(spec, Mapping) else None
    return predictor if isinstance(predictor, Mapping) else {}
