"""Kubernetes' amounts of memory and CPU, and how a process is held to its cores."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from decimal import Decimal, InvalidOperation

from ...errors import InvalidInputError

_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}


def amount(text: str, field: str) -> float:
    """``"500m"`` → 0.5, ``"2Gi"`` → 2147483648.0.

    Raises:
        InvalidInputError: it is no such amount.
    """
    digits = text.rstrip("KMGTkmi")
    try:
        # Decimal would take blanks around a number.
        value = Decimal(digits) * _UNITS[text[len(digits) :]] if digits == digits.strip() else Decimal(-1)
    except (InvalidOperation, KeyError):
        value = Decimal(-1)
    if not (value.is_finite() and 0 < float(value) < math.inf):
        raise InvalidInputError(
            f"{field} is {text[:40]!r}, which is not an amount.",
            hint="Write it as Kubernetes does: 500m, 2, 512Mi, 4Gi.",
        )
    return float(value)


def in_mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def limit_cpu(pid: int, cpus: float) -> None:
    """Let a process run on so many cores, rounded up, where the system can do that (Linux); 0 is no limit."""
    if not cpus or sys.platform != "linux":
        return
    available = sorted(os.sched_getaffinity(0))
    count = min(len(available), max(1, math.ceil(cpus)))
    # Spread over the cores, or every limited service would sit on the first ones.
    first = pid % len(available)
    cores = [available[(first + i) % len(available)] for i in range(count)]
    # One that has ended already, or a container whose cores are given to others: it runs without this limit.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(pid, cores)
