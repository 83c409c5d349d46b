"""Running commands, and skipping those whose inputs have not changed since they last succeeded."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
_NOT_INPUTS = {"node_modules", "__pycache__", "lib", "labextension", ".ipynb_checkpoints"}


def run(
    command: Sequence[str | Path], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None, quiet: bool = False
) -> None:
    """Run a command to its end; its failure ends this program with one sentence after the command's own output.

    A quiet one's output is shown only then.
    """
    words = [str(word) for word in command]
    piped = subprocess.PIPE if quiet else None
    errors = subprocess.STDOUT if quiet else None
    done = subprocess.run(
        words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=piped, stderr=errors, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout or ''}`{' '.join(words)}` failed with exit code {done.returncode}.")


def once(
    name: str, title: str, action: Callable[[], bool | None], *, inputs: Iterable[Path], result: Path, also: str = ""
) -> bool:
    """Run ``action`` unless it succeeded before with the same inputs and its result is still there.

    Args:
        name: the stamp's name.
        title: what to print when it runs.
        action: what to do; it answers False where it could not, and is tried again the next time.
        inputs: files and folders whose content decides.
        result: what it makes.
        also: anything else that decides, as text.

    Returns:
        Whether it ran.
    """
    stamp = CACHE / "stamps" / name
    wanted = _digest(inputs, also)
    if result.exists() and stamp.is_file() and stamp.read_text() == wanted:
        return False
    stamp.unlink(missing_ok=True)
    print(f"{title} …", flush=True)
    start = time.monotonic()
    if action() is False:
        return True
    print(f"{title}: done in {time.monotonic() - start:.0f} s", flush=True)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    return True


def _digest(inputs: Iterable[Path], also: str) -> str:
    found = hashlib.sha256(also.encode())
    for given in inputs:
        for path in sorted([given] if given.is_file() else given.rglob("*")):
            relative = path.relative_to(ROOT)
            if path.is_file() and not _NOT_INPUTS.intersection(relative.parts) and path.suffix != ".pyc":
                found.update(f"{relative}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()
