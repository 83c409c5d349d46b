"""The Kubernetes cluster of the tests: one that a starter program brings up, or the one of ``$KUBECONFIG``.

``KALE_TEST_CLUSTER`` names the starter: ``STARTER up`` brings up Kubernetes and KServe, ``STARTER env`` prints
``export NAME=VALUE`` lines (``KUBECONFIG`` and the rest), ``STARTER load-image NAME FOLDER`` loads an image,
``STARTER knative`` adds Knative Serving.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess

from steps import run

from images import METADATA, NOTEBOOK, STOCK, load

STARTER = "KALE_TEST_CLUSTER"


def environment(*, asked: bool) -> dict[str, str]:
    """The variables that lead the tests to a cluster; they skip themselves where there is none.

    Args:
        asked: whether the user named these tests. Only then are they let loose on a cluster of the user's own.
    """
    starter = os.environ.get(STARTER, "")
    if not starter:
        return {} if asked else {"KUBECONFIG": ""}
    run([starter, "up"])
    run([starter, "knative"])
    runtimes = load(starter)
    told = subprocess.run([starter, "env"], capture_output=True, text=True, check=True).stdout
    pairs = re.findall(r"^export (\w+)=(.*)$", told, re.MULTILINE)
    images = {
        "KALE_TEST_METADATA_IMAGE": METADATA,
        "KALE_TEST_NOTEBOOK_IMAGE": NOTEBOOK,
        "KALE_TEST_STOCK_IMAGE": STOCK,
        "KALE_TEST_RUNTIME_IMAGES": " ".join(runtimes),
    }
    return {**images, **{name: " ".join(shlex.split(value)) for name, value in pairs}}
