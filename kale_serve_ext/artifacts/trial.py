"""An artifact with people's code is loaded once in a clean process, under its own interpreter, to be accepted."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

from ..engines.local.imports import CODE_FORMATS, distributions_of
from ..engines.local.opening import Opened, open_once
from ..entities import MODEL, TRANSFORMER, Artifact
from ..errors import InvalidInputError
from ..formats.custom import requirements_of
from ..source.installed import distributions_of_modules
from ..sync import run
from .environment import normalised

_SECONDS = 120.0
_LEAST_MEMORY = 4 << 30
_BROKEN = re.compile(
    r"(ModuleNotFound|Import|Name|Syntax|Indentation|Tab|Unpickling|EOF)Error\b"
    # Other attributes may be of a value that the environment gives.
    r"|AttributeError: (Can't get attribute|module '|partially initialized module '|type object ')"
    r"|TypeError: .* subclass of kserve\.Model"
)
"""Messages of what fails wherever the files go."""
_OF_MACHINE = re.compile(
    r"cannot open shared object file|DLL load failed|Library not loaded|failed to map segment"
    r"|version `[^']+' not found|cannot allocate memory in static TLS block"
)
"""Messages of what this machine lacks, such as a graphics card's driver."""


def needs_trial(record: Artifact, packages: tuple[str, ...]) -> bool:
    """Whether loading the artifact runs code of the user's own: a folder of it, or what a pickle took along."""
    if record.type not in (MODEL, TRANSFORMER):
        return False
    return record.format in CODE_FORMATS or bool(record.details.get("own_code")) or "cloudpickle" in packages


def check_loads(folder: Path, record: Artifact) -> None:
    """Load what is in the folder as it will be when it is served: a model is read, code is imported, and not run.

    What exists only where it is served, such as a variable of the environment, is missed here too: that is a warning.

    Raises:
        InvalidInputError: a module or a name is missing, or the code or the pickle is broken, so that it loads nowhere.
    """
    if not sys.executable:
        return
    details = record.details
    opened = run(
        open_once(
            folder,
            "transformer" if record.type == TRANSFORMER else record.format,
            sys.executable,
            seconds=_SECONDS,
            memory=max(_LEAST_MEMORY, 4 * _size(folder)),
            module_name=str(details.get("module_name") or ""),
            class_name=str(details.get("class_name") or ""),
        )
    )
    if opened.ok:
        return
    if is_certain(opened) and not is_required(folder, opened.missing):
        raise InvalidInputError(
            f"{record.name} does not load in a separate process with {sys.executable}: {opened.message}",
            hint=_hint(opened.missing),
        )
    warnings.warn(
        f"{record.name} did not load in a separate process with {sys.executable}: {opened.message} "
        "It was logged anyway: what it needs may exist where it is served.",
        stacklevel=4,
    )


def is_certain(opened: Opened) -> bool:
    """Whether what failed here fails wherever the files go. Pure."""
    if opened.limit or _OF_MACHINE.search(opened.message):
        return False
    return bool(opened.missing) or _BROKEN.match(opened.message) is not None


def is_required(folder: Path, module: str) -> bool:
    """Whether the ``requirements.txt`` of a folder of code names a distribution that brings the module."""
    if not module:
        return False
    named = {normalised(name) for name in requirements_of(folder)}
    return any(normalised(name) in named for name in distributions_of(module, distributions_of_modules()))


def _hint(missing: str) -> str:
    if missing == "__main__":
        return "Define what it needs in the notebook that logs it, or in a module beside it, and create it again."
    if missing:
        install = f"{sys.executable} -m pip install {distributions_of(missing, distributions_of_modules())[0]!r}"
        return (
            "A module of your own is included when an import statement names it, in the logged code or in a module "
            f"that it imports. Otherwise install it ({install}), or list it in requirements.txt beside the code."
        )
    return "Fix the code, restart the kernel, and log it again."


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
