"""Where this process runs, for lineage: a notebook, a pipeline's step, or a script."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["notebook", "pipeline", "server", "script"]


@dataclass(frozen=True)
class Provenance:
    """The place that an artifact was logged from, or a service was made from.

    Args:
        kind: what ran the code; ``server`` is the panel.
        name: the notebook's path, the pipeline's or the script's name.
        run: the kernel's id, the pipeline run's id; empty where there is none.
        step: the pipeline's step.
    """

    kind: Kind
    name: str
    run: str = ""
    step: str = ""

    def __str__(self) -> str:
        """For people: the name, and the step within it."""
        return f"{self.name} / {self.step}" if self.step else self.name


def here() -> Provenance:
    """Where this process runs. Reads the environment and what is loaded; never fails and never asks a server."""
    return _pipeline() or _notebook() or _script()


def _pipeline() -> Provenance | None:
    """A step of a Kubeflow Pipelines run. Its pods have ``KFP_POD_NAME``; Argo adds the node, named
    ``WORKFLOW-HASH``, and the template."""
    pod = os.environ.get("KFP_POD_NAME", "")
    run = os.environ.get("KFP_RUN_ID", "")
    node = os.environ.get("ARGO_NODE_ID", "")
    if not (pod or run or node):
        return None
    workflow = node.rpartition("-")[0] or re.sub(r"(-system-.*)?-\d+$", "", pod)
    return Provenance(
        "pipeline", name=os.environ.get("KFP_RUN_NAME", "") or workflow or run, run=run or workflow, step=_step(pod)
    )


def _step(pod: str) -> str:
    try:
        template = json.loads(os.environ.get("ARGO_TEMPLATE", ""))
    except ValueError:
        return pod
    name = template.get("name") if isinstance(template, dict) else None
    return name if isinstance(name, str) and name else pod


def _notebook() -> Provenance | None:
    """A kernel. The server names the session by the notebook's path in ``JPY_SESSION_NAME`` (relative to its root for
    the notebook's own kernel); the connection file's name has the kernel's id."""
    kernelapp = sys.modules.get("ipykernel.kernelapp")
    if kernelapp is None or not kernelapp.IPKernelApp.initialized():
        return None
    connection = Path(str(kernelapp.IPKernelApp.instance().connection_file or "")).stem
    kernel = connection.removeprefix("kernel-")
    path = os.environ.get("JPY_SESSION_NAME", "")
    return Provenance("notebook", name=_relative(path) or "notebook", run=kernel)


def _relative(path: str) -> str:
    """The path below the home folder, where it is there: a record that others read need not say whose home it was."""
    if not path.startswith("/"):
        return path
    home = Path.home()
    return str(Path(path).relative_to(home)) if Path(path).is_relative_to(home) else path


def _script() -> Provenance:
    main = sys.argv[0] if sys.argv else ""
    if main in ("", "-c", "-m"):
        return Provenance("script", name="interactive")
    return Provenance("script", name=_relative(str(Path(main).absolute())))
