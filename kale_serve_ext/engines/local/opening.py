"""Opens a model once in a process of its own, under the interpreter that is to serve it, before it is accepted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from ...ml import JSON, Signature
from ...runner import task as runner_task
from .environ import for_runner, inherited
from .processes import ended, kill_group
from .resources import in_mib

if TYPE_CHECKING:
    from .watched import Watched

_BOOT = Path(runner_task.__file__).with_name("boot.py")
_LONGEST_ANSWER = 8 << 20
_TAIL = 4096
_LONGEST_LINE = 300
_SETTLED = 1.0
"""Seconds that pipes of an ended process are still read: what it has started may hold them open."""

_AT_ONCE = 2
"""Models that are opened at the same time: each may take as much memory as its limit says."""

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kale-serve-opening")
_rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True)
class Opened:
    """What opening a model has told."""

    ok: bool
    """It was loaded; a transformer or custom model: its code was imported, and has what would be served."""
    message: str = ""
    """Why it was not: one line."""
    missing: str = ""
    """The module that it needs and the interpreter lacks; ``__main__`` for what only its own notebook has."""
    limit: Literal["", "time", "memory"] = ""
    """What it took too much of."""
    is_model: bool = False
    """Whether the loaded object has what answers rows."""
    estimator: str = ""
    """Its class, such as ``sklearn.linear_model._logistic.LogisticRegression``; empty for a transformer's functions."""
    methods: tuple[str, ...] = ()
    """Those that answer rows; of a transformer its functions."""
    signature: Signature | None = None
    """What the object itself tells: the names and the number of its features, where it knows them."""
    details: Mapping[str, JSON] = field(default_factory=dict)
    """What else its record has to say: its own parameters and the library's settings that change answers."""
    made_with: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that made it, by distribution, where they are others than those that loaded it."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that it is made of, in that interpreter."""
    python_version: str = ""
    log: str = ""
    """The last that was written to standard output and error, where it failed."""


async def open_once(
    path: Path,
    kind: str,
    python: str,
    *,
    seconds: float = 60,
    memory: int = 4 << 30,
    name: str = "",
    module_name: str = "",
    class_name: str = "",
    along: Sequence[str] = (),
) -> Opened:
    """Load what is in ``path`` as a model server would, and tell of it.

    Nothing that the model's code does can hold up the caller: the process and all that it has started is ended when
    the answer is there, when a limit is reached, and when the caller is cancelled. Few are opened at once; others wait.

    Args:
        path: a snapshot's folder, or the file of a model.
        kind: a format's name, such as ``sklearn`` or ``custom``; or ``transformer``.
        python: the interpreter's path.
        seconds: that it may take, the interpreter's start and the libraries' import included.
        memory: bytes that the process and its children may use together.
        name: what a file is to be called in its snapshot; its own name when empty.
        module_name: of custom code or a transformer, where it is known.
        class_name: likewise.
        along: files that the model's file needs: paths relative to its folder.
    """
    loop = asyncio.get_running_loop()
    try:
        work = await loop.run_in_executor(_threads, _prepared, path, name, along)
    except OSError as exc:
        return Opened(False, f"There is no room to open it in: {exc}")
    request = _request(work / "model" if name else path, kind, module_name, class_name, memory)
    try:
        async with _room(loop):  # the time counts from here
            opened = await _ask(request, python, work / "empty", seconds, memory)
        return replace(opened, message=opened.message.replace(f"{work}/model/", ""))
    except OSError as exc:
        return Opened(False, f"{python} cannot be started: {exc}")
    finally:
        await loop.run_in_executor(_threads, lambda: shutil.rmtree(work, ignore_errors=True))


