"""Which installed distribution brings which top-level module."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata


def distributions_of_modules() -> Mapping[str, list[str]]:
    """Distributions by the top-level modules that they bring."""
    known = {module: list(names) for module, names in metadata.packages_distributions().items()}
    if sys.version_info >= (3, 11):
        return known
    # Before, only distributions with a top_level.txt were told, which many build tools do not write any more.
    for one in metadata.distributions():
        if one.read_text("top_level.txt"):
            continue
        for module in set(_modules(one)):
            known.setdefault(module, []).append(one.metadata["Name"])
    return known


def _modules(distribution: metadata.Distribution) -> Iterator[str]:
    for file in distribution.files or ():
        if len(file.parts) > 1:
            yield file.parts[0]
        elif file.suffix in (".py", ".so", ".pyd"):
            yield file.name.partition(".")[0]
