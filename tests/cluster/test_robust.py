"""What is told of services stays true while the network, the API server and the login come and go."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import EngineInfo, Manifest
from kale_serve_ext.engines.cluster import api as api_module
from kale_serve_ext.engines.cluster.api import MERGE, Api, Gone, LoggedOutError
from kale_serve_ext.engines.cluster.api_objects import KINDS
from kale_serve_ext.engines.cluster.credentials import find_place, load
from kale_serve_ext.engines.cluster.engine import ClusterEngine, info
from kale_serve_ext.engines.cluster.watching import watch_all
from kale_serve_ext.engines.fields import name_of
from kale_serve_ext.engines.selection import local_info
from kale_serve_ext.errors import ServeFailedError
from kale_serve_ext.ml import JSON
from kale_serve_ext.server.backends import Backends
from kale_serve_ext.serving.waiting import wait_ready
from kale_serve_ext.sync import run
from tests.cluster.conftest import STANDARD

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
CLAIMS = "/api/v1/namespaces/{}/persistentvolumeclaims"
DEADLINE = 60.0
OUTAGE = 3.0
"""Seconds, in which tries are counted."""

Way = Literal["open", "slammed", "frozen"]


class Gate:
    """A way to the API server that can be cut. One that is frozen takes connections, and loses what is sent on them."""

    def __init__(self, kubeconfig: str) -> None:
        self._user = load(find_place(kubeconfig))
        self._server = urlsplit(self._user.server)
        self._listening: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._dead: set[asyncio.StreamWriter] = set()
        self._way: Way = "open"
        self.tries = 0
        """How many connections were asked for."""

    async def start(self) -> None:
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def set(self, way: Way) -> None:
        """What becomes of new connections; those that there are end, or are dead from now on without a word."""
        self._way = way
        if way == "frozen":
            self._dead |= self._open
        for writer in self._open - self._dead:
            writer.transport.abort()

    async def stop(self) -> None:
        if self._listening:
            self._listening.close()
        for writer in list(self._open):
            writer.transport.abort()

    def kubeconfig(self, path: Path, **user: str) -> str:
        """One that leads through here, for another user where one is given."""
        assert self._listening
        port = self._listening.sockets[0].getsockname()[1]
        # The server's certificate is made out to its own address.
        cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
        config, token = self._user.config, self._user.authorization().removeprefix("Bearer ")
        known = {"client-certificate": config.cert_file, "client-key": config.key_file, "token": token}
        made = {
            "current-context": "gate",
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
            "clusters": [{"name": "gate", "cluster": cluster}],
            "users": [{"name": "gate", "user": user or {key: value for key, value in known.items() if value}}],
        }
        path.write_text(json.dumps(made))
        return str(path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tries += 1
        self._open.add(writer)
        try:
            if self._way == "slammed":
                writer.transport.abort()
            elif self._way == "frozen":
                await reader.read()
            else:
                server = await asyncio.open_connection(self._server.hostname, self._server.port or 443)
                self._open.add(server[1])
                await asyncio.wait(
                    {
                        asyncio.create_task(self._pump(reader, server[1])),
                        asyncio.create_task(self._pump(server[0], writer)),
                    },
                    return_when=asyncio.FIRST_COMPLETED,
                )
                server[1].transport.abort()
                self._open.discard(server[1])
                writer.transport.abort()
        finally:
            self._open.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if writer not in self._dead:
                    writer.write(data)
                    await writer.drain()


class Told:
    """What a watch tells, as it comes."""

    def __init__(self, engine: ClusterEngine) -> None:
        self._engine = engine
        self._task = asyncio.create_task(self._watch())
        self.events: list[tuple[str, str]] = []

    async def _watch(self) -> None:
        async with aclosing(self._engine.watch()) as changes:
            async for event in changes:
                self.events.append((event.kind, event.ref.name))

    async def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            if self._task.done():
                self._task.result()
            assert time.monotonic() < end, f"not told within {DEADLINE:g} s, but {self.events}"
            await asyncio.sleep(0.05)

    async def quiet(self) -> None:
        """Wait until the controller is done with what was made, and forget what was told."""
        end = time.monotonic() + DEADLINE
        while True:
            self.events.clear()
            await asyncio.sleep(2)
            if not self.events:
                return
            assert time.monotonic() < end, f"still changing after {DEADLINE:g} s: {self.events}"

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Names:
    """Services that have no pods, made and changed past the watched way."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._path = SERVICES.format(namespace)

    async def make(self, *names: str, stop: str = "true", uri: str = "pvc://none/model") -> None:
        for name in names:
            await self._api.apply(f"{self._path}/{name}", manifest(self._namespace, name, stop, uri))

    async def change(self, name: str) -> None:
        note: JSON = {"annotations": {"example.com/note": str(time.time())}}
        await self._api.patch(f"{self._path}/{name}", {"metadata": note}, MERGE)

    async def delete(self, *names: str) -> None:
        for name in names:
            await self._api.delete(f"{self._path}/{name}")

    async def clear(self) -> None:
        """Delete them all, and wait until they are gone."""
        end = time.monotonic() + DEADLINE
        names = [name_of(item) for item in (await self._api.list(self._path))[0]]
        await self.delete(*names)
        while names:
            assert time.monotonic() < end, f"{names} are still there"
            await asyncio.sleep(0.1)
            names = [name_of(item) for item in (await self._api.list(self._path))[0]]


