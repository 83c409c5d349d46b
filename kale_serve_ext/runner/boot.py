"""Starts one of this package's programs in an interpreter that need not have the package: ``PYTHON boot.py PROGRAM …``.

The package is loaded from the folder that this file is in, and only it: what lies beside that folder (another
environment's site-packages) stays off ``sys.path``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def main() -> None:
    # Python put this file's folder first, where `server` or `channel` would shadow modules of the user's.
    del sys.path[0]
    load(sys.argv[1]).main(sys.argv[2:])


def load(name: str) -> ModuleType:
    """A module of the package, such as ``runner.main``."""
    package = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        package.name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"{package} is not a Python package.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[package.name] = module
    spec.loader.exec_module(module)
    return importlib.import_module(f"{package.name}.{name}")


if __name__ == "__main__":
    main()
