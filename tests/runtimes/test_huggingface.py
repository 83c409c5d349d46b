"""Models of transformers, logged and served: the answers are those of the model in this process, by every protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import torch
import transformers

from kale_serve_ext import Endpoint, Model, formats, session
from kale_serve_ext.config import Settings
from kale_serve_ext.errors import InvalidInputError, NotFoundError, PredictionError
from kale_serve_ext.formats.hfwriter import Pieces
from kale_serve_ext.formats.tensors import TensorModel, answers_of, of_rows
from kale_serve_ext.formats.texts import Embeds, Sampling, Writer
from kale_serve_ext.ml import TensorSpec
from kale_serve_ext.serving.plan import make_plan
from kale_serve_ext.serving.types import ServeRequest
from kale_serve_ext.sync import run
from tests.runtimes import hf_models
from tests.runtimes.conftest import Running, Serving, check_gone

PROTOCOLS = ["v1", "v2", "grpc-v2"]
TEXTS = ["Berlin is a good city", "a lazy dog jumps over the quick brown fox", "ö"]
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def classifying(serving: Serving) -> Iterator[Endpoint]:
    pipeline = transformers.pipeline("text-classification", hf_models.classifier(), tokenizer=hf_models.tokenizer())
    with serving(logged(pipeline, "mood", example=TEXTS), "mood") as running:
        yield running.endpoint


@pytest.fixture(scope="module")
def running_writer(serving: Serving) -> Iterator[Running]:
    with serving(logged((hf_models.writer(), hf_models.chat_tokenizer()), "writer"), "writer") as running:
        yield running


@pytest.fixture(scope="module")
def writing(running_writer: Running) -> Endpoint:
    return running_writer.endpoint


@pytest.fixture(scope="module")
def client(writing: Endpoint) -> openai.OpenAI:
    return openai.OpenAI(base_url=writing.openai_url, api_key="none", max_retries=0)


def logged(model: object, name: str, **more: object) -> int:
    made = Model(model, name=name, **more).submit_artifact()  # type: ignore[arg-type]  # Model's own
    assert made.id is not None
    return made.id


def loaded(path: Path) -> object:
    """What the model server loads of a folder."""
    return formats.by_name("huggingface").load(path)


def written(text: str, most: int, *, chat: bool) -> str:
    """What the model writes in this process, with the likeliest token each time."""
    tokenizer = hf_models.chat_tokenizer()
    if chat:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
        )
    fed = tokenizer(text, return_tensors="pt", add_special_tokens=not chat)
    with torch.no_grad():
        ids = hf_models.writer().generate(
            fed["input_ids"], attention_mask=fed["attention_mask"], max_new_tokens=most, do_sample=False
        )
    told: str = tokenizer.decode(ids[0, fed["input_ids"].shape[1] :], skip_special_tokens=True)
    return told


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_classifier_answers_as_the_pipeline_does(classifying: Endpoint, protocol: str) -> None:
    pipeline = transformers.pipeline("text-classification", hf_models.classifier(), tokenizer=hf_models.tokenizer())
    expected = pipeline(TEXTS)
    answer = classifying.predict(TEXTS, protocol=protocol)
    assert isinstance(answer, dict)
    assert list(answer["label"]) == [one["label"] for one in expected]
    np.testing.assert_allclose(answer["score"], [one["score"] for one in expected], rtol=1e-6)


def test_v1_has_the_pipelines_own_form(classifying: Endpoint) -> None:
    body = {"instances": TEXTS[:1]}
    [answer] = httpx.post(f"{classifying.url}/v1/models/mood:predict", json=body, timeout=30).json()["predictions"]
    assert set(answer) == {"label", "score"}


def test_recorded_texts_are_answered_again(classifying: Endpoint) -> None:
    verdict = classifying.verify()
    assert (verdict.ok, verdict.rows, verdict.skipped, verdict.error) == (True, 3, "", "")


def test_the_record_tells_task_and_labels(classifying: Endpoint) -> None:
    assert classifying.service.model is not None
    record = run(session.metadata().artifact(classifying.service.model.id))
    assert record.details["task"] == "text-classification"
    assert record.details["labels"] == ["sad", "so-so", "happy"]
    assert record.signature is not None
    assert record.signature.inputs == (TensorSpec("text", "str", ("batch",)),)


def test_a_classifier_does_not_chat(classifying: Endpoint) -> None:
    with pytest.raises(NotFoundError) as caught:
        classifying.chat("hello")
    assert "others predict()" in caught.value.hint


def test_entities_come_as_the_pipeline_has_them(serving: Serving) -> None:
    pipeline = transformers.pipeline(
        "ner", hf_models.tagger(), tokenizer=hf_models.tokenizer(), aggregation_strategy="simple"
    )
    expected = pipeline(TEXTS)
    with serving(logged(pipeline, "entities", example=TEXTS), "entities") as running:
        for protocol in PROTOCOLS:
            answer = running.endpoint.predict(TEXTS, protocol=protocol)
            assert isinstance(answer, np.ndarray)
            for got, wanted in zip(answer, expected, strict=True):
                assert [one["word"] for one in got] == [one["word"] for one in wanted]
                np.testing.assert_allclose([o["score"] for o in got], [o["score"] for o in wanted], rtol=1e-6)
        assert running.endpoint.verify().ok


def test_embeddings_have_length_one(serving: Serving) -> None:
    fed = hf_models.tokenizer()(TEXTS, return_tensors="pt", padding=True)
    with torch.no_grad():
        layer = hf_models.encoder()(**fed).last_hidden_state
    mask = fed["attention_mask"].unsqueeze(-1)
    mean = ((layer * mask).sum(1) / mask.sum(1)).numpy()
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    model = logged((hf_models.encoder(), hf_models.tokenizer()), "vectors", example=TEXTS)
    with serving(model, "vectors") as running:
        endpoint = running.endpoint
        for protocol in PROTOCOLS:
            np.testing.assert_allclose(np.asarray(endpoint.predict(TEXTS, protocol=protocol)), expected, atol=1e-6)
        np.testing.assert_allclose(endpoint.embed(TEXTS), expected, atol=1e-6)
        asked = openai.OpenAI(base_url=endpoint.openai_url, api_key="none", max_retries=0)
        told = asked.embeddings.create(model="vectors", input=TEXTS)
        np.testing.assert_allclose([one.embedding for one in told.data], expected, atol=1e-6)
        assert told.usage.prompt_tokens == int(fed["attention_mask"].sum())
        assert endpoint.verify().ok
        with pytest.raises(NotFoundError):
            endpoint.chat("hello")


def sentences(path: Path, pooling: dict[str, bool], *, is_long: bool) -> torch.nn.Linear:
    """A folder of sentence-transformers, with a dense layer."""
    model = hf_models.behind_padding() if is_long else hf_models.encoder()
    model.save_pretrained(path)
    hf_models.tokenizer().save_pretrained(path)
    torch.manual_seed(1)
    layer = torch.nn.Linear(32 * len(pooling), 8)
    kinds = ["Transformer", "Pooling", "Dense", "Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    for place, told in (("1_Pooling", pooling), ("2_Dense", {"in_features": 32 * len(pooling), "out_features": 8})):
        (path / place).mkdir()
        (path / place / "config.json").write_text(json.dumps(told))
    torch.save(
        {f"linear.{name}": each for name, each in layer.state_dict().items()}, path / "2_Dense/pytorch_model.bin"
    )
    return layer


@pytest.mark.parametrize("side", ["left", "right"])
def test_vectors_are_made_as_modules_json_says(tmp_path: Path, side: str) -> None:
    modes = {"cls_token": True, "max_tokens": True, "mean_tokens": True, "lasttoken": True}
    layer = sentences(tmp_path, {f"pooling_mode_{name}": told for name, told in modes.items()}, is_long=False)
    model = loaded(tmp_path)
    assert isinstance(model, Embeds)
    model._tokenizer.padding_side = side  # type: ignore[attr-defined]  # as decoders have it
    expected = []
    with torch.no_grad():
        for text in TEXTS:
            # One text alone has no padding, so its tokens are all there is.
            [tokens] = hf_models.encoder()(**hf_models.tokenizer()(text, return_tensors="pt")).last_hidden_state
            alone = side == "right"
            pooled = torch.cat([tokens[0], tokens.max(0).values, tokens.mean(0), tokens[-1]])
            made = torch.tanh(layer(pooled))
            expected.append((alone, (made / made.norm()).numpy()))
    together, _ = model.embed(TEXTS)
    for place, (is_same, wanted) in enumerate(expected):
        one, _ = model.embed(TEXTS[place : place + 1])
        np.testing.assert_allclose(one[0], wanted, atol=1e-6)
        if is_same:  # padding before a text moves its positions
            np.testing.assert_allclose(together[place], wanted, atol=1e-5)
    assert together.shape == (len(TEXTS), 8)


def test_texts_that_are_too_long_are_cut(tmp_path: Path) -> None:
    sentences(tmp_path, {"pooling_mode_cls_token": True}, is_long=True)
    model = loaded(tmp_path)
    assert isinstance(model, Embeds)
    assert model.embed(["word " * 500])[1] == 64 - 2 - 1
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    model = loaded(tmp_path)
    assert isinstance(model, Embeds)
    assert model.embed(["word " * 500])[1] == 16


def test_a_classifier_reads_the_beginning_of_a_long_text(tmp_path: Path) -> None:
    own = hf_models.tokenizer()
    for model in (hf_models.classifier(), hf_models.tagger()):
        tensors = formats.by_name("huggingface").tensor_model((model, own))
        assert tensors is not None
        assert tensors.run(of_rows(tensors.inputs, ["word " * 500]))
    assert own.model_max_length > 1 << 30


def test_a_pair_is_called_as_its_model_is() -> None:
    for pair in ((hf_models.encoder(), hf_models.tokenizer()), (hf_models.tokenizer(), hf_models.encoder())):
        assert formats.by_name("huggingface").default_name(pair) == "BertModel"


def test_a_prompt_that_the_encoder_cannot_read_is_refused(tmp_path: Path) -> None:
    hf_models.summarizer().save_pretrained(tmp_path)
    hf_models.tokenizer().save_pretrained(tmp_path)
    writer = loaded(tmp_path)
    assert isinstance(writer, Writer)
    written_: list[str] = []
    writer.write(writer.prompt("ab"), Sampling(most_tokens=3, temperature=0), written_.append, lambda: False)
    with pytest.raises(InvalidInputError, match="the model takes 32") as caught:
        writer.prompt("word " * 500)
    assert caught.value.field == "prompt"


def test_masks_are_filled_from_a_folder(tmp_path: Path) -> None:
    hf_models.masked().save_pretrained(tmp_path)
    hf_models.tokenizer().save_pretrained(tmp_path)
    pipeline = transformers.pipeline("fill-mask", hf_models.masked(), tokenizer=hf_models.tokenizer())
    texts = ["a lazy <mask>", "<mask> and <mask>"]
    model = loaded(tmp_path)
    assert isinstance(model, TensorModel)
    assert answers_of(model.run(of_rows(model.inputs, texts)), 2) == [pipeline(text) for text in texts]


def test_an_argument_names_another_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hf_models.masked().save_pretrained(tmp_path)
    hf_models.tokenizer().save_pretrained(tmp_path)
    # As KServe's server takes it.
    monkeypatch.setattr("sys.argv", ["server", "--model_name", "x", "--task=text_embedding"])
    model = loaded(tmp_path)
    assert isinstance(model, Embeds)
    vectors, _ = model.embed(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


def test_a_translator_writes_what_it_generates(tmp_path: Path) -> None:
    hf_models.translator().save_pretrained(tmp_path)
    hf_models.tokenizer().save_pretrained(tmp_path)
    fed = hf_models.tokenizer()("hello", return_tensors="pt")
    ids = hf_models.translator().generate(fed["input_ids"], max_new_tokens=6, do_sample=False)
    writer = loaded(tmp_path)
    assert isinstance(writer, Writer)
    pieces: list[str] = []
    finish = writer.write(writer.prompt("hello"), Sampling(6, 0), pieces.append, lambda: False)
    assert "".join(pieces) == hf_models.tokenizer().decode(ids[0], skip_special_tokens=True)
    assert finish.tokens <= 6
    with pytest.raises(InvalidInputError, match="no chat template"):
        writer.conversation([{"role": "user", "content": "hello"}])


def test_other_scripts_come_whole(tmp_path: Path) -> None:
    """A character of several tokens is given on when it is complete, and as the tokenizer has it."""
    tokenizer = hf_models.tokenizer()
    text = "Größe 東京 🙂 end"
    pieces: list[str] = []
    written = Pieces(tokenizer, (), pieces.append, lambda: False)
    written.put(torch.tensor([[0]]))
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        written.put(torch.tensor([token]))
    written.flush()
    assert "".join(pieces) == text
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in pieces)


def test_chat_answers_what_the_model_writes(writing: Endpoint) -> None:
    reply = writing.chat("hello", max_tokens=12, temperature=0)
    assert reply.text == str(reply) == written("hello", 12, chat=True)
    assert (reply.finish_reason, reply.completion_tokens) == ("length", 12)
    assert reply.prompt_tokens > 0


def test_a_prompt_is_gone_on_with(writing: Endpoint) -> None:
    assert writing.complete("the quick", max_tokens=8, temperature=0).text == written("the quick", 8, chat=False)


def test_a_stream_comes_in_pieces_that_are_the_answer(writing: Endpoint) -> None:
    with writing.chat(HELLO, stream=True, max_tokens=12, temperature=0) as stream:
        pieces = list(stream)
    assert len(pieces) > 3
    assert "".join(pieces) == stream.text == written("hello", 12, chat=True)
    assert (stream.finish_reason, stream.completion_tokens) == ("length", 12)


def test_a_stop_text_ends_it(writing: Endpoint) -> None:
    whole = written("hello", 20, chat=True)
    stop = whole[5:8]
    reply = writing.chat(HELLO, max_tokens=20, temperature=0, stop=stop)
    assert reply.text == whole[: whole.index(stop)]
    assert reply.finish_reason == "stop"


def test_a_seed_makes_chance_repeat_itself(writing: Endpoint) -> None:
    first, second, third = (writing.chat(HELLO, max_tokens=12, temperature=1.0, seed=seed).text for seed in (1, 1, 2))
    assert first == second != third


def test_openais_own_client_is_answered(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["writer"]
    assert client.models.retrieve("writer").id == "writer"
    expected = written("hello", 12, chat=True)
    told = client.chat.completions.create(model="writer", messages=HELLO, max_tokens=12, temperature=0)
    assert told.choices[0].message.content == expected
    assert told.usage is not None
    assert told.usage.completion_tokens == 12
    chunks = list(
        client.chat.completions.create(
            model="writer",
            messages=HELLO,
            max_tokens=12,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == expected
    assert chunks[-1].usage is not None
    completed = client.completions.create(model="writer", prompt="the quick", max_tokens=8, temperature=0)
    assert completed.choices[0].text == written("the quick", 8, chat=False)


def test_what_cannot_be_had_is_told(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no model 'other'"):
        client.chat.completions.create(model="other", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="presence_penalty is not offered"):
        client.chat.completions.create(model="writer", messages=HELLO, presence_penalty=0.5)
    with pytest.raises(openai.BadRequestError, match=r"The prompt has .* tokens; the model takes 256"):
        client.completions.create(model="writer", prompt="a b c d " * 200)


def test_predict_names_what_to_call(writing: Endpoint) -> None:
    for protocol in PROTOCOLS:
        with pytest.raises(PredictionError, match=r"endpoint\.chat\(messages\)"):
            writing.predict(["hello"], protocol=protocol)


def test_a_stream_that_is_closed_ends_the_writing(writing: Endpoint) -> None:
    with writing.chat(HELLO, stream=True, max_tokens=200, temperature=0) as stream:
        next(stream)
    # The next one need not wait for what nobody reads.
    reply = writing.chat(HELLO, max_tokens=2, temperature=0)
    assert reply.completion_tokens == 2


def test_requests_wait_for_each_other(writing: Endpoint) -> None:
    expected = written("hello", 12, chat=True)
    told: list[str] = []

    def ask() -> None:
        told.append(writing.chat(HELLO, max_tokens=12, temperature=0).text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told == [expected] * 4


def test_nothing_listens_but_the_services_own_ports(running_writer: Running) -> None:
    own = {int(url.rpartition(":")[2]) for url in (running_writer.endpoint.url, running_writer.endpoint.grpc_url)}
    # gRPC listens by IPv6, for this address of IPv4's.
    found = {(address.removeprefix("::ffff:"), port) for address, port in running_writer.ports()}
    assert found == {("127.0.0.1", port) for port in own}


def test_a_model_without_its_tokenizer_is_refused(workspace: Settings) -> None:
    with pytest.raises(InvalidInputError, match="without its tokenizer"):
        Model(hf_models.classifier(), name="alone").submit_artifact()


def test_code_that_a_model_brings_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    hf_models.classifier().save_pretrained(folder)
    hf_models.tokenizer().save_pretrained(folder)
    (folder / "modeling_own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config = (folder / "config.json").read_text()
    own = '{"auto_map": {"AutoConfig": "modeling_own.C", "AutoModelForSequenceClassification": "modeling_own.M"},'
    (folder / "config.json").write_text(config.replace("{", own, 1).replace('"bert"', '"own"'))
    with pytest.raises(ValueError, match=r"trust_remote_code|own"):
        loaded(folder)
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def by_transformers(needs: Callable[..., object], serving: Serving) -> Iterator[Running]:
    """The same model by transformers' own server."""
    needs("transformers-serve")
    model = logged((hf_models.writer(), hf_models.chat_tokenizer()), "other")
    with serving(model, "other", runtime="kserve-huggingfaceserver") as running:
        yield running