def manifest(namespace: str, name: str, stop: str, uri: str) -> Manifest:
    notes: JSON = {"serving.kserve.io/stop": stop, "serving.kserve.io/deploymentMode": STANDARD}
    model: JSON = {"modelFormat": {"name": "sklearn"}, "runtime": "kale-sklearn", "storageUri": uri}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace, "annotations": notes},
        "spec": {"predictor": {"model": model}},
    }


@pytest.fixture
def gate(kube_admin: Kube) -> Iterator[Gate]:
    made = Gate(os.environ["KUBECONFIG"])
    run(made.start())
    yield made
    run(made.stop())


@pytest.fixture
def services(kube_admin: Kube, namespace: str) -> Iterator[Names]:
    made = Names(kube_admin.api, namespace)
    yield made
    run(made.clear())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches end soon, and connections are soon taken for dead: nobody need wait for half a minute."""
    monkeypatch.setattr(api_module, "_WATCH", 3)
    monkeypatch.setattr(api_module, "_WATCH_SILENCE", 4.0)
    monkeypatch.setattr(api_module, "_CONNECT", 1.0)


@pytest.mark.parametrize("way", ["open", "slammed", "frozen"])
def test_what_happens_behind_a_broken_connection_is_told_after_it(
    gate: Gate, services: Names, settings: Settings, tmp_path: Path, impatient: None, way: Way
) -> None:
    async def main() -> None:
        await services.make("kept", "changed", "gone")
        path = gate.kubeconfig(tmp_path / "config")
        engine = ClusterEngine(replace(settings, kubeconfig=path))
        told = Told(engine)
        try:
            await told.until(lambda: {name for _, name in told.events} == {"kept", "changed", "gone"})
            # However many services: one connection for each kind of object, and one to ask whether there is a gateway.
            assert gate.tries <= len(KINDS) + 1
            await told.quiet()
            await gate.set(way)
            await services.make("new")
            await services.change("changed")
            await services.delete("gone")
            if way != "open":
                # Every kind comes to know that it hears nothing any more, and tries again, ever less often.
                await told.until(lambda: gate.tries >= 2 * len(KINDS))
                tries = gate.tries
                await asyncio.sleep(OUTAGE)
                assert gate.tries - tries <= 4 * len(KINDS)
                assert told.events == []
                await gate.set("open")
            wanted = {("added", "new"), ("modified", "changed"), ("deleted", "gone")}
            await told.until(lambda: wanted <= set(told.events))
            await services.delete("changed")
            await told.until(lambda: ("deleted", "changed") in told.events)
            # Nothing is told of what nothing happened to. What comes or goes may be told of on its way.
            on_its_way = {("modified", "new"), ("modified", "gone")}
            assert set(told.events) - on_its_way == {*wanted, ("deleted", "changed")}
        finally:
            await told.close()
            await engine.close()

    run(main())


def test_waiting_for_a_service_outlives_an_api_server_that_is_away(
    gate: Gate, services: Names, kube_admin: Kube, namespace: str, settings: Settings, tmp_path: Path, impatient: None
) -> None:
    async def main() -> None:
        engine = ClusterEngine(replace(settings, kubeconfig=gate.kubeconfig(tmp_path / "config")))
        seen = asyncio.Event()
        work = wait_ready(engine, "awaited", timeout=DEADLINE, seen=lambda service, elapsed: seen.set())
        waiting = asyncio.create_task(work)
        try:
            await seen.wait()
            await gate.set("slammed")
            tries = gate.tries
            while gate.tries < tries + 2 * len(KINDS):
                assert not waiting.done()
                await asyncio.sleep(0.05)
            await services.delete("awaited")
            await gate.set("open")
            with pytest.raises(ServeFailedError, match="it was deleted while it was waited for"):
                await waiting
        finally:
            waiting.cancel()
            await engine.close()

    # It has no volume, and so no process: it stays Pending.
    size: JSON = {"requests": {"storage": "1Gi"}}
    spec: JSON = {"accessModes": ["ReadWriteOnce"], "resources": size, "storageClassName": "nope"}
    kube_admin.create(CLAIMS.format(namespace), {"metadata": {"name": "unbound"}, "spec": spec})
    run(services.make("awaited", stop="false", uri="pvc://unbound/model"))
    run(asyncio.wait_for(main(), DEADLINE))


class Both(Backends):
    """A server's, with the cluster and this machine as its engines."""

    @property
    def engine_infos(self) -> list[EngineInfo]:
        cluster = info(find_place(self.settings.kubeconfig), self.settings.namespace)
        return [cluster, local_info(self.settings)]


