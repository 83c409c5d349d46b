"""Servers that are any program: started, asked for their model, replaced, limited and ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from kale_serve_ext import sync
from kale_serve_ext.config import LONGEST_SOCKET, Settings
from kale_serve_ext.engines.base import Replica, ServiceState
from kale_serve_ext.engines.local import servers
from kale_serve_ext.engines.local.home import Home
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.ml import JSON
from tests.engines.tiny import Answer, Tiny, ask, connection, infer, numbers, until


def replicas(state: ServiceState) -> list[Replica]:
    return [replica for component in state.components for replica in component.replicas]


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        # It has ended between the two.
        return False


@pytest.mark.parametrize("runtime", ["tiny-runtime", "tiny-unix-runtime"])
def test_a_program_serves_through_the_services_address_and_leaves_nothing(tiny_services: Tiny, runtime: str) -> None:
    bench, home = tiny_services.bench, tiny_services.home("double")
    state = tiny_services.serve("double", runtime=runtime, NAME="another")
    assert numbers(infer(state)) == [20.0, 50.0]
    to = connection(state)
    to.request("GET", "/environ")
    environ = json.loads(to.getresponse().read())
    assert environ["cwd"] == environ["TMPDIR"]
    assert Path(environ["TMPDIR"]).is_relative_to(home.work)
    assert "PYTHONPATH" not in environ
    running = tiny_services.processes("double")
    listening = {c.laddr.ip for each in running for c in each.connections("inet") if c.status == "LISTEN"}
    assert listening == (set() if "unix" in runtime else {"127.0.0.1"})
    sync.run(bench.engine.set_paused("double", True))
    until(lambda: not bench.status("double").children)
    assert infer(state)[0] == 503
    assert tiny_services.runs("double") == 0
    assert not home.sockets.exists() or list(home.sockets.iterdir()) == []
    sync.run(bench.engine.set_paused("double", False))
    assert numbers(infer(bench.until_ready("double"))) == [20.0, 50.0]
    running += tiny_services.processes("double")
    sync.run(bench.engine.delete("double"))
    assert not home.folder.exists()
    assert not list(home.runtime.glob(f"{home.socket.stem}*"))
    assert not any(each.is_running() for each in running)


def test_an_update_fails_no_request(tiny_services: Tiny) -> None:
    bench = tiny_services.bench
    state = tiny_services.serve("updated")
    failures: list[object] = []
    seen: set[object] = set()
    stop = threading.Event()

    def keep_asking() -> None:
        to = connection(state)
        while not stop.is_set():
            try:
                status, said = ask(to, "updated")
            except OSError as error:
                failures.append(error)
                return
            if status != 200:
                failures.append(said)
            seen.add(said.get("id"))

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for each in askers:
        each.start()
    for revision in (2, 3):
        tiny_services.apply("updated", REVISION=str(revision))
        bench.until_ready("updated", revision)
        until(lambda: len(bench.status("updated").children) == 1)
    until(lambda: len(seen) == 3 or failures)
    stop.set()
    for each in askers:
        each.join()
    assert failures == []


def test_a_long_request_is_answered_by_the_process_that_is_left(tiny_services: Tiny, tmp_path: Path) -> None:
    state = tiny_services.serve("leaves")
    answers: list[Answer] = []
    asker = threading.Thread(target=lambda: answers.append(infer(state, wait=str(tmp_path / "waits"))))
    asker.start()
    until((tmp_path / "waits").exists)
    old = tiny_services.processes("leaves")
    tiny_services.apply("leaves", REVISION="2")
    tiny_services.bench.until_ready("leaves", 2)
    assert numbers(infer(state)) == [20.0, 50.0]
    assert all(each.is_running() for each in old)
    (tmp_path / "waits.go").touch()
    asker.join(30)
    assert numbers(answers[0]) == [20.0, 50.0]
    until(lambda: not any(each.is_running() for each in old))


def test_the_runtime_can_be_changed_back_and_forth(tiny_services: Tiny, iris_model: Path) -> None:
    """One address, whoever listens on it: KServe's servers inherit the socket, others are led to."""
    bench = tiny_services.bench
    state = tiny_services.serve("changes")
    row: JSON = {"name": "x", "datatype": "FP64", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}

    def asked(to: http.client.HTTPConnection) -> object:
        """The answer, which has to be one, on a connection that is kept as long as it can be."""
        return numbers(ask(to, "changes", inputs=[row]))

    to = connection(state)
    assert asked(to) == [102.0, 70.0, 28.0, 4.0]
    bench.apply(bench.manifest("changes", iris_model, protocolVersion="v2"))
    until(lambda: asked(to) == [0], 90)
    bench.until_ready("changes", 2)
    assert asked(connection(state)) == [0]
    tiny_services.apply("changes")
    until(lambda: asked(to) != [0], 90)
    bench.until_ready("changes", 3)
    until(lambda: len(bench.status("changes").children) == 1)
    assert asked(connection(state)) == [102.0, 70.0, 28.0, 4.0]


