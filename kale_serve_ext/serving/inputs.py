"""Whether requests can carry what a model takes. Pure."""

from __future__ import annotations

from ..engines.base import Check
from ..entities import Artifact
from ..ml import Column

_CARRIED_AS = "Turn it into texts or numbers outside of the model, and log the model again."


def check_input(model: Artifact) -> list[Check]:
    """What of the recorded input no request carries, and what is not known of it."""
    columns = model.signature.columns if model.signature else ()
    return [found for column in columns for found in _of(column, model)]


def _of(column: Column, model: Artifact) -> list[Check]:
    kind = column.category_dtype or column.dtype
    if column.values == "other" or kind.startswith(("interval", "complex")):
        message = f"The column {column.name!r} holds values of {kind}, which no request carries."
        return [Check("error", "InputNotCarried", message, _CARRIED_AS, "version")]
    if column.dtype == "category" and column.categories is None:
        message = f"The categories of the column {column.name!r} are not recorded with {model.name!r}."
        hint = "Log the model again with some of its rows: Model(model, example=X.head(20))."
        return [Check("error", "CategoriesUnknown", message, hint, "version")]
    return []
