"""Artifacts that get to the pods by claims: uploaded, mounted, cloned, or restored from a snapshot."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, Transformer, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.digest import digest_of
from kale_serve_ext.engines.base import Manifest, Runtime, Staged
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.cluster.storage import by_s3, by_upload, upload_pod
from kale_serve_ext.entities import MODEL, Artifact
from kale_serve_ext.errors import BackendUnavailableError, InvalidInputError, SnapshotError
from kale_serve_ext.metadata.provenance import here
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving import deploy
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

RUNTIME = Runtime("kale-sklearn", "sklearn", ("sklearn",), ("v1",))
ROW = [[5.1, 3.5, 1.4, 0.2]]
MIB = 1 << 20
CLAIMS = "/api/v1/namespaces/{}/persistentvolumeclaims"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
PODS = "/api/v1/namespaces/{}/pods"
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/namespaces/{}/volumesnapshots"
COMPLETE = "kale-serve-ext/complete"
FOLDER = "team/models"


@pytest.fixture(scope="module")
def workspace(
    settings: Settings, new_workspace: Callable[[Settings], AbstractContextManager[Settings]]
) -> Iterator[Settings]:
    """Nothing is set: as on a laptop."""
    with new_workspace(replace(settings, cluster_storage="")) as made:
        yield made


@pytest.fixture(scope="module")
def iris(workspace: Settings) -> Artifact:
    features, target = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, target)
    return stored(Model(model, name="iris", version="1").submit_artifact())


@pytest.fixture(scope="module")
def halving(workspace: Settings) -> Artifact:
    def preprocess(inputs: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
        return {**inputs, "instances": [[value / 2 for value in row] for row in inputs["instances"]]}

    return stored(Transformer(name="halving", preprocess=preprocess).submit_artifact())


@pytest.fixture(scope="module")
def endpoint(iris: Artifact, halving: Artifact) -> Endpoint:
    return serve(iris.id, halving.id, name="laptop", runtime="kale-sklearn", timeout=120)


@pytest.fixture(scope="module")
def shared(kube_admin: Kube, namespace: str) -> str:
    """A claim that somebody has made."""
    spec: JSON = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim: Manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared"}}
    kube_admin.create(CLAIMS.format(namespace), {**claim, "spec": spec})
    return "shared"


@pytest.fixture(scope="module")
def elsewhere(workspace: Settings, iris: Artifact, shared: str) -> Artifact:
    """The same model as an artifact that lies on that claim, brought there by an upload."""
    staged = with_storage(workspace, f"pvc://{shared}/{FOLDER}", lambda engine: run(engine.stage(iris)))
    assert staged.storage_uri == f"pvc://shared/{FOLDER}/sha256/{address(iris)}"
    artifact = Artifact(MODEL, "elsewhere", "1", staged.storage_uri, format="sklearn")
    return run(session.metadata().put_artifact(artifact, provenance=here()))


def stored(submitted: Model | Transformer) -> Artifact:
    assert submitted.id is not None
    return run(session.metadata().artifact(submitted.id))


def with_storage(settings: Settings, storage: str, work: Callable[[ClusterEngine], Staged]) -> Staged:
    engine = ClusterEngine(replace(settings, cluster_storage=storage))
    try:
        return work(engine)
    finally:
        run(engine.close())


def address(artifact: Artifact) -> str:
    return artifact.digest.removeprefix("sha256:")


def until(true: Callable[[], bool], what: str, within: float = 60.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, f"waited {within:g} s for {what}"
        time.sleep(0.2)


def names(kube: Kube, path: str) -> set[str]:
    return {str(part(item, "metadata", "name")) for item in kube.list(path)}


def part(value: JSON, *path: str) -> JSON:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def owners(claim: Manifest) -> list[JSON]:
    found = part(claim, "metadata", "ownerReferences")
    return [part(owner, "kind") for owner in found] if isinstance(found, list) else []


def test_a_laptop_needs_no_storage(
    endpoint: Endpoint, iris: Artifact, halving: Artifact, kube_admin: Kube, namespace: str
) -> None:
    assert endpoint.predict([[13.0, 6.0, 11.0, 4.2]]) == {"predictions": [2]}
    # A claim for each artifact, of the pods that run it.
    for artifact, component in ((iris, "predictor"), (halving, "transformer")):
        uri = f"pvc://kale-{address(artifact)[:16]}/sha256/{address(artifact)}"
        assert uri in str(part(endpoint.service.manifest, "spec", component))
    name = f"kale-{address(iris)[:16]}"
    claim = kube_admin.get(f"{CLAIMS.format(namespace)}/{name}")
    assert part(claim, "metadata", "annotations", COMPLETE) == iris.digest
    assert part(claim, "spec", "resources", "requests", "storage") == "1Gi"
    assert owners(claim) == ["InferenceService"]
    # What brought it is gone.
    until(lambda: not names(kube_admin, JOBS.format(namespace)), "the Job to go")
    until(lambda: not [n for n in names(kube_admin, PODS.format(namespace)) if "upload" in n], "its pod to go")


def test_what_is_there_is_not_brought_again(
    endpoint: Endpoint, iris: Artifact, kube_admin: Kube, namespace: str
) -> None:
    path = f"{CLAIMS.format(namespace)}/kale-{address(iris)[:16]}"
    before = part(kube_admin.get(path), "metadata", "uid")
    second = serve(iris.id, name="again", runtime="kale-sklearn", wait=False)
    claim = kube_admin.get(path)
    assert part(claim, "metadata", "uid") == before
    assert owners(claim) == ["InferenceService", "InferenceService"]
    assert not names(kube_admin, JOBS.format(namespace))
    second.delete()
    assert endpoint.predict(ROW) == {"predictions": [0]}


def test_a_claim_that_is_going_is_waited_for_and_made_anew(
    endpoint: Endpoint, iris: Artifact, kube_admin: Kube, namespace: str
) -> None:
    path = f"{CLAIMS.format(namespace)}/kale-{address(iris)[:16]}"
    before = part(kube_admin.get(path), "metadata", "uid")
    endpoint.delete()
    again = serve(iris.id, name="laptop", runtime="kale-sklearn", wait=False)
    claim = kube_admin.get(path)
    assert part(claim, "metadata", "deletionTimestamp") is None
    assert owners(claim) == ["InferenceService"]
    # Taken over while it was still there, or made anew.
    assert part(claim, "metadata", "annotations", COMPLETE) == iris.digest, before
    again.delete()
    # With the last service it goes.
    until(lambda: f"kale-{address(iris)[:16]}" not in names(kube_admin, CLAIMS.format(namespace)), "the claim to go")


UPLOAD = """
import asyncio, resource, sys
from pathlib import Path
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.cluster.engine import ClusterEngine
from kale_serve_ext.engines.cluster.storage.upload_pod import UploadPod
from kale_serve_ext.entities import MODEL, Artifact