def test_a_service_of_an_earlier_version_goes_on_with_a_runtime_that_is_unknown(
    tiny_services: Tiny, iris_model: Path
) -> None:
    bench, home = tiny_services.bench, tiny_services.home("earlier")
    bench.apply(bench.manifest("earlier", iris_model))
    sync.run(bench.engine.set_paused("earlier", True))
    described = home.spec.read_text()
    assert described.count("kserve-sklearnserver") == 1
    home.spec.write_text(described.replace("kserve-sklearnserver", "my-own-runtime"))
    sync.run(bench.engine.set_paused("earlier", False))
    bench.until_ready("earlier")
    events = sync.run(bench.engine.events("earlier"))
    assert any(e.reason == "RuntimeUnknown" and "'my-own-runtime'" in e.message for e in events)
    sync.run(bench.engine.delete("earlier"))


def test_the_sockets_of_every_process_have_paths_that_are_short_enough(tmp_path: Path, short_dir: str) -> None:
    longest = 0
    with contextlib.suppress(InvalidInputError):
        for more in range(1, LONGEST_SOCKET):
            settings = Settings(data_dir=tmp_path, runtime_dir=f"{short_dir}/{'x' * more}")
            longest = len(os.fsencode(Home.of(settings, "default", "iris").sockets / "999" / "h"))
    assert longest == LONGEST_SOCKET


REASONS = [
    ("imports", {"m.json": "10"}, {"FAILS": "import"}, "ModuleNotFoundError: No module named 'no_such_framework'"),
    ("no-file", {"m.txt": "10"}, {}, "no file at its top ends in .json. It holds m.txt."),
    (
        "two-files",
        {"a.json": "1", "b.json": "1"},
        {},
        "one model file, and the snapshot holds 2: a.json, b.json.",
    ),
    ("damaged", {"m.json": "{"}, {}, "JSONDecodeError: "),
]


@pytest.mark.parametrize(("name", "files", "env", "reason"), REASONS, ids=[each[0] for each in REASONS])
def test_a_failure_is_told_with_its_reason(
    tiny_services: Tiny, name: str, files: dict[str, str], env: dict[str, str], reason: str
) -> None:
    tiny_services.apply(name, snapshot=tiny_services.folder(name, files), **env)
    state = tiny_services.bench.until(name, lambda s: any(r.reason for r in replicas(s)))
    [replica] = replicas(state)
    assert reason in replica.message
    assert replica.reason == "CrashLoopBackOff"
    status, said = infer(state)
    assert (status, reason in str(said["reason"]), said["phase"]) == (503, True, "Failed")
    assert tiny_services.runs(name) <= 1


def test_a_snapshot_that_changed_is_not_loaded(tiny_services: Tiny) -> None:
    given = tiny_services.manifest("digest")
    metadata = given["metadata"]
    assert isinstance(metadata, dict)
    annotations = metadata["annotations"]
    assert isinstance(annotations, dict)
    annotations["kale-serve-ext/model-digest"] = "sha256:0"
    tiny_services.bench.apply(given)
    state = tiny_services.bench.until("digest", lambda s: any(r.reason for r in replicas(s)))
    assert "is not what was logged" in replicas(state)[0].message
    sync.run(tiny_services.bench.engine.delete("digest"))


def test_a_process_that_is_killed_or_ends_is_started_again(tiny_services: Tiny) -> None:
    bench = tiny_services.bench
    state = tiny_services.serve("ends")
    tiny_services.processes("ends")[-1].kill()
    bench.until("ends", lambda s: any(r.restarts == 1 for r in replicas(s)))
    events = sync.run(bench.engine.events("ends"))
    assert any("It was killed by SIGKILL." in event.message for event in events)
    bench.until_ready("ends")
    status, said = infer(state, exit=3)
    assert (status, "ended while it had this request" in str(said["error"])) == (502, True)
    bench.until("ends", lambda s: any(r.restarts == 2 for r in replicas(s)))
    bench.until_ready("ends")
    assert numbers(infer(state)) == [20.0, 50.0]
    assert tiny_services.runs("ends") == 1


def test_a_model_that_says_it_is_not_ready_is_not_asked(tiny_services: Tiny, tmp_path: Path) -> None:
    flag = tmp_path / "unready"
    state = tiny_services.serve("moody", UNREADY=str(flag))
    flag.touch()
    [replica] = replicas(tiny_services.bench.until("moody", lambda s: not s.components[0].ready))
    assert (replica.state, replica.reason) == ("Running", "ModelNotReady")
    assert replica.message == '/v2/models/moody/ready answers 503: {"error": "not now"}.'
    assert infer(state)[0] == 503
    flag.unlink()
    tiny_services.bench.until_ready("moody")
    assert numbers(infer(state)) == [20.0, 50.0]


