"""The signature of a scikit-learn estimator, from what fitting left in it."""

from __future__ import annotations

from collections.abc import Iterator

from ..ml import JSON, Signature
from .base import lineage
from .features import attribute, json_value, listed, tabular

_TEXT = "sklearn.feature_extraction.text."
_ENCODERS = ("sklearn.preprocessing._encoders.OneHotEncoder", "sklearn.preprocessing._encoders.OrdinalEncoder")


def signature_of(estimator: object) -> Signature | None:
    """Names, dtypes and number of the features, and the outputs' shape; None for an estimator that says nothing."""
    size, dtype = _output(estimator)
    if _reads_text(estimator):
        return Signature(["batch_size"], size, "object", dtype, sample="some text")
    count = attribute(estimator, "n_features_in_")
    if not isinstance(count, int):
        return None
    names = [str(name) for name in listed(attribute(estimator, "feature_names_in_"))]
    return tabular(count, names, dict(_encoded(estimator)), output_size=size, output_dtype=dtype)


def steps(estimator: object) -> list[object]:
    """A Pipeline's steps, inner Pipelines laid out too; any other estimator alone."""
    named = attribute(estimator, "steps")
    if not isinstance(named, list):
        return [estimator]
    return [inner for _, step in named for inner in steps(step)]


def _reads_text(estimator: object) -> bool:
    # DictVectorizer and FeatureHasher are neighbours that read objects, not texts.
    first = steps(estimator)[:1]
    return any(name.startswith(_TEXT) and name.endswith("Vectorizer") for step in first for name in lineage(step))


def _output(estimator: object) -> tuple[list[str | int], str]:
    count = attribute(estimator, "n_outputs_")
    size: list[str | int] = ["batch_size", count] if isinstance(count, int) and count > 1 else ["batch_size"]
    classes = attribute(estimator, "classes_")
    if classes is not None:
        labels = listed(listed(classes)[0] if isinstance(classes, list) and classes else classes)
        return size, "object" if any(isinstance(label, str) for label in labels) else _dtype(classes)
    kinds = lineage(steps(estimator)[-1]) if steps(estimator) else frozenset()
    if "sklearn.base.RegressorMixin" in kinds or attribute(estimator, "_estimator_type") == "regressor":
        return size, "float64"
    if "sklearn.base.ClusterMixin" in kinds:
        return size, "int32"
    return [], ""


def _dtype(values: object) -> str:
    while isinstance(values, list) and values:  # the classes of several outputs
        values = values[0]
    return str(attribute(values, "dtype") or "")


def _encoded(estimator: object) -> Iterator[tuple[str | int, tuple[str, JSON]]]:
    """Columns that go into an encoder of categories, with their dtype and a category that it knows."""
    for step in steps(estimator)[:1]:
        for part in listed(attribute(step, "transformers_")):  # of a ColumnTransformer: (name, estimator, columns)
            _, inner, columns = listed(part)
            for encoder in steps(inner):
                if not lineage(encoder).isdisjoint(_ENCODERS):
                    yield from _categories(listed(columns), listed(attribute(encoder, "categories_")))
        if not lineage(step).isdisjoint(_ENCODERS):
            known = listed(attribute(step, "categories_"))
            yield from _categories(list(range(len(known))), known)


def _categories(columns: list[object], known: list[object]) -> Iterator[tuple[str | int, tuple[str, JSON]]]:
    if len(columns) != len(known):
        return
    for column, values in zip(columns, known, strict=True):
        first = listed(values)[:1]
        if first and isinstance(column, str | int):
            text = isinstance(first[0], str)
            yield column, ("object" if text else _dtype(values), json_value(first[0]))
