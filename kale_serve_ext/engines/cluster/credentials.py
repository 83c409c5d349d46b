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
    sources: tuple[object, ...] = ()
    """What connections are made with: where it has changed, new ones are needed."""

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
        return _pod()
    known, current = _read_contexts(kubeconfig)
    wanted = context or current
    for place in known:
        if place.context == wanted:
            return place
    names = ", ".join(place.context for place in known)
    raise BackendUnavailableError(f"The kubeconfig has no context {wanted[:100]!r}.", hint=f"It has: {names}.")


def places(kubeconfig: str = "") -> list[Place]:
    """This pod's own cluster and the contexts of the kubeconfig, as they are now; nothing where there is neither.

    Raises:
        BackendUnavailableError: the kubeconfig cannot be read.
    """
    pod = [_pod()] if in_pod() else []
    return [*pod, *(_read_contexts(kubeconfig)[0] if has_kubeconfig(kubeconfig) else ())]


def has_kubeconfig(kubeconfig: str = "") -> bool:
    """Whether there is a kubeconfig. Cheap: does not import ``kubernetes``."""
    paths = _search(kubeconfig).split(os.pathsep)
    return any(Path(path).expanduser().is_file() for path in paths if path)


def in_pod() -> bool:
    """Whether this process has a service account of the cluster it runs in."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_ACCOUNT / "token").is_file()


def _pod() -> Place:
    return Place(IN_CLUSTER, (_ACCOUNT / "namespace").read_text().strip())


def _search(kubeconfig: str) -> str:
    # The client would read the variable only once, when it is imported.
    return kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"


def _read_contexts(kubeconfig: str) -> tuple[list[Place], str]:
    """Every context, and the current one's name."""
    hint = "Set KUBECONFIG, or serve with the local engine."
    if not has_kubeconfig(kubeconfig):
        raise BackendUnavailableError("No cluster is known here: there is no kubeconfig.", hint=hint)
    from kubernetes import config

    try:
        contexts, current = config.list_kube_config_contexts(config_file=_search(kubeconfig))
        found = [
            Place(str(c["name"]), str(c["context"].get("namespace") or "default"), kubeconfig)
            for c in contexts
            if c.get("context")
        ]
    except Exception as error:  # a broken file makes the client raise whatever its content leads to
        raise BackendUnavailableError(f"No cluster is known here: {_told(error)}.", hint=hint) from error
    return found, str(current["name"])


def load(place: Place) -> Credentials:
    """Read the credentials; may run a login plugin: call it in a thread.

    Raises:
        BackendUnavailableError: they cannot be read or got.
    """
    from kubernetes import config
    from kubernetes.client import Configuration

    made = Configuration()
    proxy = made.proxy  # of the environment, which some releases read
    try:
        if place.context == IN_CLUSTER:
            config.load_incluster_config(client_configuration=made)
        else:
            config.load_kube_config(
                config_file=_search(place.kubeconfig),
                context=place.context,
                client_configuration=made,
                persist_config=False,
            )
        told = Credentials(str(made.host), _tls(made), made, _sources(made))
    except Exception as error:  # a broken entry makes the client raise whatever it leads to
        raise BackendUnavailableError(
            f"The credentials of the context {place.context!r} cannot be read: {_told(error)}.",
            hint="Log in again, or fix the kubeconfig.",
        ) from error
    if made.proxy != proxy or made.tls_server_name:
        raise BackendUnavailableError(
            f"The context {place.context!r} names a proxy-url or a tls-server-name, which is not supported here.",
            hint="Use a context that reaches the API server by its own address.",
        )
    return told


def _sources(config: Configuration) -> tuple[object, ...]:
    files = [name for name in (config.ssl_ca_cert, config.cert_file, config.key_file) if name]
    return (config.host, config.verify_ssl, *((name, Path(name).stat().st_mtime_ns) for name in files))


def _told(error: Exception) -> str:
    """What is wrong with a kubeconfig, in one line, without the entries that the client quotes, tokens and all."""
    line = (str(error) or type(error).__name__).splitlines()[0]
    return line.partition("{")[0].rstrip(" ./:") or type(error).__name__


def _tls(config: Configuration) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=config.ssl_ca_cert)
    if not config.verify_ssl:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if config.cert_file:
        made.load_cert_chain(config.cert_file, config.key_file)
    return made
