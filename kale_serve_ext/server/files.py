"""What a file or folder under the server's root is, for the file browser's menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_server.auth.decorator import authorized
from tornado.web import authenticated

from ..errors import UnsupportedModelError
from .handler import Handler

if TYPE_CHECKING:
    from pathlib import Path

    from .schemas import FileKind


class FilesHandler(Handler):
    @authenticated
    @authorized
    async def get(self) -> None:
        """Whether a file or folder can be registered as a model, told by its bytes; nothing is loaded or recorded."""
        from .queries import FileQuery
        from .register import found

        path = self.query(FileQuery).path

        async def look() -> FileKind:
            file = await found(self.app, path)
            # Threads of their own: a slow disk keeps nothing else waiting.
            return await self.backends.in_thread("look", lambda: _kind(file))

        self.answer(await self.within(self.app.request_timeout, look()))


def _kind(path: Path) -> FileKind:
    from ..formats import detect_path
    from .schemas import FileKind

    if not (path.is_file() or path.is_dir()):
        return FileKind("")
    try:
        return FileKind(detect_path(path).name)
    except (UnsupportedModelError, OSError):
        return FileKind("")
