"""What opening a saved model once tells goes into its record, or says why it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .. import modelmeta
from ..engines.local.imports import distributions_of
from ..engines.local.interpreters import inspect
from ..engines.local.opening import Opened, open_once
from ..errors import InvalidInputError
from ..ml import JSON
from ..source.installed import distributions_of_modules
from ..source.origin import is_own
from .base import Written
from .environment import MADE_WITH, normalised
from .saved import CUSTOM

NOT_OPENED = "not_opened"
"""The key of a record's details that says why its file was not opened, where it was not."""
_SECONDS = 120.0
_BYTES_PER_SECOND = 20e6
_MEMORY = 4 << 30
_TIMES = 4
"""Bytes of memory for each of the file, above the fixed part: compressed files become larger."""
_LOG = "Log the object in the notebook that made it, which includes the code it needs: Model(model).submit_artifact()."
_SAVE = "Save the fitted model itself, as with joblib.dump(model, 'model.joblib')."


async def open_written(written: Written, python: str) -> Opened:
    """Load a saved model once in a process of its own.

    Args:
        written: what is ready for the store.
        python: the interpreter that is to load it.
    """
    path = written.source / written.renamed if written.renamed else written.source
    size = _size(path)
    details = written.record.details
    opened = await open_once(
        path,
        written.record.format,
        python,
        seconds=_SECONDS + size / _BYTES_PER_SECOND,
        memory=_MEMORY + _TIMES * size,
        name=written.file_name or (path.name if path.is_file() else ""),
        along=written.along,
        module_name=str(details.get("module_name") or ""),
        class_name=str(details.get("class_name") or ""),
    )
    if opened.ok or not opened.python_version:
        return opened
    skews = _skews(details, (await inspect(python)).packages)
    return replace(opened, message=" ".join((opened.message, *skews)))


def with_opened(written: Written, opened: Opened, python: str, *, kernels: bool = False) -> Written:
    """The same, with what opening it has told.

    Args:
        written: what is ready for the store.
        opened: what opening it told.
        python: the interpreter that has opened it.
        kernels: whether there are kernels to choose from.

    Raises:
        InvalidInputError: it could not be loaded, or is no model.
    """
    check_opened(written, opened, python, kernels=kernels)
    written = replace(written, opened=True)
    if written.record.format == CUSTOM:
        return written
    told: dict[str, JSON] = {
        "estimator": opened.estimator.rpartition(".")[2],
        "methods": list(opened.methods),
        **opened.details,
    }
    made = written.record.details.get(MADE_WITH)
    if opened.made_with:
        told[MADE_WITH] = {**opened.made_with, **(made if isinstance(made, Mapping) else {})}
    before = modelmeta.read(written.source)  # of a snapshot that is registered again
    record = replace(
        written.record,
        signature=(before and before.signature) or opened.signature or written.record.signature,
        details={**written.record.details, **told},
    )
    return replace(written, record=record, packages=_together(written.packages, opened.packages))


def not_opened(written: Written, why: str) -> Written:
    """The same, with the reason why it was not opened."""
    return replace(written, record=replace(written.record, details={**written.record.details, NOT_OPENED: why}))


def check_opened(written: Written, opened: Opened, python: str, *, kernels: bool) -> None:
    """Refuse what cannot be loaded, or is no model.

    Raises:
        InvalidInputError: with the reason.
    """
    name = written.source.name
    if opened.ok and opened.is_model:
        return
    field = "path" if kernels else "artifact_uri"
    if opened.ok:
        cls = opened.estimator.removeprefix("builtins.")
        raise InvalidInputError(f"{name} holds a {cls}, which has no method to serve.", hint=_SAVE, field=field)
    version = f"Python {opened.python_version} ({python})" if opened.python_version else python
    made = written.record.details.get(MADE_WITH)
    if kernels:
        in_kernel, hint = _kernel_hint(opened.missing, made if isinstance(made, Mapping) else {})
        field = "kernel" if in_kernel else field
    else:
        hint = _hint(opened.missing, made if isinstance(made, Mapping) else {}, python)
    raise InvalidInputError(f"{name} cannot be opened with {version}. {opened.message}", hint=hint, field=field)


def _kernel_hint(missing: str, made: Mapping[str, JSON]) -> tuple[bool, str]:
    """What to do, and whether that is done with another kernel."""
    if missing == "__main__":
        return False, _LOG
    if "." in missing and made:
        return True, f"Choose a kernel that has {_versions(made)}, or save the model again."
    if missing:
        return (
            True,
            "Install it there, or choose a kernel that has it. If it is your own, log the object in a notebook.",
        )
    return False, "Choose another kernel if this one is not the model's, or save the model again."


def _hint(missing: str, made: Mapping[str, JSON], python: str) -> str:
    """What to do where this Python is the only one."""
    top = missing.partition(".")[0]
    if missing == "__main__":
        return _LOG
    if "." in missing and made:
        return f"Install {_versions(made)}, or save the model again."
    if missing and is_own(top):
        call = "Model(joblib.load(path)).submit_artifact()"
        return f"{top} is a module of your own: log the object, which includes it: {call}."
    if missing:
        return f"Run: {python} -m pip install {distributions_of(top, distributions_of_modules())[0]!r}"
    return "Log it with the Python that made it, or save the model again."


def _versions(made: Mapping[str, JSON]) -> str:
    return " and ".join(f"{library} {version}" for library, version in made.items())


def absent(packages: tuple[str, ...], installed: Mapping[str, str]) -> list[str]:
    """Which of the packages that a model needs an interpreter lacks."""
    names = {normalised(name) for name in installed}
    if "xgboost-cpu" in names:
        names.add("xgboost")
    return [name for name in packages if normalised(name) not in names]


def _skews(details: Mapping[str, JSON], installed: Mapping[str, str]) -> list[str]:
    """Where the versions that made a file are not those that read it, in sentences."""
    made = details.get(MADE_WITH)
    has = {"xgboost": installed.get("xgboost-cpu", ""), **installed}
    return [
        f"It was made with {name} {version}; that Python has {has[name]}."
        for name, version in (made.items() if isinstance(made, Mapping) else ())
        if has.get(name) and has[name] != version
    ]


def _together(known: tuple[str, ...], told: Mapping[str, str]) -> tuple[str, ...]:
    """Distributions by name; XGBoost's two are one."""
    names = {normalised(name) for name in (*known, *told)}
    if {"xgboost", "xgboost-cpu"} <= names:
        names -= {"xgboost"} if "xgboost-cpu" in {normalised(n) for n in told} else {"xgboost-cpu"}
    return tuple(sorted(names))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.iterdir() if p.is_file())
