"""MLServer, in an environment of its own.

It is started by a program of this package, ``runner/mlserver.py``, that has it listen on unix sockets: its own command
knows ports only, which every user of the machine could ask.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from ....formats import by_name
from ....ml import JSON
from .launcher import launched
from .layout import Layout, Snapshot, as_json, the_file
from .record import Command, Program, Seat, Server, StandsFor

_IMPLEMENTATIONS = {
    "sklearn": "mlserver_sklearn.SKLearnModel",
    "xgboost": "mlserver_xgboost.XGBoostModel",
    "lightgbm": "mlserver_lightgbm.LightGBMModel",
    "catboost": "mlserver_catboost.CatboostModel",
    "mlflow": "mlserver_mlflow.MLflowRuntime",
}
_DIFFERS = "It runs in one process, with newer libraries than KServe's image has."


def layout(snapshot: Snapshot) -> Layout:
    """MLServer's model repository, with one model: its settings beside a link to its file.

    A link to the whole snapshot would have MLServer look for settings of more models in it.

    Raises:
        InvalidInputError: the snapshot holds no file that MLServer loads.
    """
    if snapshot.format == "mlflow":
        return _repository(snapshot, "model", "")
    # It looks for the same endings as KServe's own servers.
    file = the_file(snapshot, by_name(snapshot.format).suffixes, "MLServer")
    return _repository(snapshot, f"model{PurePosixPath(file).suffix}", file)


def _repository(snapshot: Snapshot, name: str, file: str) -> Layout:
    """With one model, which lies there under this name; ``file`` is empty for the whole snapshot."""
    settings: dict[str, JSON] = {
        "name": snapshot.name,
        "implementation": _IMPLEMENTATIONS[snapshot.format],
        "parameters": {"uri": f"./{name}"},
    }
    # In one process: each worker would load the model again, and outlive a killed parent.
    server: dict[str, JSON] = {"host": "127.0.0.1", "parallel_workers": 0, "kafka_enabled": False, "debug": False}
    return Layout(
        links={f"{snapshot.name}/{name}": file},
        files={f"{snapshot.name}/model-settings.json": as_json(settings), "settings.json": as_json(server)},
    )


def command(seat: Seat) -> Command:
    return Command(
        argv=(*launched(seat.python, "runner.mlserver"), str(seat.folder), str(seat.http), str(seat.grpc)),
        env={
            "MLSERVER_ENVIRONMENTS_DIR": str(seat.temporary / "environments"),
            "MLSERVER_METRICS_DIR": str(seat.temporary / "metrics"),
            "GIT_PYTHON_REFRESH": "quiet",
        },
    )


SERVER = Server(
    name="mlserver",
    title="MLServer",
    runtimes=(StandsFor("kserve-mlserver", "MLServer", tuple(_IMPLEMENTATIONS), ("v2",), differs=_DIFFERS),),
    environment="mlserver",
    program=Program(command=command, layout=layout, unix=True),
)
