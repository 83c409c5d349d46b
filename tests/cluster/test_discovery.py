"""Finding a real cluster without being told of it, and what it permits to whom."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext import __version__, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.credentials import IN_CLUSTER, Place, find_place
from kale_serve_ext.engines.cluster.discovery import check_may_serve, namespaces
from kale_serve_ext.engines.selection import Choice, decide, write_choice
from kale_serve_ext.errors import NotFoundError, PermissionDeniedError
from kale_serve_ext.ml import JSON
from kale_serve_ext.sync import run

if TYPE_CHECKING:
    from tests.cluster.conftest import Kube

EDITOR = os.environ.get("KALE_EDITOR_KUBECONFIG", "")
WITHIN = 120.0
needs_editor = pytest.mark.skipif(not EDITOR, reason="needs a notebook user's kubeconfig ($KALE_EDITOR_KUBECONFIG)")

PROGRAM = """
import json
from kale_serve_ext import session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.selection import decide
found = decide(Settings.from_environ())
print(json.dumps([found.info.kind, found.info.context, found.info.namespace, found.by, session.engine().info.kind]))
"""


@pytest.fixture
def finding(kube_admin: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings that name a kubeconfig at most."""
    made = Settings(data_dir=tmp_path / "data", kubeconfig=os.environ["KUBECONFIG"])
    for name, value in made.to_environ().items():
        monkeypatch.setenv(name, value)
    yield made
    run(session.close())


@pytest.fixture
def admin(finding: Settings) -> Place:
    return find_place(finding.kubeconfig)


def test_the_cluster_of_the_kubeconfig_is_found(finding: Settings, admin: Place) -> None:
    decision = decide(finding)
    assert (decision.info.kind, decision.info.context, decision.by) == ("cluster", admin.context, "found")
    assert decision.info.namespace == admin.namespace
    assert session.engine().info == decision.info


def test_a_server_that_has_no_such_kind_is_passed_over(finding: Settings, tmp_path: Path) -> None:
    """The real server below a path of its own, where it has no API at all."""
    elsewhere = tmp_path / "kubeconfig"
    lines = Path(finding.kubeconfig).read_text().splitlines(keepends=True)
    assert any("server: " in line for line in lines)
    elsewhere.write_text("".join(f"{line.rstrip()}/elsewhere\n" if "server: " in line else line for line in lines))
    decision = decide(replace(finding, kubeconfig=str(elsewhere)))
    assert decision.info.kind == "local"
    assert decision.reason.endswith("has no InferenceServices.")


def test_an_admin_is_shown_every_namespace_and_may_serve_in_any(admin: Place, namespace: str) -> None:
    found = run(namespaces(admin))
    assert found is not None
    assert {namespace, "default", "kube-system"} <= set(found)
    run(check_may_serve(admin, namespace))
    with pytest.raises(NotFoundError, match="no namespace 'kale-nowhere'"):
        run(check_may_serve(admin, "kale-nowhere"))


@needs_editor
def test_a_notebook_s_user_may_serve_in_the_own_namespace_only(finding: Settings, namespace: str) -> None:
    editor = find_place(EDITOR)
    assert run(namespaces(editor)) is None
    run(check_may_serve(editor, editor.namespace))
    with pytest.raises(PermissionDeniedError, match=f"create inferenceservices .* in the namespace '{namespace}'"):
        run(check_may_serve(editor, namespace))
    assert decide(replace(finding, kubeconfig=EDITOR)).info.namespace == editor.namespace


def test_a_choice_leads_a_running_process_to_another_namespace(finding: Settings, admin: Place, namespace: str) -> None:
    assert session.engine().info.namespace == admin.namespace
    write_choice(finding.data_dir, Choice("cluster", admin.context, namespace))
    assert session.engine().info.namespace == namespace
    assert run(session.engine().services()) == []
    write_choice(finding.data_dir, Choice("local"))
    assert session.engine().info.kind == "local"


def test_a_pod_finds_its_own_cluster(kube_admin: Kube, namespace: str) -> None:
    """With the namespace's own account, which has no rights: whether there is the kind may be asked by anybody."""
    image = os.environ.get("KALE_SERVE_CLUSTER_IMAGE") or f"kale-serve-ext/transformer:{__version__}"
    env: JSON = [{"name": "KALE_SERVE_DATA_DIR", "value": "/tmp/data"}]
    container: Manifest = {"name": "c", "image": image, "command": ["python3", "-c", PROGRAM], "env": env}
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "finder"},
        "spec": {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1},
    }
    path = f"/api/v1/namespaces/{namespace}/pods"
    kube_admin.create(path, pod)
    end = time.monotonic() + WITHIN
    while (phase := _phase(kube_admin, f"{path}/finder")) not in ("Succeeded", "Failed"):
        assert time.monotonic() < end, f"the pod is {phase} after {WITHIN:g} s"
        time.sleep(0.5)
    log = run(_log(kube_admin, f"{path}/finder/log"))
    assert phase == "Succeeded", log
    assert json.loads(log.splitlines()[-1]) == ["cluster", IN_CLUSTER, namespace, "found", "cluster"]


def _phase(kube: Kube, path: str) -> str:
    status = kube.get(path)["status"]
    assert isinstance(status, dict)
    return str(status.get("phase"))


async def _log(kube: Kube, path: str) -> str:
    return "".join([piece async for piece in kube.api.stream(path, {})])
