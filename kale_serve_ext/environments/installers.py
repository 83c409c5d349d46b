"""pip and uv: which of them can install here, and how they are called."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
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
# Out of the wheel that ensurepip would install, where Python's makers have put it: nothing is added to an interpreter
# that belongs to somebody else.
_CARRIED_PIP = """
import ensurepip, pathlib, runpy, sys, sysconfig

places = [sysconfig.get_config_var("WHEEL_PKG_DIR"), pathlib.Path(ensurepip.__file__).with_name("_bundled")]
wheels = [str(wheel) for place in places if place for wheel in pathlib.Path(place).glob("pip-*.whl")]
if not wheels:
    sys.exit("ERROR: this Python carries no pip.")
sys.path.insert(0, wheels[0])
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
# What would send the packages elsewhere, or belongs to the running environment and not to one of its own.
_DROPPED = frozenset(
    {
        *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
        *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_REQUIRE_VIRTUALENV"),
        *("PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_NO_DEPS", "PIP_DRY_RUN"),
        *("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE"),
    }
)
# Paths, which are taken from the current folder where they are relative.
_PATHS = ("PIP_CONFIG_FILE", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_CACHE_DIR", "SSL_CERT_FILE", "UV_CACHE_DIR")
_SECTIONS = ("global", "install", ":env:")
"""Of pip's settings, those that count when it installs: each over the ones before."""
_ON = ("1", "y", "yes", "t", "true", "on")


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


def environ() -> dict[str, str]:
    """The user's environment, index and proxy included, without what would send the packages elsewhere. It holds in
    whatever folder a program is started."""
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    return kept | {name: str(Path(kept[name]).absolute()) for name in _PATHS if kept.get(name)}


def find_uv() -> str | None:
    """uv, beside the running interpreter or on PATH."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    return found and str(Path(found).absolute())


async def ways(
    env: Environment, target: Target, *, only_uv: bool, ask: Callable[[list[str]], Awaitable[str]]
) -> list[Way]:
    """How the packages can be installed, the best first.

    By uv, which takes a tenth of the time, told in its words of pip's index and proxy, by which the user's other
    packages came; by the running environment's pip; where there is neither, by the pip that the target's Python
    carries with it.

    Args:
        only_uv: whether pip would refuse them.
        ask: runs a program and gives what it printed.
    """
    found: list[Way] = []
    pip = [sys.executable, "-m", "pip"]
    has_pip = _pip_version() >= (22, 3)
    uv = find_uv()
    own = environ()
    settings = _settings(await ask([*pip, "config", "list"]) if has_pip else _as_listed(own))
    links = _find_links(settings)
    if uv is not None:
        told = _in_uvs_words(settings, links, own) | own
        # uv has no variable for it in all of its releases.
        index = ["--no-index"] if settings.get("no-index", "").lower() in _ON else []
        found.append(Way(_commands([uv, "pip", "install", "--python", target.python, *index], env, target), told))
    if links:
        own["PIP_FIND_LINKS"] = " ".join(links)
    if has_pip and not only_uv:
        install = [*pip, "--python", target.python, "install", *_PIP]
        found.append(Way(_commands(install, env, target), own))
    if not found:
        install = [target.python, "-c", _CARRIED_PIP, "install", *_PIP]
        found.append(Way(_commands(install, env, target), own))
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


def _as_listed(own: Mapping[str, str]) -> str:
    """What ``pip config list`` would say of the variables."""
    pips = ((name[4:].lower().replace("_", "-"), value) for name, value in own.items() if name.startswith("PIP_"))
    return "\n".join(f":env:.{name}={value!r}" for name, value in pips)


def _settings(listed: str) -> dict[str, str]:
    """What ``pip config list`` says that holds when pip installs."""
    settings: dict[str, str] = {}
    lines = [line.partition("=") for line in listed.splitlines()]
    for section in _SECTIONS:
        for key, _, value in lines:
            before, _, name = key.rpartition(".")
            if before == section:
                settings[name] = value.strip().strip("'\"").replace("\\n", " ")
    return settings


def _find_links(settings: Mapping[str, str]) -> list[str]:
    """Folders by their whole paths, files and addresses."""
    given = settings.get("find-links", "").split()
    return [one if "://" in one else str(Path(one).expanduser().absolute()) for one in given]


def _in_uvs_words(settings: Mapping[str, str], links: list[str], own: Mapping[str, str]) -> dict[str, str]:
    """The variables that tell uv what pip's settings say of index, certificates and proxy; not of the index where
    ``own`` ones are set for uv."""
    if own.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        settings = {name: value for name, value in settings.items() if not name.endswith("index-url")}
    told = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": settings.get("extra-index-url", ""),
        # It refuses all where one of the folders is missing, which pip passes over.
        "UV_FIND_LINKS": ",".join(one for one in links if "://" in one or Path(one).exists()),
        "UV_INSECURE_HOST": settings.get("trusted-host", ""),
        "UV_HTTP_TIMEOUT": settings.get("timeout", settings.get("default-timeout", "")),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "SSL_CLIENT_CERT": settings.get("client-cert", ""),
        "HTTPS_PROXY": settings.get("proxy", ""),
        "HTTP_PROXY": settings.get("proxy", ""),
    }
    return {name: value for name, value in told.items() if value}
