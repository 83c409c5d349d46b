"""The files of a snapshot on this machine, as they are before they are brought anywhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ....digest import digest_of
from ....errors import InvalidInputError, NotFoundError, SnapshotError

LOG_AGAIN = "Log the artifact again."


def files_of(folder: Path) -> dict[str, int]:
    """Name and size of every file in a snapshot, in order of their names; no link is followed.

    Raises:
        NotFoundError, SnapshotError: it is not there, or cannot be read.
        InvalidInputError: a name that is no text, or no file at all.
    """
    found: dict[str, int] = {}
    pending = [folder]
    try:
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    name = Path(entry.path).relative_to(folder).as_posix()
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(Path(entry.path))
                    elif not stat.S_ISREG(status.st_mode):
                        raise SnapshotError(f"{entry.path} is neither a file nor a folder.", hint=LOG_AGAIN)
                    elif not name.isprintable():  # a name that is no text in UTF-8 is not printable either
                        raise InvalidInputError(
                            f"The name of the file {name!r} has characters that S3 and KServe do not accept.",
                            hint="Rename the file.",
                        )
                    else:
                        found[name] = status.st_size
    except FileNotFoundError as error:
        raise NotFoundError(f"The snapshot {folder} is not there.", hint=LOG_AGAIN) from error
    except OSError as error:
        raise SnapshotError(f"The snapshot {folder} cannot be read: {error}.", hint=LOG_AGAIN) from error
    if not found:
        raise InvalidInputError(
            f"The snapshot {folder} holds no file to upload.", hint="Log a folder that contains files."
        )
    return dict(sorted(found.items()))


def check_unchanged(folder: Path, digest: str) -> None:
    """A damaged snapshot must not get into a storage, where its address would keep it for ever.

    Raises:
        SnapshotError: its content is not that of ``digest``.
    """
    try:
        found = digest_of(folder)
    except (OSError, ValueError) as error:
        raise SnapshotError(f"The snapshot {folder} cannot be read: {error}.", hint=LOG_AGAIN) from error
    if found != digest:
        raise SnapshotError(
            f"The snapshot {folder} was changed after it was created: its content is {found}, recorded is {digest}.",
            hint=LOG_AGAIN,
        )
