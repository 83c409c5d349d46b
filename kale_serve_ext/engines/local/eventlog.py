"""What happened to a service, one JSON object a line."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from ..base import LogEvent
from .state import known_fields

_MAX_BYTES = 200_000


def record(path: Path, kind: Literal["Normal", "Warning"], reason: str, message: str, about: str = "") -> None:
    """Append one event; the file's older half is dropped when it gets long."""
    event = LogEvent(time.time(), kind, reason, message[:2000], about)
    with path.open("a") as file:
        file.write(json.dumps(asdict(event)) + "\n")
    if path.stat().st_size > _MAX_BYTES:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[len(lines) // 2 :]))


def read(path: Path) -> list[LogEvent]:
    """The events, oldest first; equal ones in a row are one with a count and the time of the last."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    events: list[LogEvent] = []
    for line in lines:
        event = _parsed(line)
        if event is None:
            continue
        last = events[-1] if events else None
        if last and (last.reason, last.message, last.object) == (event.reason, event.message, event.object):
            events[-1] = replace(event, count=last.count + 1)
        else:
            events.append(event)
    return events


def _parsed(line: str) -> LogEvent | None:
    """None for a line that was cut off by a crash or a full disk."""
    try:
        given = json.loads(line)
        return LogEvent(**{name: given[name] for name in known_fields(LogEvent, given)})
    except (ValueError, TypeError):
        return None