def _room(loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
    return _rooms.setdefault(loop, asyncio.Semaphore(_AT_ONCE))


def _prepared(path: Path, name: str, along: Sequence[str]) -> Path:
    """A temporary folder with an empty one to run in, and one in which the file has the name that it shall have."""
    work = Path(tempfile.mkdtemp(prefix="kale-serve-opening-"))
    (work / "empty").mkdir()
    if name:
        (work / "model").mkdir()
        (work / "model" / name).symlink_to(path.absolute())
        for one in along:
            (work / "model" / one).parent.mkdir(parents=True, exist_ok=True)
            (work / "model" / one).symlink_to((path.parent / one).absolute())
    return work


def _request(path: Path, kind: str, module_name: str, class_name: str, memory: int) -> bytes:
    told = {
        "path": str(path.absolute()),
        "kind": kind,
        "module_name": module_name,
        "class_name": class_name,
        "memory": memory,
        "parent": os.getpid(),
    }
    return json.dumps(told).encode() + b"\n"


async def _ask(request: bytes, python: str, work: Path, seconds: float, memory: int) -> Opened:
    from .watched import Watched  # psutil, which importing the artifacts must not need

    asked, answer, output = os.pipe(), os.pipe(), os.pipe()
    # Pipes of our own, and not asyncio's: those make a process that has ended seem to run while a child holds one open.
    ours, theirs = (asked[1], answer[0], output[0]), (asked[0], answer[1], output[1])
    try:
        process = await asyncio.create_subprocess_exec(
            python,
            str(_BOOT),
            "runner.opening",
            "--answer",
            str(answer[1]),
            stdin=asked[0],
            stdout=output[1],
            stderr=output[1],
            pass_fds=(answer[1],),
            start_new_session=True,
            cwd=work,
            # One thread is enough for reading a file, and each reserves memory.
            env=for_runner(inherited(), {"TMPDIR": str(work)}, cpu_limit=1),
        )
    except BaseException:
        _close(*ours)
        raise
    finally:
        _close(*theirs)
    watched = Watched(process.pid, memory)
    line = asyncio.create_task(_line(answer[0]))
    tail = asyncio.create_task(_last(output[0]))
    over = asyncio.create_task(watched.until_over())
    gone = asyncio.create_task(process.wait())
    try:
        with contextlib.suppress(BrokenPipeError):
            os.write(asked[1], request)  # shorter than a pipe is wide
        os.close(asked[1])
        await asyncio.wait({line, over, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        late = not (line.done() or over.done() or gone.done())
    finally:
        await _end(process, watched, gone)
        await asyncio.wait({line, tail}, timeout=_SETTLED)
        for task in (line, tail, over):
            task.cancel()
    said = line.result() if line.done() and not line.cancelled() else b""
    log = tail.result() if tail.done() and not tail.cancelled() else ""
    if over.done() and not over.cancelled():
        return Opened(False, f"It used {in_mib(over.result())}; the limit is {in_mib(memory)}.", limit="memory")
    if late:
        return Opened(False, f"Opening it took longer than {seconds:.0f} s.", limit="time", log=log)
    return _opened(said, log) or Opened(False, _silent(ended(process.returncode), log), log=log)


def _silent(how: str, log: str) -> str:
    """How a process ended that has not answered, with the last line of its output: nothing else tells why."""
    last = log.splitlines()[-1].strip() if log else ""
    return f"{how} The last it wrote: {last[:_LONGEST_LINE]}" if last else how


async def _end(process: asyncio.subprocess.Process, watched: Watched, gone: asyncio.Task[int]) -> None:
    """Kill it and what it has started, and wait for it, however often the caller is cancelled meanwhile."""
    watched.kill()
    kill_group(process.pid)
    while not gone.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({gone})


async def _line(fd: int) -> bytes:
    """The answer: one line, or less where the writer has gone; nothing where it is longer than any answer."""
    with contextlib.closing(await _Pipe.open(fd)) as pipe:
        try:
            return await pipe.reader.readline()
        except ValueError:
            return b""


async def _last(fd: int) -> str:
    """The end of the output; all of it is read, so that nobody waits for room in the pipe."""
    kept = b""
    with contextlib.closing(await _Pipe.open(fd)) as pipe:
        while data := await pipe.reader.read(65536):
            kept = (kept + data)[-_TAIL:]
    return kept.decode(errors="replace").strip()


@dataclass(frozen=True)
class _Pipe:
    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport

    @classmethod
    async def open(cls, fd: int) -> _Pipe:
        reader = asyncio.StreamReader(limit=_LONGEST_ANSWER)
        file = os.fdopen(fd, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        return cls(reader, transport)

    def close(self) -> None:
        self.transport.close()


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def _opened(line: bytes, log: str) -> Opened | None:
    """The answer as a value; None where there is none. The opened code may have written it."""
    try:
        told: dict[str, JSON] = json.loads(line)
        signature = told["signature"]
        ok = told["ok"] is True
        return Opened(
            ok=ok,
            message=str(told["message"]),
            missing=str(told["missing"]),
            limit="memory" if told["out_of_memory"] is True else "",
            is_model=told["is_model"] is True,
            estimator=str(told["estimator"]),
            methods=_texts(told["methods"]),
            signature=Signature.from_dict(signature) if isinstance(signature, Mapping) else None,
            details=details if isinstance(details := told["details"], Mapping) else {},
            made_with=_versions(told["made_with"]),
            packages=_versions(told["packages"]),
            python_version=str(told["python_version"]),
            log="" if ok else log,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _texts(value: JSON) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _versions(value: JSON) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, Mapping) else {}
