"""ML Metadata: the record of every artifact, where it came from and where it is served.

The wheel ``ml-metadata`` is never imported here. Its engine runs in a process and an environment of its own, and this
package speaks to it, or to any other MLMD server, by gRPC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config import Settings

if TYPE_CHECKING:
    from .store import Metadata

__all__ = ["open_metadata"]


def open_metadata(
    settings: Settings, *, progress: Callable[[str], None] | None = None, background: bool = False
) -> Metadata:
    """A connection to the metadata that ``settings`` name. Cheap: nothing is started before the first call.

    Args:
        settings: ``metadata`` says which server, ``metadata_timeout`` how long one call may take.
        progress: called with a few words on what a long first call is doing.
        background: what a call does while the engine's environment is still to be made, which takes minutes on a
            slow line. False: it waits. True, for servers: it starts the making and fails at once with
            ``MetadataUnavailableError``; ``health`` tells how far it is.

    Raises:
        InvalidInputError: ``settings.metadata`` is neither ``embedded`` nor ``grpc://HOST:PORT``.
    """
    from .store import Metadata

    return Metadata(settings, progress=progress, background=background)
