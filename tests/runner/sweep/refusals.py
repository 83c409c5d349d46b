"""What a served model refuses although it answers in the notebook. ``docs/answers.md`` has the same list.

The list is exact: what is refused and not here is a fault, and what is here and is answered, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .asked import COUNTS, Case


@dataclass(frozen=True)
class Refusal:
    """``models``, ``tables`` and ``routes`` are patterns of names, as a shell has them; ``message`` is part of it."""

    models: Sequence[str]
    tables: Sequence[str]
    routes: Sequence[str]
    message: str
    why: str
    """For the documentation."""
    rows: Sequence[int] = COUNTS

    def has(self, case: Case) -> bool:
        pairs = ((self.models, case.estimator), (self.tables, case.table), (self.routes, case.route))
        return case.rows in self.rows and all(
            any(fnmatchcase(name, pattern) for pattern in patterns) for patterns, name in pairs
        )


EVERY = ("*",)
BY_V2 = ("v2", "v2-binary", "grpc-v2")
REFUSALS = (
    Refusal(
        ("IsotonicRegression",),
        ("one dimension",),
        EVERY,
        "input X should be a 1d array or 2d array with 1 feature",
        "several rows as a flat array, which is one row: send a column, `x.reshape(-1, 1)`",
        rows=(3,),
    ),
    Refusal(
        ("*SparsePCA",),
        EVERY,
        EVERY,
        "The model answered 1 rows with 2 answers",
        "one row to `SparsePCA` and `MiniBatchSparsePCA`, which answer it with as many as they have components",
        rows=(1,),
    ),
    Refusal(
        ("MultiLabelBinarizer",),
        ("label sets",),
        BY_V2,
        "The rows are not all of the same length",
        "lists of different lengths, by v2: use `v1`",
        rows=(3,),
    ),
)


def refusal_of(case: Case) -> Refusal | None:
    """The entry of the list for a case."""
    return next((one for one in REFUSALS if one.has(case)), None)
