"""What the files of XGBoost and LightGBM look like, known by their first and last bytes."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Literal

BoosterForm = Literal["", "ubjson", "json", "binary", "text"]

_LEARNER = re.compile(
    rb'^\s*\{(?:"version"\s*:\s*\[[^\]]*\]\s*,\s*)?\s*"(?:learner"\s*:\s*\{\s*"(\w+)"|Model"|Config")'
)
_JSON_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]')
_UBJSON_VERSION = re.compile(rb"version\[#[LliI]\0{0,7}\x03i(.)i(.)i(.)", re.DOTALL)
_ENDS = 1 << 16
_TAIL = 4096
_HEADER = struct.Struct("<4sfIiiiII")
"""binf, base_score, num_feature, num_class, two flags, major and minor version."""
_OLDER = re.compile(rb"(?:\x06\0{7}gbtree|\x08\0{7}gblinear|\x04\0{7}dart)")
"""The booster's name behind its length, where there is no ``binf``."""
_OLDER_HEADER = 136


def xgboost_form(head: bytes) -> BoosterForm:
    """The form of a file of XGBoost; empty where it is none."""
    if head.startswith(b"{") and b"\x07learner{" in head[:4096]:
        return "ubjson"
    match = _LEARNER.match(head)
    if match and match[1] not in (None, b"generic_param", b"learner_train_param"):
        return "json"
    if head.startswith(b"binf") or (b"\0" in head[:_OLDER_HEADER] and _OLDER.search(head[_OLDER_HEADER:512])):
        return "binary"
    return ""


def is_configuration(head: bytes) -> bool:
    """Whether it is what ``Booster.save_config()`` gives: XGBoost's settings, without the model."""
    match = _LEARNER.match(head)
    return bool(match and match[1] in (b"generic_param", b"learner_train_param"))


def is_lightgbm(head: bytes) -> bool:
    """Whether it is a model of LightGBM as text."""
    return re.match(rb"tree\r?\nversion=v\d", head) is not None


def tail(path: Path) -> bytes:
    """The last bytes of a file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read()


def xgboost_version(data: bytes | bytearray) -> str:
    """The version of XGBoost that wrote a model, from its bytes or some of their ends; empty where it is not told."""
    if data[:4] == b"binf" and len(data) >= _HEADER.size:
        *_, major, minor = _HEADER.unpack(data[: _HEADER.size])
        return f"{major}.{minor}.0" if 0 < major < 100 else ""
    for part in (data[-_ENDS:], data[:_ENDS]):
        if found := _JSON_VERSION.search(part):
            return ".".join(number.decode() for number in found.groups())
        if found := _UBJSON_VERSION.search(part):
            return ".".join(str(number[0]) for number in found.groups())
    return ""
