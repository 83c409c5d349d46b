"""TorchServe, laid beside the model's own interpreter, with this package's model server in front as in KServe's image.

It is started by a program of this package, ``runner/torchserve.py``, which has it listen on a unix socket and answers
by v1, v2 and gRPC in its place.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ....formats import by_name
from ....runner import torchhandler
from .launcher import launched
from .layout import Layout, Snapshot, as_json, the_file
from .record import Command, Program, Seat, Server, StandsFor

if TYPE_CHECKING:
    from ....ml import JSON

STORE = "model-store"
"""TorchServe's folder of models, as it is called in KServe's image."""
_HANDLER = "kale_handler.py"
_ARCHIVE = ".mar"


def layout(snapshot: Snapshot) -> Layout:
    """TorchServe's model store, with one model: an archive as it is, or the folder that an archive is made of.

    A program that was logged gets this package's handler beside it: TorchServe's own takes one tensor without a name.

    Raises:
        InvalidInputError: the snapshot holds no file that TorchServe loads.
    """
    file = the_file(snapshot, by_name(snapshot.format).suffixes, "TorchServe")
    if PurePosixPath(file).suffix == _ARCHIVE:
        return Layout(links={f"{STORE}/{snapshot.name}{_ARCHIVE}": file})
    folder = f"{STORE}/{snapshot.name}"
    name = f"model{PurePosixPath(file).suffix}"
    manifest: dict[str, JSON] = {
        "createdOn": "",
        "runtime": "python",
        "archiverVersion": "0.12.0",
        "model": {"modelName": snapshot.name, "modelVersion": "1.0", "serializedFile": name, "handler": _HANDLER},
    }
    files = {
        f"{folder}/MAR-INF/MANIFEST.json": as_json(manifest),
        f"{folder}/{_HANDLER}": Path(torchhandler.__file__).read_text("utf-8"),
    }
    if snapshot.signature:
        files[f"{folder}/{torchhandler.SIGNATURE}"] = as_json(snapshot.signature.to_dict())
    return Layout(links={f"{folder}/{name}": file}, files=files)


def command(seat: Seat) -> Command:
    places = (seat.folder / STORE, seat.temporary, seat.overlay, seat.http, seat.grpc, int(seat.memory))
    return Command(argv=(*launched(seat.python, "runner.torchserve"), seat.name, *(str(place) for place in places)))


SERVER = Server(
    name="torchserve",
    title="TorchServe",
    runtimes=(
        StandsFor(
            "kserve-torchserve",
            "TorchServe",
            ("pytorch",),
            ("v1", "v2"),
            differs=(
                "It is TorchServe 0.12.0 with the model's own torch, where the cluster's image has TorchServe 0.9.0 "
                "with its own."
            ),
            upkeep=(
                "TorchServe is no longer maintained: its last release is of 2024, and security problems are not "
                "fixed any more. Use the PyTorch server here and Triton in a cluster."
            ),
        ),
    ),
    overlay="torchserve",
    by_kserve=True,
    program=Program(command=command, layout=layout, unix=True),
)
