"""Makes ``kale.serve``, ``kale.ml``, ``kale.common.artifacts`` and ``kale.common.serveutils`` importable.

A finder at the very end of ``sys.meta_path``: it is asked only for names that nobody else provides, so a kubeflow-kale
in the same environment keeps everything it has, and takes these names over should it ever ship them. Without
kubeflow-kale a bare ``import kale`` still fails, because its JupyterLab extension takes success for "Kale is here".
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType

ALIASES = {
    "kale.serve": "kale_serve_ext.notebook",
    "kale.ml": "kale_serve_ext.ml",
    "kale.common.artifacts": "kale_serve_ext.artifacts",
    "kale.common.serveutils": "kale_serve_ext.serveutils",
}


class _Alias:
    """Loads an alias as the very module that it stands for, so that classes have one identity."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        from importlib import import_module

        sys.modules[module.__name__] = import_module(ALIASES[module.__name__])


class _EmptyPackage:
    """Loads a parent package that has nothing of its own."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        return None


class KaleFinder:
    """The fallback finder. Stateless: the class itself stands on ``sys.meta_path``."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in ALIASES:
            return ModuleSpec(fullname, _Alias())  # type: ignore[arg-type]  # a loader in all but name: importlib.abc is slow
        if fullname == "kale.common" or (fullname == "kale" and _wanted_for_a_child()):
            return ModuleSpec(fullname, _EmptyPackage(), is_package=True)  # type: ignore[arg-type]  # as above
        return None


def _wanted_for_a_child() -> bool:
    """Whether ``kale`` is being imported on the way to one of our names: importlib's own frames tell."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") in ("importlib._bootstrap", "_frozen_importlib"):
        name = frame.f_locals.get("name")
        if isinstance(name, str) and name.startswith("kale."):
            return name == "kale.common" or name in ALIASES
        frame = frame.f_back
    return False


def install() -> None:
    """Add the finder unless it is there."""
    if not any(getattr(f, "__name__", "") == "KaleFinder" for f in sys.meta_path):
        sys.meta_path.append(KaleFinder)


install()
