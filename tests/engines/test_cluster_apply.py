"""An apply that is cancelled, or whose answer is lost: what a service names stays with it, and all else goes."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest, Staged, Version
from kale_serve_ext.engines.cluster import applying as module
from kale_serve_ext.engines.cluster import credentials
from kale_serve_ext.engines.cluster.api import UNANSWERED, Api
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.fields import mapping, mappings
from kale_serve_ext.errors import BackendUnavailableError, ChangedMeanwhileError, KaleServeError
from tests.conftest import write_kubeconfig

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices"
CLAIM = "/api/v1/namespaces/team-a/persistentvolumeclaims/kale-abc"
JOB = "/apis/batch/v1/namespaces/team-a/jobs/kale-job"
DEADLINE = 60.0
SERVICE: Manifest = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "iris", "namespace": "team-a"},
    "spec": {"predictor": {"model": {"storageUri": "pvc://kale-abc/m"}}},
}
STAGED = Staged(
    "pvc://kale-abc/m",
    owned=(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kale-abc"}, "spec": {"x": "y"}},
    ),
)


@dataclass
class Store:
    """An API server that keeps what it is sent, and may lose its answer to the apply of a service."""

    objects: dict[str, Manifest] = field(default_factory=dict)
    arrives: bool = True
    """Whether the apply of the service is carried out."""
    answers: bool = False
    """Whether it is answered."""
    refusal: tuple[int, str] | None = None
    """What it is answered in place of being carried out: status and message."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""
    held: tuple[str, str] | None = None
    """Method and path of the request that is carried out and answered only when it is let go."""
    reached: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    """The held request has been carried out."""

    meanwhile: list[Manifest] = field(default_factory=list)
    """What others make of the service, one at a time, right before an apply of it; empty: they delete it."""

    def request(self, method: str, path: str, body: Manifest) -> tuple[int, object] | None:
        self.asked.append((method, path))
        if self.refusal and (method, path) == ("PATCH", f"{SERVICES}/iris"):
            return self.refusal[0], {"message": self.refusal[1]}
        if self.meanwhile and (method, path) == ("PATCH", f"{SERVICES}/iris"):
            if theirs := self.meanwhile.pop(0):
                self.objects[path] = theirs
            else:
                del self.objects[path]
        if (method, path) != self.held:
            return self.answer(method, path, body)
        self.held = None
        self.reached.set()
        assert self.let_go.wait(DEADLINE)
        try:
            return self.answer(method, path, body)
        finally:
            self.finished.set()

    def answer(self, method: str, path: str, body: Manifest) -> tuple[int, object] | None:
        name = path.rpartition("/")[2]
        if method == "DELETE":
            return (200, {}) if self.objects.pop(path, None) else (404, {})
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"  # type: ignore[index,call-overload]
        if method in ("POST", "PATCH"):
            known = self.objects.get(path, {"metadata": {"uid": f"uid-{name}", "generation": 1}, "status": {}})
            held = mapping(self.objects.get(path, {}).get("metadata"))
            for pin, why in {"resourceVersion": "the object has been modified", "uid": "uid mismatch"}.items():
                of = mapping(body["metadata"]).get(pin)
                if of and (path in self.objects or pin == "uid") and of != held.get(pin):
                    return 409, {"message": f"Operation cannot be fulfilled on {name!r}: {why}"}
            metadata = {**known["metadata"], **body["metadata"]}  # type: ignore[dict-item]
            if self.arrives or "inferenceservices" not in path:
                self.objects[path] = {**known, **body, "metadata": metadata}
            if "inferenceservices" in path and not self.answers:
                return None
            return 200, self.objects[path]
        if path in self.objects:
            return 200, self.objects[path]
        if name in ("iris", "kale-abc", "kale-job"):
            return 404, {"message": "not found"}
        return 200, {"items": [], "metadata": {"resourceVersion": "1"}}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    made = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            answer = made.request(self.command, self.path.partition("?")[0], body)
            if answer is None:
                self.close_connection = True
                return
            content = json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PATCH = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    monkeypatch.setattr(module, "_ARRIVES_WITHIN", 0.3)
    credentials.find_place.cache_clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = write_kubeconfig(tmp_path / "config", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("KUBECONFIG", str(config))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        yield made
        server.shutdown()
    credentials.find_place.cache_clear()


def new_engine() -> ClusterEngine:
    return ClusterEngine(replace(Settings.from_environ(), kubeconfig="", namespace=""))


def test_a_service_that_arrived_without_an_answer_keeps_what_it_owns(store: Store) -> None:
    async def apply() -> None:
        engine = new_engine()
        state = await engine.apply(SERVICE, [STAGED])
        assert state.ref.name == "iris"
        await engine.close()

    asyncio.run(apply())

    owners = mappings(mapping(store.objects[CLAIM]["metadata"])["ownerReferences"])
    assert [owner["uid"] for owner in owners] == ["uid-iris"]


def test_where_no_service_arrived_nothing_is_left(store: Store) -> None:
    store.arrives = False

    async def apply() -> None:
        engine = new_engine()
        with pytest.raises(BackendUnavailableError):
            await engine.apply(SERVICE, [STAGED])
        await engine.close()

    asyncio.run(apply())

    assert store.objects == {}


@pytest.mark.parametrize(
    ("refusal", "is_final"),
    [
        ((500, "failed calling webhook"), True),
        ((503, "the server is shutting down"), True),
        ((500, "etcdserver: request timed out"), False),
        ((502, "Bad Gateway"), False),
        ((504, "Timeout: request did not complete within requested timeout"), False),
    ],
)
def test_a_service_is_looked_for_only_after_an_answer_that_leaves_it_open(
    store: Store, refusal: tuple[int, str], is_final: bool
) -> None:
    store.refusal = refusal

    async def apply() -> None:
        engine = new_engine()
        with pytest.raises(KaleServeError, match=refusal[1]):
            await engine.apply(SERVICE, [STAGED])
        await engine.close()

    asyncio.run(apply())

    path = f"{SERVICES}/iris"
    since = store.asked[store.asked.index(("PATCH", path)) :]
    # Before anything is removed it is looked at once in any case.
    assert (since.count(("GET", path)) == 1) == is_final
    assert store.objects == {}


def test_after_a_connection_that_is_refused_nothing_is_open(tmp_path: Path) -> None:
    async def ask(port: int) -> None:
        config = write_kubeconfig(tmp_path / "config", f"http://127.0.0.1:{port}")
        api = Api(credentials.find_place(str(config), ""))
        with pytest.raises(BackendUnavailableError) as raised:
            await api.apply(CLAIM, {})
        assert not isinstance(raised.value, UNANSWERED)
        await api.close()

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        asyncio.run(ask(silent.getsockname()[1]))


async def cancelled(store: Store, engine: ClusterEngine) -> None:
    """Cancel an apply while the server has the held request."""
    work = asyncio.create_task(engine.apply(SERVICE, [STAGED]))
    assert await asyncio.to_thread(store.reached.wait, DEADLINE)
    work.cancel()
    # Whoever does not wait for the request is done by then.
    await asyncio.wait({work}, timeout=0.5)
    store.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await asyncio.to_thread(store.finished.wait, DEADLINE)
    await engine.close()


def uploaded(store: Store, engine: ClusterEngine) -> None:
    """What an upload leaves for its service: a claim that a Job holds."""
    reference: Manifest = {"apiVersion": "batch/v1", "kind": "Job", "name": "kale-job", "uid": "uid-job"}
    store.objects[JOB] = {"kind": "Job", "metadata": {"name": "kale-job", "uid": "uid-job"}}
    store.objects[CLAIM] = {**STAGED.owned[0], "metadata": {"name": "kale-abc", "ownerReferences": [reference]}}
    engine._staging._jobs["kale-abc"] = "kale-job"


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("held", [("PATCH", f"{SERVICES}/iris"), ("POST", CLAIM.rpartition("/")[0])])
def test_one_that_is_cancelled_goes_with_all_that_was_made_for_it(
    store: Store, held: tuple[str, str], answers: bool
) -> None:
    """Also where the server carries out the last request only later."""
    store.held, store.answers = held, answers

    asyncio.run(cancelled(store, new_engine()))

    assert store.objects == {}


@pytest.mark.parametrize("held", [("GET", f"{SERVICES}/iris"), ("PATCH", f"{SERVICES}/iris")])
def test_what_was_uploaded_for_one_that_is_cancelled_goes_too(store: Store, held: tuple[str, str]) -> None:
    engine = new_engine()
    uploaded(store, engine)
    store.held, store.answers = held, True

    asyncio.run(cancelled(store, engine))

    assert store.objects == {}


@pytest.mark.parametrize("held", [("PATCH", f"{SERVICES}/iris"), ("PATCH", CLAIM)])
def test_an_update_that_is_cancelled_too_late_keeps_what_it_names(store: Store, held: tuple[str, str]) -> None:
    engine = new_engine()
    uploaded(store, engine)
    store.objects[f"{SERVICES}/iris"] = {**SERVICE, "metadata": {"name": "iris", "uid": "uid-iris"}, "spec": {}}
    store.held, store.answers = held, True

    asyncio.run(cancelled(store, engine))

    assert set(store.objects) == {CLAIM, f"{SERVICES}/iris"}
    owners = mappings(mapping(store.objects[CLAIM]["metadata"])["ownerReferences"])
    assert [owner["uid"] for owner in owners] == ["uid-iris"]


def test_a_service_whose_update_is_cancelled_before_it_is_sent_stays_as_it_was(store: Store) -> None:
    engine = new_engine()
    uploaded(store, engine)
    before: Manifest = {**SERVICE, "metadata": {"name": "iris", "uid": "uid-iris"}, "spec": {}}
    store.objects[f"{SERVICES}/iris"] = before
    store.held = ("GET", f"{SERVICES}/iris")

    asyncio.run(cancelled(store, engine))

    assert store.objects == {f"{SERVICES}/iris": before}


def test_what_a_service_names_is_kept_though_it_is_not_quite_what_was_applied(store: Store) -> None:
    """Somebody else's webhook may have changed it."""
    changed = {**SERVICE, "metadata": {**SERVICE["metadata"], "uid": "u"}, "spec": {"other": "pvc://kale-abc/m"}}  # type: ignore[dict-item]
    answer = store.answer

    def altered(method: str, path: str, body: Manifest) -> tuple[int, object] | None:
        if method == "PATCH" and path == f"{SERVICES}/iris":
            store.objects[path] = changed
            return None
        return answer(method, path, body)

    store.answer = altered  # type: ignore[method-assign]

    async def apply() -> None:
        engine = new_engine()
        with pytest.raises(BackendUnavailableError):
            await engine.apply(SERVICE, [STAGED])
        await engine.close()

    asyncio.run(apply())

    assert set(store.objects) == {CLAIM, f"{SERVICES}/iris"}


def at(version: str, generation: int, uri: str = "pvc://kale-abc/m") -> Manifest:
    """The service at a version of its whole, and one of its spec."""
    metadata: Manifest = {**mapping(SERVICE["metadata"]), "uid": "uid-iris", "generation": generation}
    spec: Manifest = {"predictor": {"model": {"storageUri": uri}}}
    return {**SERVICE, "metadata": {**metadata, "resourceVersion": version}, "spec": spec, "status": {}}


THEIRS = at("8", 4, "pvc://other/m")


@pytest.mark.parametrize(
    ("before", "meanwhile", "is_told"),
    [(at("7", 3), at("8", 3), False), (at("7", 3), THEIRS, True), (at("7", 3), {}, True), (None, THEIRS, True)],
    ids=["status changed", "spec changed", "deleted", "made"],
)
def test_what_is_applied_is_for_the_spec_alone_that_it_was_planned_over(
    store: Store, before: Manifest | None, meanwhile: Manifest, is_told: bool
) -> None:
    path = f"{SERVICES}/iris"
    store.answers = True
    if before:
        store.objects[path] = before
    store.meanwhile = [meanwhile]

    async def apply() -> None:
        engine = new_engine()
        try:
            await engine.apply(SERVICE, over=Version(0.0, 3) if before else Version())
        finally:
            await engine.close()

    if is_told:
        with pytest.raises(ChangedMeanwhileError):
            asyncio.run(apply())
        assert store.objects.get(path, {}) == meanwhile
    else:
        asyncio.run(apply())
        assert store.asked.count(("PATCH", path)) == 2
