"""The last revisions of a service, one file each: what it was to be, since when and by whom. Everything here blocks."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from ...config import private_dir
from ..base import Manifest, Revision
from .home import Home, write_json
from .state import Spec, StateError, check_format, read_status, stamped

KEPT = 10


def keep(home: Home, revision: Revision) -> None:
    """Write a revision down before it is wanted, and drop those that are too old. The lock has to be held.

    The one that answers stays, however many have failed since.
    """
    folder = _folder(home)
    private_dir(folder)
    plain = replace(revision, manifest=unpaused(revision.manifest))
    write_json(folder / f"{revision.number}.json", stamped(asdict(plain)))
    status = read_status(home)
    answering = status.serving_revision if status else 0
    for number in _numbers(folder)[KEPT:]:
        if number == answering:
            continue
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{number}.json").unlink()


def keep_before(home: Home, spec: Spec) -> None:
    """Write down what the service is now, where an earlier release has made it and kept no revisions."""
    if not (_folder(home) / f"{spec.revision}.json").exists():
        keep(home, Revision(spec.revision, spec.manifest, spec.updated))


def read(home: Home, spec: Spec) -> list[Revision]:
    """The revisions that are known, the newest first: that is the one that is wanted now."""
    current = Revision(spec.revision, unpaused(spec.manifest), spec.updated)
    found = [current]
    for number in _numbers(_folder(home)):
        known = read_one(home, number)
        if known and number == spec.revision:
            found[0] = replace(known, manifest=current.manifest)
        elif known and number < spec.revision:
            # A later one was never wanted: whoever asked for it did not come to the end.
            found.append(known)
    return found


def read_one(home: Home, number: int) -> Revision | None:
    """None where it is not known any more, or cannot be read: there is no going back to it then."""
    try:
        path = _folder(home) / f"{number}.json"
        value = json.loads(path.read_bytes())
        check_format(value, path)
        return Revision(
            number, dict(value["manifest"]), float(value["created"]), str(value["by"]), int(value["back_to"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StateError):
        return None


def unpaused(manifest: Manifest) -> Manifest:
    """A revision says nothing about whether the service is paused."""
    return Spec(manifest, 0, 0.0, 0.0).with_paused(False, 0.0).manifest


def _folder(home: Home) -> Path:
    return home.folder / "revisions"


def _numbers(folder: Path) -> list[int]:
    """The newest first."""
    names = (path.stem for path in folder.glob("*.json"))
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)