folder, digest, halting = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "halt"
whole = UploadPod._stream

async def half(self, entries, told):
    async for piece in whole(self, entries, told):
        yield piece
        if len(piece) == 1 << 20:
            print("sent", flush=True)
            await asyncio.sleep(600)

if halting:
    UploadPod._stream = half

async def main():
    engine = ClusterEngine(Settings.from_environ())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await engine.stage(Artifact(MODEL, "big", "1", folder.as_uri(), digest, format="sklearn"))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, flush=True)
    await engine.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["upload:", ""], ids=["to a claim", "to S3"])
def test_an_upload_tells_how_far_it_is(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for module in (upload_pod, by_s3):
        monkeypatch.setattr(module, "TELL_EVERY", 0.01)
    size = 96 * MIB
    (tmp_path / "large").mkdir()
    with (tmp_path / "large" / "model.joblib").open("wb") as file:
        file.truncate(size)
        file.write(way.encode())  # others have brought the same to no place
    digest = digest_of(tmp_path / "large")
    artifact = Artifact(MODEL, "large", "1", (tmp_path / "large").as_uri(), digest, format="sklearn")
    engine = ClusterEngine(replace(settings, cluster_storage=way or settings.cluster_storage))
    told: list[tuple[int, int]] = []
    staged = run(engine.stage(artifact, lambda done, total: told.append((done, total))))
    run(engine.unstage(staged))
    run(engine.close())
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1][0] <= told[-1][1]
    assert told[-1][1] >= size


