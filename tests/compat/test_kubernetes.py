"""Credentials are read by whichever release of ``kubernetes`` is there: kfp wants an old one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROGRAM = """
import json, kubernetes
from kale_serve_ext.engines.cluster.credentials import find_place, load
place = find_place({kubeconfig!r})
made = load(place)
release = int(kubernetes.__version__.split(".")[0])
print(json.dumps([release, place.namespace, made.server, made.authorization()]))
"""
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me, namespace: team-a}}]
clusters: [{name: here, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: mine}}]
"""


def test_a_token_is_read_by_the_oldest_client_and_by_the_newest(
    run_kubeflow: Callable[[str], str], tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG)
    program = PROGRAM.format(kubeconfig=str(kubeconfig))

    oldest, *told = json.loads(run_kubeflow(program))
    newest, *told_here = json.loads(subprocess.check_output([sys.executable, "-c", program], text=True))

    assert told == told_here == ["team-a", "https://127.0.0.1:1", "Bearer mine"]
    assert oldest == 30 < newest
