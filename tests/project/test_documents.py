"""What a list in a document has to name."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_serve_ext import formats

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md"])
def test_every_format_is_named(document: str) -> None:
    text = " ".join((ROOT / document).read_text("utf-8").split())
    entry = text[text.index("Formats") :][:500]
    assert [one.title for one in formats.every() if one.title not in entry] == []
