"""A file or folder under the server's root becomes a Model artifact. Nothing is unpickled on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_server.utils import ApiPath, to_os_path

from ..errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from ..entities import Artifact
    from .app import App
    from .schemas import Kernel, RegisterBody


async def register(app: App, body: RegisterBody) -> Artifact:
    """The artifact made of ``body.path``.

    Raises:
        NotFoundError: no such file, or it is outside the server's root.
        InvalidInputError: the server's files are not on this disk, or no such kernel.
    """
    from ..artifacts import register_path

    backends = app.backends
    path = await found(app, body.path)
    return await register_path(
        path,
        shown_as=body.path.strip("/"),
        settings=backends.settings,
        name=body.name,
        version=body.version,
        description=body.description,
        author=body.author,
        tags=body.tags,
        format=body.format,
        python=await _python(app, body.kernel) if body.kernel else "",
        metadata=backends.metadata,
        provenance=backends.provenance(),
    )


async def found(app: App, path: str) -> Path:
    """The file or folder that the file browser calls ``path``.

    Raises:
        NotFoundError: no such file, or it is outside the server's root.
    """
    return await app.backends.in_thread("files", lambda: confined(app.root_dir, path, hidden=app.allow_hidden))


def confined(root_dir: str, path: str, *, hidden: bool = False) -> Path:
    """The file that the Jupyter server calls ``path``, with every link followed; ``hidden`` ones too where told.

    Raises:
        NotFoundError: it does not exist, or leads out of the server's root. Which of both is not told.
    """
    root = Path(root_dir).resolve(strict=True)
    missing = NotFoundError(
        f"No file or folder {path!r} is under the server's root."[:500],
        hint="Links that lead out of the root are not followed here. A notebook can log such a model by its real path: "
        'Model(name="…", artifact_uri="/path/to/model").submit_artifact().',
        field="path",
    )
    parts = path.split("/")
    if ".." in parts or (not hidden and any(part.startswith(".") for part in parts if part != ".")):
        raise missing
    try:
        found = Path(to_os_path(ApiPath(path), str(root))).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # no such file; a NUL byte; a loop of links
        raise missing from None
    if not found.is_relative_to(root) or found == root:
        raise missing
    return found


async def kernels(app: App) -> list[Kernel]:
    """The installed kernels that are a Python."""
    from ..engines.local.interpreters import kernels as installed
    from .schemas import Kernel

    return [Kernel(name=name, display_name=title, python=python) for name, title, python in await installed()]


async def _python(app: App, name: str) -> str:
    for kernel in await kernels(app):
        if kernel.name == name:
            return kernel.python
    raise InvalidInputError(
        f"No Python kernel {name!r} is installed.", hint="Choose one of the installed kernels.", field="kernel"
    )
