"""What is answered in the place of a model server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus


def answer(status: int, content: Mapping[str, str]) -> bytes:
    """A whole HTTP answer, behind which the connection ends."""
    body = json.dumps(content).encode()
    retry = "retry-after: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else ""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n{retry}"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
