"""Functions as a notebook or a module would define them, for the tests of writing them out."""

from __future__ import annotations

import collections.abc
import json as j
import math
from math import pi as PI
from typing import Any

import numpy as np
from sklearn.base import clone

VOCABULARY = {"good": 1}
LIMIT = 3
Rows = list[Any]


def clean(text: str) -> str:
    return text.strip().lower()


def uses_imports(inputs: dict[str, Rows]) -> dict[str, Rows]:
    rows: Rows = [math.floor(PI) + np.float64(x).item() + j.loads("1") for x in inputs["instances"]]
    assert isinstance(rows, collections.abc.Sequence)
    assert callable(clone)
    return {**inputs, "instances": rows}


def uses_assets(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"instances": [VOCABULARY.get(clean(text), LIMIT) for text in inputs["instances"]]}


def counts(inputs: dict[str, Any]) -> dict[str, Any]:
    global CALLS
    CALLS += 1
    return inputs


CALLS = 0


class Scaler:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def apply(self, values: list[float]) -> list[float]:
        return [float(v) for v in np.asarray(values) * self.factor]


scaler = Scaler(2.0)


def uses_object(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"instances": scaler.apply(inputs["instances"])}


def make_closure() -> Any:
    secret = 42

    def preprocess(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"instances": [secret for _ in inputs["instances"]]}

    return preprocess
