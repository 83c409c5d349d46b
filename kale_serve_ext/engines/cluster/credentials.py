"""Who the user is to which API server, by the Kubernetes client's own rules.

``kubernetes`` reads the kubeconfig (tokens, certificates, exec and OIDC plugins) or the pod's service account. Requests
go by httpx: one client for every release of ``kubernetes`` from 30 on, asynchronous, and the same for predictions.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BackendUnavailableError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

IN_CLUSTER = "in-cluster"
"""The context's name inside a pod."""
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Place:
    """A kubeconfig's context, or the cluster that this pod is in."""

    context: str
    namespace: str
    kubeconfig: str = ""
    """Path; empty for the client's own search (``KUBECONFIG``, ``~/.kube/config``)."""


@dataclass(frozen=True)
class Credentials:
    """How to reach an API server, and as whom."""

    server: str
    tls: ssl.SSLContext
    config: Configuration

    def authorization(self) -> str:
        """The header's value, empty with a client certificate. May run a login plugin: call it in a thread."""
        # Releases name it differently.
        for name in ("BearerToken", "authorization"):
            found: str | None = self.config.get_api_key_with_prefix(name)
            if found:
                return found
        return ""


@cache
def find_place(kubeconfig: str = "", context: str = "") -> Place:
    """Where ``context`` leads; the current context, or this pod's own cluster, when it is empty. Connects to nothing.

    Decided once in a process: services keep their place when somebody changes the current context.

    Raises:
        BackendUnavailableError: there is no such context, or no kubeconfig at all.
    """
    if (context == IN_CLUSTER or not (context or kubeconfig or os.environ.get("KUBECONFIG"))) and in_pod():
        return Place(IN_CLUSTER, (_ACCOUNT / "namespace").read_text().strip())
    from kubernetes import config

    try:
        contexts, current = config.list_kube_config_contexts(config_file=kubeconfig or None)
    except (config.ConfigException, OSError) as error:
        raise BackendUnavailableError(
            f"No cluster is known here: {error}.", hint="Set KUBECONFIG, or serve with the local engine."
        ) from error
    found = next((c for c in contexts if c["name"] == context), None) if context else current
    if found is None:
        names = ", ".join(str(c["name"]) for c in contexts)
        raise BackendUnavailableError(f"The kubeconfig has no context {context[:100]!r}.", hint=f"It has: {names}.")
    return Place(str(found["name"]), str(found["context"].get("namespace") or "default"), kubeconfig)


def in_pod() -> bool:
    """Whether this process has a service account of the cluster it runs in."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_ACCOUNT / "token").is_file()


def load(place: Place) -> Credentials:
    """Read the credentials; may run a login plugin: call it in a thread.

    Raises:
        BackendUnavailableError: they cannot be read or got.
    """
    from kubernetes import config
    from kubernetes.client import Configuration

    made = Configuration()
    try:
        if place.context == IN_CLUSTER:
            config.load_incluster_config(client_configuration=made)
        else:
            config.load_kube_config(
                config_file=place.kubeconfig or None,
                context=place.context,
                client_configuration=made,
                persist_config=False,
            )
        return Credentials(str(made.host), _tls(made), made)
    except (config.ConfigException, OSError, ssl.SSLError) as error:
        raise BackendUnavailableError(
            f"The credentials of the context {place.context!r} cannot be read: {error}.",
            hint="Log in again, or mend the kubeconfig.",
        ) from error


def _tls(config: Configuration) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=config.ssl_ca_cert)
    if not config.verify_ssl:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if config.cert_file:
        made.load_cert_chain(config.cert_file, config.key_file)
    return made
