"""PyTorch's modules and programs, logged and served: the answers are the module's own, by every protocol."""

from __future__ import annotations

import json
import math
import warnings
from collections import namedtuple
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from kale_serve_ext import Model, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError
from kale_serve_ext.formats import by_name, find, torchmodel, torchprogram
from kale_serve_ext.formats.pytorch import FILE
from kale_serve_ext.formats.torchexport import Exported
from kale_serve_ext.ml import Signature, TensorSpec
from kale_serve_ext.runner import torchhandler
from kale_serve_ext.sync import run

from .conftest import Running, Serving

OPEN = Signature(input_dtype="", inputs=(TensorSpec("x", "float32", (-1, -1)),))
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
    """Takes any arguments by name and goes by a size, which only torch.export can express."""

    def forward(self, x: torch.Tensor, **more: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x + 1 if x.shape[1] > 1 else x - 1, x.sum(1)


class Moody(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Goes by values in a way that no exported program can."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if np.mean(x.numpy()) > 0 else x


class Scaled(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Goes by the length of its input, in a way that scripting cannot express."""

    def forward(self, x: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
        return x.sum(1) / x.shape[1]


class Rooted(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Makes a Python number of the length, of which the tracer warns."""

    def forward(self, x: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
        return x.sum(1) / math.sqrt(x.shape[1])


class Counted(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """The same without a word of the tracer."""

    def forward(self, x: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
        return x.sum(1) / len(x.unbind(1)) ** 0.5


class Folded(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Takes rows of four alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, 2, 2).sum(2) * torch.ones(x.shape[0], 2) + x[:, :4].reshape(x.shape[0], 2, 2).sum(1)


class Masked(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Two inputs of one length."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(20, 3)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.table(ids) * mask.unsqueeze(-1)


class Branching(torch.nn.Module):  # type: ignore[misc]  # torch is not there when this is checked
    """Goes another way where a whole number is large."""

    def __init__(self, *, by_array: bool = False) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(200, 3)
        self.by_array = by_array

    def forward(self, ids: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
        found = self.table(ids)
        largest = memoryview(ids.detach().numpy()).tolist() if self.by_array else int(ids.max())
        return found * 0 if np.max(largest) > 10 else found


class Elsewhere(torch.nn.Linear):  # type: ignore[misc]  # torch is not there when this is checked
    """Is on another device, and leaves it as a module on a GPU does."""

    def cpu(self) -> Elsewhere:
        made: Elsewhere = self.to_empty(device="cpu")
        torch.nn.init.ones_(made.weight)
        torch.nn.init.zeros_(made.bias)
        return made


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
        np.testing.assert_array_equal(first, np.zeros((5, 2)))
        np.testing.assert_array_equal(second, np.full(5, -2))

    def test_a_program_that_answers_otherwise_is_not_taken(self) -> None:
        with pytest.raises(
            InvalidInputError, match="It cannot be traced: TracerWarning: Converting a tensor to a NumPy array"
        ) as caught:
            prepared(Moody().eval(), torch.ones(2, 2))
        assert "custom code" in (caught.value.hint or "")

    def test_a_batch_of_one_size_is_recorded_as_such(self) -> None:
        assert prepared(Fixed().eval(), torch.ones(2, 3)).signature.inputs[0].shape == (2, 3)

    def test_a_size_that_is_declared_open_is_none_of_the_examples(self) -> None:
        made = prepared(Scaled().eval(), np.ones((3, 4), np.float32), OPEN)
        assert (made.how, made.signature.inputs[0].shape) == ("traced", ("batch", -1))
        given = {"x": np.ones((2, 9), np.float32)}
        np.testing.assert_allclose(np.asarray(made.network.run(given)["output__0"]), [1.0, 1.0])

    @pytest.mark.parametrize(
        ("module", "said"),
        [
            (Rooted(), "It cannot be traced: TracerWarning: Converting a tensor to a Python float"),
            (Counted(), "It cannot be traced: with 5 in dimension 1 of 'x'"),
        ],
    )
    def test_a_program_that_keeps_the_examples_size_is_not_taken(self, module: torch.nn.Module, said: str) -> None:
        with pytest.raises(InvalidInputError) as caught:
            prepared(module.eval(), np.ones((3, 4), np.float32), OPEN)
        assert said in caught.value.message
        assert prepared(module.eval(), np.ones((3, 4), np.float32)).signature.inputs[0].shape == ("batch", 4)

    def test_an_example_of_zeros_hides_nothing(self) -> None:
        with pytest.raises(InvalidInputError, match="traced: with 3 in dimension 1 of 'x' and other fractions"):
            prepared(Counted().eval(), None, OPEN)

    def test_a_size_that_the_module_has_fixed_cannot_be_declared_open(self) -> None:
        with pytest.raises(
            InvalidInputError, match="leaves dimension 1 of 'x' open, and the Folded takes neither 5"
        ) as c:
            prepared(Folded().eval(), np.ones((3, 4), np.float32), OPEN)
        assert (c.value.field, c.value.hint) == ("signature", "Write 4 there, or log it with another example.")
        said = Signature(input_dtype="", inputs=(TensorSpec("x", "float32", (-1, 3)),))
        with pytest.raises(InvalidInputError, match="leaves dimension 0 of 'x' open, and the Fixed takes neither 3"):
            prepared(Fixed().eval(), torch.ones(2, 3), said)

    @pytest.mark.parametrize("length", [-1, "length"])
    def test_sizes_that_belong_together_are_changed_together(self, length: str | int) -> None:
        specs = tuple(TensorSpec(name, "int64", (-1, length)) for name in ("ids", "mask"))
        given = {"ids": np.arange(6).reshape(2, 3), "mask": np.ones((2, 3), np.int64)}
        made = prepared(Masked().eval(), given, Signature(input_dtype="", inputs=specs))
        assert [one.shape for one in made.signature.inputs] == [("batch", length)] * 2
        assert made.signature.outputs[0].shape == ("batch", -1, 3)

    def test_a_way_that_whole_numbers_went_is_not_kept(self) -> None:
        with pytest.raises(InvalidInputError, match="It cannot be traced: TracerWarning: Converting a tensor to a P"):
            prepared(Branching().eval(), {"ids": np.arange(3)})
        with pytest.raises(InvalidInputError, match="It cannot be traced: ") as caught:
            prepared(Branching(by_array=True).eval(), {"ids": np.arange(3)})
        assert "traced" in caught.value.message

    def test_a_module_on_another_device_is_copied(self) -> None:
        module = Elsewhere(4, 2, device="meta").eval()
        made = prepared(module, np.ones((3, 4), np.float32))
        assert module.weight.device.type == "meta"
        np.testing.assert_array_equal(
            made.network.run({"input": np.ones((2, 4), np.float32)})["output__0"], [[4, 4]] * 2
        )
        with pytest.raises(
            InvalidInputError, match="The Linear is on the device meta, and no copy can be made"
        ) as caught:
            prepared(torch.nn.Linear(4, 2, device="meta").eval(), np.ones((3, 4), np.float32))
        assert caught.value.hint == "Pass it as module.cpu()."

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


class TestHandler:
    """TorchServe's handler stands alone, and says of a file what this package does."""

    @pytest.mark.parametrize("kind", ["float32", "float64", "pt2"])
    def test_it_takes_and_gives_the_same(self, kind: str, tmp_path: Path) -> None:
        pair = Pair().eval()
        if kind == "pt2":
            path, batch = tmp_path / "model.pt2", torch.export.Dim("batch")
            # By position, as a module of somebody else's is exported.
            given = (torch.ones(2, 4), torch.arange(2))
            torch.export.save(torch.export.export(pair, given, dynamic_shapes=({0: batch}, {0: batch})), path)
        else:
            path = tmp_path / "model.pt"
            torch.jit.script(pair.to(getattr(torch, kind))).save(str(path))
        here = torchprogram.load(path)
        there = torchhandler._Program(tmp_path, {"serializedFile": path.name})
        assert Signature.from_dict(json.loads(json.dumps(there.signature))).inputs == here.inputs
        sent = {**example(5), "x": example(5)["x"].astype("float32" if kind == "pt2" else kind)}
        expected = here.run(sent)
        found = there.run(sent)
        assert list(found) == list(expected)
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name])
            assert values.dtype == np.asarray(expected[name]).dtype

    def test_answers_get_the_same_names(self) -> None:
        field = namedtuple("field", "boxes labels")
        one = torch.ones(1)
        for answer in (
            one,
            [one, one],
            {"a": one, "b": (one, one)},
            field([one], one),
            (one, {"c": one}),
            [2, 0.5, True],
        ):
            assert list(torchhandler._named(answer)) == list(torchmodel.named(answer))
            for name, value in torchmodel.named(answer):
                ours, theirs = torchmodel.array_of(value, name), torchhandler._array(value)
                assert (ours.dtype, ours.tolist()) == (theirs.dtype, theirs.tolist())
        half = torch.ones(2, dtype=torch.bfloat16)
        assert torchhandler._array(half).dtype == torchmodel.array_of(half, "y").dtype


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
