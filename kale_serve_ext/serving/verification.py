"""What became of the rows that a service was asked to answer again, and how a notebook shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

from ..engines.base import Component
from ..ml import JSON
from ..modelmeta import RowDifference
from .phases import PHASES

_LONGEST = 200
"""Characters of a value that are shown."""


@dataclass(frozen=True, repr=False)
class Verification:
    """Whether a service answers rows as its model did in the notebook; ``bool`` and ``ok`` say so in a word."""

    component: Component | None
    """Which component was asked; None for none."""
    rows: int
    """How many rows were compared."""
    different: int
    """How many of them were answered differently."""
    differences: tuple[RowDifference, ...]
    """The first ten of these."""
    ok: bool
    """Rows were compared, and all were answered as expected."""
    skipped: str = ""
    """Why nothing was compared: ``off``, ``no rows are recorded``, …"""
    error: str = ""
    """What kept the rows from being answered: the model's own message."""
    recorded: bool = True
    """Whether these were the rows recorded with the model, rather than rows of the caller's."""

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return verification_text(self)

    def _repr_html_(self) -> str:
        return verification_html(self)


def verification_text(verdict: Verification) -> str:
    """What became of the rows, with the differences as lines."""
    lines = [_verdict(verdict)]
    for one in verdict.differences:
        lines.append(f"  row {one.row}: expected {_value(one.expected)}, got {_value(one.got)}")
    if verdict.different > len(verdict.differences) > 0:
        lines.append(f"  and {verdict.different - len(verdict.differences)} more")
    return "\n".join(lines)


def verification_html(verdict: Verification) -> str:
    """The same with a table of the differences; every text in it is escaped."""
    sign, colour = PHASES["Ready" if verdict.ok else "Stopped" if verdict.skipped else "Degraded"]
    text = escape(_verdict(verdict).removeprefix(f"{sign} "))
    head = f'<span style="color:{colour}" aria-hidden="true">{sign}</span> {text}'
    rows = "".join(
        f'<tr><th scope="row">{one.row}</th><td><code>{escape(_value(one.expected))}</code></td>'
        f"<td><code>{escape(_value(one.got))}</code></td></tr>"
        for one in verdict.differences
    )
    more = verdict.different - len(verdict.differences)
    table = (
        '<table class="kale-serve-differences"><thead><tr><th scope="col">Row</th><th scope="col">Expected</th>'
        f'<th scope="col">Got</th></tr></thead><tbody>{rows}</tbody></table>'
        + (f"<p>and {more} more</p>" if more else "")
    )
    return f'<div class="kale-serve-verification" role="status">{head}{table if rows else ""}</div>'


def _verdict(verdict: Verification) -> str:
    if verdict.skipped:
        return f"■ No rows were compared: {verdict.skipped}."
    of = f"{verdict.rows} recorded row{'s' if verdict.rows != 1 else ''}"
    if not verdict.recorded:
        of = of.replace("recorded ", "given ")
    if verdict.error:
        return f"⚠ {of} could not be answered: {verdict.error}"
    if verdict.ok:
        return f"✓ {of} answered as {'in the notebook' if verdict.recorded else 'expected'}"
    other = "differently from the notebook" if verdict.recorded else "differently than expected"
    return f"⚠ {verdict.different} of {of} answered {other}"


def _value(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
