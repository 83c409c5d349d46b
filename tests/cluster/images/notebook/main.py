"""A notebook server as Kubeflow starts it: its folder is the user's claim, its address begins with ``NB_PREFIX``."""

import os
import sys

os.execv(
    sys.executable,
    [
        *(sys.executable, "-m", "jupyterlab", "--ip=0.0.0.0", "--port=8888", "--no-browser"),
        *("--ServerApp.base_url=" + os.environ["NB_PREFIX"], "--ServerApp.root_dir=" + os.environ["HOME"]),
        # Kubeflow's own gateway asks for the login.
        *("--IdentityProvider.token=", "--ServerApp.allow_remote_access=True"),
    ],
)
