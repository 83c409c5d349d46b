"""Where the interpreter of a named environment is."""

from __future__ import annotations

from ....config import Settings
from ....environments import by_name, ready


def interpreter(name: str, settings: Settings) -> str:
    """The Python of the environment; empty where it is not set up.

    Raises:
        NotFoundError: nobody has registered an environment of this name.
    """
    found = ready(settings, by_name(name))
    return found.python if found else ""
