"""PyTorch's modules and programs, logged and served: the answers are the module's own, by every protocol."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from kale_serve_ext import Model, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.formats import by_name, find
from kale_serve_ext.formats.pytorch import FILE
from kale_serve_ext.formats.torchexport import Exported
from kale_serve_ext.ml import Signature, TensorSpec
from kale_serve_ext.sync import run

from .conftest import Running, Serving

PROTOCOLS = ["v1", "v2", "v2-binary", "grpc-v2"]


class Pair(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Two inputs, two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 2)
        self.table = torch.nn.Embedding(10, 2)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": self.drop(self.linear(x)) + self.table(ids), "twice": ids * 2}


class Open(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Takes any arguments by name, which only torch.export can express."""

    def forward(self, x: torch.Tensor, **more: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,)), x.sum(1)


class Moody(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Goes by values in a way that no exported program can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if np.mean(x.numpy()) > 0 else x


class Fixed(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Takes a batch of two alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, 3) + 1


def example(rows: int = 3) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(rows)
    return {"x": draw.normal(size=(rows, 4)).astype(np.float32), "ids": np.arange(rows)}


def prepared(module: object, given: object, said: Signature | None = None) -> Exported:
    made = by_name("pytorch").prepared(module, said, given)
    assert isinstance(made, Exported)
    return made


def answers(module: object, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    assert callable(module)
    with torch.no_grad():
        found = module(**{name: torch.from_numpy(one) for name, one in given.items()})
    return {name: one.numpy() for name, one in found.items()}


class TestExporting:
    def test_names_dtypes_and_shapes_are_the_modules(self) -> None:
        made = prepared(Pair().eval(), example())
        assert (made.kind, made.how, made.estimator) == ("torchscript", "scripted", "Pair")
        assert made.signature.inputs == (
            TensorSpec("x", "float32", ("batch", 4)),
            TensorSpec("ids", "int64", ("batch",)),
        )
        assert made.signature.outputs == (
            TensorSpec("scores", "float32", ("batch", 2)),
            TensorSpec("twice", "int64", ("batch",)),
        )

    def test_what_torchscript_cannot_express_becomes_a_pt2(self, tmp_path: Path) -> None:
        made = prepared(Open().eval(), torch.ones(1, 2))
        assert (made.kind, made.how) == ("pt2", "exported")
        assert [(one.name, one.shape) for one in made.signature.outputs] == [
            ("output__0", ("batch", 2)),
            ("output__1", ("batch",)),
        ]
        by_name("pytorch").save(made, tmp_path)
        found = by_name("pytorch").load(tmp_path / "model.pt2")
        [first, second] = found.run({"x": -np.ones((5, 2), np.float32)}).values()  # type: ignore[attr-defined]
        np.testing.assert_array_equal(first, np.full((5, 2), -2))
        np.testing.assert_array_equal(second, np.full(5, -2))

    def test_a_program_that_answers_otherwise_is_not_taken(self) -> None:
        with pytest.raises(
            InvalidInputError, match="It cannot be traced: with 2 rows, its output 'output__0'"
        ) as caught:
            prepared(Moody().eval(), torch.ones(2, 2))
        assert "custom code" in (caught.value.hint or "")

    def test_a_batch_of_one_size_is_recorded_as_such(self) -> None:
        assert prepared(Fixed().eval(), torch.ones(2, 3)).signature.inputs[0].shape == (2, 3)

    def test_training_mode_is_told_and_kept(self) -> None:
        module = Pair()
        module.drop.eval()
        with pytest.warns(UserWarning, match="The Pair is in training mode. It is exported and served in evaluation"):
            made = prepared(module, example())
        assert (module.training, module.linear.training, module.drop.training) == (True, True, False)
        found = np.asarray(made.network.run(example(5))["scores"])
        np.testing.assert_allclose(found, answers(module.eval(), example(5))["scores"], rtol=1e-6)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (None, "A Pair does not tell the shapes and dtypes of its input."),
            (np.ones((2, 4)), "takes 'x', 'ids', and the example is one array"),
            ({"x": np.ones((2, 4))}, "the example has no 'ids'"),
            ({**example(), "mask": np.ones(3)}, "the example has 'mask'"),
            ({"x": np.ones((2, 4)), "ids": ["a", "b"]}, "'ids' is no array of numbers"),
            ({"x": np.ones((2, 5)), "ids": np.arange(2)}, "The Pair does not take its example. RuntimeError: "),
        ],
    )
    def test_an_example_that_does_not_fit_is_told_why(self, given: object, said: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            prepared(Pair().eval(), given)
        assert said in caught.value.message
        assert (caught.value.hint or "").startswith("Pass ")

    def test_programs_are_taken_as_they_are(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = torch.jit.script(torch.nn.Linear(4, 2).eval())
        made = prepared(script, np.ones((3, 4)))
        assert (made.kind, made.estimator, made.signature.inputs[0].name) == ("torchscript", "Linear", "input")
        batch = torch.export.Dim("batch")
        program = torch.export.export(
            Pair().eval(), (torch.ones(2, 4), torch.arange(2)), dynamic_shapes=({0: batch}, {0: batch})
        )
        told = prepared(program, None)
        assert told.signature == prepared(Pair().eval(), example()).signature
        assert told.network.run(example(4))["twice"].tolist() == [0, 2, 4, 6]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def module() -> Pair:
    torch.manual_seed(3)
    made = Pair()
    made.eval()
    return made


@pytest.fixture(scope="module")
def logged(workspace: Settings, module: Pair) -> Model:
    model = Model(module, name="pair", example=example())
    model.submit_artifact()
    return model


@pytest.fixture(scope="module")
def running(serving: Serving, logged: Model) -> Iterator[Running]:
    with serving(logged.id, "pair") as found:
        yield found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_answers_are_the_modules(running: Running, module: Pair, protocol: str) -> None:
    given = example(5)
    found = running.endpoint.predict(given, protocol=protocol)
    assert isinstance(found, dict)
    for name, expected in answers(module, given).items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


def test_tensors_can_be_sent(running: Running, module: Pair) -> None:
    given = {name: torch.from_numpy(one).requires_grad_(name == "x") for name, one in example(2).items()}
    found = running.endpoint.predict(given)
    assert isinstance(found, dict)
    np.testing.assert_allclose(found["scores"], answers(module, example(2))["scores"], rtol=1e-6)


def test_recorded_rows_are_answered_again(running: Running) -> None:
    verdict = running.endpoint.verify()
    assert (verdict.ok, verdict.rows, verdict.error) == (True, 3, "")


def test_what_torch_refuses_is_told_as_the_clients_fault(running: Running) -> None:
    body = {
        "inputs": [
            {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]},
            {"name": "ids", "shape": [1], "datatype": "INT64", "data": [99]},
        ]
    }
    answer = httpx.post(f"{running.endpoint.url}/v2/models/pair/infer", json=body, timeout=30)
    assert (answer.status_code, answer.json()) == (400, {"error": "index out of range in self"})
    body["inputs"][0] |= {"shape": [1, 3], "data": [1, 2, 3]}
    answer = httpx.post(f"{running.endpoint.url}/v2/models/pair/infer", json=body, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "The input 'x' takes float32 [batch, 4], and float32 [1, 3] was sent.",
    )


def test_the_record_tells_what_it_is(logged: Model, module: Pair) -> None:
    assert logged.id is not None
    record = run(session.metadata().artifact(logged.id))
    assert record.format == "pytorch"
    assert {**record.details} | {"estimator": "Pair", "exported": "scripted", FILE: "torchscript"} == record.details
    assert record.signature is not None
    assert record.signature.inputs == prepared(module, example()).signature.inputs


def test_a_file_of_somebody_elses_takes_its_example(workspace: Settings, module: Pair, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(tmp_path / "net.pth"))
    assert find(tmp_path / "net.pth").name == "model.pt"
    model = Model(artifact_uri=tmp_path / "net.pth", name="net", example=example())
    model.submit_artifact()
    assert model.id is not None
    record = run(session.metadata().artifact(model.id))
    assert record.signature is not None
    assert record.signature.inputs == (TensorSpec("x", "float32", (-1, 4)), TensorSpec("ids", "int64", (-1,)))


def test_a_state_dict_is_refused(workspace: Settings, module: Pair, tmp_path: Path) -> None:
    torch.save(module.state_dict(), tmp_path / "state.pt")
    with pytest.raises(InvalidInputError, match="weights without the code of their module"):
        Model(artifact_uri=tmp_path / "state.pt", name="state").submit_artifact()
