"""Where KServe's own servers would answer otherwise than the model did in the notebook, in sentences. Pure.

What is known of them, of KServe 0.20: they load the model's own file (a pickle by joblib, a bare Booster of XGBoost or
LightGBM), make a data frame only of columns by name, with the types that pandas guesses from JSON, an array of anything
else, and call ``predict`` on it; the one for scikit-learn ``predict_proba`` where ``PREDICT_PROBA`` says so. This
package's server has the estimator itself, and the record of the table that it was trained on. MLServer decodes requests
by rules of its own: only of plain numbers is it known what it makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..engines.base import Runtime
from ..engines.kserve import OWN_RUNTIME
from ..entities import Artifact
from ..ml import JSON, Column, Signature
from .methods import FORMATS, USUAL, is_recorded, methods_of

_NUMBERS = ("int", "uint", "float")
_NULLABLE = ("Int", "UInt", "Float", "boolean")
"""Begins of the names of pandas' dtypes that have a missing value of their own."""
_TIMES = ("datetime", "date", "timedelta", "period", "interval", "duration", "time")
_TEXTS = ("object", "str", "string")
_CATEGORIES = ("category", "categorical", "enum")
_OF_STOCK = frozenset(
    ("python", "kserve", "numpy", "pandas", "scipy", "joblib", "threadpoolctl", "scikit-learn", "narwhals")
)
"""The distributions in the image of KServe's server for scikit-learn."""
_MOST_NAMED = 3

Said = Iterator[str]


def is_own(runtime: Runtime) -> bool:
    """Whether a runtime is this package's server: in a cluster the one of that name, on this machine every one but
    other programs."""
    return (bool(runtime.python) and not runtime.foreign) or runtime.name == OWN_RUNTIME


def cannot_answer(runtime: Runtime, model_format: str, method: str, verify: str = "") -> str:
    """Why a runtime cannot do what is asked of the answers; empty where it can."""
    if is_own(runtime) or model_format not in FORMATS:
        return ""
    if method not in ("", USUAL):
        if model_format != "sklearn" or "mlserver" in runtime.name:
            return f"has no choice of methods, and {method} was asked for"
        if method != "predict_proba":
            return f"answers predict or predict_proba only, and {method} was asked for"
    return "does not compare recorded rows before it takes requests" if verify == "require" else ""


def differences_of(model: Artifact, runtime: Runtime, method: str = USUAL) -> tuple[str, ...]:
    """What this runtime would answer otherwise than the model, one sentence each; none for this package's server.

    A runtime that is not KServe's is taken to be like KServe's own for the format. Of models whose record says nothing,
    as those that were logged before, nothing is known.
    """
    if is_own(runtime) or model.format not in FORMATS:
        return ()
    if kind := model.details.get("file_kind"):
        return (f"It cannot load the model, whose file is of another kind ({kind}).",)
    if not is_recorded(model):
        return ()
    signature = model.signature or Signature()
    rules = (
        _OF_FORMAT[model.format](model, method),
        _of_kind(signature, model.format),
        _of_columns(signature, model.format),
    )
    found = tuple(dict.fromkeys(said for rule in rules for said in rule))
    if "mlserver" in runtime.name and (found or not _has_only_numbers(signature)):
        return ("MLServer loads and asks models by rules of its own, which are known for plain numbers only.",)
    return found


def _of_sklearn(model: Artifact, method: str) -> Said:
    details = model.details
    output = model.signature.output_dtype if model.signature else ""
    if own := _texts(details.get("own_code")):
        yield f"It cannot load the model, which needs your own code ({_named(own)})."
    if absent := sorted(set(model.environment.packages) - _OF_STOCK):
        yield f"It cannot load the model, which needs {_named(absent)}: KServe's image has scikit-learn alone."
    if settings := details.get("sklearn_config"):
        names = _named(sorted(settings)) if isinstance(settings, Mapping) else "its settings"
        yield f"It leaves scikit-learn's global settings as they are by default ({names})."
    if method == "predict_proba" and _outputs(model) > 1:
        yield "It has no form for the probabilities of several outputs."
    if method == USUAL and output.startswith(_TEXTS):
        # Only those that lie in numpy as objects have a form there.
        yield "It may fail to answer texts, such as the names of classes, by v2 and gRPC."


def _of_xgboost(model: Artifact, method: str) -> Said:
    given = model.details.get("parameters")
    parameters = given if isinstance(given, Mapping) else {}
    if _is_classifier(model) and parameters.get("objective") != "multi:softmax":
        yield "It answers probabilities instead of classes."
    missing = parameters.get("missing")
    if isinstance(missing, int | float):
        yield f"It treats {missing:g} as a number; to the model it is a missing value."
    if model.signature and model.signature.columns:
        yield "It refuses rows without the names of their columns."


def _of_lightgbm(model: Artifact, method: str) -> Said:
    if _is_classifier(model):
        yield "It answers probabilities instead of classes."
    signature = model.signature or Signature()
    names = [c.name for c in signature.columns]
    rewritten = [name for name in names if any(c.isspace() for c in name)]
    if not signature.input_kind:
        # The model alone tells the names that LightGBM has made of those in the table.
        rewritten += [name for name in names if "_" in name]
    if rewritten:
        yield f"It finds no values for columns that had spaces in their names ({_named(rewritten)}), and answers."


_OF_FORMAT: Mapping[str, Callable[[Artifact, str], Said]] = {
    "sklearn": _of_sklearn,
    "xgboost": _of_xgboost,
    "lightgbm": _of_lightgbm,
}


def _of_kind(signature: Signature, model_format: str) -> Said:
    match signature.input_kind:
        case "sparse":
            yield "It makes arrays of what was sparse, with zeros for what was absent."
        case "polars":
            yield "It makes a data frame of pandas, where the model was given one of polars."
        case "objects":
            yield "It makes a table of objects, where the model takes the objects themselves."
        case "texts" if model_format != "sklearn":
            yield "It takes no texts."


def _of_columns(signature: Signature, model_format: str) -> Said:
    """What becomes of columns that are not plain numbers."""
    columns = signature.columns
    categories = [c for c in columns if c.categories is not None or c.dtype.lower().startswith(_CATEGORIES)]
    if categories:
        become = {
            "sklearn": "plain texts and numbers",
            "xgboost": "texts, which it refuses, or numbers, which it takes for codes",
            "lightgbm": "texts, which it refuses, or numbers, which it takes for codes",
        }[model_format]
        yield f"Categories ({_those(categories)}) become {become}."
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


def _is_classifier(model: Artifact) -> bool:
    """Whether the model answers classes, by its class or by what it can do."""
    return "predict_proba" in methods_of(model) or str(model.details.get("estimator")).endswith("Classifier")


def _outputs(model: Artifact) -> int:
    size = model.signature.output_size if model.signature else []
    last = size[-1] if len(size) > 1 else 1
    return last if isinstance(last, int) else 1


def _has_only_numbers(signature: Signature) -> bool:
    if signature.input_kind not in ("", "numpy", "pandas"):
        return False
    return all(c.dtype.startswith(_NUMBERS) and not c.missing for c in signature.columns)


def _those(columns: Sequence[Column]) -> str:
    return _named([c.name for c in columns])


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    shown = ", ".join(f"{name:.60}" for name in names[:_MOST_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def _texts(value: JSON) -> list[str]:
    return [str(one) for one in value] if isinstance(value, Sequence) and not isinstance(value, str) else []
