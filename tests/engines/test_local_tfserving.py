"""The folder that TensorFlow Serving wants, planned from what a snapshot holds."""

from __future__ import annotations

import pytest

from kale_serve_ext.engines.local.servers.layout import Layout, Snapshot
from kale_serve_ext.engines.local.servers.tfserving import layout
from kale_serve_ext.errors import InvalidInputError


def laid_out(*files: str) -> Layout:
    return layout(Snapshot("net", "tensorflow", files))


def test_numbered_folders_are_linked_under_the_models_name() -> None:
    made = laid_out("1/saved_model.pb", "1/variables/variables.index", "12/saved_model.pb", "kale-model.meta", "3/x")
    assert made == Layout(links={"net/1": "1", "net/12": "12"})


def test_a_flat_one_is_the_first_version() -> None:
    assert laid_out("saved_model.pb", "variables/variables.index") == Layout(links={"net/1": ""})


@pytest.mark.parametrize("files", [("net.keras",), (), ("net/saved_model.pb",)])
def test_a_snapshot_without_a_saved_model_is_refused(files: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="TensorFlow Serving loads SavedModels, and the snapshot holds"):
        laid_out(*files)
