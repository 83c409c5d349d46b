"""``Dataset``: the data that a model was made from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..entities import DATASET
from ..errors import InvalidInputError
from ..estimators import attribute, listed
from ..formats.base import distributions
from ..ml import JSON
from ..source.pickled import dump
from .base import Loggable, Written

_PARTS = ("features", "targets", "features_test", "targets_test")


class Dataset(Loggable):
    """Data to log: arrays, data frames, or anything that can be pickled.

    Args:
        features: the model's input, one row for each example.
        targets: what it was to learn, in the same order.
        features_test: the same of the examples kept for testing.
        targets_test: likewise.
        name: 1 to 200 printable characters; ``Dataset`` when left out.

    Raises:
        InvalidNameError, InvalidInputError: an argument that cannot be used.
    """

    TYPE = DATASET

    def __init__(
        self,
        features: object = None,
        targets: object = None,
        features_test: object = None,
        targets_test: object = None,
        name: str | None = None,
        *,
        description: str | None = None,
        version: str | None = None,
        author: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.features = features
        self.targets = targets
        self.features_test = features_test
        self.targets_test = targets_test
        super().__init__(name, description, version, author, tags)

    def _write(self, workspace: Path) -> Written:
        folder = workspace / "dataset"
        folder.mkdir()
        details: dict[str, JSON] = {}
        packages = {"numpy"}
        for part in _PARTS:
            value = attribute(self, part)
            if value is not None:
                details[part], needed = _write_part(folder, part, value)
                packages |= needed
        if not details:
            raise InvalidInputError("The dataset has no data.", hint="Pass at least features=.", field="features")
        record = replace(self._record("Dataset"), details=details)
        return Written(record, folder, tuple(sorted(packages)), adopt=True)


def _write_part(folder: Path, part: str, value: object) -> tuple[JSON, set[str]]:
    shape = [n for n in listed(attribute(value, "shape")) if isinstance(n, int)]
    told: dict[str, JSON] = {"shape": shape} if shape else {}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray) and not value.dtype.hasobject:
        numpy.save(folder / f"{part}.npy", value, allow_pickle=False)
        return {"file": f"{part}.npy", **told, "dtype": str(value.dtype)}, set()
    try:
        modules = dump(value, folder / f"{part}.pkl")
    except OSError:  # the disk's, not the object's
        raise
    except Exception as error:
        raise InvalidInputError(
            f"{part}, a {type(value).__name__}, cannot be pickled: {error}.",
            hint="Pass arrays or data frames.",
            field=part,
        ) from error
    columns = [str(c) for c in listed(attribute(value, "columns"))[:1000]]
    told |= {"file": f"{part}.pkl", **({"columns": columns} if columns else {})}
    return told, set(distributions(modules))
