"""What a format is, and what formats share: telling an object's framework without importing any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..entities import Artifact
from ..ml import JSON, Signature
from ..source.installed import distributions_of_modules
from . import smallfiles
from .tensors import TensorModel

PICKLES = (".joblib", ".pkl", ".pickle")
SKOPS = ".skops"
PICKLED: Mapping[str, tuple[str, ...]] = MappingProxyType({"pickle": PICKLES, "skops": (SKOPS,)})
"""The :attr:`Format.kinds` of an estimator that is saved as a whole."""


@dataclass(frozen=True)
class Content:
    """What a file is."""

    format: str = ""
    """The name of the format that it is a model of; empty where it is no model."""
    kind: str = ""
    """How that is written, such as ``pickle`` (joblib's too), ``skops``, ``json``; one of the format's ``kinds``."""
    what: str = ""
    """Of what is no model: what it is, as in "model.pkl is …"."""
    hint: str = ""
    outermost: str = ""
    """The class of a pickled object, as far as it is told."""
    made_with: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that wrote it, by distribution, as far as they stand in it."""
    packages: frozenset[str] = frozenset()
    """Distributions that reading it needs beyond those of its format."""


class Server(NamedTuple):
    """How this package's own model server appears among the runtimes of the local engine."""

    name: str
    """Such as ``kserve-sklearnserver``; under a kernel's interpreter ``--KERNEL`` is added."""
    title: str


class Format:
    """A framework's way of saving a model: all that this package knows of it.

    A format is one subclass, of which there is one object. What it leaves out has a default that says "none".

    ``matches``, ``save``, ``signature``, ``packages`` and ``details`` run where the object is, in the notebook.
    ``recognise``, ``matches_path``, ``check``, ``path_signature`` and ``path_details`` also run in the Jupyter server:
    they look at names and bytes, and never load a model. ``load`` runs in the model server, under the model's own
    interpreter. Only ``matches``'s callers' objects, ``save`` and ``load`` may import a framework.
    """

    name: str = ""
    """KServe's name for it, such as ``sklearn``."""
    title: str = ""
    """For people: ``scikit-learn``."""
    aliases: tuple[str, ...] = ()
    """Other names that people use, in lower case."""

    suffixes: tuple[str, ...] = ()
    """What the names of the files that KServe's server loads end in; empty where a model is no single file."""
    files: tuple[tuple[str, ...], ...] = ()
    """What the file that :meth:`load` reads ends in: groups, of which the first that any file has counts; empty where
    a model is a folder."""
    kinds: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """The endings for each :attr:`Content.kind`; a file with another one gets the first when it is stored."""
    endings: tuple[str, ...] = ()
    """What people's files of this format end in, whether or not a server reads them: by this a file is told from a
    folder in an address, and a model from what lies beside it in messages."""
    libraries: tuple[str, ...] = ()
    """Top-level modules whose pickled objects are models of this format."""

    needs: tuple[tuple[str, ...], ...] = ()
    """The distributions that loading needs; of those that bring the same library each name, the usual one first."""
    overlay: str = ""
    """The named overlay with what loading needs besides, which is laid beside the interpreter; empty for none."""
    needs_opening: bool = True
    """Whether only loading a file tells that it is a whole model; else one that cannot be loaded here is taken too."""
    needs_same_python: bool = True
    """Whether a model may fail to load under another minor version of Python than it was made with."""
    runtimes: tuple[str, ...] = ()
    """The runtimes of KServe 0.20 that serve it, the preferred first."""
    server: Server | None = None
    """This package's own model server, where it serves the format, on this machine and as a container image."""
    local_difference: str = ""
    """How that server's answers differ from those of the runtime of the same name in a cluster: a sentence."""
    holds_objects: bool = False
    """Whether a model that is a folder holds objects of the libraries that are recorded with it."""
    has_methods: bool = False
    """Whether its models are estimators, with methods to choose from."""
    stock_methods: tuple[str, ...] = ("predict",)
    """Those of them with which KServe's own server can answer."""
    stock_categories: str = "plain texts and numbers"
    """What categories become in KServe's own server."""
    stock_takes_texts: bool = False
    """Whether KServe's own server takes texts as rows."""
    is_code: bool = False
    """Whether a model is a folder of code that answers requests itself."""

    def matches(self, obj: object) -> bool:
        """Whether this format saves the object, by its class; no framework is imported for that."""
        return False

    def recognise(self, path: Path, head: bytes) -> Content | None:
        """What a file is by its bytes, where it is of this format (or a broken one of it); None where it is not.

        Args:
            path: the file; no more of it may be read than is needed.
            head: its first 64 KiB.
        """
        return None

    def matches_path(self, path: Path) -> bool:
        """Whether this file or folder as a whole is a model, as for formats that are folders."""
        return False

    def default_name(self, obj: object) -> str:
        """What a record of the object is called that was given no name.

        Raises:
            InvalidInputError: it has to be given one.
        """
        return (obj if isinstance(obj, type) else type(obj)).__name__

    def prepared(self, obj: object, said: Signature | None, example: object) -> object:
        """What is logged in the object's place, where that depends on how the object is called.

        ``save``, ``signature``, ``details``, ``packages`` and ``tensor_model`` are given this then; the object itself
        where a format has no need of it.

        Args:
            said: the signature that the user gave.
            example: the user's example of the input; None where there is none.

        Raises:
            InvalidInputError: they do not say enough, or do not fit the object.
        """
        return obj

    def save(self, obj: object, directory: Path) -> None:
        """Write the object into the empty folder ``directory``.

        Raises:
            InvalidInputError: it cannot be saved as it is, such as a model that was never fitted.
        """
        raise NotImplementedError

    def load(self, path: Path) -> object:
        """The object in a file with one of the endings of ``files``, or in a folder, for the model server.

        Raises:
            Exception: whatever the framework says of it.
        """
        raise NotImplementedError

    def packages(self, obj: object | None) -> tuple[str, ...]:
        """The distributions that loading needs; of any model of this format where there is no object."""
        return tuple(installed(*names) for names in self.needs)

    def packages_in(self, path: Path, obj: object | None) -> tuple[str, ...]:
        """The same of a model that lies in a file or folder: its files may tell more than its object."""
        return self.packages(obj)

    def tensor_model(self, obj: object) -> TensorModel | None:
        """The object as something to ask here, where its models take tensors by name; None where it cannot be asked."""
        return None

    def signature(self, obj: object) -> Signature | None:
        """What the object itself knows of its input and output."""
        return None

    def details(self, obj: object) -> Mapping[str, JSON]:
        """What the record should say of it beyond that."""
        return {}

    def opens(self, content: Content) -> bool:
        """Whether :meth:`load` reads a file of this kind, so that a model can be tried when it is logged."""
        return True

    def unserved(self, model: Artifact) -> str:
        """Why this package's own model server cannot serve a model of this format: a sentence; empty where it can."""
        return ""

    def check(self, directory: Path) -> list[str]:
        """What keeps the server from finding the model in this folder, in sentences; empty when all is well."""
        endings = self.suffixes or tuple(suffix for group in self.files for suffix in group)
        return check_one_file(directory, endings, self.title) if endings else []

    def stock_differences(self, model: Artifact, method: str) -> Iterable[str]:
        """What KServe's own server for the format would answer otherwise than the model did, in sentences.

        Args:
            model: its record, of which the signature, the details and the environment tell.
            method: the one that is to answer.
        """
        return ()

    def refused_by(self, model: Artifact, runtime: str) -> str:
        """Why a runtime that takes the format does not serve this model, as a sentence; empty where it does.

        Args:
            model: its record.
            runtime: the runtime's name.
        """
        return ""

    def arguments(self, model: Artifact, runtime: str) -> tuple[str, ...]:
        """What the server of a runtime has to be told of a model by arguments: what it does not find out itself.

        Args:
            model: its record.
            runtime: the runtime's name.
        """
        return ()

    def companions(self, file: Path) -> tuple[str, ...]:
        """The files that a model's file needs, as paths relative to its folder: they travel along.

        Raises:
            InvalidInputError: one is missing or truncated; names it.
        """
        return ()

    def below(self, path: Path) -> str:
        """The folder of the snapshot that a folder's content goes into, where a server looks for it there."""
        return ""

    def path_signature(self, directory: Path) -> Signature | None:
        """What the files tell of the input and output; ``directory`` may be the model's file itself."""
        return None

    def path_details(self, directory: Path) -> Mapping[str, JSON]:
        """What the record should say of it beyond that."""
        return {}


def top_level(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of these endings in a folder, or the file itself, whatever it is called, when ``path`` is one."""
    if path.is_file():
        return [path]
    return sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in suffixes)


def the_file(directory: Path, endings: tuple[tuple[str, ...], ...]) -> Path:
    """The one file at the top of a folder that has an ending of the first of these groups that any file has.

    Raises:
        RuntimeError: there is none, or several.
    """
    files = sorted(f for f in directory.iterdir() if f.is_file())
    groups = [[f for f in files if f.suffix in suffixes] for suffixes in endings]
    found = next((group for group in groups if group), [])
    if len(found) == 1:
        return found[0]
    wanted = ", ".join(suffix for group in endings for suffix in group)
    if not found:
        raise RuntimeError(f"The snapshot {directory} holds no model file ({wanted}).")
    names = ", ".join(f.name for f in found)
    raise RuntimeError(
        f"The snapshot {directory} holds more than one model file ({names}); one was expected ({wanted})."
    )


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
        return smallfiles.beginning(path, size)
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
