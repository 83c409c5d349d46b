"""Tells what a saved file is by its bytes, whatever it is called. Nothing in it is run, and little of it is read."""

from __future__ import annotations

import json
import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ..modelmeta import ESTIMATOR, NAME
from . import boosterfiles, onnxgraph, pickles, registry, strangers, streams
from .base import PICKLED, Content, Format
from .pickles import Pickle

FILE_KIND = "file_kind"
"""The key of a record's details that says how a model's file is written, where KServe's own servers cannot read it."""
_HEAD = 1 << 16
_SCHEMA = 64 << 20
_MOST_FILES = 200
"""Files at the top of a folder that are looked at."""
_OUR_OWN = frozenset({NAME, ESTIMATOR})
_TORCH = 0x1950A86A20F9469CFC6C
"""The number with which PyTorch's older checkpoints begin."""
_ZIP = b"PK\x03\x04"
_NO_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(OSError, ValueError, KeyError, NotImplementedError, RuntimeError, EOFError),
)
_PLAIN = {
    *("dict", "list", "tuple", "set", "frozenset", "str", "bytes", "bytearray"),
    *("int", "long", "float", "bool", "complex", "NoneType"),
}


def can_be(content: Content, format_: Format) -> bool:
    """Whether it can be served as a model of this format, where somebody says so."""
    if not content.format or content.format == format_.name:
        return bool(content.format)
    if content.kind not in PICKLED or content.kind not in format_.kinds:
        return False
    # An estimator around a booster is one of scikit-learn's too; what is of neither library may derive from it.
    return "sklearn" in format_.libraries or registry.of_library(content.outermost.partition(".")[0]) is None


def look(path: Path) -> Content:
    """What the file is."""
    try:
        known = path.stat()
        return _look(path, known.st_mtime_ns, known.st_size)
    except OSError as error:
        return Content(what=f"a file that cannot be read ({error.strerror or error})", hint="Check its permissions.")


def file_name(path: Path, content: Content) -> str:
    """What the model's file has to be called for a model server to find it: its own name where that will do."""
    format_ = registry.known(content.format)
    suffixes = format_.kinds.get(content.kind, ()) if format_ else ()
    return path.name if not suffixes or path.suffix in suffixes else f"model{suffixes[0]}"


def models_in(path: Path) -> dict[Path, Content]:
    """The models at the top of a folder, or the file itself where it is one.

    Of a folder those that are called as servers look for them; those with other names only where there is none.
    """
    if path.is_file():
        found = {path: look(path)}
        return {file: content for file, content in found.items() if content.format}
    found = {file: content for file in files_of(path) if (content := look(file)).format}
    usual = {file: content for file, content in found.items() if file_name(file, content) == file.name}
    return usual or found


def files_of(folder: Path) -> list[Path]:
    """The files at the top of a folder that may be a model."""
    names = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name not in _OUR_OWN)
    return [p for p in names if p.is_file()][:_MOST_FILES]


@lru_cache(maxsize=256)
def _look(path: Path, _modified: int, size: int) -> Content:
    if not size:
        return Content(what="an empty file", hint=strangers.AGAIN)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if (name := streams.compression(head)) and (inside := _compressed(path, name)):
        return inside
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(path)
    if _may_be_pickle(head):
        with path.open("rb") as file:
            found = _pickle(pickles.read(streams.Stream(file, seekable=True)), head)
        if found:
            return found
    return registry.recognised(path, head) or _stranger(strangers.named(head))


def _compressed(path: Path, name: str) -> Content | None:
    """None where it only looks as if it were compressed."""
    if not streams.can_read(name):
        if name == "lz4":  # so joblib writes
            return Content("sklearn", "pickle", packages=frozenset({"lz4"}))
        return Content(what=f"a file compressed with {name}", hint="Decompress it first.")
    try:
        with streams.decompressed(path, name) as file:
            head = file.read(_HEAD)
        if not _may_be_pickle(head):
            return _compressed_other(head, name)
        with streams.decompressed(path, name) as file:
            found = _pickle(pickles.read(streams.Stream(file, seekable=False)), head)
    except EOFError:
        return Content(what=f"a truncated {name} file", hint=strangers.AGAIN)
    except streams.BrokenError:
        return None if name == "zlib" else Content(what=f"a damaged {name} file", hint=strangers.AGAIN)
    if found is None:
        return _compressed_other(head, name)
    return replace(found, packages=found.packages | {"lz4"}) if name == "lz4" else found


def _compressed_other(head: bytes, name: str) -> Content:
    if strangers.is_tar(head):
        return Content(what=f"an archive (tar, compressed with {name})", hint=strangers.UNPACK)
    is_model = boosterfiles.xgboost_form(head) or boosterfiles.is_lightgbm(head) or onnxgraph.may_be(head)
    inner = "a model" if is_model else ""
    return Content(what=f"{inner or strangers.named(head).what}, compressed with {name}", hint="Decompress it first.")


