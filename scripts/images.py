"""Assembles what the images for code in a cluster are built from, and loads them into the test cluster.

``images.py`` does both; ``images.py --context`` only assembles, for ``docker build`` and its like.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from product import CONSTRAINTS, build_wheel
from steps import CACHE, ROOT, run

IMAGES = ROOT / "images"
CONTEXT = CACHE / "image"
TEST_CLUSTER = ROOT.parent / "shared" / "cluster" / "cluster"


def main() -> None:
    """Assemble the context and, unless told not to, load it."""
    assemble()
    if sys.argv[1:] == ["--context"]:
        print(CONTEXT)
        return
    run([_test_cluster(), "load-image", image("transformer"), CONTEXT])


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


def _test_cluster() -> Path:
    given = os.environ.get("KALE_TEST_CLUSTER", "")
    command = Path(given) if given else TEST_CLUSTER
    if not command.is_file():
        sys.exit(f"There is no test cluster's command {command}: name it in KALE_TEST_CLUSTER.")
    return command


if __name__ == "__main__":
    main()
