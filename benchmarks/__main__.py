"""``make benchmarks``: how long things take, each as a ratio to an anchor of the same run.

The limits are those that a change must keep. Names of measurements may be given; all are taken otherwise.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

from report import Row, table

MEASUREMENTS = ("imports", "start", "serving", "prediction", "edge", "listing", "in_cluster", "runtimes")


def main(wanted: list[str]) -> int:
    """Take the measurements and print the table; 1 where a limit is passed."""
    unknown = set(wanted) - set(MEASUREMENTS)
    if unknown:
        sys.exit(f"No such measurement: {', '.join(sorted(unknown))}. There are {', '.join(MEASUREMENTS)}.")
    rows: list[Row] = []
    for name in wanted or MEASUREMENTS:
        measurement = importlib.import_module(name)
        if lacking := getattr(measurement, "lacks", str)():
            print(f"Not measured: {name}, as {lacking}.", file=sys.stderr, flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="ks-bench-") as folder:
            os.environ["KALE_SERVE_ENGINE"] = "local"
            os.environ["KALE_SERVE_DATA_DIR"] = str(Path(folder) / "data")
            os.environ["KALE_SERVE_RUNTIME_DIR"] = str(Path(folder) / "run")
            print(f"Measuring {name} …", file=sys.stderr, flush=True)
            rows += measurement.measure(Path(folder))
    print(table(rows))
    return int(not all(row.ok for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
