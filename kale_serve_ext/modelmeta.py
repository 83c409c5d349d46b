"""What lies beside a model in its snapshot: what it takes and answers, for the server that loads it, wherever it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .ml import JSON, Signature

NAME = "kale-model.meta"
"""JSON, under a name that no model server takes for a model: KServe's XGBoost server reads every ``.json``."""
ESTIMATOR = "kale-estimator.bin"
"""The pickled estimator, where the model's own file holds less than it: a wrapper of XGBoost or LightGBM."""
METHOD = "KALE_SERVE_METHOD"
"""The predictor's variable with the name of the estimator's method; left out for ``predict``."""
PROBABILITIES = "PREDICT_PROBA"
"""What KServe's own servers read."""
VERIFY = "KALE_SERVE_VERIFY"
"""The predictor's variable that says ``require`` or ``off``; left out for ``warn``."""
MOST_BYTES = 16 << 20
"""A larger file is no such record."""
_CLOSE = 1e-6
"""How far two numbers may be apart, of the larger one, that count as the same answer: what float32 leaves."""


@dataclass(frozen=True)
class Recorded:
    """Rows of the model's input and what the model answered to them where it was logged.

    ``rows`` has v1's form: an object by column, a list of values, a text. ``answers`` has one item for each row.
    """

    rows: tuple[JSON, ...]
    answers: tuple[JSON, ...]
    method: str = "predict"


@dataclass(frozen=True)
class ModelMeta:
    """What is known of a model beyond its file. Everything may be empty: then it is not known."""

    estimator: str = ""
    """Its class, such as ``LGBMClassifier``."""
    methods: tuple[str, ...] = ()
    """Those of its methods that answer rows, the usual one first."""
    signature: Signature | None = None
    sklearn_config: Mapping[str, JSON] = field(default_factory=dict)
    """scikit-learn's global settings that change answers, where they were not the default."""
    recorded: Recorded | None = None

    def to_dict(self) -> dict[str, JSON]:
        """As JSON; what is not known is left out."""
        told: dict[str, JSON] = {
            "estimator": self.estimator,
            "methods": list(self.methods),
            "signature": self.signature.to_dict() if self.signature else None,
            "sklearn_config": dict(self.sklearn_config),
        }
        if self.recorded:
            one = self.recorded
            told["recorded"] = {"rows": list(one.rows), "answers": list(one.answers), "method": one.method}
        return {key: value for key, value in told.items() if value}

    @classmethod
    def from_dict(cls, value: Mapping[str, JSON]) -> ModelMeta:
        """The reverse of :meth:`to_dict`; unknown keys are passed over, so that newer records can be read."""
        signature, config, recorded = value.get("signature"), value.get("sklearn_config"), value.get("recorded")
        rows = _listed(recorded.get("rows")) if isinstance(recorded, Mapping) else ()
        answers = _listed(recorded.get("answers")) if isinstance(recorded, Mapping) else ()
        method = str(recorded.get("method") or "predict") if isinstance(recorded, Mapping) else ""
        return cls(
            estimator=str(value.get("estimator") or ""),
            methods=tuple(str(m) for m in _listed(value.get("methods"))),
            signature=Signature.from_dict(signature) if isinstance(signature, Mapping) else None,
            sklearn_config=config if isinstance(config, Mapping) else {},
            recorded=Recorded(rows, answers, method) if rows and len(rows) == len(answers) else None,
        )


def method_in(variables: Mapping[str, str]) -> str:
    """The method that a predictor's variables name; empty where they leave it open."""
    said = variables.get(METHOD, "")
    return said or ("predict_proba" if variables.get(PROBABILITIES, "").lower() == "true" else "")


def to_bytes(meta: ModelMeta) -> bytes:
    """The record as it lies in the file: the same bytes for the same content."""
    return json.dumps(meta.to_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def write(folder: Path, meta: ModelMeta) -> None:
    """Write the record into a snapshot that is being made."""
    (folder / NAME).write_bytes(to_bytes(meta))


def read(folder: Path) -> ModelMeta | None:
    """The record of a snapshot; None where there is none, as for models that were logged before or elsewhere."""
    file = folder / NAME
    try:
        if file.stat().st_size > MOST_BYTES:
            return None
        told: JSON = json.loads(file.read_bytes())
        return ModelMeta.from_dict(told) if isinstance(told, Mapping) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


@dataclass(frozen=True)
class RowDifference:
    """A recorded row that was answered differently; ``row`` counts from 0."""

    row: int
    expected: JSON
    got: JSON


def compare(expected: Sequence[JSON], got: JSON) -> list[RowDifference]:
    """The rows whose answers differ; numbers count as the same when they are as near as float32 can tell.

    Args:
        expected: one answer for each row.
        got: what was answered now: a list of as many, or something else, which differs in every row.
    """
    if not isinstance(got, Sequence) or isinstance(got, str) or len(got) != len(expected):
        return [RowDifference(i, wanted, got if i == 0 else None) for i, wanted in enumerate(expected)]
    pairs = enumerate(zip(expected, got, strict=True))
    return [RowDifference(i, wanted, given) for i, (wanted, given) in pairs if not _same(wanted, given)]


def _same(a: JSON, b: JSON) -> bool:
    if isinstance(a, bool) or isinstance(b, bool):
        # A 0/1 answer for False/True is the same by v2, whose tensors of several types it may have gone through.
        return a == b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-9)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, str) and not isinstance(b, str):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def _listed(value: JSON) -> tuple[JSON, ...]:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