def _may_be_pickle(head: bytes) -> bool:
    """By the protocol's opcode, or a first opcode of the older protocols' text."""
    return (
        re.match(rb"\x80[\x02-\x05]|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n|\((?:dp?|lp?|i[A-Za-z_])|[\]}]q", head) is not None
    )


def _pickle(seen: Pickle, head: bytes) -> Content | None:
    """None where it only begins like a pickle."""
    known = head.startswith((b"\x80", b"ccopy_reg\n_recon", b"ccopyreg\n_recon"))
    if seen.broken or (not seen.complete and not known):
        return Content(what="a damaged pickle", hint=strangers.AGAIN) if known else None
    if seen.magic == _TORCH:
        return Content(what="a PyTorch checkpoint", hint=strangers.CUSTOM)
    if seen.truncated:
        return Content(what="a truncated pickle", hint=strangers.AGAIN)
    if what := _no_model(seen):
        return Content(what=what[0], hint=what[1], outermost=seen.outermost)
    tops = {name.partition(".")[0] for name in (seen.outermost, *seen.names)}
    wrapped = {"scikit-learn"} if ".sklearn." in seen.outermost else set()
    made_with = {"scikit-learn": seen.sklearn, "xgboost": seen.xgboost}
    return Content(
        format=_format_of(seen.outermost),
        kind="pickle",
        outermost=seen.outermost,
        made_with={name: version for name, version in made_with.items() if version},
        packages=frozenset({"joblib", *wrapped, *_packages_of(tops), *(tops & {"cloudpickle"})}),
    )


def _no_model(seen: Pickle) -> tuple[str, str] | None:
    """What a pickled object is that is no model, and what to do about it."""
    hint = "Save the fitted model itself, as with joblib.dump(model, 'model.joblib')."
    module, _, name = seen.outermost.rpartition(".")
    torch = any(one.startswith("torch.") for one in seen.names)
    if torch and (module == "collections" or (module == "builtins" and name in _PLAIN)):
        return "a pickled PyTorch checkpoint", strangers.CUSTOM
    if module == "builtins" and name == "type":
        return f"a pickled class or function ({', '.join(sorted(seen.names)[:1])}), not a fitted model", hint
    if module == "builtins" and name == "dict":
        keys = f" with the keys {', '.join(seen.keys[:5])}" if seen.keys else ""
        return f"a pickled dict{keys}, not a model", hint
    if module == "builtins" and name in _PLAIN:
        return f"a pickled {name}, not a model", hint
    if module.startswith("numpy.") or module == "numpy" or seen.outermost.startswith("joblib.numpy_pickle."):
        return "a pickled array, not a model", hint
    if module.startswith(("pandas.", "polars.", "scipy.sparse.")) or module == "collections":
        return f"a pickled {name}, not a model", hint
    if module.startswith("torch."):
        return "a pickled PyTorch module", strangers.CUSTOM
    return None


def _zip(path: Path) -> Content:
    try:
        if _directory_size(path) > _SCHEMA:
            return _stranger(strangers.archive([]))
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
            if "schema.json" not in names:
                return registry.recognised(path, _ZIP) or _stranger(strangers.archive(names))
            with file.open("schema.json") as schema:
                return _skops(schema.read(_SCHEMA))
    except _NO_ZIP:
        return Content(what="a truncated or damaged zip file", hint=strangers.AGAIN)


def _directory_size(path: Path) -> int:
    """Bytes of a zip file's list of names, which zipfile reads whole."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _HEAD - 22))
        end = file.read().rpartition(b"PK\x05\x06")[2]
    return int(struct.unpack_from("<I", end, 8)[0]) if len(end) >= 18 else 0


def _skops(schema: bytes) -> Content:
    told = json.loads(schema)
    if not isinstance(told, dict) or "_skops_version" not in told:
        return _stranger(strangers.archive([]))
    outermost = f"{told.get('__module__')}.{told.get('__class__')}"
    seen = Pickle(outermost=outermost, complete=True)
    if what := _no_model(seen):
        return Content(what=what[0].replace("pickled", "skops file of a"), hint=what[1])
    version = re.search(rb'"_sklearn_version":\s*\{[^}]*"content":\s*"\\"([\w.+]+)\\""', schema)
    made_with = {"skops": str(told["_skops_version"])} | ({"scikit-learn": version[1].decode()} if version else {})
    return Content(
        format=_format_of(outermost),
        kind="skops",
        outermost=outermost,
        made_with=made_with,
        packages=frozenset({"skops", *_packages_of({outermost.partition(".")[0]})}),
    )


def _format_of(outermost: str) -> str:
    """The name of the format of a pickled object, by its class: scikit-learn's takes any estimator."""
    format_ = registry.of_library(outermost.partition(".")[0])
    return format_.name if format_ else "sklearn"


def _packages_of(modules: set[str]) -> set[str]:
    """The distributions of those libraries that have a format of their own."""
    found = (registry.of_library(module) for module in modules if module != "sklearn")
    return {format_.needs[0][0] for format_ in found if format_ and format_.needs}


def _stranger(one: strangers.Stranger) -> Content:
    return Content(what=one.what, hint=one.hint)
