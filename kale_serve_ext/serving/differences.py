"""Where KServe's own servers would answer otherwise than the model did in the notebook, in sentences. Pure.

What is known of them, of KServe 0.20: they load the model's own file (a pickle by joblib, a bare Booster of XGBoost or
LightGBM), make a data frame only of columns by name, with the types that pandas guesses from JSON, an array of anything
else, and call ``predict`` on it; the one for scikit-learn ``predict_proba`` where ``PREDICT_PROBA`` says so. This
package's server has the estimator itself, and the record of the table that it was trained on. MLServer decodes requests
by rules of its own: only of plain numbers is it known what it makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..engines.base import Runtime
from ..engines.kserve import OWN_RUNTIME
from ..entities import Artifact
from ..formats import Format, known
from ..formats.differing import named
from ..ml import Column, Signature
from .methods import USUAL, is_recorded

_NUMBERS = ("int", "uint", "float")
_NULLABLE = ("Int", "UInt", "Float", "boolean")
"""Begins of the names of pandas' dtypes that have a missing value of their own."""
_TIMES = ("datetime", "date", "timedelta", "period", "interval", "duration", "time")
_TEXTS = ("object", "str", "string")
_CATEGORIES = ("category", "categorical", "enum")

Said = Iterator[str]


def is_own(runtime: Runtime) -> bool:
    """Whether a runtime is this package's server: in a cluster the one of that name, on this machine every one but
    other programs."""
    return (bool(runtime.python) and not runtime.foreign) or runtime.name == OWN_RUNTIME


def cannot_answer(runtime: Runtime, model_format: str, method: str, verify: str = "") -> str:
    """Why a runtime cannot do what is asked of the answers; empty where it can."""
    format_ = known(model_format)
    if is_own(runtime) or format_ is None or not format_.server:
        return ""
    if format_.has_methods and method not in ("", USUAL):
        methods = format_.stock_methods
        if len(methods) < 2 or "mlserver" in runtime.name:
            return f"has no choice of methods, and {method} was asked for"
        if method not in methods:
            return f"answers {' or '.join(methods)} only, and {method} was asked for"
    return "does not compare recorded rows before it takes requests" if verify == "require" else ""


def differences_of(model: Artifact, runtime: Runtime, method: str = USUAL) -> tuple[str, ...]:
    """What this runtime would answer otherwise than the model, one sentence each; none for this package's server.

    A runtime that is not KServe's is taken to be like KServe's own for the format. Of models whose record says nothing,
    as those that were logged before, nothing is known.
    """
    format_ = known(model.format)
    if is_own(runtime) or format_ is None:
        return ()
    if not format_.has_methods:
        # A server of this machine gets the model as it wants it, and says itself what is otherwise.
        return () if runtime.foreign else tuple(format_.stock_differences(model, method))
    if kind := model.details.get("file_kind"):
        return (f"It cannot load the model, whose file is of another kind ({kind}).",)
    if not is_recorded(model):
        return ()
    signature = model.signature or Signature()
    rules = (
        format_.stock_differences(model, method),
        _of_kind(signature, format_),
        _of_columns(signature, format_),
    )
    found = tuple(dict.fromkeys(said for rule in rules for said in rule))
    if "mlserver" in runtime.name and (found or not _has_only_numbers(signature)):
        return ("MLServer loads and asks models by rules of its own, which are known for plain numbers only.",)
    return found


def _of_kind(signature: Signature, format_: Format) -> Said:
    match signature.input_kind:
        case "sparse":
            yield "It makes arrays of what was sparse, with zeros for what was absent."
        case "polars":
            yield "It makes a data frame of pandas, where the model was given one of polars."
        case "objects":
            yield "It makes a table of objects, where the model takes the objects themselves."
        case "texts" if not format_.stock_takes_texts:
            yield "It takes no texts."


def _of_columns(signature: Signature, format_: Format) -> Said:
    """What becomes of columns that are not plain numbers."""
    columns = signature.columns
    categories = [c for c in columns if c.categories is not None or c.dtype.lower().startswith(_CATEGORIES)]
    if categories:
        yield f"Categories ({_those(categories)}) become {format_.stock_categories}."
    rest = [c for c in columns if c not in categories]
    if times := [c for c in rest if c.values or c.dtype.lower().startswith(_TIMES)]:
        yield f"Dates, times and other objects ({_those(times)}) become texts."
    nullable = [c for c in rest if c.dtype.startswith(_NULLABLE) or c.missing == "na"]
    if signature.input_kind == "polars":  # whose dtypes have the same names
        nullable = []
    if nullable:
        yield f"Nullable columns ({_those(nullable)}) become numpy's, without pd.NA."
    texts = [c for c in rest if c.dtype.lower().startswith(_TEXTS) and not c.values]
    if texts and len(texts) < len(columns):
        yield f"Numbers beside texts ({_those(texts)}) become texts in rows that are lists."
    told = (*categories, *times, *nullable)
    if missing := [c for c in rest if c.missing and c not in told]:
        yield f"A missing value ({_those(missing)}) becomes None where no number stands beside it in its column."


def _has_only_numbers(signature: Signature) -> bool:
    if signature.input_kind not in ("", "numpy", "pandas"):
        return False
    return all(c.dtype.startswith(_NUMBERS) and not c.missing for c in signature.columns)


def _those(columns: Sequence[Column]) -> str:
    return named([c.name for c in columns])
