"""What ``import kale_serve_ext`` adds to a fresh interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from report import Row

ROUNDS = 7


def measure(folder: Path) -> list[Row]:
    ours: list[float] = []
    anchor: list[float] = []
    for _ in range(ROUNDS):
        ours.append(_import("kale_serve_ext"))
        anchor.append(_import("jupyter_server.serverapp"))
    values = statistics.median(ours), statistics.median(anchor)
    return [Row("import kale_serve_ext", values[0], "ms", "import jupyter_server.serverapp", values[1], limit=150)]


def _import(module: str) -> float:
    program = f"import time\nstart = time.perf_counter()\nimport {module}\nprint(1e3 * (time.perf_counter() - start))"
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
