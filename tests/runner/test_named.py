"""Models of named tensors: every datatype of v2 in every form, as the model server calls them."""

from __future__ import annotations

import numpy as np
import pytest
from kserve import InferInput, InferRequest, InferResponse
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import RequestedOutput
from onnx import TensorProto, helper

from kale_serve_ext import formats
from kale_serve_ext.formats.calling import Call, FunctionModel, Input
from kale_serve_ext.formats.tensors import TensorModel
from kale_serve_ext.ml import TensorSpec
from kale_serve_ext.runner.named import NamedTensorModel

DATA = {
    "BOOL": np.array([[True, False]]),
    "UINT8": np.array([[1, 255]], dtype=np.uint8),
    "UINT16": np.array([[1, 65535]], dtype=np.uint16),
    "UINT32": np.array([[1, 2**32 - 1]], dtype=np.uint32),
    "UINT64": np.array([[3, 2**63 + 1]], dtype=np.uint64),
    "INT8": np.array([[-128, 127]], dtype=np.int8),
    "INT16": np.array([[-1, 2]], dtype=np.int16),
    "INT32": np.array([[-1, 2]], dtype=np.int32),
    "INT64": np.array([[-(2**63), 2**53 + 1]]),
    "FP16": np.array([[1.5, -2.0]], dtype=np.float16),
    "FP32": np.array([[1.1, -2.0]], dtype=np.float32),
    "FP64": np.array([[1.1, 1e300]]),
    "BYTES": np.array([["a", "ß"]], dtype=object),
}


def identity(dtype: np.dtype[np.generic], shape: list[str | int]) -> NamedTensorModel:
    kind = TensorProto.STRING if dtype.kind == "O" else helper.np_dtype_to_tensor_dtype(dtype)
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    outputs = [helper.make_tensor_value_info("y", kind, shape)]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", inputs, outputs)
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    model = formats.by_name("onnx").tensor_model(proto)
    assert isinstance(model, TensorModel)
    return NamedTensorModel("m", model)


