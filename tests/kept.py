"""Environments that the product installs for tests: once, and kept between runs and for all parts of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext import environments
from kale_serve_ext.config import Settings
from kale_serve_ext.environments import Base, Ready
from kale_serve_ext.errors import EnvironmentUnavailableError

KEPT = Path(__file__).resolve().parents[1] / ".cache" / "tests"
"""The data directory that has them."""

_NOT_FOR_THIS_SYSTEM = ("cannot run here: there are no wheels", "cannot run with", "has no shared library")
_OFFLINE = (
    *("dns error", "connect error", "connection refused", "network is unreachable", "operation timed out"),
    *("failed to establish a new connection", "name or service not known", "temporary failure in name resolution"),
)
"""What uv and pip say where the package index cannot be reached, in lower case."""


def require(name: str, base: Base | None = None) -> Ready:
    """The environment of this name. The test that asks is skipped, and says why, where this machine cannot have it, and
    fails for any other reason.

    Args:
        base: what an overlay is laid beside; the running interpreter by default.
    """
    settings = replace(Settings.from_environ(), data_dir=KEPT)
    env = environments.by_name(name)
    try:
        return asyncio.run(environments.ensure(settings, env, print, base))
    except EnvironmentUnavailableError as error:
        if not is_beyond_this_machine(error):
            raise
        pytest.skip(f"{env.capitalized} cannot be had here: {error}")


def is_beyond_this_machine(error: EnvironmentUnavailableError) -> bool:
    """Whether it is for want of wheels for this system, of Python's shared library, or of a connection."""
    said = str(error)
    return any(words in said for words in _NOT_FOR_THIS_SYSTEM) or any(words in said.lower() for words in _OFFLINE)
