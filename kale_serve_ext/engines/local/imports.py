"""Whether the interpreter that will run a folder of code has what that code imports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...entities import Artifact
from ...source.needs import Needs, needs_of
from ..base import Check

CODE_FORMATS = ("custom", "function", "functional", "subclass")
"""Formats whose snapshot is a folder of Python code."""
_BROUGHT = frozenset({"kale_serve_ext"})
"""What the runner brings along."""
_CALLED: Mapping[str, tuple[str, ...]] = {
    "Crypto": ("pycryptodome",),
    "PIL": ("pillow", "pillow-simd"),
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "dateutil": ("python-dateutil",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "sklearn": ("scikit-learn",),
    "skimage": ("scikit-image",),
    "yaml": ("PyYAML",),
}
"""Distributions that are not called as their module, where none is installed here that could be asked; best first."""


def distributions_of(module: str, installed: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Names of the distributions that may bring a module, the one to install first.

    Args:
        module: its full name, or that of its top-level package.
        installed: names of distributions by top-level module, as far as they are known.
    """
    top = module.partition(".")[0]
    return tuple(dict.fromkeys([*installed.get(top, ()), *_CALLED.get(top, (top,))]))


def needs_of_artifact(artifact: Artifact) -> Needs:
    """What the artifact's code imports; nothing for artifacts that are no code, or not on this machine."""
    parts = urlsplit(artifact.uri)
    folder = Path(url2pathname(parts.path))
    module = str(artifact.details.get("module_name") or "")
    if artifact.format not in CODE_FORMATS or parts.scheme != "file" or not module or not folder.is_dir():
        return Needs()
    found = needs_of(folder, module)
    return Needs(found.certain - _BROUGHT, found.possible - _BROUGHT)


def check_modules(
    artifact: Artifact,
    python: str,
    needs: Needs,
    missing: Collection[str],
    distributions: Mapping[str, list[str]],
) -> list[Check]:
    """An error for each module without which the code cannot be imported, a warning for one that it may do without.

    Args:
        artifact: the code.
        python: the interpreter.
        needs: what the code imports.
        missing: what of that the interpreter lacks.
        distributions: names of distributions by module, as far as they are known.
    """
    checks = []
    recorded = {name.lower().replace("_", "-") for name in artifact.environment.packages}
    for module in sorted(missing):
        named = distributions_of(module, distributions)
        if recorded & {name.lower().replace("_", "-") for name in named}:
            continue  # told as a package, with its version
        hint = f"Run: {python} -m pip install {named[0]!r}"
        if module in needs.certain:
            message = f"The code of {artifact.name!r} imports {module}, which the Python {python} does not have."
            checks.append(Check("error", "ModuleMissing", message, hint, "runtime"))
        else:
            message = f"The code of {artifact.name!r} may import {module} when it runs, and {python} does not have it."
            checks.append(Check("warning", "ModuleMissing", message, hint, "runtime"))
    return checks