def test_a_server_lists_what_it_cannot_see_as_it_last_was(
    gate: Gate, services: Names, settings: Settings, tmp_path: Path
) -> None:
    async def names() -> list[str]:
        return sorted(state.ref.name for state in await backends.services())

    async def main() -> None:
        await services.make("kept", "gone")
        assert await names() == ["gone", "kept"]
        await gate.set("slammed")
        await services.delete("gone")
        assert await names() == ["gone", "kept"]
        await gate.set("open")
        end = time.monotonic() + DEADLINE
        while await names() != ["kept"]:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)
        await backends.close()

    kubeconfig = gate.kubeconfig(tmp_path / "config")
    made = replace(settings, kubeconfig=kubeconfig, data_dir=tmp_path, runtime_dir=str(tmp_path))
    backends = Both(made, logging.getLogger("test"))
    run(main())


class Late(Api):
    """Watches each kind from a version that the server has long forgotten, the first time."""

    def __init__(self, kubeconfig: str, services: Names) -> None:
        super().__init__(find_place(kubeconfig))
        self._services = services
        self.refused: list[str] = []

    async def watch(self, path: str, version: str) -> AsyncGenerator[tuple[str, Manifest], None]:
        first = path not in self.refused
        if first and path.endswith("/inferenceservices"):
            await self._services.delete("gone")
            await self._services.make("new")
        try:
            async with aclosing(super().watch(path, "1" if first else version)) as changes:
                async for change in changes:
                    yield change
        except Gone:
            self.refused.append(path)
            raise


def test_a_version_that_the_server_has_forgotten_is_begun_anew(services: Names, namespace: str) -> None:
    async def main() -> None:
        await services.make("kept", "gone")
        api = Late(os.environ["KUBECONFIG"], services)
        seen: list[set[str]] = []
        async with aclosing(watch_all(api, namespace)) as readings:
            async for reading in readings:
                seen.append(set(reading))
                if seen[-1] == {"kept", "new"}:
                    break
        assert seen[0] == {"kept", "gone"}
        assert SERVICES.format(namespace) in api.refused
        await api.close()

    run(asyncio.wait_for(main(), DEADLINE))


def test_long_lists_come_in_parts_and_whole(services: Names, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        await services.make(*names)
        api = Api(find_place(os.environ["KUBECONFIG"]))
        async with aclosing(api.pages(SERVICES.format(namespace))) as pages:
            assert [len(page) async for page, _ in pages] == [2, 2, 1]
        async with aclosing(watch_all(api, namespace)) as readings:
            assert set(await anext(readings)) == names
        await api.close()

    names = {f"of-many-{number}" for number in range(5)}
    monkeypatch.setattr(api_module, "_PAGE", 2)
    run(asyncio.wait_for(main(), DEADLINE))


def test_a_login_that_ended_is_taken_up_again(
    gate: Gate, services: Names, settings: Settings, kube_admin: Kube, namespace: str, tmp_path: Path, impatient: None
) -> None:
    login = Login(kube_admin, namespace, tmp_path / "token")
    login.begin()

    async def main() -> None:
        await services.make("kept", "gone")
        path = gate.kubeconfig(tmp_path / "config", tokenFile=str(login.file))
        engine = ClusterEngine(replace(settings, kubeconfig=path))
        told = Told(engine)
        try:
            await told.until(lambda: {name for _, name in told.events} == {"kept", "gone"})
            await told.quiet()
            await asyncio.to_thread(login.end)
            with pytest.raises(LoggedOutError, match="have expired"):
                await until_refused(Api(find_place(path)), namespace)
            await services.delete("gone")
            await services.make("new")
            # What is known of the services is not taken back.
            assert told.events == [] or told.events == [("deleted", "gone")]
            await asyncio.to_thread(login.begin)
            await told.until(lambda: {("added", "new"), ("deleted", "gone")} <= set(told.events))
            assert {name for _, name in told.events} == {"new", "gone"}
            assert [s.ref.name for s in await engine.services()] == ["kept", "new"]
        finally:
            await told.close()
            await engine.close()

    run(main())


class Login:
    """A service account's token in a file. It holds for as long as the secret that it is bound to."""

    def __init__(self, kube: Kube, namespace: str, file: Path) -> None:
        self._kube = kube
        self._namespace = namespace
        self._secrets = f"/api/v1/namespaces/{namespace}/secrets"
        self._bound = ""
        self.file = file
        kube.make_account(namespace, "notebook", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])

    def begin(self) -> None:
        made = self._kube.create(self._secrets, {"metadata": {"generateName": "login-"}})["metadata"]
        assert isinstance(made, dict)
        self._bound = str(made["name"])
        bound = {"kind": "Secret", "apiVersion": "v1", "name": made["name"], "uid": made["uid"]}
        self.file.write_text(self._kube.new_token(self._namespace, "notebook", bound))

    def end(self) -> None:
        self._kube.delete(f"{self._secrets}/{self._bound}")


async def until_refused(api: Api, namespace: str) -> None:
    """Ask until the server refuses: it keeps what it knows of a token for some seconds."""
    end = time.monotonic() + DEADLINE
    try:
        while time.monotonic() < end:
            await api.list(SERVICES.format(namespace))
            await asyncio.sleep(0.2)
    finally:
        await api.close()
