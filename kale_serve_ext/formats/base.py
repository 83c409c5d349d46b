"""What a format is, and what formats share: telling an object's framework without importing any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Protocol

from ..ml import JSON, Signature
from ..source.installed import distributions_of_modules


class Format(Protocol):
    """A framework's way of saving a model, in the layout that KServe's server for it reads.

    ``matches``, ``save``, ``signature``, ``packages`` and ``details`` run where the object is, in the notebook.
    ``check``, ``path_signature`` and ``path_details`` also run in the Jupyter server: they look at names and bytes, and
    never load a model. What a file is, :mod:`~kale_serve_ext.formats.content` tells.
    """

    @property
    def name(self) -> str:
        """KServe's name for it, such as ``sklearn``."""
        ...

    @property
    def title(self) -> str:
        """For people: ``scikit-learn``."""
        ...

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names that people use, in lower case."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the names of the files that KServe's server loads end in; empty where a model is no single file."""
        ...

    def matches(self, obj: object) -> bool: ...

    def save(self, obj: object, directory: Path) -> None:
        """Write the object into the empty folder ``directory``.

        Raises:
            InvalidInputError: it cannot be saved as it is, such as a model that was never fitted.
        """
        ...

    def packages(self, obj: object | None) -> tuple[str, ...]:
        """The distributions that loading needs; of any model of this format where there is no object."""
        ...

    def signature(self, obj: object) -> Signature | None:
        """What the object itself knows of its input and output."""
        ...

    def details(self, obj: object) -> Mapping[str, JSON]:
        """What the record should say of it beyond that."""
        ...

    def check(self, directory: Path) -> list[str]:
        """What keeps KServe's server from finding the model in this folder, in sentences; empty when all is well."""
        ...

    def path_signature(self, directory: Path) -> Signature | None: ...

    def path_details(self, directory: Path) -> Mapping[str, JSON]: ...


def top_level(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of these endings in a folder, or the file itself, whatever it is called, when ``path`` is one."""
    if path.is_file():
        return [path]
    return sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in suffixes)


def check_one_file(directory: Path, suffixes: Sequence[str], title: str) -> list[str]:
    """The layout of KServe's Python servers: exactly one file of these endings at the top of the folder."""
    found = top_level(directory, suffixes)
    endings = ", ".join(suffixes)
    if not found:
        return [f"There is no {title} model file: one that ends in {endings} is needed at the top of the folder."]
    if len(found) > 1:
        names = ", ".join(p.name for p in found[:5])
        return [f"There are {len(found)} model files ({names}): a {title} model is one file that ends in {endings}."]
    return []


def head(path: Path, size: int = 4096) -> bytes:
    """The first bytes of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""


def installed(*names: str) -> str:
    """The first of these distributions that is installed, or else the first: some libraries come under two names."""
    for name in names:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        return name
    return names[0]


def distributions(modules: Iterable[str]) -> tuple[str, ...]:
    """The installed distributions that bring these top-level modules; those of the standard library bring none."""
    wanted = {m.partition(".")[0] for m in modules}
    known = distributions_of_modules()
    return tuple(sorted({name for module in wanted for name in known.get(module, [])}))
