"""The committed files that are made from others: the REST API's OpenAPI document, and the panel's types of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from product import VENV, install_node_packages, jlpm
from steps import ROOT, run

DOCUMENT = ROOT / "kale_serve_ext" / "server" / "openapi.json"


def stale(python: Path) -> list[str]:
    """Names of the files that are not what they would be if written now; ``python`` has the product's packages."""
    script = "import sys; from kale_serve_ext.server.openapi import text; sys.stdout.write(text())"
    made = subprocess.run([python, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode:
        return [f"{DOCUMENT.name} (which cannot be made: {made.stderr.strip().splitlines()[-1:]})"]
    return [] if DOCUMENT.read_text("utf-8") == made.stdout else [DOCUMENT.name]


if __name__ == "__main__":
    if "--write" in sys.argv:
        install_node_packages()
        run([VENV / "bin" / "python", "-m", "kale_serve_ext.server.openapi"])
        jlpm("api")
    elif stale(Path(sys.executable)):
        sys.exit("openapi.json is stale: `make api` writes it anew.")
