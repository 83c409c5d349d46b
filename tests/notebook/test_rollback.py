"""A service whose update fails, and the ways back: what answers is told, and can be had again."""

from __future__ import annotations

import pytest
from sklearn.dummy import DummyClassifier

from kale_serve_ext import Endpoint, Model, Transformer, serve
from kale_serve_ext.errors import ConflictError, ServeFailedError

ROWS = [[5.1, 3.5, 1.4, 0.2]]
# It can be imported where it is logged, and not where it is to serve.
BREAKING = """
import os

if os.environ.get("BREAK"):
    raise RuntimeError("It is broken.")

def preprocess(inputs):
    return inputs
"""


@pytest.fixture(scope="module")
def breaking(workspace: object, tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    folder = tmp_path_factory.mktemp("breaking")
    (folder / "transformer.py").write_text(BREAKING)
    return Transformer(name="breaking", transformer_dir=str(folder)).submit_artifact()


def history(endpoint: Endpoint) -> list[tuple[int, tuple[str, ...], int, bool]]:
    return [(r.number, r.changes, r.back_to, r.answers) for r in endpoint.revisions()]


def test_a_failed_update_is_told_by_what_answers_and_taken_back(iris: Model, breaking: Transformer) -> None:
    endpoint = serve(iris, name="ways")
    assert not endpoint.service.can_roll_back
    with pytest.raises(ConflictError, match="no earlier version"):
        endpoint.rollback()

    config = {"transformer": {"env": [{"name": "BREAK", "value": "1"}]}}
    with pytest.raises(
        ServeFailedError, match="cannot be updated: Revision 2 fails, revision 1 still answers"
    ) as failed:
        serve(iris, breaking, name="ways", serve_config=config)
    assert failed.value.phase == "Degraded"
    assert failed.value.hint.endswith("Go back to the previous version: Endpoint('ways').rollback().")
    assert "It is broken." in (failed.value.log or "")
    service = endpoint.service
    assert (service.phase, service.revision, service.serving_revision) == ("Degraded", 2, 1)
    assert service.answering is not None
    assert (service.answering.model, service.answering.transformer) == (service.model, None)
    assert service.transformer is not None
    assert "next transformer: breaking version 1" in repr(endpoint)
    # What answers is asked as what it is, also where the predictor is asked for.
    assert Endpoint("ways").predict(ROWS) == {"predictions": [0]}
    assert endpoint.predict(ROWS) == {"predictions": [0]}
    assert service.can_roll_back
    assert history(endpoint) == [(2, ("transformer breaking 1: added",), 0, False), (1, (), 0, True)]
    assert all(r.by and r.created > 0 for r in endpoint.revisions())

    endpoint.rollback()
    assert (endpoint.phase, endpoint.service.transformer, endpoint.service.restarts) == ("Ready", None, 0)
    removed = ("transformer breaking 1: removed",)
    assert history(endpoint)[0] == (3, removed, 1, True)
    assert not endpoint.service.can_roll_back  # the first was there before


def test_going_back_again_goes_further_back(iris: Model) -> None:
    endpoint = Endpoint("ways")
    ones = DummyClassifier(strategy="constant", constant=1).fit([[0.0] * 4, [1.0] * 4], [0, 1])
    newer = Model(ones, name="iris", version="ones").submit_artifact()
    endpoint.update(newer)
    assert endpoint.predict(ROWS) == {"predictions": [1]}
    assert endpoint.service.can_roll_back

    endpoint.rollback()
    assert endpoint.predict(ROWS) == {"predictions": [0]}
    with pytest.raises(ConflictError, match="no earlier version"):
        endpoint.rollback()
    with pytest.raises(ConflictError, match="Revision 99 of ways is not kept") as refused:
        endpoint.rollback(99)
    assert refused.value.hint == "These are kept: 5, 4, 3, 2, 1."

    endpoint.pause()
    endpoint.rollback(4)
    assert endpoint.phase == "Paused"
    endpoint.resume()
    assert endpoint.predict(ROWS) == {"predictions": [1]}
    assert history(endpoint)[0] == (6, ("model iris 1 → ones",), 4, True)
