"""What would keep a server that is another program from loading a model, told before it is tried."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...entities import Artifact
from ...errors import InvalidInputError
from ...formats import known
from ...formats.base import PICKLES
from ..base import Check, Manifest
from ..fields import mapping
from . import servers
from .checks import needed_by, normal, numbers, version_of
from .interpreters import Interpreter
from .launch import launches
from .servers.layout import look
from .servers.record import Program, Server


def check_folder(artifact: Artifact, server: Server) -> list[Check]:
    """Whether the snapshot holds what the server loads, whatever the service is called. Blocks."""
    folder = Path(url2pathname(urlsplit(artifact.uri).path))
    if server.program is None or not artifact.uri.startswith("file:") or not folder.is_dir():
        return []
    return [one for one in _laid_out(server.program, "model", artifact.format, folder) if one.field != "name"]


def check_name(manifest: Manifest) -> list[Check]:
    """Whether there is a model for a service of this name, where a server tells models by theirs. Blocks.

    Args:
        manifest: one that can be launched.
    """
    name = str(mapping(manifest.get("metadata")).get("name") or "")
    found = []
    for launch in launches(manifest):
        program = servers.named(launch.server).program
        if program and Path(launch.path).is_dir():
            found += _laid_out(program, name, launch.kind, Path(launch.path))
    return [one for one in found if one.field == "name"]


def _laid_out(program: Program, name: str, model_format: str, folder: Path) -> list[Check]:
    try:
        program.layout(look(name, model_format, folder))
    except InvalidInputError as exc:
        return [Check("error", "ModelFile", exc.message, exc.hint, exc.field)]
    return []


def check_environment(artifact: Artifact, server: Server, found: Interpreter) -> list[Check]:
    """Whether the server's interpreter has what the model needs, in versions that fit. Pure."""
    if not found.ok:
        hint = f"Set it up again: kale-serve-ext setup {server.environment}"
        return [Check("error", "InterpreterMissing", f"{server.title}: {found.message}", hint, "runtime")]
    recorded = {normal(name): version for name, version in artifact.environment.packages.items()}
    format_ = known(artifact.format)
    # What else is recorded is needed by pickles alone, which hold objects of those packages.
    is_pickled = format_ is None or format_.holds_objects or any(ending in PICKLES for ending in format_.suffixes)
    needed = {*needed_by(format_), *(recorded if is_pickled else ())} - {"kserve"}
    absent = sorted(name for name in needed if not version_of(found, name))
    if absent:
        message = f"{server.title}'s environment lacks {', '.join(absent)}, which the model needs."
        return [Check("error", "PackageMissing", message, "Choose another runtime.", "runtime")]
    relevant = {name: version for name, version in recorded.items() if name in needed}
    return _skews(artifact, server, found, relevant, is_pickled)


def _skews(
    artifact: Artifact, server: Server, found: Interpreter, recorded: Mapping[str, str], is_pickled: bool
) -> list[Check]:
    checks = []
    hint = "If loading fails or answers differ, choose a runtime with the model's own Python."
    made_with = artifact.environment.python_version
    if is_pickled and made_with and numbers(made_with)[:2] != numbers(found.version)[:2]:
        message = f"The model is a pickle made with Python {made_with}; {server.title} runs on {found.version}."
        checks.append(Check("warning", "PythonSkew", message, hint, "runtime"))
    for name, version in recorded.items():
        has = version_of(found, name)
        if has and numbers(has)[:2] != numbers(version)[:2]:
            message = f"The model was made with {name} {version}; {server.title}'s environment has {has}."
            checks.append(Check("warning", "VersionSkew", message, hint, "runtime"))
    return checks
