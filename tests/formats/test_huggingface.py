"""Folders of transformers: recognised and described by what they say, without transformers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kale_serve_ext import formats
from kale_serve_ext.entities import Artifact
from kale_serve_ext.errors import InvalidInputError, UnsupportedModelError
from kale_serve_ext.formats import hftasks
from kale_serve_ext.formats.hfreader import longest_of
from kale_serve_ext.formats.hfvectors import Dense, Normalize, Pooling, Vectors
from kale_serve_ext.ml import JSON, TensorSpec

FORMAT = formats.by_name("huggingface")
BERT: dict[str, JSON] = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "id2label": {"0": "sad", "1": "happy"},
    "hidden_size": 32,
    "max_position_embeddings": 128,
}


def folder(path: Path, config: dict[str, JSON], *names: str) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    for name in names or ("model.safetensors", "tokenizer.json"):
        (path / name).write_text("{}")
    return path


def test_a_folder_is_recognised_without_importing_anything(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom kale_serve_ext import formats\n"
        f"print(formats.detect_path(Path({str(folder(tmp_path / 'bert', BERT))!r})).name)\n"
        "print({'torch', 'transformers', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["huggingface", "set()"]


def test_it_says_its_task_labels_and_tensors(tmp_path: Path) -> None:
    path = folder(tmp_path / "bert", BERT)
    assert FORMAT.path_details(path) == {
        "task": "text-classification",
        "architecture": "BertForSequenceClassification",
        "model_type": "bert",
        "labels": ["sad", "happy"],
        "context": 128,
    }
    signature = FORMAT.path_signature(path)
    assert signature is not None
    assert signature.inputs == (TensorSpec("text", "str", ("batch",)),)
    assert [(one.name, one.dtype) for one in signature.outputs] == [("label", "str"), ("score", "float32")]


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("DistilBertForSequenceClassification", "text-classification"),
        ("RobertaForTokenClassification", "token-classification"),
        ("BertForMaskedLM", "fill-mask"),
        ("LlamaForCausalLM", "text-generation"),
        ("GPT2LMHeadModel", "text-generation"),
        ("T5ForConditionalGeneration", "text2text-generation"),
        ("MarianMTModel", "text2text-generation"),
        ("BertModel", "feature-extraction"),
        ("BertForQuestionAnswering", ""),
    ],
)
def test_the_class_tells_the_task(architecture: str, task: str) -> None:
    assert hftasks.derived(architecture) == task


def test_what_a_pipeline_has_told_wins_and_an_argument_over_that(tmp_path: Path) -> None:
    told: dict[str, JSON] = {"task": "sentiment-analysis", "parameters": {"top_k": 2}}
    path = folder(tmp_path / "bert", {**BERT, "architectures": ["BertModel"]})
    (path / hftasks.TASK_FILE).write_text(json.dumps(told))
    read = hftasks.read(path)
    assert read is not None
    assert (read.task, dict(read.parameters)) == ("text-classification", {"top_k": 2})
    task = hftasks.served_task(read)
    assert [one.name for one in hftasks.outputs_of(task, read)] == ["labels"]
    assert hftasks.served_task(read, hftasks.argument_in(["x", "--task=text_embedding"])).name == "feature-extraction"
    assert hftasks.argument_in(["--task", "fill-mask"]) == "fill-mask"
    assert hftasks.argument_in(["--task"]) == hftasks.argument_in([]) == ""


def test_a_task_that_is_not_served_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "qa", {**BERT, "architectures": ["BertForQuestionAnswering"]})
    with pytest.raises(InvalidInputError, match="'BertForQuestionAnswering' does not say what task the model is for"):
        FORMAT.path_details(path)
    (path / "kale-task.json").write_text('{"task": "question-answering"}')
    with pytest.raises(InvalidInputError, match="The task 'question-answering' is not supported") as caught:
        FORMAT.path_details(path)
    assert "text-generation" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("tokenizer.json",), "There is no file of weights"),
        (("model.safetensors",), "There is no tokenizer"),
        (("training_args.bin", "tokenizer.json"), "There is no file of weights"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    path = folder(tmp_path / "bert", BERT, *names)
    assert not FORMAT.matches_path(path)
    assert said in " ".join(FORMAT.check(path))


def test_weights_that_an_index_names_have_to_be_there(tmp_path: Path) -> None:
    path = folder(tmp_path / "bert", BERT, "model-1.safetensors", "tokenizer.json")
    index: dict[str, JSON] = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert FORMAT.check(path) == ["The index names weights that are missing: model-2.safetensors."]
    (path / "model-2.safetensors").touch()
    assert FORMAT.check(path) == []


def test_a_conversation_needs_a_template(tmp_path: Path) -> None:
    config: dict[str, JSON] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    path = folder(tmp_path / "llama", config)
    assert "chat" not in FORMAT.path_details(path)
    assert FORMAT.path_signature(path) is None
    (path / "chat_template.jinja").write_text("{{ messages }}")
    assert FORMAT.path_details(path)["chat"] is True
    (path / "chat_template.jinja").unlink()
    (path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    assert FORMAT.path_details(path)["chat"] is True


def test_weights_alone_lead_to_their_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UnsupportedModelError, match="no whole model") as caught:
        formats.find(path)
    assert "save_pretrained" in caught.value.hint


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 5000, '{"model_type": ""}'])
def test_a_configuration_of_something_else_is_none(tmp_path: Path, content: str) -> None:
    path = folder(tmp_path / "x", BERT)
    (path / "config.json").write_text(content)
    assert not FORMAT.matches_path(path)
    assert FORMAT.check(path)


def test_a_text_is_no_model() -> None:
    assert not FORMAT.matches(("a", "b"))
    assert not FORMAT.matches("bert-base-uncased")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("text-classification", "the number of the class"),
        ("token-classification", "each token's class"),
        ("fill-mask", "the most likely token only"),
        ("feature-extraction", ""),
        ("text-generation", ""),
    ],
)
def test_what_kserves_server_answers_otherwise_is_told(task: str, said: str) -> None:
    found = list(
        FORMAT.stock_differences(
            Artifact(type="kubeflow.org.Model", name="x", format="huggingface", details={"task": task}), "predict"
        )
    )
    assert [said in sentence for sentence in found] == ([True] if said else [])


TRANSFORMER: dict[str, JSON] = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}


def sentences(path: Path, *modules: tuple[str, dict[str, JSON]], **told: JSON) -> Path:
    """A folder of sentence-transformers, with these modules behind the model's own."""
    folder(path, {**BERT, "architectures": ["BertForMaskedLM"]})
    listed: list[JSON] = [dict(TRANSFORMER)]
    for place, (name, config) in enumerate(modules, 1):
        inner = f"{place}_{name}"
        (path / inner).mkdir()
        (path / inner / "config.json").write_text(json.dumps(config))
        kind = name if "." in name else f"sentence_transformers.models.{name}"
        listed.append({"idx": place, "name": str(place), "path": inner, "type": kind})
    (path / "modules.json").write_text(json.dumps(listed))
    (path / "sentence_bert_config.json").write_text(json.dumps(told))
    return path


