"""Two models that tell what comes over the wire: one the table that it was given, one the result that it was told."""

from __future__ import annotations

import base64
import pickle

import numpy as np
from sklearn.base import BaseEstimator


class Echo(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Answers each row with the whole of its input, pickled."""

    def predict(self, rows: object) -> np.ndarray:
        shape = getattr(rows, "shape", None)
        count = shape[0] if shape else len(rows)  # type: ignore[arg-type]
        return np.array([base64.b64encode(pickle.dumps(rows)).decode()] * count, dtype=object)


class Told(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Answers with what its first row holds, pickled, byte for byte."""

    def predict(self, rows: np.ndarray) -> object:
        return pickle.loads(np.asarray(rows)[0].astype(np.uint8).tobytes())


def told(result: object, count: int) -> np.ndarray:
    """The rows that make :class:`Told` answer with ``result``, which has so many."""
    return np.array([list(pickle.dumps(result))] * count, dtype=np.uint8)
