"""The panel's test request: the same bytes to the service, to the clipboard as Python, and as a shell command."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from kale_serve_ext.engines.base import EngineInfo
from kale_serve_ext.engines.shell import LONGEST
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.serving import rest
from kale_serve_ext.serving.predict import _body, as_curl, as_python, as_shell

WHERE = EngineInfo("local", "localhost", "default")
EXACT = [
    '{"instances": [[12345678901234567890, 1e400, -0.0, 1.0]]}',
    '{"instances":[[1.10, 0.1000000000000000055511151231257827]]}',
    '{"b": 1, "a": 2, "b": 3, "instances": []}',
    '\n { "instances" : [ "it\'s \\u00e9 \U0001f600 $HOME `x` \\\\" ] }\n',
    '{"instances":[[5.1,3.5]]}',
]


def sent_by(python: str) -> bytes:
    """What ``Endpoint.predict`` sends when the code is run."""
    sent: list[bytes] = []

    class Endpoint:
        def __init__(self, name: str, engine: str, namespace: str) -> None:
            assert (name, engine, namespace) == ("iris", "local", "default")

        def predict(self, data: object) -> None:
            sent.append(rest.encode(data, "v1", "iris", transformer=False).body)

    exec(python.replace("from kale.serve import Endpoint\n", ""), {"Endpoint": Endpoint})
    (only,) = sent
    return only


@pytest.mark.parametrize("text", EXACT)
def test_text_is_sent_byte_for_byte_and_copied_so(text: str) -> None:
    body = _body(None, text, "v1", transformer=False)

    assert body == text.encode()
    assert sent_by(as_python("iris", body, WHERE, "curl")) == body
    words = shlex.split(as_curl("http://127.0.0.1:1")("/v1/models/iris:predict", body.decode()))
    assert words[words.index("-d") + 1] == text


def test_what_can_be_written_as_a_dict_is() -> None:
    python = as_python("iris", b'{"instances":[[5.1,3.5]]}', WHERE, "curl")

    assert "endpoint.predict({'instances': [[5.1, 3.5]]})" in python


@pytest.mark.parametrize("text", ["[[1.0, 2.0]]", "5", '"text"', "null"])
def test_what_is_no_object_is_copied_as_its_command(text: str) -> None:
    """``Endpoint.predict`` would make rows of it."""
    command = "curl -d " + shlex.quote(text)
    python = as_python("iris", _body(None, text, "v1", transformer=False), WHERE, command)

    assert python == f"import subprocess\n\nsubprocess.run({command!r}, shell=True, check=True)\n"


def test_rows_as_text_keep_numbers_that_a_browser_would_round() -> None:
    assert _body("[[12345678901234567890, 1.0, null, true]]", None, "v1", transformer=False) == (
        b'{"instances":[[12345678901234567890,1.0,null,true]]}'
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [("[[1e400]]", "1e400"), ("[[-Infinity]]", "-Infinity"), ("{}", "not a list"), ("[1", "not valid JSON")],
)
def test_rows_that_cannot_be_kept_are_refused(rows: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        _body(rows, None, "v1", transformer=False)


@pytest.mark.parametrize("size", [10, 2 * LONGEST])
def test_the_command_posts_what_was_sent_however_long_it_is(size: int) -> None:
    body = '{"instances":["' + "it's %s \\\\ é" + "x" * size + '"]}'
    command = as_curl("http://127.0.0.1:1")("/v1/models/iris:predict", body)
    # In place of curl, what it would send.
    script = 'curl() { while [ "$1" ]; do case $1 in -d) printf %s "$2";; @-) cat;; esac; shift; done; }\n' + command

    for python in (f"import subprocess\nsubprocess.run(['sh'], input={script!r}, text=True)", as_shell(script)):
        if size > LONGEST or "input=" in python:
            told = subprocess.run([sys.executable, "-"], input=python, capture_output=True, text=True, check=True)
            assert told.stdout == body


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="UTF-8 cannot encode"):
        _body(None, '{"instances": ["\ud800"]}', "v1", transformer=False)