def test_transformers_own_server_writes_the_same(by_transformers: Running) -> None:
    endpoint = by_transformers.endpoint
    expected = written("hello", 12, chat=True)
    assert endpoint.chat("hello", max_tokens=12, temperature=0).text == expected
    with endpoint.chat(HELLO, stream=True, max_tokens=12, temperature=0) as stream:
        pieces = list(stream)
    assert len(pieces) > 3
    # Of bytes at the end that are no whole character it streams nothing.
    assert (stream.text, stream.completion_tokens) == (expected.rstrip("\N{REPLACEMENT CHARACTER}"), 12)
    assert endpoint.complete("the quick", max_tokens=8, temperature=0).text == written("the quick", 8, chat=False)


def test_transformers_own_server_answers_openais_client(by_transformers: Running) -> None:
    client = openai.OpenAI(base_url=by_transformers.endpoint.openai_url, api_key="none", max_retries=0)
    assert [one.id for one in client.models.list()] == ["other"]
    with pytest.raises(openai.NotFoundError, match="There is no model 'writer' here"):
        client.chat.completions.create(model="writer", messages=HELLO)
    with pytest.raises(openai.UnprocessableEntityError, match="Unexpected fields"):
        client.chat.completions.create(model="other", messages=HELLO, extra_body={"nonsense": 1})
    for path in ("/load_model", "/reset", "/health", "/v1/models"):
        assert httpx.post(f"{by_transformers.endpoint.url}{path}", json={}, timeout=30).status_code == 404


def test_transformers_own_server_has_no_port(by_transformers: Running) -> None:
    assert by_transformers.ports() == set()


def test_transformers_own_server_is_for_text_alone(classifying: Endpoint) -> None:
    assert classifying.service.model is not None
    plan = run(
        make_plan(
            ServeRequest(model_id=classifying.service.model.id, name="x", runtime="kserve-huggingfaceserver"),
            session.engine(),
            session.metadata(),
        )
    )
    assert "the model is for text-classification" in " ".join(check.message for check in plan.checks)


def test_nothing_of_transformers_own_server_outlives_its_supervisor(by_transformers: Running) -> None:
    started = by_transformers.processes()
    by_transformers.supervisor().kill()
    check_gone(started)
    # Whoever looks finds it missing, and starts it again.
    reply = by_transformers.endpoint.wait().chat("hello", max_tokens=12, temperature=0)
    assert reply.text == written("hello", 12, chat=True)
