"""Whom a local service answers: the rules for a request, and who a connection belongs to."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import pytest

from kale_serve_ext.runner import peers
from kale_serve_ext.runner.access import MACHINE, Access
from kale_serve_ext.runner.task import Task

JSON = {"content-type": "application/json", "content-length": "2"}
HUB = Access.of("user", "Hub.example.com, other.example.com")


def refused(method: str, access: Access | None = None, /, **headers: str) -> int:
    given = {"host": "127.0.0.1:5000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    refusal = (access or Access()).refuse_request(method, [(k.encode(), v.encode()) for k, v in given.items()])
    return refusal.status if refusal else 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:5000", "localhost:5000", "LOCALHOST", "[::1]:5000", "[::1]"])
def test_the_names_of_loopback_are_answered(host: str) -> None:
    assert refused("GET", host=host) == 0


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]:80"]
)
def test_a_name_that_only_resolves_to_loopback_is_refused(host: str) -> None:
    assert refused("GET", host=host) == 403
    assert refused("POST", host=host, **JSON) == 403


def test_a_request_has_one_host() -> None:
    assert Access().refuse_request("GET", []) is not None
    assert Access().refuse_request("GET", [(b"host", b"localhost"), (b"host", b"evil.example")]) is not None


def test_names_of_the_setting_are_answered_and_no_others() -> None:
    assert refused("GET", HUB, host="hub.example.com") == 0
    assert refused("GET", HUB, host="OTHER.example.com:443") == 0
    assert refused("GET", HUB, host="example.com") == 403
    page = {"origin": "https://hub.example.com", "sec_fetch_site": "same-origin"}
    assert refused("POST", HUB, host="hub.example.com", **page, **JSON) == 0
    assert refused("POST", HUB, **page, **JSON) == 0
    assert refused("POST", HUB, origin="https://evil.example", **JSON) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[nonsense"},
        {"origin": "http://localhost:8888"},
        {"origin": "http://127.0.0.1:8888", "sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
    ],
)
def test_a_page_of_another_origin_is_refused(headers: dict[str, str]) -> None:
    assert refused("POST", **headers, **JSON) == 403
    assert refused("GET", **headers) == 403


def test_a_page_of_its_own_a_typed_address_and_a_link_are_answered() -> None:
    assert refused("POST", origin="http://127.0.0.1:5000", sec_fetch_site="same-origin", **JSON) == 0
    assert refused("GET", sec_fetch_site="none", sec_fetch_mode="navigate", sec_fetch_dest="document") == 0
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert refused("GET", **link) == 0
    assert refused("POST", **link, **JSON) == 403


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (0, JSON),
        (0, {**JSON, "content-type": "Application/JSON; charset=utf-8"}),
        (0, {**JSON, "content-type": "application/cloudevents+json"}),
        (0, {**JSON, "content-type": "application/octet-stream"}),
        (0, {"content-length": "10", "inference-header-content-length": "5"}),
        (0, {"content-length": "0"}),
        (0, {}),
        (415, {"content-length": "2"}),
        (415, {"transfer-encoding": "chunked"}),
        (415, {"transfer-encoding": "chunked", "content-length": "0"}),
        (415, {**JSON, "content-type": "text/plain"}),
        (415, {**JSON, "content-type": "application/x-www-form-urlencoded"}),
        (415, {**JSON, "content-type": "multipart/form-data; boundary=json"}),
        (415, {**JSON, "content-type": "text/plain", "inference-header-content-length": "5"}),
    ],
)
def test_bodies_that_a_form_can_send_are_refused(status: int, headers: dict[str, str]) -> None:
    assert refused("POST", **headers) == status


def test_what_is_refused_is_shown_without_its_control_characters() -> None:
    refusal = Access().refuse_request("GET", [(b"host", b"evil\x1b[31m" + b"x" * 1000)])
    assert refusal is not None
    assert refusal.message.isprintable()
    assert len(refusal.message) < 300


LINUX = pytest.mark.skipif(not peers.AVAILABLE, reason="only Linux tells whose a connection is")
SECOND_USER = pytest.mark.skipif(os.geteuid() != 0, reason="becoming a second user takes root")
OTHER = 65534
CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid({user}); os.setuid({user})
family, host = (socket.AF_INET6, "::ffff:127.0.0.1") if sys.argv[2] == "mapped" else (socket.AF_INET, "127.0.0.1")
with socket.socket(family) as client:
    client.connect((host, int(sys.argv[1])))
    sys.stdin.read()
"""


