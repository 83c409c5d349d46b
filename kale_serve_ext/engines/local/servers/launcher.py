"""How a program of this package is started under an interpreter that need not have it."""

from __future__ import annotations

from pathlib import Path

from ....runner import task as runner_task

BOOT = Path(runner_task.__file__).with_name("boot.py")


def launched(python: str, program: str) -> tuple[str, ...]:
    return python, str(BOOT), program
