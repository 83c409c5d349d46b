"""pip and uv: which of them can install here, and how they are called."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .record import Environment

_PIP = (
    "--no-input",
    "--disable-pip-version-check",
    "--retries=1",
    "--timeout=20",
    "--progress-bar=off",
    "--no-compile",
)
# What would send the packages elsewhere, or belongs to the running environment and not to one of its own.
_DROPPED = frozenset(
    {
        *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
        *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_REQUIRE_VIRTUALENV"),
        *("PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_NO_DEPS", "PIP_DRY_RUN"),
        *("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE"),
    }
)


@dataclass(frozen=True)
class Target:
    """Where packages go: into the environment of ``python``, or into ``folder`` for it."""

    python: str
    folder: Path | None = None


@dataclass(frozen=True)
class Way:
    """One way of installing all packages of an environment."""

    commands: tuple[tuple[str, ...], ...]
    environ: Mapping[str, str]
    cwd: Path | None = field(default=None)


def environ() -> dict[str, str]:
    """The user's environment, index and proxy included, without what would send the packages elsewhere."""
    # A file of the current folder must not be taken for a module of pip's.
    return {name: value for name, value in os.environ.items() if name not in _DROPPED} | {"PYTHONSAFEPATH": "1"}


def find_uv() -> str | None:
    """uv, beside the running interpreter or on PATH."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


async def ways(
    env: Environment, target: Target, *, only_uv: bool, neutral: Path, ask: Callable[[list[str]], Awaitable[str]]
) -> list[Way]:
    """How the packages can be installed, the best first.

    By uv, which takes a tenth of the time, told in its words of pip's index and proxy, by which the user's other
    packages came; by the running environment's pip; where there is neither, by the pip that the target's Python
    carries with it.

    Args:
        only_uv: whether pip would refuse them.
        neutral: a folder without a project of the user's, which uv would read settings from.
        ask: runs a program and gives what it printed.
    """
    found: list[Way] = []
    pip = [sys.executable, "-m", "pip"]
    has_pip = _pip_version() >= (22, 3)
    uv = find_uv()
    if uv is not None:
        told = environ()
        if has_pip:
            told = _in_uvs_words(await ask([*pip, "config", "list"]), told) | told
        found.append(Way(_commands([uv, "pip", "install", "--python", target.python], env, target), told, neutral))
    if has_pip and not only_uv:
        install = [*pip, "--python", target.python, "install", *_PIP]
        found.append(Way(_commands(install, env, target), environ()))
    if not found:
        first = () if target.folder else ((target.python, "-m", "ensurepip"),)
        install = [target.python, "-m", "pip", "install", *_PIP]
        found.append(Way((*first, *_commands(install, env, target)), environ()))
    return found


def _commands(install: list[str], env: Environment, target: Target) -> tuple[tuple[str, ...], ...]:
    options = ["--only-binary=:all:", *(["--target", str(target.folder)] if target.folder else [])]
    made = []
    if env.requirements:
        made.append((*install, *options, *env.requirements))
    if env.without_dependencies:
        made.append((*install, *options, "--no-deps", *env.without_dependencies))
    return tuple(made)


def _pip_version() -> tuple[int, ...]:
    """Of the running environment's pip; it knows ``--python`` since 22.3. Empty where there is none."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return ()
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _in_uvs_words(listed: str, own: Mapping[str, str]) -> dict[str, str]:
    """The variables that tell uv what ``pip config list`` says of index, certificates and proxy; not of the index where
    ``own`` ones are set for uv."""
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        if "." in key:
            settings[key.rpartition(".")[2]] = value.strip().strip("'\"").replace("\\n", " ")
    if own.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        settings = {name: value for name, value in settings.items() if not name.endswith("index-url")}
    links = [str(Path(p).absolute()) for p in settings.get("find-links", "").split() if Path(p).is_dir()]
    links += [p for p in settings.get("find-links", "").split() if "://" in p]
    told = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": settings.get("extra-index-url", ""),
        "UV_FIND_LINKS": ",".join(links),
        "UV_INSECURE_HOST": settings.get("trusted-host", ""),
        "UV_HTTP_TIMEOUT": settings.get("timeout", settings.get("default-timeout", "")),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "SSL_CLIENT_CERT": settings.get("client-cert", ""),
        "HTTPS_PROXY": settings.get("proxy", ""),
        "HTTP_PROXY": settings.get("proxy", ""),
    }
    return {name: value for name, value in told.items() if value}