def test_sentence_transformers_say_how_vectors_are_made(tmp_path: Path) -> None:
    flags: dict[str, JSON] = {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    dense: dict[str, JSON] = {"out_features": 8, "activation_function": "torch.nn.modules.linear.Identity"}
    path = sentences(
        tmp_path / "a", ("Pooling", flags), ("Dense", dense), ("Normalize", {}), max_seq_length=64, do_lower_case=True
    )
    (path / "config_sentence_transformers.json").write_text('{"default_prompt_name": "q", "prompts": {"q": "query: "}}')
    read = hftasks.read(path)
    assert read is not None
    assert read.vectors == Vectors(
        (Pooling(("max", "mean")), Dense("2_Dense", 8, "Identity"), Normalize()),
        longest=64,
        lowers=True,
        prompt="query: ",
    )
    assert FORMAT.check(path) == []
    details = FORMAT.path_details(path)
    assert (details["task"], details["vectors"]) == ("feature-extraction", ["max", "mean", "dense", "normalize"])
    signature = FORMAT.path_signature(path)
    assert signature is not None
    assert signature.outputs == (TensorSpec("embedding", "float32", ("batch", 8)),)
    stock = Artifact(type="kubeflow.org.Model", name="x", format="huggingface", details=details)
    assert "It averages the vectors" in "".join(FORMAT.stock_differences(stock, "predict"))
    (path / "modules.json").unlink()
    assert hftasks.read(path) == hftasks.Folder(read.config, read.told)


def test_a_mean_of_length_one_is_what_kserves_server_has(tmp_path: Path) -> None:
    path = sentences(tmp_path / "a", ("Pooling", {"pooling_mode": "mean"}), ("Normalize", {}))
    assert "vectors" not in FORMAT.path_details(path)


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ([("Pooling", {"pooling_mode_weightedmean_tokens": True})], "has the pooling weightedmean (1_Pooling)"),
        ([("Pooling", {})], "has the pooling no mode that is known"),
        ([("Pooling", {"pooling_mode": ["mean", "median"]})], "has the pooling mean, median"),
        ([("Pooling", {"pooling_mode": "mean", "include_prompt": False})], "leaves the prompt out"),
        ([("LSTM", {})], "names 'sentence_transformers.models.LSTM' as step 1"),
        ([("custom_st.Pooling", {"pooling_mode": "cls"})], "names 'custom_st.Pooling' as step 1"),
        ([], "has no Pooling"),
        ([("Pooling", {"pooling_mode": "cls"}), ("Dense", {})], "has a dense layer without a size"),
        (
            [("Pooling", {"pooling_mode": "cls"}), ("Dense", {"out_features": 2, "activation_function": "os.system"})],
            "has the activation 'os.system'",
        ),
    ],
)
def test_vectors_that_are_made_otherwise_are_refused(
    tmp_path: Path, modules: list[tuple[str, dict[str, JSON]]], said: str
) -> None:
    [problem] = FORMAT.check(sentences(tmp_path / "a", *modules))
    assert problem.startswith("Its modules.json ")
    assert said in problem
    assert "SentenceTransformer.encode()" in problem


