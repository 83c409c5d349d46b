"""PMML models on this machine, in a process that opens no port for Java and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kale_serve_ext import Model
from kale_serve_ext.errors import PredictionError
from tests.pmml_models import OUTPUT, TREE
from tests.runtimes.conftest import Running, Serving, check_gone

ROWS = pd.DataFrame({"age": [20.0, 40.0], "city": ["oslo", "rome"], "visits": [1, 2]})


def logged(folder: Path, text: str, name: str) -> int:
    file = folder / f"{name}.pmml"
    file.write_text(text)
    model = Model(artifact_uri=file, name=name).submit_artifact()
    assert model.id is not None
    return model.id


@pytest.fixture(scope="module")
def served(
    workspace: object, needs: Callable[..., object], serving: Serving, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    needs("pmml")
    with serving(logged(tmp_path_factory.mktemp("pmml"), TREE, "buying"), "buying") as running:
        yield running


@pytest.mark.parametrize("protocol", [None, "v1", "v2", "v2-binary", "grpc-v2"])
def test_it_answers_tables_by_each_protocol(served: Running, protocol: str | None) -> None:
    for data in (ROWS, ROWS.to_dict("list"), ROWS.to_dict("records"), ROWS.to_numpy().tolist()):
        answer = served.endpoint.predict(data, protocol=protocol)
        assert isinstance(answer, dict)
        assert list(np.asarray(answer["predicted_buys"])) == ["no", "yes"]
        assert np.asarray(answer["probability_yes"]).tolist() == pytest.approx([0.2, 0.9])


def test_v1_gives_an_object_for_each_row_as_kserves_server_does(served: Running) -> None:
    answer = served.endpoint.predict({"instances": [[20, "oslo", 1], {"age": 40, "city": "rome", "visits": 0}][:1]})
    assert isinstance(answer, dict)
    [row] = answer["predictions"]
    assert (row["predicted_buys"], row["probability_yes"]) == ("no", 0.2)


def test_values_without_an_answer_are_refused(served: Running) -> None:
    for change, message in (
        ({"city": ["oslo", "paris"]}, "Row 1: the field 'city' is 'paris'"),
        ({"age": [20.0, 200.0]}, "Row 1: the field 'age' is 200.0"),
        ({"age": [20.0, np.nan]}, "Row 1 has no answer"),
    ):
        with pytest.raises(PredictionError, match=message):
            served.endpoint.predict(ROWS.assign(**change), protocol="v2-binary")


def test_java_runs_in_the_models_own_process_without_a_socket(served: Running) -> None:
    assert len(served.processes()) == 1
    ports = {port for _, port in served.ports()}
    assert len(ports) <= 2, "the service's own addresses"
    assert not any("java" in one.name() for one in served.processes())


def test_outputs_without_a_name_come_and_no_process_is_left(served: Running, serving: Serving, tmp_path: Path) -> None:
    number = logged(tmp_path, TREE.replace(OUTPUT, ""), "unnamed")
    with serving(number, "unnamed") as running:
        answer = running.endpoint.predict(ROWS, protocol="v2")
        assert isinstance(answer, dict)
        assert ["no", "yes"] in [np.asarray(values).tolist() for values in answer.values()]
        started = running.processes()
        running.supervisor().kill()
        check_gone(started)
        running.endpoint.wait(300)
