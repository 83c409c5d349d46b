"""Processes of models and transformers to ask: by one HTTP connection that is kept, and by gRPC."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from kale_serve_ext.serving.messages import Response, messages
from kale_serve_ext.serving.tensors import METHOD, encode


class Served:
    """A process of a model or a transformer, with its log."""

    def __init__(self, folder: Path, *arguments: str, **files: str) -> None:
        code = folder / "code"
        code.mkdir(parents=True)
        for name, text in files.items():
            (code / f"{name}.py").write_text(text)
        self.http, self.grpc = _free_port(), _free_port()
        self._log = folder / "log.txt"
        words = [sys.executable, "-m", "kale_serve_ext.runner.container", "--model_dir", str(code), *arguments]
        words += ["--model_name", "m", "--http_port", str(self.http), "--grpc_port", str(self.grpc)]
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, env=os.environ)
        self._read = 0

    def wait_ready(self) -> Served:
        end = time.monotonic() + 150
        while time.monotonic() < end and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=5)
            try:
                connection.request("GET", "/v2/health/live")
                if connection.getresponse().status == 200:
                    self.new_log()
                    return self
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()
        pytest.fail(f"It does not answer:\n{self._log.read_text()}")

    def new_log(self) -> str:
        """What was written since this was asked last."""
        written = self._log.read_text()
        new, self._read = written[self._read :], len(written)
        return new

    def log_with(self, pattern: str) -> str:
        """What was written since, once it holds a match of the pattern: some lines are written behind the answer."""
        found = ""
        end = time.monotonic() + 30
        while not re.search(pattern, found):
            found += self.new_log()
            assert time.monotonic() < end, found
        return found


class Kept:
    """One HTTP connection; it fails where another one would be needed."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.connect()
        self._socket = self._connection.sock
        weakref.finalize(self, self._connection.close)

    def ask(self, row: float, path: str = "/v1/models/m:predict") -> tuple[int, object]:
        body = json.dumps({"instances": [[row]]})
        status, told = self.request("POST", path, body)
        return status, json.loads(told)

    def request(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        assert self._connection.sock is self._socket
        answer = self._connection.getresponse()
        content = answer.read()
        assert not answer.will_close
        return answer.status, content


def infer(port: int, row: float, model: str = "m", datatype: str = "FP64") -> tuple[str, object]:
    """The name of the call's status, and its details or its values."""
    made = messages()
    request = made.ModelInferRequest.FromString(encode(np.array([[float(row)]]), model))
    request.inputs[0].datatype = datatype
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        read = made.ModelInferResponse.FromString
        call: Callable[..., Response] = channel.unary_unary(METHOD, response_deserializer=read)
        try:
            answer = call(request.SerializeToString(), timeout=30, wait_for_ready=True)
        except grpc.RpcError as error:
            return error.code().name, error.details()
    output = answer.outputs[0]
    return "OK", list(output.contents.fp64_contents) or np.frombuffer(answer.raw_output_contents[0]).tolist()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
