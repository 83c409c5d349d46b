"""The parts of the local engine that decide, by table."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kale_serve_ext import sync
from kale_serve_ext.config import Settings
from kale_serve_ext.engines import open_engine
from kale_serve_ext.engines.base import ComponentState, Condition, Replica
from kale_serve_ext.engines.local import eventlog, interpreters
from kale_serve_ext.engines.local.checks import check_manifest
from kale_serve_ext.engines.local.conditions import conditions, trouble
from kale_serve_ext.engines.local.environ import for_runner, inherited
from kale_serve_ext.engines.local.launch import idle_limit, launches, unknown_runtime
from kale_serve_ext.engines.local.logfiles import MAX_BYTES, LogFile, prune, runs, tail
from kale_serve_ext.engines.local.resources import amount
from kale_serve_ext.engines.local.runtimes import runtimes
from kale_serve_ext.engines.local.tail import stream
from kale_serve_ext.engines.selection import Choice, local_info, read_choice
from kale_serve_ext.entities import MODEL, Artifact, Environment
from kale_serve_ext.errors import InvalidInputError, NotFoundError
from kale_serve_ext.ml import JSON
from kale_serve_ext.runner.task import Task
from kale_serve_ext.serving.status import protocol_of


def manifest(
    model: dict[str, JSON] | None = None, transformer: dict[str, JSON] | None = None, **predictor: JSON
) -> dict[str, JSON]:
    given: dict[str, JSON] = {"modelFormat": {"name": "sklearn"}, "storageUri": "file:///snap", **(model or {})}
    spec: dict[str, JSON] = {"predictor": {"model": given, **predictor}}
    if transformer is not None:
        spec["transformer"] = {"containers": [transformer]}
    return {"metadata": {"name": "m", "annotations": {}}, "spec": spec}


def test_a_manifest_becomes_one_launch_for_each_component() -> None:
    env: JSON = [{"name": "STORAGE_URI", "value": "file:///my%20code"}, {"name": "A", "value": 1}, {"name": "B"}]
    limits: JSON = {"limits": {"memory": "1Gi", "cpu": "500m"}}
    predictor, transformer = launches(manifest({"resources": limits}, {"env": env, "args": ["--x", 1]}, minReplicas=2))
    assert (predictor.listener, transformer.listener) == ("predictor", "entry")
    assert (predictor.replicas, transformer.replicas) == (2, 1)
    assert (predictor.memory_limit, predictor.cpu_limit) == (2.0**30, 0.5)
    assert transformer.path == "/my code"
    assert transformer.env == {"A": "1", "B": ""}
    assert transformer.args == ("--x", "1")
    assert predictor.python == sys.executable
    (alone,) = launches(manifest())
    assert alone.listener == "entry"


def test_a_container_with_a_model_is_the_server_that_is_here_anyway() -> None:
    kinds = {"KALE_SERVE_KIND": "xgboost", "KALE_SERVE_METHOD": "predict_proba", "STORAGE_URI": "file:///snap"}
    env: JSON = [{"name": name, "value": value} for name, value in kinds.items()]
    (launch,) = launches({"spec": {"predictor": {"containers": [{"env": env}]}}})
    assert (launch.kind, launch.path, launch.env["KALE_SERVE_METHOD"]) == ("xgboost", "/snap", "predict_proba")


def test_a_method_is_not_interchangeable_with_another() -> None:
    def fingerprint(method: str) -> str:
        return launches(manifest({"env": [{"name": "KALE_SERVE_METHOD", "value": method}]}))[0].fingerprint

    assert fingerprint("predict_proba") == fingerprint("predict_proba")
    assert fingerprint("predict_proba") not in (fingerprint("transform"), launches(manifest())[0].fingerprint)


def test_interchangeable_processes_have_one_fingerprint() -> None:
    def fingerprint(**predictor: JSON) -> str:
        return launches(manifest(**predictor))[0].fingerprint  # type: ignore[arg-type]  # keywords of the predictor

    assert fingerprint() == fingerprint(minReplicas=3)
    assert fingerprint() != fingerprint(model={"storageUri": "file:///other"})
    assert fingerprint() != fingerprint(model={"env": [{"name": "A", "value": "1"}]})
    assert fingerprint() != fingerprint(transformer={"env": [{"name": "STORAGE_URI", "value": "file:///t"}]})


def test_a_protocol_is_understood_as_the_client_does() -> None:
    mlserver: dict[str, JSON] = {"runtime": "kserve-mlserver"}
    code: JSON = [{"name": "STORAGE_URI", "value": "file:///code"}]
    in_v2: dict[str, JSON] = {"protocolVersion": "grpc-v2"}
    for given, expected in ((None, "v1"), (in_v2, "v2"), (mlserver, "v2")):
        made = manifest(given, {"env": code})
        assert [launch.protocol for launch in launches(made)] == [expected, expected] == [protocol_of(made)] * 2
    with pytest.raises(InvalidInputError, match="MLServer does not speak the protocol 'v1'") as error:
        launches(manifest({**mlserver, "protocolVersion": "v1"}))
    assert error.value.field == "protocol"


def test_a_service_of_an_earlier_version_stays_with_a_runtime_that_is_unknown() -> None:
    made = manifest({"runtime": "my-own-runtime", "protocolVersion": "v2"})
    (launch,) = launches(made, stays=True)
    assert (launch.server, launch.protocol, unknown_runtime(made)) == ("kserve", "v2", "my-own-runtime")
    with pytest.raises(InvalidInputError, match="no runtime 'my-own-runtime'"):
        launches(made)
    assert unknown_runtime(manifest()) == ""
    for known in ("kserve-sklearnserver--python3", "kserve-mlserver"):
        assert unknown_runtime(manifest({"runtime": known})) == ""


def test_arguments_that_a_server_ignores_are_told(tmp_path: Path) -> None:
    given: dict[str, JSON] = {"storageUri": tmp_path.as_uri(), "args": ["--debug"]}
    assert check_manifest(manifest(given)) == []
    (check,) = check_manifest(manifest({**given, "runtime": "kserve-mlserver"}))
    assert (check.level, "MLServer takes no arguments here: --debug" in check.message) == ("warning", True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (manifest({"modelFormat": {"name": "paddle"}}), "paddle"),
        (manifest({"storageUri": "s3://bucket/x"}), "s3://bucket/x"),
        (manifest({"storageUri": "file://elsewhere/x"}), "elsewhere"),
        (manifest({"storageUri": ""}), "storageUri"),
        (manifest({"resources": {"limits": {"memory": "much"}}}), "much"),
        (manifest({"resources": {"limits": {"cpu": "-1"}}}), "-1"),
        (manifest({"env": [{"name": "A=B", "value": "1"}]}), "'A=B'"),
        (manifest({"env": [{"name": "A", "value": "secret\0"}]}), "value of A"),
        (manifest({"args": ["--x\0"]}), "model.args"),
        (manifest(transformer={"env": [{"name": ""}]}), "spec.transformer"),
        (manifest({"storageUri": "file:///a%00b"}), "storageUri"),
        ({**manifest(), "metadata": {"annotations": {"kale-serve-ext/idle-limit": "soon"}}}, "soon"),
        ({**manifest(), "metadata": {"annotations": {"kale-serve-ext/predictor-python": "/a\0"}}}, "python"),
        (manifest(minReplicas=-1), "minReplicas"),
        (manifest(minReplicas=10_000), "minReplicas"),
        (manifest(transformer={"image": "some/image"}), "some/image"),
        ({"metadata": {}, "spec": {"predictor": {"containers": [{"image": "x/y"}]}}}, "x/y"),
        ({"metadata": {}, "spec": {"predictor": {}, "explainer": {"a": 1}}}, "xplainer"),
    ],
)
def test_a_manifest_that_cannot_run_here_is_refused(given: dict[str, JSON], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        launches(given)
    (check,) = check_manifest(given)
    assert (check.level, words in check.message) == ("error", True)


def test_the_dry_run_says_what_will_be_missing(tmp_path: Path) -> None:
    secret: JSON = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {}}}, {"name": "A", "value": "1"}]
    limits: JSON = {"limits": {"cpu": "1500m", "memory": "900Ti", "nvidia.com/gpu": 1}}
    model: dict[str, JSON] = {"storageUri": tmp_path.as_uri(), "env": secret, "resources": limits}
    found = check_manifest(manifest(model, batcher={"maxBatchSize": 2}, nodeSelector={"a": "b"}, minReplicas=0))
    assert {c.level for c in found} == {"warning"}
    text = " ".join(c.message for c in found)
    for words in ("TOKEN", "nvidia.com/gpu", "request batching", "node selectors", "instead of none", "MiB"):
        assert words in text
    assert check_manifest(manifest({"storageUri": tmp_path.as_uri()})) == []
    (gone,) = check_manifest(manifest({"storageUri": (tmp_path / "gone").as_uri()}))
    assert gone.code == "SnapshotMissing"


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2", 2), ("1.5", 1.5), ("512Mi", 2**29), ("4G", 4e9), ("1Ki", 1024), ("1e3", 1e3)],
)
def test_amounts_are_kubernetes_own(text: str, value: float) -> None:
    assert amount(text, "x") == value


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "0", "NaN", "Infinity", "1e400", "1e-400", "1 Gi", "1GiB", "9" * 5000 + "x"]
)
def test_no_amounts(text: str) -> None:
    with pytest.raises(InvalidInputError):
        amount(text, "x")


def test_the_environment_is_the_user_s_without_what_is_not_the_model_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    base = inherited()
    assert "LC_ALL" in base
    assert not {"JUPYTER_TOKEN", "PYTHONPATH"} & set(base)
    made = for_runner(base, {"A": "1", "OMP_NUM_THREADS": "7"}, 1.5)
    assert (made["A"], made["OMP_NUM_THREADS"], made["MKL_NUM_THREADS"]) == ("1", "7", "2")
    assert "127.0.0.1" in made["no_proxy"]


def test_logs_are_rotated_and_the_run_before_is_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "predictor", 1, 0)
    log.begin()
    log.write(b"first run\n")
    log.begin()
    log.write(b"second run\n")
    for _ in range(3):
        log.write(b"x" * (MAX_BYTES // 2) + b"\n")
    log.write(b"the end\n")
    sizes = [p.stat().st_size for p in tmp_path.iterdir()]
    assert max(sizes) <= MAX_BYTES
    assert log.last_lines(1) == "the end\n"
    (now,) = runs(tmp_path, "predictor", previous=False)
    assert tail(now.files, 1) == "the end\n"
    (before,) = runs(tmp_path, "predictor", previous=True)
    assert tail(before.files, 10) == "first run\n"


def test_logs_of_old_revisions_go_and_the_one_before_is_the_previous_run(tmp_path: Path) -> None:
    for revision in range(1, 7):
        log = LogFile(tmp_path, "predictor", revision, 0)
        log.begin()
        log.write(f"revision {revision}\n".encode())
    prune(tmp_path, "predictor")
    assert len(list(tmp_path.iterdir())) == 3
    assert [tail(r.files, 5) for r in runs(tmp_path, "predictor", previous=False)] == ["revision 6\n"]
    assert [tail(r.files, 5) for r in runs(tmp_path, "predictor", previous=True)] == ["revision 5\n"]
    assert runs(tmp_path, "transformer", previous=False) == []


def test_a_log_is_followed_over_rotation_and_restart(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "predictor", 1, 0)
    log.begin()
    log.write(b"zero\none\n")
    seen: list[str] = []

    async def in_thread(function: Callable[..., object], *args: object) -> object:
        return function(*args)

    def rotate() -> None:
        log.write(b"y" * (MAX_BYTES - 4) + b"\n")
        log.write(b"three\n")

    def restart() -> None:
        log.begin()
        log.write(b"four\n")

    async def follow() -> None:
        steps = iter([lambda: log.write(b"two\n"), rotate, restart])
        async for piece in stream(tmp_path, "predictor", 1, False, True, in_thread):
            seen.append(piece.replace("y", ""))
            step = next(steps, None)
            if step is None:
                return
            step()

    asyncio.run(asyncio.wait_for(follow(), 20))
    assert "".join(seen).split() == ["one", "two", "three", "four"]


def test_events_in_a_row_are_counted_and_a_cut_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert eventlog.read(path) == []
    for message in ("a", "a", "b", "a"):
        eventlog.record(path, "Normal", "R", message)
    with path.open("a") as file:
        file.write('{"time": 1')
    assert [(e.message, e.count) for e in eventlog.read(path)] == [("a", 2), ("b", 1), ("a", 1)]
    path.write_text('{"time": 1, "type": "Normal", "reason": "R", "message": "of a later release", "more": 1}\n')
    assert [e.message for e in eventlog.read(path)] == ["of a later release"]
    for number in range(2000):
        eventlog.record(path, "Normal", "R", f"{number} " + "x" * 150)
    assert path.stat().st_size < 300_000
    assert eventlog.read(path)[-1].message.startswith("1999 ")


def test_conditions_follow_the_processes() -> None:
    def state(**replica: JSON) -> ComponentState:
        made = Replica("r", 1, "Running", **replica)  # type: ignore[arg-type]  # fields by name
        return ComponentState("predictor", 1, int(made.ready), (made,))

    loading = conditions([state(message="It is loading.")], False, {}, 1.0)
    assert loading["PredictorReady"] == Condition(
        "PredictorReady", "False", "MinimumReplicasUnavailable", "It is loading.", 1.0
    )
    ready = conditions([state(ready=True)], False, loading, 2.0)
    assert ready["Ready"] == Condition("Ready", "True", "", "", 2.0)
    assert conditions([state(ready=True)], False, ready, 3.0)["Ready"].last_transition == 2.0
    crashed = state(exit_code=1, reason="CrashLoopBackOff", message="It ended.")
    assert conditions([crashed], False, ready, 4.0)["Ready"].reason == "CrashLoopBackOff"
    assert trouble([crashed]) is not None
    assert trouble([state(ready=True), state()]) is None
    stopped = conditions([state()], True, ready, 5.0)
    assert (stopped["Stopped"].status, stopped["Ready"].reason) == ("True", "Stopped")


def test_runtimes_are_servers_times_interpreters() -> None:
    kernels = [("python3", "Python 3", "/a/python"), ("ml", "ML", "/b/python"), ("same", "Same", "/b/python")]
    artifact = Artifact(MODEL, "m", format="sklearn", environment=Environment("/a/python", "3.11.7"))
    found = {r.name: r for r in runtimes(artifact, kernels) if "sklearn" in r.formats}
    assert {n: r.python for n, r in found.items()} == {
        "kserve-sklearnserver": "/a/python",
        "kserve-sklearnserver--ml": "/b/python",
        "kserve-mlserver": "",
    }
    assert found["kserve-sklearnserver"].display_name == "KServe sklearn server (Python 3.11, recorded)"
    assert next(r for r in runtimes(None, [])).python == sys.executable


def test_an_interpreter_is_asked_again_only_when_it_changed(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    fake = tmp_path / "python"
    said = json.dumps(
        {"version": "3.11.0", "packages": {"kserve": "0.21.0"}, "places": [str(tmp_path / "site")], "library": ""}
    )
    fake.write_text(f"#!/bin/sh\necho x >> {asked}\necho '{said}'\n")
    fake.chmod(0o755)
    for _ in range(2):
        assert sync.run(interpreters.inspect(str(fake))).packages == {"kserve": "0.21.0"}
    assert asked.read_text() == "x\n"
    (tmp_path / "site").mkdir()
    sync.run(interpreters.inspect(str(fake)))
    assert asked.read_text() == "x\nx\n"
    fake.write_text("#!/bin/sh\nexit 3\n")
    assert not sync.run(interpreters.inspect(str(fake))).ok
    assert not sync.run(interpreters.inspect("")).ok


ASKING = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from kale_serve_ext.engines.local.interpreters import inspect

with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(lambda _: asyncio.run(inspect(sys.argv[1])), range(4)))
print({(one.ok, one.version, one.message) for one in found})
"""


