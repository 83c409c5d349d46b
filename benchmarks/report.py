"""The table: what was measured, beside its anchor and its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement. The limit is on the value, or on the ratio where ``limits_ratio``; None is no limit."""

    what: str
    value: float
    unit: str
    anchor: str
    anchor_value: float
    limit: float | None = None
    limits_ratio: bool = False

    @property
    def ratio(self) -> float:
        return self.value / self.anchor_value

    @property
    def ok(self) -> bool:
        return self.limit is None or (self.ratio if self.limits_ratio else self.value) <= self.limit


def table(rows: Sequence[Row]) -> str:
    """As Markdown, with aligned columns."""
    head = ("what", "measured", "anchor", "ratio", "limit", "")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([text[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *text[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    limit = "" if row.limit is None else f"{row.limit:g} ×" if row.limits_ratio else f"{row.limit:g} {row.unit}"
    verdict = "" if row.limit is None else "ok" if row.ok else "OVER"
    anchor = f"{row.anchor}: {row.anchor_value:.4g} {row.unit}"
    return (row.what, f"{row.value:.4g} {row.unit}", anchor, f"{row.ratio:.2f}", limit, verdict)