@pytest.fixture
def accepted() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Makes a connection: the client's socket and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made: list[socket.socket] = []

        def connect() -> tuple[socket.socket, socket.socket]:
            client = socket.create_connection(listener.getsockname())
            made.extend((client, listener.accept()[0]))
            return made[-2], made[-1]

        yield connect
        for one in made:
            one.close()


Ways = pytest.mark.parametrize("way", [peers.owner, peers._by_diagnostics, peers._by_table])
Way = Callable[[peers.Address, peers.Address], int | None]


@LINUX
@Ways
def test_a_connection_of_one_s_own(way: Way, accepted: Callable[[], tuple[socket.socket, socket.socket]]) -> None:
    client, server = accepted()
    assert way(client.getsockname(), server.getsockname()) == os.geteuid()


@LINUX
@Ways
def test_a_connection_that_was_closed_is_nobody_s(
    way: Way, accepted: Callable[[], tuple[socket.socket, socket.socket]]
) -> None:
    """The kernel tells such sockets as root's: a request could be sent and its socket closed before anybody asks."""
    client, server = accepted()
    peer, here = client.getsockname(), server.getsockname()
    client.sendall(b"POST")
    client.close()
    assert way(peer, here) is None
    client, server = accepted()
    peer = client.getsockname()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with socket.socket() as listening:
        # Without the connection, one who listens on the port is found.
        listening.bind(peer)
        listening.listen()
        assert way(peer, here) is None


@LINUX
@SECOND_USER
@Ways
@pytest.mark.parametrize("form", ["plain", "mapped"])
def test_a_connection_of_another_user(way: Way, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-c", CONNECT.format(user=OTHER), port, form]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
            connection, peer = listener.accept()
            with connection:
                assert way(peer, connection.getsockname()) == OTHER
                assert not peers.is_trusted(OTHER)
                assert "KALE_SERVE_LOCAL_ACCESS" in Access().refuse_peer(peer, connection.getsockname())
                assert Access(MACHINE).refuse_peer(peer, connection.getsockname()) == ""
            other.communicate(timeout=60)


@LINUX
def test_whom_nobody_knows_is_refused() -> None:
    for peer in (None, ("127.0.0.1", 1), "unix:socket"):
        assert Access().refuse_peer(peer, ("127.0.0.1", 1))


UNMAPPED = """
import ctypes, os, socket
from kale_serve_ext.runner import peers
from kale_serve_ext.runner.access import Access
before = socket.create_server(("127.0.0.1", 0))
if ctypes.CDLL(None).unshare(0x10000000):
    raise SystemExit("no user namespace")
user = os.geteuid()
assert not peers.is_trusted(user), user
assert peers.doubt() == peers.SHARED_ID
with socket.create_connection(before.getsockname()) as client:
    print(Access().refuse_peer(client.getsockname(), before.getsockname()))
print(Access().warning())
"""


@LINUX
def test_the_id_of_all_who_have_none_is_nobody_s() -> None:
    """In a user namespace that does not map the service's user, other users of the machine have its id there."""
    done = subprocess.run([sys.executable, "-c", UNMAPPED], capture_output=True, text=True, timeout=60)
    if "no user namespace" in done.stderr:
        pytest.skip("user namespaces cannot be made here")
    refusal, warning = done.stdout.splitlines()
    assert refusal.startswith("The user that this request comes from cannot be told.")
    assert warning.startswith("All requests are refused:")
    assert "KALE_SERVE_LOCAL_ACCESS=machine" in refusal
    assert "KALE_SERVE_LOCAL_ACCESS=machine" in warning


@LINUX
def test_a_system_that_does_not_tell_answers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Access().warning() == ""
    monkeypatch.setattr(peers, "owner", lambda peer, here: None)
    peers.doubt.cache_clear()
    try:
        assert Access().refuse_peer(("127.0.0.1", 1), ("127.0.0.1", 2)) == ""
        assert Access().warning().startswith("Every user of this machine can send requests:")
        assert Access(MACHINE).warning() == ""
    finally:
        peers.doubt.cache_clear()


def test_a_task_of_a_supervisor_from_before_an_upgrade_is_taken() -> None:
    task = Task("iris", "predictor", "sklearn", "/m", 1, 3, 5001, args=("--x",), access=HUB)
    assert Task.from_json(task.to_json()) == task
    old = {name: value for name, value in json.loads(task.to_json()).items() if name != "access"}
    assert Task.from_json(json.dumps(old)) == replace(task, access=Access())
    assert Access.from_json({}) == Access()


def test_access_goes_from_process_to_process() -> None:
    assert Access.from_json(json.loads(json.dumps(asdict(HUB)))) == HUB
    assert HUB.hostnames == ("hub.example.com", "other.example.com")
