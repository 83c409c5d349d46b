"""Where new services go: as configured, as chosen, or where a cluster with InferenceServices is found."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_serve_ext import session, sync
from kale_serve_ext.config import Settings
from kale_serve_ext.engines import selection
from kale_serve_ext.engines.cluster import credentials
from kale_serve_ext.engines.selection import Choice, decide, read_choice, write_choice

if TYPE_CHECKING:
    from tests.conftest import ApiServer

TEAM_B = Choice("cluster", "two", "team-b")


@pytest.fixture
def finding(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings that say nothing of engines, on a machine that knows no cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KALE_SERVE_ENGINE", "")
    credentials.find_place.cache_clear()
    yield replace(settings, engine="")
    credentials.find_place.cache_clear()
    sync.run(session.close())


@pytest.fixture
def cluster(finding: Settings, api_server: ApiServer) -> ApiServer:
    """A cluster that the same settings find."""
    return api_server


def place(settings: Settings) -> tuple[str, str, str]:
    info = decide(settings).info
    return info.kind, info.context, info.namespace


HERE = ("local", "localhost", "default")


def test_without_a_cluster_it_is_this_machine_and_no_client_is_loaded(finding: Settings) -> None:
    program = (
        "import sys\n"
        "from kale_serve_ext import session\n"
        "print(session.engine().info.kind, 'kubernetes' in sys.modules, 'httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["local", "False", "False"]
    decision = decide(finding)
    assert (decision.by, decision.failed) == ("found", False)
    assert "no kubeconfig" in decision.reason


def test_a_cluster_with_the_kind_is_found_by_one_request(finding: Settings, cluster: ApiServer) -> None:
    decision = decide(finding)
    assert place(finding) == ("cluster", "one", "team-a")
    assert (decision.by, decision.failed) == ("found", False)
    assert "'one'" in decision.reason
    assert cluster.asked == ["/apis/serving.kserve.io/v1beta1"]
    assert place(replace(finding, context="two", namespace="own")) == ("cluster", "two", "own")


@pytest.mark.parametrize("kinds", [[], ["trainedmodels"]])
def test_a_cluster_without_the_kind_is_none(finding: Settings, cluster: ApiServer, kinds: list[str]) -> None:
    cluster.kinds = kinds
    decision = decide(finding)
    assert place(finding) == HERE
    assert not decision.failed
    assert decision.reason == "The cluster of 'one' has no InferenceServices."
    assert len(cluster.asked) == 1


@pytest.mark.parametrize(("status", "told"), [(401, "have expired"), (403, "for a reason"), (500, "for a reason")])
def test_a_server_that_refuses_is_told(finding: Settings, cluster: ApiServer, status: int, told: str) -> None:
    cluster.status = status
    decision = decide(finding)
    assert place(finding) == HERE
    assert decision.failed
    assert told in decision.reason


def test_a_server_that_did_not_answer_is_asked_again_later(
    finding: Settings, cluster: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.status = 500
    assert place(finding) == HERE
    cluster.status = 200
    assert place(finding) == HERE
    monkeypatch.setattr(selection, "TRY_AGAIN", 0.0)
    other = replace(finding, metadata_idle=1.0)  # what was told of one setting holds for it alone
    cluster.status = 500
    assert place(other) == HERE
    cluster.status = 200
    assert place(other) == ("cluster", "one", "team-a")


# httpcore does not close the connection of a TLS handshake that is cancelled: it is left to the collector.
@pytest.mark.filterwarnings("ignore:unclosed (transport|<socket):ResourceWarning")
def test_a_silent_server_is_waited_for_a_little_only(finding: Settings, cluster: ApiServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kubeconfig = tmp_path / "silent"
        text = Path(os.environ["KUBECONFIG"]).read_text()
        kubeconfig.write_text(text.replace(cluster.url, f"https://127.0.0.1:{silent.getsockname()[1]}"))
        decision = decide(replace(finding, kubeconfig=str(kubeconfig)))
    assert decision.info.kind == "local"
    assert decision.failed
    assert "did not answer within 3 s" in decision.reason
    gc.collect()


@pytest.mark.parametrize("text", ["", "a: [", "x", "{}", '{"current-context": "nowhere"}', "\0"])
def test_a_broken_kubeconfig_is_told_of(finding: Settings, tmp_path: Path, text: str) -> None:
    kubeconfig = tmp_path / "broken"
    kubeconfig.write_text(text)
    decision = decide(replace(finding, kubeconfig=str(kubeconfig)))
    assert decision.info.kind == "local"
    assert decision.reason.startswith("No cluster is known here: ")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"server": "https://127.0.0.1:port"}, "InvalidURL"),
        ({"server": "nothing"}, "cannot be reached"),
        ({"certificate-authority-data": "x"}, "credentials of the context 'one' cannot be read"),
        ({"certificate-authority": "/nowhere"}, "credentials of the context 'one' cannot be read"),
    ],
)
def test_an_entry_that_cannot_be_used_is_told_of(
    finding: Settings, cluster: ApiServer, change: dict[str, str], told: str
) -> None:
    kubeconfig = Path(os.environ["KUBECONFIG"])
    broken = json.loads(kubeconfig.read_text())
    broken["clusters"][0]["cluster"] = {"server": "https://127.0.0.1:9", **change}
    kubeconfig.write_text(json.dumps(broken))
    decision = decide(finding)
    assert decision.info.kind == "local"
    assert decision.failed
    assert told in decision.reason


def test_no_entry_of_a_kubeconfig_is_quoted(finding: Settings, cluster: ApiServer) -> None:
    kubeconfig = Path(os.environ["KUBECONFIG"])
    broken = json.loads(kubeconfig.read_text())
    broken["users"] = [{"name": "u", "token": "secret-token"}]
    kubeconfig.write_text(json.dumps(broken))
    reason = decide(finding).reason
    assert "user" in reason
    assert "secret-token" not in reason


def test_a_choice_holds_and_can_be_withdrawn(finding: Settings, cluster: ApiServer) -> None:
    write_choice(finding.data_dir, TEAM_B)
    assert place(finding) == ("cluster", "two", "team-b")
    assert decide(finding).by == "chosen"
    write_choice(finding.data_dir, Choice("local"))
    assert place(finding) == HERE
    assert cluster.asked == []
    write_choice(finding.data_dir, None)
    write_choice(finding.data_dir, None)
    assert place(finding) == ("cluster", "one", "team-a")


def test_a_chosen_context_that_has_gone_stays_chosen(finding: Settings) -> None:
    write_choice(finding.data_dir, TEAM_B)
    assert place(finding) == ("cluster", "two", "team-b")


def test_what_is_configured_wins_over_a_choice(finding: Settings, cluster: ApiServer) -> None:
    write_choice(finding.data_dir, TEAM_B)
    assert place(replace(finding, engine="local")) == HERE
    assert place(replace(finding, engine="cluster")) == ("cluster", "one", "team-a")
    assert decide(replace(finding, engine="local")).by == "configured"
    assert cluster.asked == []


def test_a_configured_cluster_that_is_not_known_can_be_shown(finding: Settings) -> None:
    assert place(replace(finding, engine="cluster", context="gone")) == ("cluster", "gone", "default")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"local"',
        "{}",
        '{"kind": "moon"}',
        '{"kind": "cluster"}',
        '{"kind": "cluster", "context": 1, "namespace": "x"}',
    ],
)
def test_a_choice_that_makes_no_sense_is_none(finding: Settings, text: str) -> None:
    finding.data_dir.mkdir()
    (finding.data_dir / "engine.json").write_text(text)
    assert read_choice(finding.data_dir) is None
    assert decide(finding).by == "found"


def test_a_running_kernel_follows_the_choice(finding: Settings, cluster: ApiServer) -> None:
    assert session.engine().info.context == "one"
    write_choice(finding.data_dir, TEAM_B)
    assert session.engine().info == decide(finding).info
    assert session.engine(namespace="own").info.namespace == "own"
    assert session.engine("local").info.kind == "local"
    write_choice(finding.data_dir, Choice("local"))
    assert session.engine().info.kind == "local"
    assert session.engine("cluster").info.context == "one"
    assert session.engine("cluster", "team-b").info.namespace == "team-b"


def test_a_kernel_tells_why_it_does_not_use_the_cluster(finding: Settings, cluster: ApiServer) -> None:
    cluster.status = 401
    with pytest.warns(UserWarning, match=r"run on this machine.*expired"):
        session.engine()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.engine("local")


def test_a_pod_is_its_own_cluster(finding: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "account"
    account.mkdir()
    (account / "namespace").write_text("team-a\n")
    (account / "token").write_text("secret-token")
    monkeypatch.setattr(credentials, "_ACCOUNT", account)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [(p.context, p.namespace) for p in credentials.places()] == [("in-cluster", "team-a")]
    assert place(replace(finding, engine="cluster")) == ("cluster", "in-cluster", "team-a")
