"""KServe's own servers: this package's runner, under the model's own interpreter."""

from __future__ import annotations

from collections.abc import Iterator

from ....formats import Format, every
from .record import Server, StandsFor


def server() -> Server:
    """With a runtime for each format that the runner loads, those of other packages among them."""
    return Server(
        name="kserve",
        title="KServe",
        runtimes=tuple(one for format_ in every() if not format_.overlay for one in _stands(format_)),
    )


def with_overlays() -> tuple[Server, ...]:
    """The same for formats that need packages beside the interpreter: one for each."""
    return tuple(
        Server(name=f"kserve-{one.name}", title=one.server.title, runtimes=tuple(_stands(one)), overlay=one.overlay)
        for one in every()
        if one.overlay and one.server
    )


def _stands(format_: Format) -> Iterator[StandsFor]:
    if format_.server:
        yield StandsFor(
            format_.server.name,
            format_.server.title,
            (format_.name,),
            ("v1", "v2"),
            differs=format_.local_difference,
        )
