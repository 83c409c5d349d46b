"""TensorFlow Serving's API over TensorFlow, in an environment of its own.

TensorFlow Serving's binary is in no package registry. What answers is a program of this package,
``runner/tfserving.py``, by REST and gRPC as TensorFlow Serving does, on unix sockets.
"""

from __future__ import annotations

import re

from ....errors import InvalidInputError
from .launcher import launched
from .layout import Layout, Snapshot
from .record import Command, Program, Seat, Server, StandsFor

_FILE = "saved_model.pb"
_NUMBERED = re.compile(r"([0-9]+)/" + re.escape(_FILE))


def layout(snapshot: Snapshot) -> Layout:
    """TensorFlow Serving's base path: a folder of the model's name with its versions in numbered folders.

    Raises:
        InvalidInputError: the snapshot holds no SavedModel.
    """
    versions = [found[1] for name in snapshot.files if (found := _NUMBERED.fullmatch(name))]
    if versions:
        return Layout(links={f"{snapshot.name}/{version}": version for version in versions})
    if _FILE in snapshot.files:
        return Layout(links={f"{snapshot.name}/1": ""})
    holds = ", ".join(snapshot.files[:5]) or "nothing"
    raise InvalidInputError(
        f"TensorFlow Serving loads SavedModels, and the snapshot holds {holds}.",
        hint="Log the model itself, as in Model(keras.models.load_model(path)), or choose another runtime.",
        field="runtime",
    )


def command(seat: Seat) -> Command:
    return Command(
        argv=(*launched(seat.python, "runner.tfserving"), seat.name, str(seat.folder), str(seat.http), str(seat.grpc)),
        env={"TF_CPP_MIN_LOG_LEVEL": "2"},
    )


SERVER = Server(
    name="tensorflow-serving",
    title="TensorFlow Serving's API",
    runtimes=(
        StandsFor(
            "kserve-tensorflow-serving",
            "TensorFlow Serving's API over TensorFlow",
            ("tensorflow",),
            ("v1",),
            differs=(
                "This package implements TensorFlow Serving's API on top of TensorFlow; the cluster's image has the "
                "original."
            ),
        ),
    ),
    environment="tensorflow-serving",
    program=Program(command=command, layout=layout, ready="/v1/models/{name}", unix=True),
)
