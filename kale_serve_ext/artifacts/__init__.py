"""``Model``, ``Transformer`` and ``Dataset``: what a notebook logs (importable as ``kale.common.artifacts``).

Making one of them touches no disk and imports no framework; ``submit_artifact()`` does the work.
"""

from __future__ import annotations

from .dataset import Dataset
from .model import Model
from .register import register_path
from .transformer import Transformer

__all__ = ["Dataset", "Model", "Transformer", "register_path"]
