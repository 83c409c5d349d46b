"""The content address of a folder: SHA-256 over the names and bytes of all that lies in it.

Standard library alone and nothing of this package, so that a runner can check a snapshot before it loads anything.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

_HEADER = b"kale-serve-ext snapshot 1\0"
_CHUNK = 1 << 20


def digest_of(directory: str | Path) -> str:
    """``sha256:<hex>`` of a folder: every file's path and bytes, and every folder's path, in order of their paths.

    Mode bits, owners and times do not count. Reads in pieces of 1 MiB.

    Raises:
        OSError: something cannot be read; ``NotADirectoryError`` where ``directory`` is none.
        ValueError: something in it is neither a file nor a folder, such as a link.
    """
    root = Path(directory)
    entries: list[bytes] = []
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as found:
            for entry in found:
                path = Path(entry.path)
                name = os.fsencode(path.relative_to(root).as_posix())
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    pending.append(path)
                    entries.append(name + b"\0dir\0")
                elif stat.S_ISREG(mode):
                    entries.append(name + b"\0file " + digest_of_file(path).encode() + b"\0")
                else:
                    raise ValueError(f"{path} is neither a file nor a folder")
    return _of(entries)


def digest_of_files(files: Mapping[str, str]) -> str:
    """What :func:`digest_of` would say of a folder with these files, and no empty folders.

    Args:
        files: for each path in it, with slashes, the SHA-256 of the file's bytes, as :func:`digest_of_file` gives it.
    """
    folders = {parent for name in files for parent in PurePosixPath(name).parents if parent.parts}
    entries = [os.fsencode(folder.as_posix()) + b"\0dir\0" for folder in folders]
    entries += [os.fsencode(name) + b"\0file " + digest.encode() + b"\0" for name, digest in files.items()]
    return _of(entries)


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes in hexadecimal; reads in pieces of 1 MiB.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer):
            digest.update(view[:read])
    return digest.hexdigest()


def _of(entries: Iterable[bytes]) -> str:
    whole = hashlib.sha256(_HEADER)
    for line in sorted(entries):
        whole.update(line)
    return f"sha256:{whole.hexdigest()}"
