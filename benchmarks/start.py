"""What the server extension adds to the start and the memory of a Jupyter server."""

from __future__ import annotations

import statistics
from pathlib import Path

from jupyter import server
from report import Row

ROUNDS = 5


def measure(folder: Path) -> list[Row]:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    memory: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS):
        for extension in (True, False):
            with server(folder, extension=extension) as running:
                seconds[extension].append(1e3 * running.seconds)
                memory[extension].append(running.process.memory_info().rss / 2**20)
    took = {key: statistics.median(values) for key, values in seconds.items()}
    held = {key: statistics.median(values) for key, values in memory.items()}
    return [
        Row("added to Jupyter's start", took[True] - took[False], "ms", "start without", took[False], limit=150),
        Row("added to Jupyter's memory", held[True] - held[False], "MB", "memory without", held[False], limit=40),
    ]