def tensor(values: np.ndarray, datatype: str, *, binary: bool) -> InferInput:
    made = InferInput("x", list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def asked(model: NamedTensorModel, request: InferRequest) -> InferResponse:
    answer = model.predict(request)
    assert isinstance(answer, InferResponse)
    return answer


@pytest.mark.parametrize("datatype", DATA)
def test_values_come_back_as_they_went_in_every_form(datatype: str) -> None:
    values = DATA[datatype]
    model = identity(values.dtype, ["n", 2])
    described = {"name": "x", "datatype": datatype, "shape": [-1, 2]}
    assert model.get_input_types() == [described]
    assert model.get_output_types() == [{**described, "name": "y"}]
    assert model.predict({"instances": values.tolist()}) == {"predictions": values.tolist()}

    binary = asked(
        model, InferRequest("m", [tensor(values, datatype, binary=True)], parameters={"binary_data_output": True})
    )
    content, length = binary.to_rest()
    assert length
    back = InferResponse.from_bytes(content, length).outputs[0]
    texts = [v.decode() if isinstance(v, bytes) else v for v in back.as_numpy().ravel().tolist()]
    assert (back.datatype, texts) == (datatype, values.ravel().tolist())

    by_grpc = InferRequest("m", [tensor(values, datatype, binary=True)], from_grpc=True)
    message = asked(model, by_grpc).to_grpc()
    back = InferResponse.from_grpc(message).outputs[0]
    texts = [v.decode() if isinstance(v, bytes) else v for v in back.as_numpy().ravel().tolist()]
    assert (back.datatype, texts) == (datatype, values.ravel().tolist())


@pytest.mark.parametrize("datatype", [name for name in DATA if name != "FP16"])
def test_json_has_them_too(datatype: str) -> None:
    values = DATA[datatype]
    model = identity(values.dtype, ["n", 2])
    sent = InferInput("x", [1, 2], datatype, values.ravel().tolist())
    told, length = asked(model, InferRequest("m", [sent])).to_rest()
    assert length is None
    [output] = told["outputs"]
    assert (output["datatype"], output["shape"], output["data"]) == (datatype, [1, 2], values.ravel().tolist())


def test_half_floats_are_whole_ones_in_json() -> None:
    model = identity(DATA["FP16"].dtype, ["n", 2])
    [output] = asked(model, InferRequest("m", [tensor(DATA["FP16"], "FP16", binary=True)])).to_rest()[0]["outputs"]
    assert (output["datatype"], output["data"]) == ("FP32", [1.5, -2.0])


def test_a_value_without_a_batch_goes_by_v2_only() -> None:
    model = identity(np.dtype(np.float32), [])
    [output] = asked(model, InferRequest("m", [InferInput("x", [], "FP32", [3.0])])).to_rest()[0]["outputs"]
    assert (output["shape"], output["data"]) == ([], [3.0])
    with pytest.raises(InvalidInput, match=r"'x' takes float32 \[\], and float64 \[1\] was sent"):
        model.predict({"instances": [3.0]})


@pytest.mark.parametrize("value", [None, 2**64])
def test_a_null_and_a_number_that_is_too_large_are_refused(value: int | None) -> None:
    model = identity(np.dtype(np.int64), ["n", 2])
    with pytest.raises(InvalidInput, match="'x' has a null, or a number that is too large"):
        model.predict(InferRequest("m", [InferInput("x", [1, 2], "INT64", [1, value])]))
    with pytest.raises(InvalidInput, match=r"'x' takes int64 .* something else than numbers"):
        model.predict({"instances": [[1, value]]})


@pytest.mark.parametrize(
    ("datatype", "value"), [("FP32", 1e39), ("FP32", -1e39), ("FP16", 70000.0), ("FP16", 70000), ("UINT8", 300)]
)
def test_a_number_that_the_dtype_cannot_hold_is_refused_in_every_form(datatype: str, value: float) -> None:
    model = identity(DATA[datatype].dtype, ["n", 2])
    with pytest.raises(InvalidInput, match=r"'x' takes .* some numbers that were sent do not fit"):
        model.predict({"instances": [[1, value]]})
    with pytest.raises(InvalidInput, match=f"'x' has a number that is too large for {datatype}"):
        model.predict(InferRequest("m", [InferInput("x", [1, 2], datatype, [1, value])]))
    wide = np.array([[1, value]])
    with pytest.raises(InvalidInput, match=r"'x' takes .* some numbers that were sent do not fit"):
        model.predict(InferRequest("m", [tensor(wide, "FP64" if wide.dtype.kind == "f" else "INT64", binary=True)]))


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
@pytest.mark.parametrize("rest", [2, 0.5, None])
def test_a_null_is_not_a_number_to_an_input_of_floats(datatype: str, rest: float | None) -> None:
    model = identity(DATA[datatype].dtype, ["n", 2])
    wanted = np.array([[np.nan, np.nan if rest is None else rest]])
    told = model.predict({"instances": [[None, rest]]})
    assert isinstance(told, dict)
    np.testing.assert_array_equal(np.array(told["predictions"], dtype=float), wanted)
    answer = asked(model, InferRequest("m", [InferInput("x", [1, 2], datatype, [None, rest])]))
    np.testing.assert_array_equal(answer.outputs[0].as_numpy(), wanted)


def test_an_infinity_that_was_sent_arrives() -> None:
    model = identity(np.dtype(np.float32), ["n", 2])
    assert model.predict({"instances": [[1.0, float("inf")]]}) == {"predictions": [[1.0, float("inf")]]}


@pytest.mark.parametrize("body", [{}, {"instances": 5}, {"instances": None}])
def test_a_body_without_instances_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match='no list "instances"'):
        identity(np.dtype(np.float32), ["n", 2]).predict(body)


def test_types_that_the_protocols_do_not_have_are_refused_on_loading() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.BFLOAT16, ["n"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value])
    graph.output[0].name = "y"
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(TypeError, match=r"'x' is of the type tensor\(bfloat16\)"):
        formats.by_name("onnx").tensor_model(proto)


class TestOutputsThatAreKnownOnlyOnceItHasAnswered:
    @staticmethod
    def model() -> NamedTensorModel:
        call = Call((Input(TensorSpec("x", "float32", ["n"])),))
        return NamedTensorModel("m", FunctionModel(lambda x: {"twice": x * 2, "half": x / 2}, call))

    @staticmethod
    def request(*wanted: str) -> InferRequest:
        sent = InferInput("x", [2], "FP32", [1.0, 2.0])
        return InferRequest("m", [sent], request_outputs=[RequestedOutput(name) for name in wanted])

    @pytest.mark.parametrize("wanted", [("half",), ("twice",), ("half", "twice"), ()])
    def test_they_can_be_asked_for(self, wanted: tuple[str, ...]) -> None:
        found = asked(self.model(), self.request(*wanted))
        assert [one.name for one in found.outputs] == list(wanted or ("twice", "half"))

    def test_others_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="The model has no output 'third'; it gives 'twice', 'half'"):
            self.model().predict(self.request("half", "third"))


def test_an_output_that_is_known_not_to_be_there_is_refused() -> None:
    sent = InferInput("x", [1, 2], "FP32", [1.0, 2.0])
    with pytest.raises(InvalidInput, match="The model has no output 'z'; it gives 'y'"):
        identity(np.dtype(np.float32), ["n", 2]).predict(
            InferRequest("m", [sent], request_outputs=[RequestedOutput("z")])
        )
