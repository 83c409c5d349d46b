"""Names what a file is that is no model of a known format, by its first bytes, and what to do about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from .boosterfiles import is_configuration

CUSTOM = (
    "It can be served as custom code: a folder with a subclass of kserve.Model that loads and calls it, "
    'logged with Model(model_type="custom", artifact_uri="FOLDER").'
)
AGAIN = "Save or download it again."
UNPACK = "Unpack it, and choose the model's own file or folder in it."
_SAVE_MODEL = "Save the model itself: booster.save_model({!r})."
_MOST_KEYS = 5
_LONGEST_KEY = 40


@dataclass(frozen=True)
class Stranger:
    """``what`` it is, as in "model.pkl is …", and a hint."""

    what: str
    hint: str


_STARTS = (
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, such as Keras writes",
        "Load it with keras.models.load_model and log the model that it gives.",
    ),
    (b"GGUF", "a GGUF file of a language model", CUSTOM),
    (
        b"\x93NUMPY",
        "a NumPy array (.npy)",
        "Save the fitted model itself, as with joblib.dump(model, 'model.joblib').",
    ),
    (b"PAR1", "a Parquet table", "Choose the file of the model."),
    (b"ARROW1", "an Arrow table", "Choose the file of the model."),
    (b"SQLite format 3\0", "an SQLite database", "Choose the file of the model."),
    (b"%PDF-", "a PDF document", "Choose the file of the model."),
    (b"\x89PNG", "an image", "Choose the file of the model."),
    (b"\xff\xd8\xff", "an image", "Choose the file of the model."),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)", UNPACK),
    (b"Rar!", "an archive (rar)", UNPACK),
    (b"\x7fELF", "a program or library", "Choose the file of the model."),
    (
        b"booster[0]:",
        "a dump of an XGBoost model's trees as text, which cannot be loaded",
        _SAVE_MODEL.format("model.ubj"),
    ),
)
_POINTERS = (
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not the file itself",
        "Get the file: git lfs pull.",
    ),
    (b"/annex/objects/", "a git-annex pointer, not the file itself", "Get the file: git annex get."),
    (b"outs:\n- md5:", "a DVC pointer, not the file itself", "Get the file: dvc pull."),
)


def named(head: bytes) -> Stranger:
    """What begins with these bytes."""
    for start, what, hint in (*_POINTERS, *_STARTS):
        if head.startswith(start):
            return Stranger(what, hint)
    if is_tar(head):
        return Stranger("an archive (tar)", UNPACK)
    if re.match(rb".{8}\{\s*\"", head, re.DOTALL) and int.from_bytes(head[:8], "little") < 100 << 20:
        return Stranger("a file of weights (safetensors)", CUSTOM)
    if not head.strip(b"\0"):
        return Stranger("a file of zeros", AGAIN)
    return _text(head)


def archive(names: list[str]) -> Stranger:
    """What a zip file with these names in it is."""
    tops = {name.rpartition("/")[2] for name in names}
    if "config.json" in tops and {"model.weights.h5", "metadata.json"} & tops:
        return Stranger("a Keras model", 'Save it again with model.save("model.keras"), and choose that file.')
    if names and all(name.endswith(".npy") for name in names):
        return Stranger("NumPy arrays (.npz)", "Save the fitted model itself, as with joblib.dump.")
    return Stranger("an archive (zip)", UNPACK)


def is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _text(head: bytes) -> Stranger:
    if b"\0" in head[:4096]:
        return Stranger("a binary file of unknown type", "Choose the model's own file, or save the model again.")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = start[:1024].lower()
    if lower.startswith((b"<!doctype html", b"<html")) or b"<html" in lower or b"<head>" in lower:
        title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
        called = f" ({' '.join(title[1].decode('utf-8', 'replace').split())!r})" if title else ""
        hint = "The download returned a web page, such as a login page, instead of the file: download it again."
        return Stranger(f"an HTML page{called}", hint)
    if lower.startswith(b"<"):
        return Stranger("an XML file", AGAIN)
    if start[:1] in (b"{", b"["):
        return _json(head, start)
    return Stranger("a text file", "Choose the model's own file, or save the model again.")


def _json(head: bytes, start: bytes) -> Stranger:
    if is_configuration(head):
        return Stranger("the configuration of an XGBoost model, without the model", _SAVE_MODEL.format("model.ubj"))
    if re.match(rb'\[\s*\{\s*"nodeid"', start) or re.match(rb'\[\s*"\s*\{', start):
        return Stranger("a dump of an XGBoost model's trees, which cannot be loaded", _SAVE_MODEL.format("model.ubj"))
    if re.match(rb'\{\s*"name"\s*:\s*"tree"', start):
        return Stranger("a dump of a LightGBM model, which cannot be loaded", _SAVE_MODEL.format("model.txt"))
    if b'"nbformat"' in head or re.match(rb'\{\s*"cells"', start):
        return Stranger("a notebook", "Choose the file of the model.")
    keys = _keys(start)
    what = f"JSON with the keys {', '.join(keys)}" if keys else "a JSON file"
    return Stranger(f"{what}, not an XGBoost model", AGAIN)


def _keys(start: bytes) -> list[str]:
    """The first keys of a JSON object; of one that is longer than what was read, the very first."""
    try:
        told = json.loads(start)
    except (ValueError, RecursionError):
        found = re.match(rb'\{\s*"([^"\\]{1,40})"', start)
        return [found[1].decode("utf-8", "replace")] if found else []
    return [key[:_LONGEST_KEY] for key in list(told)[:_MOST_KEYS]] if isinstance(told, dict) else []
