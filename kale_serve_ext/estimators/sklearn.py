"""The signature of a scikit-learn estimator, from what fitting left in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..ml import Column, Signature
from .features import Known, attribute, json_value, lineage, listed, tabular

_TEXT = "sklearn.feature_extraction.text."
_OBJECTS = (
    "sklearn.feature_extraction._dict_vectorizer.DictVectorizer",
    "sklearn.feature_extraction._hash.FeatureHasher",
)
_IMPUTER = "sklearn.impute._base.SimpleImputer"


def signature_of(estimator: object) -> Signature | None:
    """Names, dtypes and number of the features, and the outputs' shape; None for an estimator that says nothing."""
    size, dtype = _output(estimator)
    kind = input_kind(estimator)
    if kind == "texts":
        return Signature(["batch_size"], size, "object", dtype, sample="some text", input_kind=kind)
    if kind == "objects":
        return Signature(["batch_size"], size, "object", dtype, sample=_object(estimator), input_kind=kind)
    count = attribute(estimator, "n_features_in_")
    if not isinstance(count, int):
        return None
    names = [str(name) for name in listed(attribute(estimator, "feature_names_in_"))]
    columns: list[object] = list(names) if names else list(range(count))
    known = {key: value for key, value in _known(estimator, columns) if isinstance(key, str | int)}
    return tabular(count, names, known, output_size=size, output_dtype=dtype)


def input_kind(estimator: object) -> str:
    """``texts`` or ``objects``, where the first step takes these; else empty: it may be a table or an array."""
    for step in steps(estimator)[:1]:
        kinds = lineage(step)
        if any(name.startswith(_TEXT) and name.endswith("Vectorizer") for name in kinds):
            # With an analyzer of the user's own it reads whatever that reads.
            return "" if callable(attribute(step, "analyzer")) else "texts"
        if not kinds.isdisjoint(_OBJECTS):
            return "objects" if attribute(step, "input_type") in (None, "dict") else ""
        for _, inner in _named(attribute(step, "transformer_list")):  # of a FeatureUnion: all get the same
            if found := input_kind(inner):
                return found
    return ""


def steps(estimator: object) -> list[object]:
    """A Pipeline's steps, inner Pipelines laid out too; any other estimator alone."""
    named = attribute(estimator, "steps")
    if not isinstance(named, list):
        return [estimator]
    return [inner for _, step in named for inner in steps(step)]


def _object(estimator: object) -> dict[str, float | str]:
    """An object that a DictVectorizer knows."""
    names = [str(name) for name in listed(attribute(steps(estimator)[0], "feature_names_"))]
    sample: dict[str, float | str] = {}
    for name in names[:50]:
        key, equals, value = name.partition("=")
        sample.setdefault(key, value if equals else 0.0)
    return sample


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


def _known(estimator: object, columns: Sequence[object]) -> Iterator[tuple[object, Known]]:
    """What the steps that see the input's own columns tell of them."""
    missing = ""
    for step in steps(estimator):
        kinds = lineage(step)
        if any(name.startswith(_TEXT) and name.endswith("Vectorizer") for name in kinds):
            yield from ((column, Known(Column("", "object"), "some text")) for column in columns[:1])
            return
        inner = _named(attribute(step, "transformers_"))  # of a ColumnTransformer: (name, estimator, columns)
        if inner:
            for parts in inner:
                yield from _known(parts[1], _chosen(parts[2] if len(parts) > 2 else None, columns))
            return
        for parts in _named(attribute(step, "transformer_list")):
            yield from _known(parts[1], columns)
        categories = listed(attribute(step, "categories_"))
        if categories and len(categories) == len(columns):
            for column, values in zip(columns, categories, strict=True):
                yield from _categories(column, values, missing)
            return
        if _IMPUTER not in kinds:
            return  # what comes after it is not the input any more
        stands = attribute(step, "missing_values")
        missing = "none" if stands is None else "nan" if stands != stands else ""
        for column, value in zip(columns, listed(attribute(step, "statistics_")), strict=False):
            if isinstance(value, str):
                yield column, Known(Column("", "object", missing=missing), value)


def _named(value: object) -> list[Sequence[object]]:
    found = value if isinstance(value, list | tuple) else ()
    return [parts for parts in found if isinstance(parts, list | tuple) and len(parts) >= 2]


def _chosen(selected: object, columns: Sequence[object]) -> list[object]:
    """The input's columns that a part of a ColumnTransformer takes, by name or by number."""
    if isinstance(selected, slice):
        return (
            list(columns[selected]) if all(isinstance(c, int | None) for c in (selected.start, selected.stop)) else []
        )
    wanted = [selected] if isinstance(selected, str | int) else listed(selected)
    if wanted and all(isinstance(w, bool) for w in wanted):
        return [c for c, chosen in zip(columns, wanted, strict=False) if chosen]
    return [
        columns[w] if isinstance(w, int) and -len(columns) <= w < len(columns) else w
        for w in wanted
        if isinstance(w, str | int)
    ]


def _categories(column: object, values: object, missing: str) -> Iterator[tuple[object, Known]]:
    known = listed(values)
    there = [v for v in known if v is not None and v == v]
    if any(v is None for v in known):
        missing = "none"
    elif len(there) < len(known):
        missing = "nan"
    if there:
        text = isinstance(there[0], str)
        dtype = "object" if text or missing == "none" else _dtype(values)
        kept = "bool" if dtype == "object" and all(isinstance(v, bool) for v in there) else ""
        found = Column("", dtype, missing=missing if dtype == "object" else "", values=kept)
        yield column, Known(found, json_value(there[0]))
