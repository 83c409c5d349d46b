"""The environment of the processes that run models."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

_KEPT = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "SYSTEMROOT"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HF_HOME", "TORCH_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    }
)
_KEPT_PREFIXES = ("LC_", "CUDA_", "NVIDIA_")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def inherited() -> dict[str, str]:
    """The part of this process's environment that models get.

    Not all of it: whoever looks at a service first starts it, be it a kernel, the server or a script, and their
    tokens, Python paths and settings are no business of the model's.
    """
    return {k: v for k, v in os.environ.items() if k in _KEPT or k.startswith(_KEPT_PREFIXES)}


def for_runner(base: Mapping[str, str], given: Mapping[str, str], cpu_limit: float) -> dict[str, str]:
    """What one model server gets: the inherited, the manifest's own, and what makes libraries respect the CPU limit."""
    made = {**base, "PYTHONUNBUFFERED": "1"}
    # A snapshot holds sources, and its hash is checked: nothing may be written beside them.
    made["PYTHONDONTWRITEBYTECODE"] = "1"
    # The transformer calls its predictor on the loopback; no proxy has anything to do with that.
    hosts = [made.get("no_proxy") or made.get("NO_PROXY", ""), "127.0.0.1", "localhost"]
    made["no_proxy"] = made["NO_PROXY"] = ",".join(h for h in hosts if h)
    if cpu_limit:
        made |= dict.fromkeys(_THREADS, str(max(1, math.ceil(cpu_limit))))
    return {**made, **given}
