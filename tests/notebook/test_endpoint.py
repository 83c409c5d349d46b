"""Services that really run: requests, failures, updates and the end, through ``serve`` and ``Endpoint``."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd
import polars as pl
import psutil
import pytest
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, ServeConfig, Transformer, serve, session
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.sync_http import Poster
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import (
    DeadlineExceededError,
    InvalidInputError,
    KaleServeError,
    NotFoundError,
    PredictionError,
    ServeFailedError,
    ServiceNotReadyError,
)
from kale_serve_ext.serving.client import RENEWED, PredictionClient
from kale_serve_ext.serving.predict import predict
from kale_serve_ext.sync import loop, run

DEADLINE = 60.0


@pytest.fixture(scope="module")
def plain(iris: Model) -> Iterator[Endpoint]:
    """The model by itself."""
    endpoint = serve(iris, name="plain")
    yield endpoint
    endpoint.delete()


@pytest.fixture(scope="module")
def transformed(iris: Model, halving: Transformer) -> Iterator[Endpoint]:
    """The model behind the transformer."""
    endpoint = serve(iris.id, halving.id, name="transformed")
    yield endpoint
    endpoint.delete()


def until(check: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    end = time.monotonic() + DEADLINE
    while not check():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_every_kind_of_rows_gives_the_models_predictions(
    plain: Endpoint, features: pd.DataFrame, estimator: LogisticRegression
) -> None:
    some = features.iloc[::30]
    wanted = {"predictions": estimator.predict(some).tolist()}
    first = {"predictions": wanted["predictions"][:1]}

    assert plain.predict(some) == wanted
    assert plain.predict(some[some.columns[::-1]]) == wanted
    assert plain.predict(pl.DataFrame(some)) == wanted
    assert plain.predict(some.to_dict(orient="records")) == wanted
    assert plain.predict(some.to_numpy()) == wanted
    assert plain.predict(some.to_numpy(), protocol="v1") == wanted
    assert plain.predict(some.to_numpy().tolist()) == wanted
    assert plain.predict({"instances": some.to_numpy().tolist()}) == wanted
    assert plain.predict(json.dumps({"instances": some.to_numpy().tolist()})) == wanted
    assert plain.predict(json.dumps({"instances": some.to_numpy().tolist()}).encode()) == wanted
    assert plain.predict(some.iloc[0]) == first
    assert plain.predict(some.to_numpy()[0]) == first
    assert plain.predict(some.to_numpy()[0].tolist()) == first


@pytest.mark.parametrize("protocol", ["v2", "v2-binary", "grpc-v2"])
def test_the_same_service_speaks_v2(
    plain: Endpoint, features: pd.DataFrame, estimator: LogisticRegression, protocol: str
) -> None:
    some = features.iloc[::30].to_numpy()

    answer = plain.predict(some, protocol=protocol)

    assert isinstance(answer, dict)
    outputs = answer["outputs"]
    assert isinstance(outputs, list)
    assert isinstance(outputs[0], dict)
    assert outputs[0]["data"] == estimator.predict(features.iloc[::30]).tolist()


def test_frames_go_by_v2_too(plain: Endpoint, features: pd.DataFrame, estimator: LogisticRegression) -> None:
    some = features.iloc[::30]
    answer = plain.predict(some[some.columns[::-1]], protocol="v2")

    assert json.dumps(estimator.predict(some).tolist()) in json.dumps(answer)


def test_an_array_too_large_for_grpc_goes_by_rest(plain: Endpoint) -> None:
    rows = np.zeros((120_000, 4))

    answer = plain.predict(rows)

    assert isinstance(answer, dict)
    assert isinstance(answer["predictions"], list)
    assert len(answer["predictions"]) == len(rows)


def test_many_requests_at_once(plain: Endpoint, features: pd.DataFrame) -> None:
    async def ask() -> list[object]:
        rows = [features.iloc[[i]] for i in range(20)]
        return list(await asyncio.gather(*(plain.predict_async(row) for row in rows)))

    assert asyncio.run(ask()) == [plain.predict(features.iloc[[i]]) for i in range(20)]


@pytest.mark.parametrize("rows", [[[1.0, 2.0, 3.0]], np.array([[1.0, 2.0, 3.0]])], ids=["rest", "grpc"])
def test_the_models_own_message_is_what_one_reads(plain: Endpoint, rows: object) -> None:
    with pytest.raises(PredictionError, match="X has 3 features, but LogisticRegression is expecting 4") as caught:
        plain.predict(rows)

    assert caught.value.answer_status == 400
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("data", "protocol", "told"),
    [
        ('{"instances": [', None, "not valid JSON"),
        (object(), None, "cannot be sent"),
        ([[1.0]], "v3", "not a protocol"),
        ('{"instances": [[1.0]]}', "grpc-v2", "rows, not a complete request"),
        ([{"a": {"b": 1}}], "grpc-v2", "cannot be represented in protocol v2"),
    ],
)
def test_what_cannot_be_sent_is_told(plain: Endpoint, data: object, protocol: str | None, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        plain.predict(data, protocol=protocol)


def test_an_answer_that_does_not_come_in_time_is_told(plain: Endpoint, features: pd.DataFrame) -> None:
    with frozen("plain"), pytest.raises(DeadlineExceededError, match="did not answer within"):
        plain.predict(features.head(1), timeout=0.5)

    assert plain.predict(features.head(1), timeout=DEADLINE)


def test_no_more_of_an_answer_is_read_than_was_allowed(plain: Endpoint, features: pd.DataFrame) -> None:
    asked = {"instances": features.to_numpy().tolist()}
    strict = PredictionClient(session.engine(), plain.name, largest=100)
    with pytest.raises(PredictionError, match="more than 100 bytes") as told:
        run(strict.call(asked))
    assert told.value.hint
    with pytest.raises(PredictionError, match="more than 100 bytes"):
        strict.call_blocking(asked)
    run(strict.close())
    client = PredictionClient(session.engine(), plain.name, largest=1000)
    assert run(client.call(asked)) == client.call_blocking(asked)
    run(client.close())


@contextmanager
def busy_loop() -> Iterator[None]:
    """Nothing else runs on the background loop inside the block."""
    begun, over = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def hold() -> None:
        begun.set()
        in_time.append(over.wait(DEADLINE))

    loop().call_soon_threadsafe(hold)
    assert begun.wait(DEADLINE)
    try:
        yield
    finally:
        over.set()
    until(lambda: in_time == [True])


def asynchronously(endpoint: Endpoint, data: object, protocol: str | None = None) -> object:
    return asyncio.run(endpoint.predict_async(data, protocol=protocol))


def test_requests_by_rest_need_no_loop_and_get_the_same_answers(
    plain: Endpoint, transformed: Endpoint, features: pd.DataFrame
) -> None:
    some = features.iloc[::30]
    rows = some.to_numpy().tolist()
    text = json.dumps({"instances": rows})
    asked: list[tuple[Endpoint, object, str | None]] = [
        *((plain, data, None) for data in (text, f"  {text}", text.encode(), {"instances": rows}, rows, some)),
        (plain, rows, "v2"),
        (plain, some, "v2"),
        (plain, some.to_numpy(), "v2-binary"),
        (transformed, some.to_numpy(), None),
    ]
    wanted = [asynchronously(*each) for each in asked]
    # Each answer by v2 has an identifier of its own.
    for (endpoint, data, protocol), before in zip(asked, wanted, strict=True):
        run(endpoint._client.target())
        with busy_loop():
            answer = endpoint.predict(data, protocol=protocol)
        assert isinstance(answer, dict)
        assert isinstance(before, dict)
        assert {**answer, "id": ""} == {**before, "id": ""}


@pytest.mark.parametrize(
    ("data", "protocol"),
    [([[1.0, 2.0, 3.0]], "v1"), ([[1.0, 2.0, 3.0]], "v2"), ('{"instances": [', None), (b'{"instances": \xff}', None)],
)
def test_errors_by_rest_are_the_same_without_a_loop(plain: Endpoint, data: object, protocol: str | None) -> None:
    with pytest.raises(KaleServeError) as before:
        asynchronously(plain, data, protocol)
    run(plain._client.target())
    with busy_loop(), pytest.raises(type(before.value)) as told:
        plain.predict(data, protocol=protocol)

    assert (told.value.message, told.value.hint) == (before.value.message, before.value.hint)


def test_a_connection_that_is_no_longer_there_is_made_anew(plain: Endpoint, features: pd.DataFrame) -> None:
    rows = features.head(1).to_numpy().tolist()
    target = run(plain._client.target())
    post = target.connection.blocking_http
    assert isinstance(post, Poster)

    post.close()

    assert plain.predict(rows) == {"predictions": [0]}


def test_what_a_service_is_gets_read_anew_beside_the_requests(plain: Endpoint, features: pd.DataFrame) -> None:
    rows = features.head(1).to_numpy().tolist()
    read = run(plain._client.target()).read
    until(lambda: time.monotonic() - read > RENEWED)

    with busy_loop():
        assert plain.predict(rows) == {"predictions": [0]}

    until(lambda: plain._client._target is not None and plain._client._target.read > read)


def test_what_an_endpoint_tells(plain: Endpoint, iris: Model) -> None:
    assert plain.url.startswith("http://127.0.0.1:")
    assert plain.grpc_url.startswith("127.0.0.1:")
    assert (plain.phase, plain.reason) == ("Ready", "")
    assert repr(plain).startswith("InferenceService plain: Ready\n  model: iris version 1\n  url: http://127.0.0.1:")
    html = plain._repr_html_()
    assert "Ready" in html
    assert plain.url in html
    with pytest.raises(NotFoundError, match="no explainer"):
        plain.explain([[1, 2, 3, 4]])
    refs = run(session.metadata().deployments(iris.id or 0))
    assert ServiceRef("local", "localhost", "default", "plain") in refs


def test_an_unknown_name_is_answered_with_those_that_exist(plain: Endpoint) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'plain'") as caught:
        Endpoint("plian")

    assert "Services here: " in str(caught.value)
    with pytest.raises(NotFoundError):
        Endpoint("x" * 10**6)
    with pytest.raises(InvalidInputError):
        Endpoint("")


def test_a_transformer_stands_before_and_behind_the_model(
    transformed: Endpoint, features: pd.DataFrame, estimator: LogisticRegression
) -> None:
    some = features.iloc[::30].to_numpy()

    # The transformer halves what comes in; numpy arrays go to it as rows, never past it by gRPC.
    answer = transformed.predict(some * 2)

    assert answer == {"predictions": estimator.predict(features.iloc[::30]).tolist(), "transformed": True}
    with pytest.raises(PredictionError, match="X has 2 features"):
        transformed.predict([[1.0, 2.0]])


def test_the_panels_request_can_be_copied(transformed: Endpoint, plain: Endpoint) -> None:
    made = run(predict(session.engine(), "plain", rows=[[1.0, 2.0, 3.0, 4.0]]))
    behind = run(predict(session.engine(), "transformed", raw={"instances": [[2.0] * 4]}, component="predictor"))
    text = run(predict(session.engine(), "plain", raw='{"instances": [[1, 2, 3, 4]], "quote": "it\'s"}'))

    assert made.request == '{"instances":[[1.0,2.0,3.0,4.0]]}'
    assert made.url == f"{plain.url}/v1/models/plain:predict"
    assert made.latency_ms > 0
    assert json.loads(behind.answer) == plain.predict([[2.0] * 4])
    # What Endpoint.predict does not do, a request past the transformer, is copied as the command.
    space: dict[str, object] = {}
    exec(
        behind.python.replace("subprocess.run", "done = subprocess.run").replace(", check", ", stdout=-1, check"), space
    )
    assert getattr(space["done"], "stdout") == behind.answer.encode()  # noqa: B009  # the program's own name
    assert subprocess.check_output(text.command, shell=True, text=True) == made.answer
    exec(text.python.replace("endpoint.predict", "answer = endpoint.predict"), space)
    assert space["answer"] == json.loads(text.answer) == json.loads(made.answer)
    with pytest.raises(NotFoundError, match="has no transformer"):
        run(predict(session.engine(), "plain", rows=[[1]], component="transformer"))
    with pytest.raises(InvalidInputError, match="not valid JSON"):
        run(predict(session.engine(), "plain", raw="{"))


def test_a_request_that_ends_its_model_is_sent_once(workspace: Settings, tmp_path: Path) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "model.py").write_text(
        dedent(
            f"""
            import os

            import kserve


            class Deadly(kserve.Model):
                def load(self):
                    self.ready = True

                def predict(self, payload, headers=None):
                    if payload["instances"] == ["end"]:
                        with open({str(tmp_path / "asked")!r}, "a") as file:
                            file.write("x")
                        os._exit(1)
                    return {{"predictions": []}}
            """
        )
    )
    logged = Model(model_type="custom", artifact_uri=str(tmp_path / "custom"), name="deadly").submit_artifact()
    deadly = serve(logged, name="deadly")
    assert deadly.predict('{"instances": []}') == {"predictions": []}

    with pytest.raises(PredictionError, match="ended before it answered"):
        deadly.predict('{"instances": ["end"]}')

    assert (tmp_path / "asked").read_text() == "x"
    deadly.delete()


def test_a_killed_predictor_is_told_and_comes_back(plain: Endpoint, features: pd.DataFrame) -> None:
    process_of("plain").send_signal(signal.SIGKILL)

    until(lambda: plain.phase == "Failed")
    assert plain.reason.startswith("The predictor was killed by SIGKILL.")
    with pytest.raises(ServiceNotReadyError) as caught:
        plain.predict(features.head(1))
    assert caught.value.phase == "Failed"

    until(lambda: plain.phase == "Ready")
    assert plain.service.restarts == 1
    assert plain.predict(features.head(1).to_numpy()) == {"predictions": [0]}


def test_a_paused_service_says_so_and_goes_on(plain: Endpoint, features: pd.DataFrame) -> None:
    plain.pause()
    until(lambda: plain.reason.startswith("It is paused"))
    for rows in (features.head(1), features.head(1).to_numpy()):
        with pytest.raises(ServiceNotReadyError, match="paused") as caught:
            plain.predict(rows)
        assert caught.value.phase == "Paused"
    with pytest.raises(ServeFailedError, match="paused"):
        plain.wait(timeout=DEADLINE)
    plain.resume()

    assert plain.predict(features.head(1).to_numpy()) == {"predictions": [0]}


def test_a_model_that_cannot_be_loaded_says_why(workspace: Settings, tmp_path: Path) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "model.py").write_text(
        dedent(
            """
            import kserve


            class Broken(kserve.Model):
                def load(self):
                    raise RuntimeError("the weights are missing")
            """
        )
    )
    logged = Model(model_type="custom", artifact_uri=str(tmp_path / "custom"), name="broken").submit_artifact()

    with pytest.raises(ServeFailedError, match="the weights are missing") as caught:
        serve(logged, serve_config=ServeConfig(limits={"memory": "2Gi"}))

    assert caught.value.phase == "Failed"
    assert "RuntimeError: the weights are missing" in caught.value.log
    assert "RuntimeError" in str(caught.value)
    broken = Endpoint("broken")
    assert "the weights are missing" in broken.logs(previous=False)
    assert "the weights are missing" in broken._repr_html_()
    broken.delete()
    assert "broken" not in [s.ref.name for s in run(session.engine().services())]
    assert run(session.metadata().deployments(logged.id or 0)) == []


@pytest.fixture
def interruptible() -> Iterator[None]:
    """An interrupt is one, as in a kernel: a worker of the tests ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_waiting_ends_at_its_limit_or_by_an_interrupt_and_the_service_stays(iris: Model) -> None:
    with pytest.raises(DeadlineExceededError, match="not ready after"):
        serve(iris, name="slow", timeout=0.01)

    slow = Endpoint("slow")
    me = threading.main_thread().ident
    assert me is not None
    threading.Timer(0.2, signal.pthread_kill, (me, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        slow.wait(timeout=DEADLINE)
    assert slow.wait(timeout=DEADLINE).phase == "Ready"
    slow.delete()
    with pytest.raises(NotFoundError):
        _ = slow.phase
    assert repr(slow).startswith("InferenceService slow: There is no service")
    assert "There is no service" in slow._repr_html_()


def test_an_update_is_not_noticed_by_those_who_ask(
    plain: Endpoint, iris: Model, features: pd.DataFrame, estimator: LogisticRegression
) -> None:
    turned = LogisticRegression(max_iter=500).fit(features, 2 - estimator.predict(features))
    newer = Model(turned, name="iris").submit_artifact()
    rows = features.iloc[::30].to_numpy()
    before, after = plain.predict(rows), {"predictions": turned.predict(features.iloc[::30]).tolist()}
    address = plain.url

    plain.update(newer.id, wait=False)
    seen: list[object] = []

    def changed() -> bool:
        seen.append(plain.predict(rows))
        return seen[-1] == after

    until(changed)

    assert all(answer in (before, after) for answer in seen)
    assert before in seen
    plain.wait(timeout=DEADLINE)
    assert plain.url == address
    assert run(session.metadata().deployments(newer.id or 0)) == [ServiceRef("local", "localhost", "default", "plain")]
    assert "plain" not in [ref.name for ref in run(session.metadata().deployments(iris.id or 0))]


def test_after_an_update_every_way_leads_to_the_new_version(
    plain: Endpoint, iris: Model, features: pd.DataFrame, estimator: LogisticRegression
) -> None:
    turned = LogisticRegression(max_iter=500).fit(features, 2 - estimator.predict(features))
    rows = features.iloc[::30]
    for version, model in ((Model(turned, name="iris").submit_artifact(), turned), (iris, estimator)):
        other = Endpoint("plain")
        other.predict(rows)  # over a connection that is kept
        plain.predict(rows)
        plain.update(version.id, timeout=DEADLINE)
        after = {"predictions": model.predict(rows).tolist()}
        assert plain.predict(rows) == plain.predict(rows.to_numpy()) == Endpoint("plain").predict(rows) == after


def test_threads_that_ask_by_rest_notice_no_update(
    plain: Endpoint, iris: Model, features: pd.DataFrame, estimator: LogisticRegression
) -> None:
    other = LogisticRegression(C=0.5, max_iter=500).fit(features, estimator.predict(features))
    newer = Model(other, name="iris").submit_artifact()
    text = json.dumps({"instances": features.iloc[::30].to_numpy().tolist()})
    over = threading.Event()

    def ask() -> int:
        asked = 0
        while not over.is_set():
            assert plain.predict(text)
            asked += 1
        return asked

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(ask) for _ in range(3)]
        try:
            for version in (newer, iris):
                plain.update(version.id, timeout=DEADLINE)
        finally:
            over.set()
        assert all(each.result() > 10 for each in asking)


class frozen:
    """The service's predictor is stopped (SIGSTOP) inside the block."""

    def __init__(self, name: str) -> None:
        self._process = process_of(name)

    def __enter__(self) -> None:
        self._process.suspend()

    def __exit__(self, *_: object) -> None:
        self._process.resume()


def process_of(name: str) -> psutil.Process:
    """The predictor's process."""
    folder = str(Settings.from_environ().data_dir)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "runner.main" in words and words[-3:] == [name, "--component", "predictor"] and folder in str(process.cwd()):
            return process
    raise AssertionError(f"no predictor of {name}")
