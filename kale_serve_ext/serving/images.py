"""What bytes are that are no text, and how JSON carries them. Pure."""

from __future__ import annotations

import base64

from ..ml import JSON

_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
HINT = 'Send {"instances": [{"b64": base64.b64encode(data).decode()}]}, or the form that the model\'s own code reads.'
"""How a whole image is sent."""


def kind_of(data: bytes) -> str:
    """What kind of image the bytes are, such as ``PNG``; empty where they are none."""
    for beginning, kind in _BEGINNINGS.items():
        if data.startswith(beginning):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    # Two letters are little to go by: the file's length stands behind them.
    return "BMP" if data[:2] == b"BM" and int.from_bytes(data[2:6], "little") == len(data) else ""


def as_json(data: bytes) -> JSON:
    """Text, where the bytes are that; else the object that stands for them in TensorFlow Serving's and KServe's v1."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(data).decode()}


def is_base64(value: JSON) -> bool:
    """Whether this is an object of :func:`as_json`: a value, and not a row with a column."""
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)
