"""How notebooks show a phase."""

from __future__ import annotations

from collections.abc import Mapping

PHASES: Mapping[str, tuple[str, str]] = {
    "Uploading": ("⇡", "var(--jp-brand-color1, #1976d2)"),
    "Pending": ("…", "var(--jp-ui-font-color2, #616161)"),
    "Loading": ("⟳", "var(--jp-brand-color1, #1976d2)"),
    "Ready": ("✓", "var(--jp-success-color1, #388e3c)"),
    "Idle": ("◌", "var(--jp-success-color1, #388e3c)"),
    "Degraded": ("⚠", "var(--jp-warn-color1, #f57c00)"),
    "Failed": ("✗", "var(--jp-error-color1, #d32f2f)"),
    "Paused": ("❚❚", "var(--jp-ui-font-color2, #616161)"),
    "Stopped": ("■", "var(--jp-ui-font-color2, #616161)"),
    "Terminating": ("⌫", "var(--jp-ui-font-color2, #616161)"),
}
"""A sign and a colour for each phase; the word is always shown beside them."""
