"""What a fitted model tells of itself and how it is asked, where it is logged and where it is loaded.

Nothing here imports a framework: a model's class brings its own.
"""

from __future__ import annotations

from ..modelmeta import ModelMeta
from . import boosters, catboost, sklearn
from .asking import Question, question, rows_of
from .features import attribute, json_value, lineage, listed, tabular
from .methods import methods_of, settings_of

__all__ = [
    "Question",
    "attribute",
    "describe",
    "json_value",
    "lineage",
    "listed",
    "methods_of",
    "question",
    "rows_of",
    "settings_of",
    "tabular",
]


def describe(obj: object) -> ModelMeta:
    """What a fitted estimator or booster knows of itself: its class, its methods, its input and output."""
    told = boosters.signature_of(obj) or catboost.signature_of(obj) or sklearn.signature_of(obj)
    return ModelMeta(
        estimator=type(obj).__name__,
        methods=methods_of(obj),
        signature=told,
        sklearn_config=settings_of(obj),
    )
