"""An MLMD server for the namespace, as Kubeflow's metadata-grpc-service is one; the package's own script serves it."""

import os
import sys

os.execv(
    sys.executable,
    [
        *(sys.executable, "-I", "/app/engine_server.py", "--foreground", "--listen", "0.0.0.0:8080"),
        *("--database", "/tmp/metadata/mlmd.db", "--lock", "/tmp/metadata.lock"),
    ],
)
