"""Makes ``.venv`` with pip and uv in it. Needs nothing but a supported Python; everything after it uses uv."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"


def main() -> None:
    """Make the environment, unless a working one is there; a half-made one is replaced."""
    python = VENV / "bin" / "python"
    if not _works(python):
        if importlib.util.find_spec("ensurepip") is None:
            _install_venv_package()
        print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    # Without the constraints when it is them that are about to be written.
    bounds = ["-c", str(CONSTRAINTS)] if CONSTRAINTS.exists() else []
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *bounds, "uv"], check=True)
    (VENV / "bin" / "uv").touch()


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    fits = "import sys, pip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))"
    return subprocess.run([str(python), "-c", fits], capture_output=True, check=False).returncode == 0


def _install_venv_package() -> None:
    """Debian keeps the standard library's ``ensurepip`` in a package of its own."""
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not shutil.which("apt-get") or os.getuid() != 0:
        sys.exit(f"{sys.executable} cannot make environments: install the package {package}, then run this again.")
    print(f"Installing {package}", flush=True)
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], check=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"Setting up .venv failed: {' '.join(error.cmd)} ended with {error.returncode}.")
