"""ServeConfig as it is written into a manifest: one spelling (KServe's camelCase), every field checked.

A config may come as a dict from a notebook or the panel, in snake_case or camelCase, and hold objects of the
Kubernetes client. :func:`normalise` makes one form of all that; :func:`for_component` says what holds for one part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal, Protocol, runtime_checkable

from ..engines.containers import check_container, check_variables
from ..errors import InvalidInputError
from ..ml import JSON

Config = dict[str, JSON]

_SHARED = ("env", "envFrom", "requests", "limits", "annotations", "labels", "nodeSelector", "affinity", "tolerations")
FIELDS = (*_SHARED, "predictor", "transformer", "protocolVersion")
"""The fields of a ServeConfig."""

_TEXT_MAPS = ("requests", "limits", "annotations", "labels", "nodeSelector")
_LISTS = ("env", "envFrom", "tolerations")
_MAPS = ("affinity", "predictor", "transformer")
_INSIDE = (
    "canaryTrafficPercent",
    "minReplicas",
    "maxReplicas",
    "serviceAccountName",
    "runtime",
    "image",
    "args",
    "container",
    "containers",
)
# Below these, keys are the user's own words and keep their spelling.
_VERBATIM = {"requests", "limits", "annotations", "labels", "nodeSelector", "matchLabels", "parameters", "data"}


@runtime_checkable
class _KubernetesObject(Protocol):
    """What every model class of the Kubernetes client has."""

    attribute_map: Mapping[str, str]


def normalise(config: Mapping[str, object]) -> Config:
    """The config in camelCase, with plain values only.

    Raises:
        InvalidInputError: a field that does not exist, or a value of the wrong kind.
    """
    out: Config = {}
    for key, value in config.items():
        name = _camel(str(key))
        if name not in FIELDS:
            raise _unknown(str(key))
        if value is None or value == {} or value == [] or value == "":
            continue
        out[name] = _checked(name, _plain(value, name, verbatim=name in _VERBATIM))
    return out


def for_component(config: Config, component: Literal["predictor", "transformer"]) -> Config:
    """What the config says of one component: the shared fields, overridden or extended by the component's own.

    ``env`` and ``envFrom`` are extended (the component's own value wins for one variable), mappings are merged key by
    key, anything else is replaced.
    """
    own = config.get(component)
    own = dict(own) if isinstance(own, Mapping) else {}
    merged: Config = {name: config[name] for name in _SHARED if name in config}
    for name, value in own.items():
        before = merged.get(name)
        if name in _TEXT_MAPS and isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = {**before, **value}
        elif name in ("env", "envFrom") and isinstance(before, list) and isinstance(value, list):
            merged[name] = merge_env(before, value)
        else:
            merged[name] = value
    return merged


def with_labels(config: Config, labels: Mapping[str, str]) -> Config:
    """The config with these labels on every pod.

    Raises:
        InvalidInputError: it gives one of them another value.
    """
    for given in (for_component(config, "predictor").get("labels"), for_component(config, "transformer").get("labels")):
        for key, value in labels.items():
            asked = given.get(key, value) if isinstance(given, Mapping) else value
            if asked != value:
                raise InvalidInputError(
                    f"The label {key!r} is {asked!r} in serve_config, and {value!r} on this notebook's pod.",
                    hint="Leave the label out of serve_config, or serve without propagate_configurations.",
                    field="config",
                )
    before = config.get("labels")
    return {**config, "labels": {**(before if isinstance(before, Mapping) else {}), **labels}}


def merge_env(before: Sequence[JSON], after: Sequence[JSON]) -> list[JSON]:
    """Two lists of environment variables as one; of one name the later counts."""
    named = {v["name"] for v in after if isinstance(v, Mapping) and "name" in v}
    return [v for v in before if not (isinstance(v, Mapping) and v.get("name") in named)] + list(after)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def _plain(value: object, where: str, *, verbatim: bool = False) -> JSON:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        out: dict[str, JSON] = {}
        for key, item in value.items():
            name = str(key) if verbatim else _camel(str(key))
            # An entry that is not set is left out, as the Kubernetes client does.
            if item is not None:
                out[name] = _plain(item, f"{where}.{key}", verbatim=name in _VERBATIM)
        return out
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]", verbatim=verbatim) for i, item in enumerate(value)]
    if isinstance(value, _KubernetesObject):
        fields = {wire: getattr(value, attribute) for attribute, wire in value.attribute_map.items()}
        return _plain(fields, where, verbatim=False)
    raise InvalidInputError(
        f"serve_config.{where} is a {type(value).__name__}, which cannot be written into a manifest.",
        hint="Use plain values (text, numbers, lists, dicts) or objects of the Kubernetes client.",
        field="config",
    )


def _checked(name: str, value: JSON) -> JSON:
    if name in _TEXT_MAPS:
        return _text_map(name, value)
    if name in _LISTS:
        return _list(name, value)
    if name in _MAPS:
        if not isinstance(value, Mapping):
            raise _wrong(name, "an object", value)
        if name == "affinity":
            return value
        return {key: _component_field(f"{name}.{key}", key, item) for key, item in value.items()}
    if value not in ("v1", "v2"):
        raise _wrong(name, "'v1' or 'v2'", value)
    return value


def _component_field(path: str, key: str, value: JSON) -> JSON:
    checks: dict[str, Callable[[str, JSON], JSON]] = {name: _text_map for name in _TEXT_MAPS}
    checks |= {name: _list for name in (*_LISTS, "args", "command", "containers", "volumes")}
    checks |= {name: _object for name in ("container", "model", "resources", "affinity", "batcher", "logger")}
    checks |= {name: _count for name in ("minReplicas", "maxReplicas", "containerConcurrency", "timeout")}
    checks |= {"canaryTrafficPercent": _percent}
    checks |= {name: _text for name in ("image", "runtime", "protocolVersion", "serviceAccountName")}
    checked = checks[key](path, value) if key in checks else value
    if key in ("args", "command"):
        check_container({key: checked}, f"serve_config.{path.rpartition('.')[0]}", "config")
    for place, container in _containers(path, key, checked):
        check_container(container, f"serve_config.{place}", "config")
    return checked


def _containers(path: str, key: str, value: JSON) -> list[tuple[str, Mapping[str, JSON]]]:
    """The containers in a field of a component, each with its path."""
    if key in ("container", "model") and isinstance(value, Mapping):
        return [(path, value)]
    if key in ("containers", "initContainers") and isinstance(value, list):
        return [(f"{path}[{i}]", one) for i, one in enumerate(value) if isinstance(one, Mapping)]
    return []


def _text_map(path: str, value: JSON) -> JSON:
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object of names and texts", value)
    out: dict[str, JSON] = {}
    for key, item in value.items():
        if isinstance(item, bool):
            out[key] = "true" if item else "false"
        elif isinstance(item, (str, int, float)):
            out[key] = str(item)
        else:
            raise _wrong(f"{path}.{key}", "a text or a number", item)
    return out


def _list(path: str, value: JSON) -> JSON:
    if not isinstance(value, list):
        raise _wrong(path, "a list", value)
    if path.rpartition(".")[2] == "env":
        for i, item in enumerate(value):
            if not isinstance(item, Mapping) or not isinstance(item.get("name"), str) or not item["name"]:
                raise _wrong(f"{path}[{i}]", "an object with `name` and `value`", item)
            if "value" in item and not isinstance(item["value"], str):
                raise _wrong(f"{path}[{i}].value", "a text", item["value"])
        check_variables(value, f"serve_config.{path}", "config")
    return value


def _object(path: str, value: JSON) -> JSON:
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object", value)
    return value


def _count(path: str, value: JSON) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(path, "a whole number that is not negative", value)
    return value


def _percent(path: str, value: JSON) -> JSON:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise _wrong(path, "a whole number from 0 to 100", value)
    return value


def _text(path: str, value: JSON) -> JSON:
    if not isinstance(value, str):
        raise _wrong(path, "a text", value)
    return value


def _wrong(path: str, wanted: str, value: object) -> InvalidInputError:
    shown = repr(value)
    shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
    return InvalidInputError(f"serve_config.{path} must be {wanted}, not {shown}.", field="config")


def _unknown(key: str) -> InvalidInputError:
    close = get_close_matches(_camel(key[:100]), FIELDS, n=1)
    hint = f"Did you mean `{close[0]}`?" if close else ""
    if _camel(key[:100]) in _INSIDE:
        hint = f"`{_camel(key)}` goes inside `predictor` or `transformer`."
    listed = ", ".join(FIELDS)
    return InvalidInputError(
        f"ServeConfig has no field {key[:100]!r}.", hint=f"{hint} Its fields are: {listed}.".strip(), field="config"
    )


def snake(name: str) -> str:
    """``nodeSelector`` → ``node_selector``: a field's name in Python."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"_{m[1].lower()}", name)
