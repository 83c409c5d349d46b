"""What formats say of KServe's own servers shares: how the names in a sentence are listed, and what is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..entities import Artifact
from ..ml import JSON

_MOST_NAMED = 3


def named(names: Sequence[str]) -> str:
    """The first of these names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    shown = ", ".join(f"{name:.60}" for name in names[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def texts(value: JSON) -> list[str]:
    """A recorded list of texts; empty for anything else."""
    return [str(one) for one in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def fields(value: JSON) -> Mapping[str, JSON]:
    """A recorded object; empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def is_classifier(model: Artifact) -> bool:
    """Whether the model answers classes, by its class or by what it can do."""
    details = model.details
    return "predict_proba" in texts(details.get("methods")) or str(details.get("estimator")).endswith("Classifier")
