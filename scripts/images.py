"""Assembles what the image for code in a cluster is built from, for ``docker build`` and its like."""

from __future__ import annotations

import json
import shutil

from product import CONSTRAINTS, build_wheel
from steps import CACHE, ROOT, run

IMAGES = ROOT / "images"
CONTEXT = CACHE / "image"


def load(starter: str) -> None:
    """Make the image known in the tests' cluster, which the program ``starter`` has started."""
    assemble()
    run([starter, "load-image", image("transformer"), CONTEXT])


def image(role: str) -> str:
    """The name that manifests give the image of this role."""
    version: str = json.loads((ROOT / "package.json").read_text("utf-8"))["version"]
    return f"kale-serve-ext/{role}:{version}"


def assemble() -> None:
    """A folder that both ``docker build`` and the test cluster's ``load-image`` read."""
    wheel = build_wheel()
    shutil.rmtree(CONTEXT, ignore_errors=True)
    shutil.copytree(IMAGES / "cluster", CONTEXT, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (wheel, CONSTRAINTS, IMAGES / "Dockerfile"):
        shutil.copy(file, CONTEXT)
    # One image has both names: the program tells its role from the arguments.
    settings = {
        "base": "kserve",
        "env": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
        "aliases": [image("predictor")],
    }
    (CONTEXT / "image.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    assemble()
    print(CONTEXT)
