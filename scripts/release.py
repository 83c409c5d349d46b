"""What a release needs: ``release.py bump VERSION`` and ``release.py dist``. RELEASE.md has the steps."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import sys
from pathlib import Path

from machine import uv_environ
from product import CONSTRAINTS, UV, build_panel, install
from steps import CACHE, ROOT, run

PACKAGE = ROOT / "package.json"
CHANGELOG = ROOT / "CHANGELOG.md"
DIST = ROOT / "dist"
_SEMANTIC = re.compile(r"\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?")
_UNRELEASED = "## Unreleased\n"


def bump(version: str, root: Path = ROOT) -> None:
    """Set the version in ``package.json``, where everything else reads it, and date the changelog's entries.

    Args:
        version: of Semantic Versioning, such as ``0.2.0`` or ``0.2.0-rc.1``.
        root: the checkout.
    """
    if not _SEMANTIC.fullmatch(version):
        sys.exit(f"{version!r} is no version: write it like 0.2.0 or 0.2.0-rc.1.")
    package, changelog = root / PACKAGE.name, root / CHANGELOG.name
    text = package.read_text()
    old = json.loads(text)["version"]
    if old == version:
        sys.exit(f"The version is {version} already.")
    changes = changelog.read_text()
    if f"{_UNRELEASED}\n### " not in changes:
        sys.exit(f"{changelog.name} has nothing under Unreleased: say there what this release changes.")
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    package.write_text(text.replace(f'"version": "{old}"', f'"version": "{version}"', 1))
    changelog.write_text(changes.replace(_UNRELEASED, f"{_UNRELEASED}\n## {version} – {today}\n", 1))
    print(f"{old} → {version}")


def dist() -> None:
    """Build the sdist and, from it, the wheel, into ``dist/``; check both, and install the wheel in a clean place."""
    build_panel()
    shutil.rmtree(DIST, ignore_errors=True)
    bounds: list[str | Path] = ["--build-constraints", CONSTRAINTS, "--python", sys.executable]
    # The wheel is made of the sdist: what the sdist lacks fails here.
    run([UV, "build", "--quiet", *bounds, "--out-dir", DIST, ROOT], env=uv_environ())
    files = sorted([*DIST.glob("*.whl"), *DIST.glob("*.tar.gz")])
    wheel = next(path for path in files if path.suffix == ".whl")
    env = CACHE / "env" / "dist"
    run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, env], env=uv_environ())
    install(env, str(wheel), "twine", "pip")
    programs = env / "bin"
    run([programs / "twine", "check", "--strict", *files])
    run([programs / "python", "-m", "pip", "check"])
    run([programs / "kale-serve-ext", "--version"])
    run([programs / "jupyter", "labextension", "list"])
    print("\n".join(str(path.relative_to(ROOT)) for path in files))


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["bump"] and len(arguments) == 2:
        bump(arguments[1])
    elif arguments == ["dist"]:
        dist()
    else:
        sys.exit("Usage: release.py bump VERSION | release.py dist")


if __name__ == "__main__":
    main(sys.argv[1:])