def test_modules_stay_in_the_folder(tmp_path: Path) -> None:
    path = sentences(tmp_path / "a", ("Pooling", {"pooling_mode": "cls"}))
    for place in ("../b", "/etc"):
        told = [TRANSFORMER, {"type": "sentence_transformers.models.Pooling", "path": place}]
        (path / "modules.json").write_text(json.dumps(told))
        assert "leads out of the folder" in FORMAT.check(path)[0]


@pytest.mark.parametrize(
    ("config", "context", "read"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514}, 512, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 2}, 511, 511),
        ({"model_type": "t5", "n_positions": 512}, 512, 0),
        ({"model_type": "led", "max_encoder_position_embeddings": 1024}, 0, 1024),
        ({"model_type": "roberta"}, 0, 0),
    ],
)
def test_positions_behind_padding_are_fewer(config: dict[str, JSON], context: int, read: int) -> None:
    found = hftasks.Folder(config)
    assert (found.context, found.most_read) == (context, read)


@pytest.mark.parametrize(
    ("limit", "context", "told", "wanted"),
    [(10**30, 512, 0, 512), (512, 512, 128, 128), (256, 512, 0, 256), (10**30, 0, 0, 0), (10**30, 0, 256, 256)],
)
def test_texts_are_cut_by_the_smallest_limit(limit: int, context: int, told: int, wanted: int) -> None:
    folder_ = hftasks.Folder({"model_type": "bert", "max_position_embeddings": context}, vectors=Vectors(longest=told))
    assert longest_of(limit, folder_) == wanted


@pytest.mark.parametrize("name", ["config.json", "kale-task.json", "tokenizer_config.json", "modules.json"])
def test_what_never_ends_is_not_read(tmp_path: Path, name: str) -> None:
    for place in ("device", "pipe"):
        path = folder(tmp_path / place, BERT)
        (path / name).unlink(missing_ok=True)
        if place == "device":
            (path / name).symlink_to("/dev/zero")
        else:
            os.mkfifo(path / name)
        assert FORMAT.matches_path(path) is (name != "config.json")
