"""Environments with a name, each made on first use for programs that do not fit beside the running one's packages.

An environment is one record (:class:`Environment`); the package's own are in ``records/``, and others register theirs.
:func:`ready` and :func:`state` read a few files; :func:`ensure` makes one, under a lock between processes.
"""

from __future__ import annotations

from .catalogue import all, by_name, register
from .making import ensure, remove
from .places import State, folder, ready, state
from .record import Base, Environment, Platform, Ready
from .usage import check_unused

__all__ = [
    "Base",
    "Environment",
    "Platform",
    "Ready",
    "State",
    "all",
    "by_name",
    "check_unused",
    "ensure",
    "folder",
    "ready",
    "register",
    "remove",
    "state",
]
