"""The tables that models are fitted on and asked with: each 60 rows, the missing values among the first ones.

A row asked alone is the first, so that a missing value is alone too; the three are the first ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse

ROWS = 60
_rng = np.random.default_rng(7)
A = _rng.random(ROWS) * 4 + 0.5
"""Positive, with decimal places; what is to be predicted goes by it."""
B = _rng.integers(0, 4, ROWS)
"""Small counts."""
C = _rng.random(ROWS)
WORDS = np.array(["oslo", "kiel", "bari"])[_rng.integers(0, 3, ROWS)]
FLAGS = C > 0.5
_STAMPS = pd.Series(pd.date_range("2024-03-01 05:00", periods=ROWS, freq="31h"))


def numbers() -> pd.DataFrame:
    """Positive floats and whole numbers as floats."""
    made: pd.DataFrame = pd.DataFrame({"a": A, "b": B.astype(float), "c": C})
    return made


def counts() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"a": np.round(A).astype(int), "b": B, "d": np.arange(ROWS) % 5})
    return made


def missing() -> pd.DataFrame:
    made = numbers()
    made.loc[::5, "a"] = np.nan
    return made


def nowhere_a_number() -> pd.DataFrame:
    """A column that has a missing value wherever it is looked at first."""
    made = numbers()
    made.loc[:40, "c"] = np.nan
    return made


def texts() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"port": WORDS.astype(object), "a": A})
    return made


def _with(column: np.ndarray, missing: object = np.nan) -> pd.Series:
    made: pd.Series = pd.Series(column.tolist(), dtype=object)
    made[::5] = missing
    return made


def missing_texts() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"port": _with(WORDS), "a": A})
    return made


def none_for_text() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"port": _with(WORDS, missing=None), "a": A})
    return made


def categories() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"port": pd.Categorical(WORDS, ["oslo", "kiel", "rome", "bari"]), "a": A})
    return made


def missing_categories() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"port": pd.Categorical(_with(WORDS), ["kiel", "oslo", "bari"]), "a": A})
    return made


def whole_categories() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"zone": pd.Categorical(B * 10 + 10), "a": A})
    return made


def ordered_categories() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"port": pd.Categorical(WORDS, ["oslo", "kiel", "bari"], ordered=True), "a": A})
    return made


def booleans() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"flag": FLAGS, "a": A})
    return made


def nullable_booleans() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"flag": _with(FLAGS, missing=pd.NA).astype("boolean"), "a": A})
    return made


def booleans_or_none() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"flag": _with(FLAGS, missing=None), "a": A})
    return made


def dates() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"taken": _STAMPS, "a": A})
    return made


def zoned_dates() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"taken": _STAMPS.dt.tz_localize("Europe/Berlin"), "a": A})
    return made


def missing_dates() -> pd.DataFrame:
    made = dates()
    made.loc[::5, "taken"] = pd.NaT
    return made


def nullable_numbers() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"a": pd.array(A, "Float64"), "b": pd.array(B, "Int64"), "c": C})
    made.loc[::5, "b"] = pd.NA
    return made


def nullable_texts() -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame({"port": _with(WORDS, missing=pd.NA).astype("string"), "a": A})
    return made


def array() -> np.ndarray:
    return np.stack([A, B, C], axis=1)


def missing_array() -> np.ndarray:
    return missing().to_numpy()


def floats32() -> np.ndarray:
    return array().astype(np.float32)


def whole_array() -> np.ndarray:
    return counts().to_numpy()


def object_array() -> np.ndarray:
    return np.array(list(zip(WORDS.tolist(), B.tolist(), A.tolist(), strict=True)), dtype=object)


def text_array() -> np.ndarray:
    return np.stack([WORDS, WORDS[::-1]], axis=1)


def frame32() -> pd.DataFrame:
    made: pd.DataFrame = numbers().astype(np.float32)
    return made


def polars_numbers() -> pl.DataFrame:
    return pl.DataFrame({"a": A, "b": B, "c": C})


def polars_texts() -> pl.DataFrame:
    return pl.DataFrame({"port": [None if i % 5 == 0 else str(word) for i, word in enumerate(WORDS)], "a": A})


def polars_categories() -> pl.DataFrame:
    return pl.DataFrame({"port": pl.Series(WORDS.tolist(), dtype=pl.Categorical), "a": A})


def scattered() -> sparse.csr_matrix:
    made = array()
    made[made < 1] = 0
    return sparse.csr_matrix(made)


def one_dimension() -> np.ndarray:
    return A


def kernel() -> np.ndarray:
    made: np.ndarray = array() @ array().T
    return made


def images() -> np.ndarray:
    return _rng.random((ROWS, 4, 4))


def sentences() -> list[str]:
    return [f"{word} has {count} ships" for word, count in zip(WORDS, B, strict=True)]


def records() -> list[dict[str, object]]:
    return [{"port": str(word), "tons": float(a)} for word, a in zip(WORDS, A, strict=True)]


def labels() -> list[str]:
    return [str(word) for word in WORDS]


def label_sets() -> list[tuple[str, ...]]:
    return [(str(word), "port") if flag else (str(word),) for word, flag in zip(WORDS, FLAGS, strict=True)]


NUMBERS: dict[str, Callable[[], object]] = {
    "numbers": numbers,
    "counts": counts,
    "array": array,
    "float32 array": floats32,
    "float32 frame": frame32,
    "missing": missing,
    "sparse": scattered,
    "polars": polars_numbers,
    "nullable": nullable_numbers,
    "whole array": whole_array,
    "missing array": missing_array,
    "missing at first": nowhere_a_number,
}
MIXED: dict[str, Callable[[], object]] = {
    "texts": texts,
    "missing texts": missing_texts,
    "None for text": none_for_text,
    "categories": categories,
    "missing categories": missing_categories,
    "whole categories": whole_categories,
    "ordered categories": ordered_categories,
    "booleans": booleans,
    "nullable booleans": nullable_booleans,
    "booleans or None": booleans_or_none,
    "dates": dates,
    "zoned dates": zoned_dates,
    "missing dates": missing_dates,
    "nullable texts": nullable_texts,
    "object array": object_array,
    "text array": text_array,
    "polars texts": polars_texts,
    "polars categories": polars_categories,
}
SPECIAL: dict[str, Callable[[], object]] = {
    "one dimension": one_dimension,
    "kernel": kernel,
    "images": images,
    "sentences": sentences,
    "records": records,
    "labels": labels,
    "label sets": label_sets,
}
ALL = NUMBERS | MIXED | SPECIAL
OF_EACH_KIND = (
    *("numbers", "array", "float32 array", "missing", "sparse", "polars", "nullable"),
    *("texts", "categories", "whole categories", "booleans", "dates"),
)
"""Enough for an estimator that makes an array of numbers of whatever it gets."""


def first(table: object, count: int) -> object:
    """The first rows of any of the tables."""
    if isinstance(table, pd.DataFrame):
        return table.iloc[:count]
    return table[:count] if isinstance(table, Sequence | np.ndarray | pl.DataFrame | sparse.csr_matrix) else table
