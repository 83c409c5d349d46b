"""Answers as JSON that tells infinities from what is missing.

kserve writes both, and NaN, as ``null``. JSON has no word for an infinity, but a number that no float can hold is read
as one by Python, by JavaScript and by every parser that follows IEEE 754: ``1e999``. NaN stays ``null``, which is what
stands for a missing value in requests too.
"""

from __future__ import annotations

import json
import math
import numbers
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
from fastapi.responses import JSONResponse
from kserve import inference_client
from kserve.protocol.rest import v1_endpoints
from kserve.protocol.rest.v2_datamodels import InferenceResponse, ResponseOutput

if TYPE_CHECKING:
    from fastapi import FastAPI

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_INFINITY = orjson.Fragment(b"1e999")
_MINUS_INFINITY = orjson.Fragment(b"-1e999")


def use(app: FastAPI) -> None:
    """Have kserve's routes, which are still to be added, answer with :class:`ExactResponse`.

    A transformer reads such answers of its predictor too.
    """
    app.router.default_response_class = ExactResponse
    v1_endpoints.ORJSONResponse = ExactResponse
    for model in (ResponseOutput, InferenceResponse):
        # Left as they are, for the response to write.
        model.model_config["ser_json_inf_nan"] = "constants"
        model.model_rebuild(force=True)
    inference_client.orjson = _Reading


class ExactResponse(JSONResponse):
    """JSON by orjson, with infinities, and whole numbers of more than 64 bits."""

    def render(self, content: object) -> bytes:
        try:
            written = orjson.dumps(content, option=_OPTIONS)
        except TypeError:  # a whole number that is too large for orjson, or what no JSON can hold
            return orjson.dumps(_exact(content, is_quick=False), option=_OPTIONS)
        # Null is what orjson makes of an infinity. One letter is found many times faster than four.
        if b"u" not in written or b"null" not in written:
            return written
        exact = _exact(content)
        return written if exact is content else orjson.dumps(exact, option=_OPTIONS)


class _Reading:
    """What kserve's client uses of orjson, which refuses numbers that no float can hold."""

    dumps = staticmethod(orjson.dumps)
    JSONDecodeError = orjson.JSONDecodeError

    @staticmethod
    def loads(content: bytes) -> object:
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            return json.loads(content)


def _exact(value: object, is_quick: bool = True) -> object:
    """The value with fragments of JSON for what orjson has no form for; itself where there is no such thing in it."""
    if isinstance(value, dict):
        changed = {key: new for key, item in value.items() if (new := _exact(item, is_quick)) is not item}
        return {**value, **changed} if changed else value
    if isinstance(value, list | tuple):
        if is_quick and _is_finite(value):
            return value
        items = [_exact(item, is_quick) for item in value]
        return value if all(map(operator.is_, items, value)) else items
    if isinstance(value, float):
        return value if not math.isinf(value) else _INFINITY if value > 0 else _MINUS_INFINITY
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else orjson.Fragment(str(int(value)))
    if hasattr(value, "tolist") and not isinstance(value, numbers.Integral):
        return _exact(value.tolist(), is_quick)
    return value


def _is_finite(values: Sequence[object]) -> bool:
    """Whether these are plain numbers, all of them finite: by their sum, which is quick."""
    if values and type(values[0]) not in (bool, int, float):
        return False
    try:
        return math.isfinite(sum(values))  # type: ignore[arg-type]  # other than numbers it refuses
    except (TypeError, OverflowError):
        return False
