"""Which of an estimator's methods answers a service's requests, and what a model cannot do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..engines.base import Check, Manifest
from ..engines.fields import listed
from ..entities import Artifact
from ..errors import InvalidInputError
from ..formats import known
from ..modelmeta import VERIFY, method_in
from .answering import method_of, verify_of
from .config import Config, for_component

USUAL = "predict"
_VERIFY = ("require", "warn", "off")


def has_methods(model_format: str) -> bool:
    """Whether the models of a format are estimators, with methods to choose from."""
    format_ = known(model_format)
    return format_ is not None and format_.has_methods


def methods_of(model: Artifact) -> tuple[str, ...]:
    """The methods that answer rows, as recorded with the model; empty where none are, or nothing is recorded."""
    listed = model.details.get("methods")
    return tuple(str(m) for m in listed) if isinstance(listed, Sequence) and not isinstance(listed, str) else ()


def is_recorded(model: Artifact) -> bool:
    """Whether the record says what the model can do; models logged before do not."""
    return has_methods(model.format) and "methods" in model.details


def chosen_method(asked: str, config: Config, kept: Manifest | None, model: Artifact | None) -> str:
    """The method that is to answer: as asked, else as the config's variables say, else as of the service; or the usual.

    Args:
        kept: what the service is now, where what is not asked for stays.
    """
    if model is None or not has_methods(model.format):
        return asked
    said = asked or method_in(_variables(config))
    return said or (method_of(kept) if kept else "") or USUAL


def chosen_verify(asked: str, config: Config, kept: Manifest | None) -> str:
    """``require``, ``warn`` or ``off``, by the same order.

    Raises:
        InvalidInputError: another word.
    """
    said = asked or _variables(config).get(VERIFY, "") or (verify_of(kept) if kept else "warn")
    if said not in _VERIFY:
        raise InvalidInputError(f"verify is {said[:100]!r}.", hint='Use "require", "warn" or "off".', field="verify")
    return said


def check_method(model: Artifact | None, method: str) -> list[Check]:
    """Whether the model can answer with this method; nothing is said where that is not recorded.

    Args:
        model: None where people's own container serves.
    """
    if model is None or not has_methods(model.format):
        if not method:
            return []
        own = model is None or model.format == "custom"
        what = "Custom code" if own or model is None else f"A model of the format {model.format!r}"
        message = f"{what} has no methods to choose from, and {method[:100]} was asked for."
        return [Check("error", "NoMethod", message, "Leave the method out.", "method")]
    methods = methods_of(model)
    if not is_recorded(model) or method in methods:
        return []
    name = str(model.details.get("estimator") or model.name).rpartition(".")[2]
    if not methods:
        message = f"{name} answers only the rows that it was fitted on: it has no method for new ones."
        hint = "Fit a classifier on the labels that it gave, such as KNeighborsClassifier, and serve that."
        return [Check("error", "NoMethod", message, hint, "method")]
    message = f"{name} has no {method[:100]}; it can answer {_either(methods)}."
    return [Check("error", "NoMethod", message, f'method="{methods[0]}"', "method")]


def check_verify(model: Artifact | None, verify: str, method: str) -> list[Check]:
    """Whether there is anything to compare, where that is a condition."""
    if verify != "require":
        return []
    hint = "Nothing is compared before it takes requests."
    if model is None or not model.details.get("recorded_rows"):
        what = f"with {model.name!r}" if model else "for a container of your own"
        more = " Log the model with example= or dataset=." if model else ""
        return [Check("warning", "NothingRecorded", f"No rows are recorded {what}.", f"{hint}{more}", "verify")]
    if method != USUAL and USUAL in methods_of(model):
        message = f"The answers that are recorded with {model.name!r} are those of {USUAL}, not of {method}."
        return [Check("warning", "NothingRecorded", message, hint, "verify")]
    return []


def _variables(config: Config) -> Mapping[str, str]:
    """The variables that the config gives the predictor."""
    own = for_component(config, "predictor")
    places = (own, own.get("model"), own.get("container"), *listed(own.get("containers"))[:1])
    found: dict[str, str] = {}
    for place in places:
        for one in listed(place.get("env")) if isinstance(place, Mapping) else ():
            if isinstance(one, Mapping) and one.get("value") is not None:
                found[str(one.get("name"))] = str(one["value"])
    return found


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
