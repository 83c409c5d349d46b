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


def require(name: str, base: Base | None = None) -> Ready:
    """The environment of this name; where it cannot be had, the test that asks is skipped, and says why.

    Args:
        base: what an overlay is laid beside; the running interpreter by default.
    """
    settings = replace(Settings.from_environ(), data_dir=KEPT)
    env = environments.by_name(name)
    try:
        return asyncio.run(environments.ensure(settings, env, print, base))
    except EnvironmentUnavailableError as error:
        pytest.skip(f"{env.capitalized} cannot be had here: {error}")
