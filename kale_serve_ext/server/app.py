"""What the handlers need of the application: its limits and its backends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..runner.budget import Budget
    from .backends import Backends
    from .installations import Installations
    from .uploads import Uploads


class App(Protocol):
    """``KaleServeApp`` as its handlers see it. Its traits say what each limit is for; times are seconds."""

    log_streams: int
    """How many logs are being read now."""

    chats: int
    """How many conversations are being answered now."""

    @property
    def backends(self) -> Backends: ...
    @property
    def bodies(self) -> Budget:
        """Counts the bytes of the requests under way."""

    @property
    def installations(self) -> Installations: ...
    @property
    def uploads(self) -> Uploads: ...
    @property
    def creating(self) -> asyncio.Lock:
        """Held from counting the services to creating one more."""

    @property
    def root_dir(self) -> str:
        """The folder that the file browser shows; empty where the server's files are not on this disk."""

    @property
    def allow_hidden(self) -> bool:
        """Whether the file browser may show hidden files."""

    @property
    def max_services(self) -> int: ...
    @property
    def max_request_bytes(self) -> int: ...
    @property
    def max_log_bytes(self) -> int: ...
    @property
    def max_log_streams(self) -> int: ...
    @property
    def max_chats(self) -> int: ...
    @property
    def request_timeout(self) -> float: ...
    @property
    def predict_timeout(self) -> float: ...
    @property
    def action_timeout(self) -> float: ...
    @property
    def chat_timeout(self) -> float: ...
    @property
    def follow_timeout(self) -> float: ...
