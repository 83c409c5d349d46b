"""The metadata engine's own environment, one of :mod:`kale_serve_ext.environments`, in the metadata's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .. import environments
from ..config import Settings
from ..environments.records.metadata import METADATA
from ..errors import EnvironmentUnavailableError, MetadataUnavailableError


async def ensure_environment(settings: Settings, progress: Callable[[str], None] | None = None) -> str:
    """The path of a Python that can run the engine; its environment is made where there is none.

    Raises:
        MetadataUnavailableError: it cannot be made here, and what to do.
    """
    with _metadata_errors():
        return (await environments.ensure(settings, METADATA, progress)).python


def ready_python(settings: Settings) -> str | None:
    """The engine's Python without making anything, or None. Touches a few files at most.

    Raises:
        MetadataUnavailableError: ``settings.metadata_python`` names no program.
    """
    with _metadata_errors():
        found = environments.ready(settings, METADATA)
    return found.python if found else None


def making(settings: Settings) -> environments.State:
    """How far the environment is, whichever process makes it."""
    return environments.state(settings, METADATA)


@contextmanager
def _metadata_errors() -> Iterator[None]:
    """Raises what is wrong with the environment as what is wrong with the metadata."""
    try:
        yield
    except EnvironmentUnavailableError as error:
        raise MetadataUnavailableError(error.message, hint=error.hint) from error
