"""What is shown while a service is on its way."""

from __future__ import annotations

from kale_serve_ext.display import Progress


def test_an_upload_is_told_by_tenths_in_a_terminal() -> None:
    lines: list[str] = []
    shown = Progress(lines.append)
    for done in range(0, 1001, 25):
        shown.uploading("iris", done * 10**6, 10**9)
    assert len(lines) == 11
    assert (lines[0], lines[5]) == ("Uploading iris: 0 of 1000 MB\n", "Uploading iris: 500 of 1000 MB\n")
    shown.uploading("names", 0, 0)
    assert lines[-1] == "Uploading names\n"
