"""KServe's own servers: this package's runner, under the model's own interpreter."""

from __future__ import annotations

from ....formats import every
from .record import Server, StandsFor


def server() -> Server:
    """With a runtime for each format that the runner loads, those of other packages among them."""
    return Server(
        name="kserve",
        title="KServe",
        runtimes=tuple(
            StandsFor(one.server.name, one.server.title, (one.name,), ("v1", "v2")) for one in every() if one.server
        ),
    )
