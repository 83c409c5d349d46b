"""Reads the file of a saved model as the object that it holds: as KServe's own servers do, and a few forms more."""

from __future__ import annotations

from pathlib import Path

from ..modelmeta import ESTIMATOR
from .own_code import use_code

PICKLES = (".joblib", ".pkl", ".pickle")
SKOPS = ".skops"
FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    "sklearn": (PICKLES, (SKOPS,)),
    "xgboost": ((".bst", ".json", ".ubj"), PICKLES, (SKOPS,)),
    "lightgbm": ((".bst",), PICKLES, (SKOPS,)),
}
"""What a model's file is called, by format: what KServe's servers look for, or else a pickle or a file of skops."""


def load_object(directory: Path, kind: str) -> object:
    """The estimator or booster in the one model file of a snapshot; the estimator around it, where it lies beside it.

    Raises:
        RuntimeError: there is no model file, or several.
        Exception: whatever the framework says of the file.
    """
    use_code(directory)
    if (directory / ESTIMATOR).is_file():
        import joblib

        return joblib.load(directory / ESTIMATOR)
    return read_object(the_file(directory, FILES[kind]), kind)


def read_object(file: Path, kind: str) -> object:
    """The object in a file whose ending is one of :data:`FILES`."""
    if file.suffix == SKOPS:
        from skops import io

        # Whoever registered the file has trusted it as they would a pickle.
        return io.load(file, trusted=io.get_untrusted_types(file=file))
    if kind == "sklearn" or file.suffix in PICKLES:
        import joblib

        return joblib.load(file)
    if kind == "xgboost":
        import xgboost

        return xgboost.Booster(model_file=str(file))
    import lightgbm

    return lightgbm.Booster(model_file=str(file))


def the_file(directory: Path, endings: tuple[tuple[str, ...], ...]) -> Path:
    """The one file at the top of a folder that has an ending of the first of these groups that any file has.

    Raises:
        RuntimeError: there is none, or several.
    """
    files = sorted(f for f in directory.iterdir() if f.is_file())
    groups = [[f for f in files if f.suffix in suffixes] for suffixes in endings]
    found = next((group for group in groups if group), [])
    if len(found) == 1:
        return found[0]
    wanted = ", ".join(suffix for group in endings for suffix in group)
    if not found:
        raise RuntimeError(f"The snapshot {directory} holds no model file ({wanted}).")
    names = ", ".join(f.name for f in found)
    raise RuntimeError(
        f"The snapshot {directory} holds more than one model file ({names}); one was expected ({wanted})."
    )
