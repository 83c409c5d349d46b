"""Bytes that are no text: told for what they are, or sent as base64, and never mangled."""

from __future__ import annotations

import base64
import json

import numpy as np
import pandas as pd
import pytest

from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.serving import images, rest

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
B64 = {"b64": base64.b64encode(PNG).decode()}
IMAGES = {
    "PNG": PNG,
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "GIF": b"GIF89a\x01\0\x01\0",
    "WebP": b"RIFF\x24\0\0\0WEBPVP8 ",
    "BMP": b"BM\x1a\0\0\0" + bytes(20),
    "TIFF": b"II*\0\x08\0\0\0",
}


def sent(data: object, protocol: str = "v1", *, transformer: bool = False) -> object:
    return json.loads(rest.encode(data, protocol, "m", transformer=transformer).body)


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("made", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_a_whole_image_is_told_with_the_request_to_send(kind: str, made: type, protocol: str) -> None:
    with pytest.raises(InvalidInputError, match=f"a {kind} image, not a request") as told:
        sent(made(IMAGES[kind]), protocol)
    assert told.value.hint == images.HINT
    request = eval(images.HINT[len("Send ") : images.HINT.index(", or")], {"base64": base64, "data": PNG})
    assert sent(request) == {"instances": [B64]}


def test_other_bytes_are_told_too() -> None:
    with pytest.raises(InvalidInputError, match="not text in UTF-8") as told:
        sent(b"\xfe\xed\xfa\xce")
    assert told.value.hint == images.HINT
    assert [images.kind_of(b) for b in (b"BMW", b"RIFF", b"", b'{"instances": []}')] == [""] * 4


@pytest.mark.parametrize("transformer", [False, True])
@pytest.mark.parametrize("data", [[PNG, PNG], [bytearray(PNG), memoryview(PNG)], np.array([PNG, PNG], dtype=object)])
def test_a_list_of_images_is_a_row_each(data: object, transformer: bool) -> None:
    assert sent(data, transformer=transformer) == {"instances": [B64, B64]}


def test_images_in_cells_keep_their_bytes() -> None:
    table = pd.DataFrame({"name": [b"caf\xc3\xa9", "b"], "image": [PNG, None]})

    assert sent([{"name": "a", "image": PNG}], transformer=True) == {"instances": [{"name": "a", "image": B64}]}
    assert sent([["a", PNG]]) == {"instances": [["a", B64]]}
    assert sent({"instances": [PNG]}) == {"instances": [B64]}
    assert sent(table, transformer=True) == {
        "instances": [{"name": "café", "image": B64}, {"name": "b", "image": None}]
    }


@pytest.mark.parametrize("protocol", ["v2", "v2-binary"])
@pytest.mark.parametrize("data", [[["a", PNG]], pd.DataFrame({"image": [PNG]}), [PNG]], ids=["rows", "table", "one"])
def test_v2_refuses_what_it_has_no_form_for(data: object, protocol: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be represented in protocol v2"):
        sent(data, protocol)
