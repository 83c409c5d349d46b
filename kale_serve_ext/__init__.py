"""Log models from a notebook, serve them with KServe here or in a cluster, and test them, all inside JupyterLab.

The public names are loaded on first use: importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .artifacts import Dataset, Model, Transformer
    from .ml import Signature, TensorSpec
    from .notebook import Endpoint, ServeConfig, serve

    __version__: str

__all__ = [
    "Dataset",
    "Endpoint",
    "Model",
    "ServeConfig",
    "Signature",
    "TensorSpec",
    "Transformer",
    "__version__",
    "serve",
]

_HOMES = {
    "Dataset": "artifacts",
    "Endpoint": "notebook",
    "Model": "artifacts",
    "ServeConfig": "notebook",
    "Signature": "ml",
    "TensorSpec": "ml",
    "Transformer": "artifacts",
    "serve": "notebook",
}

# Where the package is on PYTHONPATH only, no .pth file is read at start-up: the hook is put in place here. A model
# server in another interpreter has this package's own folder only, without the hook beside it.
if find_spec("kale_serve_ext_hook"):
    import kale_serve_ext_hook

    kale_serve_ext_hook.install()


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        return _version()
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _version() -> str:
    """The installed distribution's version, or of a checkout that is only on the path: both come of package.json."""
    import json
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path

    try:
        return version("kale-serve-ext")
    except PackageNotFoundError:
        found: dict[str, str] = json.loads(Path(__file__).parents[1].joinpath("package.json").read_text("utf-8"))
        return found["version"]


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """``%load_ext kale_serve_ext``: the magics."""
    from .magics import register

    register(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "kale-serve-ext"}]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    from .server.extension import KaleServeApp

    return [{"module": "kale_serve_ext", "app": KaleServeApp}]