def test_a_process_that_is_left_stays_so_when_its_model_becomes_ready(tiny_services: Tiny, tmp_path: Path) -> None:
    bench, flag, asked = tiny_services.bench, tmp_path / "unready", tmp_path / "unready.asked"
    state = tiny_services.serve("left", UNREADY=str(flag))
    answers: list[Answer] = []
    asker = threading.Thread(target=lambda: answers.append(infer(state, wait=str(tmp_path / "waits"))))
    asker.start()
    until((tmp_path / "waits").exists)
    flag.touch()
    bench.until("left", lambda s: not s.components[0].ready)
    tiny_services.apply("left", REVISION="2")
    bench.until_ready("left", 2)
    flag.unlink()
    for _ in range(2):
        # The second question is asked when the first answer has been heeded.
        asked.unlink(missing_ok=True)
        until(asked.exists)
    # Kept open, they go to whichever has fewer.
    with contextlib.ExitStack() as kept:
        links = [kept.enter_context(contextlib.closing(connection(state))) for _ in range(4)]
        assert len({str(ask(to, "left")[1]["id"]) for to in links}) == 1
    (tmp_path / "waits.go").touch()
    asker.join(30)
    assert numbers(answers[0]) == [20.0, 50.0]


def test_memory_is_limited(tiny_services: Tiny) -> None:
    bench = tiny_services.bench
    infer(tiny_services.serve("eats", limits={"memory": "200Mi"}, EATS=str(400 << 20)))
    bench.until("eats", lambda s: any(r.restarts for r in replicas(s)))
    events = sync.run(bench.engine.events("eats"))
    assert any(event.reason == "OOMKilled" and "of 200 MiB" in event.message for event in events)


def test_nothing_outlives_a_supervisor_that_is_killed(tiny_services: Tiny, tmp_path: Path) -> None:
    bench, written = tiny_services.bench, tmp_path / "worker"
    state = tiny_services.serve("orphans", WORKER=str(written))
    worker = psutil.Process(int(written.read_text()))
    running = [*tiny_services.processes("orphans"), worker]
    os.kill(bench.status("orphans").supervisor.pid, signal.SIGKILL)
    until(lambda: not any(map(lives, running)))
    # Whoever looks starts another one, at the same address.
    bench.until("orphans", lambda s: int(written.read_text()) != worker.pid and s.components[0].ready)
    assert numbers(infer(state)) == [20.0, 50.0]
    assert tiny_services.runs("orphans") == 1
    # A pause ends what has left the group, too.
    other = psutil.Process(int(written.read_text()))
    sync.run(bench.engine.set_paused("orphans", True))
    until(lambda: not other.is_running())


@pytest.mark.parametrize("ends", ["delete", "pause", "kill"])
def test_a_start_that_hangs_can_be_ended_with_what_has_left_its_group(
    tiny_services: Tiny, tmp_path: Path, ends: str
) -> None:
    bench, written = tiny_services.bench, tmp_path / "worker"
    tiny_services.apply("hangs", FAILS="hangs", WORKER=str(written))
    bench.until("hangs", lambda s: any(r.state == "Running" for r in replicas(s)))
    until(lambda: written.exists() and written.read_text())
    running = [*tiny_services.processes("hangs"), psutil.Process(int(written.read_text()))]
    if ends == "pause":
        sync.run(bench.engine.set_paused("hangs", True))
        until(lambda: not any(each.is_running() for each in running))
    if ends == "kill":
        os.kill(bench.status("hangs").supervisor.pid, signal.SIGKILL)
    sync.run(bench.engine.delete("hangs"))
    until(lambda: not any(map(lives, running)))
    if ends == "delete":
        assert not any(each.is_running() for each in running)


def test_a_server_that_is_broken_or_absent_is_named(tiny_server: Tiny) -> None:
    assert [one.name for one in servers.everyone()][len(servers.ours()) :] == ["tiny", "tiny-unix"]
    faults = servers.broken()
    assert set(faults) == {"twice", "broken", "none"}
    assert faults["twice"] == "The name tiny is taken."
    assert faults["none"] == "tiny_records:NO_RECORD is no kale_serve_ext Server."
    assert faults["broken"].startswith("AttributeError: ")
    bench = tiny_server.bench
    with pytest.raises(InvalidInputError, match="There is no runtime 'acme-server' on this machine"):
        tiny_server.apply("absent", runtime="acme-server")
    with pytest.raises(InvalidInputError, match="The tiny server has no support for the format 'sklearn'"):
        bench.apply(bench.manifest("misfit", tiny_server.model, runtime="tiny-runtime"))
