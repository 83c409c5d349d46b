"""Kubernetes' amounts of memory and CPU."""

from __future__ import annotations

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
    if not value.is_finite() or value <= 0:
        raise InvalidInputError(
            f"{field} is {text[:40]!r}, which is not an amount.",
            hint="Write it as Kubernetes does: 500m, 2, 512Mi, 4Gi.",
        )
    return float(value)


def in_mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"
