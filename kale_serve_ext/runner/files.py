"""Reads the file of a saved model as the object that it holds: as KServe's own servers do, and a few forms more."""

from __future__ import annotations

from pathlib import Path

from ..formats import by_name
from ..formats.base import PICKLES, SKOPS, the_file
from ..modelmeta import ESTIMATOR
from .own_code import use_code


def load_object(directory: Path, kind: str) -> object:
    """The estimator or booster in the one model file of a snapshot; the estimator around it, where it lies beside it.

    Raises:
        UnsupportedModelError: this interpreter knows no such format.
        RuntimeError: there is no model file, or several.
        Exception: whatever the framework says of the file.
    """
    use_code(directory)
    if (directory / ESTIMATOR).is_file():
        import joblib

        return joblib.load(directory / ESTIMATOR)
    files = by_name(kind).files
    return read_object(the_file(directory, files) if files else directory, kind)


def read_object(file: Path, kind: str) -> object:
    """The object in a file whose ending is one of its format's ``files``, or in a folder where it has none."""
    if file.suffix == SKOPS:
        from skops import io

        # Whoever registered the file has trusted it as they would a pickle.
        return io.load(file, trusted=io.get_untrusted_types(file=file))
    if file.suffix in PICKLES:
        import joblib

        return joblib.load(file)
    return by_name(kind).load(file)