def test_an_upload_killed_in_the_middle_is_done_by_the_next(
    workspace: Settings, kube_admin: Kube, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "big").mkdir()
    with (tmp_path / "big" / "model.joblib").open("wb") as file:
        file.truncate(192 * MIB)
    digest = digest_of(tmp_path / "big")
    path = f"{CLAIMS.format(namespace)}/kale-{digest.removeprefix('sha256:')[:16]}"
    command = [sys.executable, "-c", textwrap.dedent(UPLOAD), str(tmp_path / "big"), digest]
    with subprocess.Popen([*command, "halt"], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "sent\n"
        killed.send_signal(signal.SIGKILL)
    claim = kube_admin.get(path)
    assert part(claim, "metadata", "annotations", COMPLETE) is None
    # Without anybody coming again, it would go with this Job, which ends by itself.
    assert owners(claim) == ["Job"]
    done = subprocess.run([*command, "whole"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert part(kube_admin.get(path), "metadata", "annotations", COMPLETE) == digest
    assert int(done.stdout) < 64  # MiB: it was not held in memory
    for job in names(kube_admin, JOBS.format(namespace)):
        kube_admin.delete(f"{JOBS.format(namespace)}/{job}")
    until(lambda: path.rpartition("/")[2] not in names(kube_admin, CLAIMS.format(namespace)), "the claim to go")


def test_two_uploads_at_once_do_each_other_no_harm(
    workspace: Settings, kube_admin: Kube, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "twice" / "an empty folder").mkdir(parents=True)
    (tmp_path / "twice" / "größe.joblib").write_bytes(bytes(range(256)) * 4096)
    digest = digest_of(tmp_path / "twice")
    artifact = Artifact(MODEL, "twice", "1", (tmp_path / "twice").as_uri(), digest, format="sklearn")

    async def both() -> list[Staged]:
        engines = [ClusterEngine(workspace), ClusterEngine(workspace)]
        try:
            return list(await asyncio.gather(*(engine.stage(artifact) for engine in engines)))
        finally:
            for engine in engines:
                await engine.close()

    first, second = asyncio.run(both())
    assert first.storage_uri == second.storage_uri
    claim = kube_admin.get(f"{CLAIMS.format(namespace)}/kale-{address(artifact)[:16]}")
    assert part(claim, "metadata", "annotations", COMPLETE) == digest


def test_an_image_that_cannot_be_had_is_named(
    workspace: Settings, kube_admin: Kube, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where KServe's own image is not told.
    async def none(*_: object) -> str:
        return "no:image:name"

    monkeypatch.setattr(by_upload, "find_image", none)
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "model.joblib").write_bytes(b"lost")
    digest = digest_of(tmp_path / "lost")
    artifact = Artifact(MODEL, "lost", "1", (tmp_path / "lost").as_uri(), digest, format="sklearn")
    before = names(kube_admin, JOBS.format(namespace))
    with pytest.raises(BackendUnavailableError, match="no:image:name") as told:
        run(session.engine().stage(artifact))
    assert "cluster_image" in told.value.hint
    claim = f"kale-{address(artifact)[:16]}"
    until(lambda: claim not in names(kube_admin, CLAIMS.format(namespace)), "the claim to go")
    assert names(kube_admin, JOBS.format(namespace)) == before


def test_a_snapshot_that_was_changed_is_not_brought(workspace: Settings, tmp_path: Path) -> None:
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / "model.joblib").write_bytes(b"other")
    artifact = Artifact(MODEL, "changed", "1", (tmp_path / "changed").as_uri(), f"sha256:{'0' * 64}", format="sklearn")
    with pytest.raises(SnapshotError, match="was changed"):
        run(session.engine().stage(artifact))


def test_claims_are_served_directly_cloned_and_from_snapshots(
    workspace: Settings, elsewhere: Artifact, kube_admin: Kube, namespace: str
) -> None:
    engines = {way: ClusterEngine(replace(workspace, cluster_storage=way)) for way in ("", "clone:", "snapshot:")}
    for way, engine in engines.items():
        request = ServeRequest(model_id=elsewhere.id, name=way.strip(":") or "direct", runtime="kale-sklearn")
        run(deploy.serve(request, engine, session.metadata(), provenance=here()))
    uris = {}
    for name in ("direct", "clone", "snapshot"):
        served = Endpoint(name)
        served.wait(150)
        assert served.predict(ROW) == {"predictions": [0]}, name
        uris[name] = str(part(served.service.manifest, "spec", "predictor", "model", "storageUri"))
    assert uris["direct"] == elsewhere.uri
    for name, kind in (("clone", "PersistentVolumeClaim"), ("snapshot", "VolumeSnapshot")):
        claim, _, folder = uris[name].removeprefix("pvc://").partition("/")
        assert claim.startswith(f"kale-{name}-")
        assert folder == elsewhere.uri.removeprefix("pvc://shared/")
        made = kube_admin.get(f"{CLAIMS.format(namespace)}/{claim}")
        assert part(made, "spec", "dataSource", "kind") == kind
        assert owners(made) == ["InferenceService"]
    assert len(names(kube_admin, SNAPSHOTS.format(namespace))) == 1
    for name in uris:
        Endpoint(name).delete()
    until(lambda: not names(kube_admin, SNAPSHOTS.format(namespace)), "the snapshot to go")
    copies = ("kale-clone-", "kale-snapshot-")
    until(
        lambda: not [n for n in names(kube_admin, CLAIMS.format(namespace)) if n.startswith(copies)], "the copies to go"
    )
    for engine in engines.values():
        run(engine.close())


def test_a_volume_snapshot_that_nothing_is_served_from_is_taken_back(
    workspace: Settings, elsewhere: Artifact, kube_admin: Kube, namespace: str
) -> None:
    engine = ClusterEngine(replace(workspace, cluster_storage="snapshot:"))
    staged = run(engine.stage(elsewhere))
    assert len(names(kube_admin, SNAPSHOTS.format(namespace))) == 1
    run(engine.unstage(staged))
    until(lambda: not names(kube_admin, SNAPSHOTS.format(namespace)), "the snapshot to go")
    run(engine.close())


def test_a_claim_to_be_copied_that_is_not_there_is_named(workspace: Settings) -> None:
    artifact = Artifact(MODEL, "lost", "1", "pvc://nowhere/model", format="sklearn")
    for way in ("clone:", "snapshot:"):
        engine = ClusterEngine(replace(workspace, cluster_storage=way))
        assert "There is no claim 'nowhere'" in run(engine.check(artifact, RUNTIME))[0].message
        run(engine.close())


def test_the_files_of_a_laptop_are_on_no_claim_to_copy(workspace: Settings, iris: Artifact) -> None:
    for way in ("claim:", "clone:", "snapshot:"):
        with pytest.raises(InvalidInputError, match="do not lie on a claim"):
            with_storage(workspace, way, lambda engine: run(engine.stage(iris)))


def test_a_claim_that_is_not_there_is_named(workspace: Settings, iris: Artifact) -> None:
    engine = ClusterEngine(replace(workspace, cluster_storage="pvc://nowhere/models"))
    request = ServeRequest(model_id=iris.id, name="nowhere", runtime="kale-sklearn")
    plan = run(make_plan(request, engine, session.metadata()))
    assert [c.message for c in plan.checks if c.code == "ClaimMissing"] == [
        f"There is no claim 'nowhere' in the namespace {workspace.namespace}."
    ]
    run(engine.close())


def test_rok_gets_the_claim_that_it_fills(workspace: Settings, kube_admin: Kube, namespace: str) -> None:
    # No Rok is here: the claim waits for ever, and is what Rok would have been given.
    artifact = Artifact(MODEL, "rok", "1", "rok:me:serving:model:4f1a:/models/iris", format="sklearn")
    logged = run(session.metadata().put_artifact(artifact, provenance=here()))
    request = ServeRequest(model_id=logged.id, name="rok", runtime="kale-sklearn")
    plan = run(make_plan(request, session.engine(), session.metadata()))
    assert plan.ok
    assert "NoRok" in {check.code for check in plan.checks}
    served = serve(logged.id, name="rok", runtime="kale-sklearn", wait=False)
    uri = str(part(served.service.manifest, "spec", "predictor", "model", "storageUri"))
    name, _, folder = uri.removeprefix("pvc://").partition("/")
    assert folder == "models/iris"
    claim = kube_admin.get(f"{CLAIMS.format(namespace)}/{name}")
    assert part(claim, "metadata", "annotations", "rok/origin") == (
        "http://rok.rok.svc.cluster.local/swift/v1/me/serving/model?version=4f1a"
    )
    assert part(claim, "spec", "storageClassName") == "rok"
    assert part(claim, "spec", "accessModes") == ["ReadWriteOnce"]
    assert owners(claim) == ["InferenceService"]
    served.delete()
    until(lambda: name not in names(kube_admin, CLAIMS.format(namespace)), "the claim to go")
