"""What this package's image has for models as ``images/`` builds it: the image itself cannot be asked. Pure."""

from __future__ import annotations

import re

from ...environments import catalogue
from ...formats import known
from ..base import Check

REQUIREMENTS = ("scikit-learn", "lightgbm", "xgboost-cpu", "onnxruntime", "polars", "skops")
"""What ``images/Dockerfile`` installs unless it is told otherwise."""
_BESIDES = ("cloudpickle", "joblib", "kserve", "numpy", "pandas")
"""What comes along with these, and with the model server."""
_VERSION = re.compile(r"[<>=!~\[ ].*")


def about(model_format: str, image: str) -> list[Check]:
    """What an image that was built as usual lacks for a format.

    Args:
        image: the name of the one that is to run.
    """
    format_ = known(model_format)
    if format_ is None or format_.is_code:
        return []
    there = {*REQUIREMENTS, *_BESIDES}
    lacking = [group[0] for group in format_.needs if there.isdisjoint(group)]
    if format_.overlay:
        lacking += [_VERSION.sub("", one) for one in catalogue.by_name(format_.overlay).without_dependencies]
    if not lacking:
        return []
    message = (
        f"{format_.title} models need {', '.join(lacking)}, which the image {image} has only if it was built with."
    )
    hint = f'If it was not, build it with "{" ".join(lacking)}" added to its REQUIREMENTS, as images/README.md says.'
    return [Check("warning", "ImageLacks", message, hint, "runtime")]