@pytest.mark.parametrize("works", [True, False])
def test_an_interpreter_is_asked_once_for_all_that_want_to_know(
    settings: Settings, tmp_path: Path, works: bool
) -> None:
    said = json.dumps({"version": "3.11.0", "packages": {}, "places": [], "library": ""}) if works else "nothing"
    asked = tmp_path / "asked"
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho x >> {asked}\nsleep {1 if works else 5}\necho '{said}'\n")
    fake.chmod(0o755)

    def ask(count: int) -> set[str]:
        command = [sys.executable, "-c", ASKING, str(fake)]
        environ = os.environ | settings.to_environ()
        running = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        return {process.communicate(timeout=60)[0] for process in running}

    (told,) = ask(3)
    if works:
        assert "3.11.0" in told
        assert asked.read_text() == "x\n"
        (tmp_path / "pyvenv.cfg").write_text("")
        ask(1)
        assert asked.read_text() == "x\nx\n"
    else:
        # One that begins to ask when the others have their answer is told anew.
        assert "not a usable" in told
        assert asked.read_text().count("x") < 12


def test_idle_limit_is_an_annotation() -> None:
    given = manifest()
    assert idle_limit(given) == 0
    given["metadata"] = {"annotations": {"kale-serve-ext/idle-limit": "3600"}}
    assert idle_limit(given) == 3600


def test_what_a_later_release_has_added_to_a_choice_or_task_is_read_past(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"kind": "local", "context": "", "namespace": "", "later": 1}')
    assert read_choice(tmp_path) == Choice("local")
    task = Task("m", "predictor", "sklearn", "/m", 1, 2, 3)
    assert Task.from_json(json.dumps({**json.loads(task.to_json()), "later": 1})) == task


def test_engines_are_opened_by_name(settings: Settings) -> None:
    assert open_engine(settings).info == local_info(settings)
    assert open_engine(settings, kind="local", namespace="other").info.namespace == "other"
    with pytest.raises(InvalidInputError, match="moon"):
        open_engine(settings, kind="moon")
    with pytest.raises(NotFoundError):
        sync.run(open_engine(settings).get("nobody"))
