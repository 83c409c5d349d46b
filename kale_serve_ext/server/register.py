"""A file or folder under the server's root becomes a Model artifact. Nothing is unpickled on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_server.utils import ApiPath, to_os_path

from ..errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from ..records import Artifact
    from .extension import KaleServeApp
    from .schemas import Kernel, RegisterBody


async def register(app: KaleServeApp, body: RegisterBody) -> Artifact:
    """The artifact made of ``body.path``.

    Raises:
        NotFoundError: no such file, or it is outside the server's root.
        InvalidInputError: the server's files are not on this disk, or no such kernel.
    """
    from ..artifacts import register_path

    backends = app.backends
    path = await backends.in_thread("files", lambda: confined(app.root_dir, body.path))
    return await register_path(
        path,
        settings=backends.settings,
        name=body.name,
        version=body.version,
        description=body.description,
        author=body.author,
        tags=body.tags,
        format=body.format,
        python=await _python(app, body.kernel) if body.kernel else "",
        metadata=backends.metadata,
        where=backends.where(),
    )


def confined(root_dir: str, path: str) -> Path:
    """The file that the Jupyter server calls ``path``, with every link followed.

    Raises:
        NotFoundError: it does not exist, or leads out of the server's root. Which of both is not told.
    """
    root = Path(root_dir).resolve(strict=True)
    missing = NotFoundError(
        f"No file or folder {path!r} is under the server's root."[:500],
        hint="Give a path as the file browser shows it.",
        field="path",
    )
    if ".." in path.split("/"):
        raise missing
    try:
        found = Path(to_os_path(ApiPath(path), str(root))).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # no such file; a NUL byte; a loop of links
        raise missing from None
    if not found.is_relative_to(root) or found == root:
        raise missing
    return found


async def kernels(app: KaleServeApp) -> list[Kernel]:
    """The installed kernels that are a Python."""
    from ..engines.local.interpreters import kernels as installed
    from .schemas import Kernel

    return [Kernel(name=name, display_name=title, python=python) for name, title, python in await installed()]


async def _python(app: KaleServeApp, name: str) -> str:
    for kernel in await kernels(app):
        if kernel.name == name:
            return kernel.python
    raise InvalidInputError(
        f"No Python kernel {name!r} is installed.", hint="Choose one of the installed kernels.", field="kernel"
    )
