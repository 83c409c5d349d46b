"""The user's own modules that travel with a model: the folder ``code`` of its snapshot."""

from __future__ import annotations

import sys
from pathlib import Path

from ..source.own import CODE


def use_code(snapshot: Path) -> None:
    """Have the modules in ``code`` imported first, as they were where the model was made; nothing where it has none.

    A module of the user's may have the name of a library that this process has loaded already. What has imported the
    library goes on with it; whatever imports the name from now on gets the user's, as it did in the notebook.
    """
    folder = snapshot / CODE
    if not folder.is_dir() or str(folder) in sys.path:
        return
    # A snapshot's content has a hash: compiled files must not be written beside the sources.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    # A folder without __init__.py only adds to what has its name.
    own = {e.name.removesuffix(".py") for e in folder.iterdir() if e.suffix == ".py" or (e / "__init__.py").is_file()}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
