"""A small model server for tests, on http.server alone, and the record by which the engine starts it.

It doubles numbers by ``POST /v2/models/NAME/infer``. Its variables: ``FAILS`` (how it ends when it starts), ``EATS``
(bytes that it takes at the first request), ``UNREADY`` (a file while which is there the model is not ready; ``.asked``
behind its name is one that says that it was asked for),
``WORKER`` (a file that gets the id of a process of its own).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = "model.json"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    factor = 0
    eaten = b""

    def do_GET(self) -> None:
        ready, unready = f"/v2/models/{os.environ['NAME']}/ready", os.environ.get("UNREADY")
        if self.path == ready and unready:
            Path(f"{unready}.asked").touch()
        if self.headers.get("Upgrade") == "websocket":
            self._echo()
        elif self.path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(3):
                self._chunk(f"{number}\n".encode())
                if number < 2:
                    # The next one when the client has asked for it: nothing may be kept back on the way.
                    Path(os.environ["STEP"], str(number)).touch()
                    _until(Path(os.environ["STEP"], f"{number}.seen"))
            self._chunk(b"")
        elif self.path == ready and unready and Path(unready).exists():
            self._answer(503, {"error": "not now"})
        elif self.path in (ready, "/v2/health/ready"):
            self._answer(200, {"ready": True})
        elif self.path == "/environ":
            self._answer(200, dict(os.environ) | {"cwd": str(Path.cwd())})
        else:
            self._answer(404, {"error": f"no {self.path}"})

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/digest":
            self._answer(200, {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)})
            return
        if os.environ.get("EATS"):
            type(self).eaten = b"x" * int(os.environ["EATS"])
        given = json.loads(body)
        if given.get("exit"):
            os._exit(int(given["exit"]))
        if given.get("wait"):
            Path(given["wait"]).touch()
            _until(Path(f"{given['wait']}.go"))
        numbers = [self.factor * number for number in given["inputs"][0]["data"]]
        output = {"name": "out", "datatype": "FP64", "shape": [len(numbers)], "data": numbers}
        self._answer(200, {"model_name": os.environ["NAME"], "id": str(os.getpid()), "outputs": [output]})

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of requests."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _echo(self) -> None:
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self.wfile.write(
            f"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        while data := self.rfile.read1(65536):
            self.wfile.write(data)
        self.close_connection = True


class PortServer(ThreadingHTTPServer):
    def server_bind(self) -> None:
        # Without asking for the host's name, which may take long.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]


class UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        return self.socket.accept()[0], ("local", 0)


def _until(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)


def main(folder: str, address: str) -> None:
    fails = os.environ.get("FAILS", "")
    if fails == "import":
        __import__("no_such_framework")
    if os.environ.get("WORKER"):
        # It leaves the group, as daemons do.
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        Path(os.environ["WORKER"]).write_text(str(worker.pid))
    if fails == "hangs":
        time.sleep(600)
    Handler.factor = json.loads(Path(folder, "settings.json").read_text())["factor"]
    Handler.factor *= json.loads(Path(folder, MODEL).read_text())
    print("the tiny server listens", flush=True)
    if address.isdigit():
        made: ThreadingHTTPServer = PortServer(("127.0.0.1", int(address)), Handler)
    else:
        made = UnixServer(address, Handler)  # type: ignore[arg-type]  # a unix socket's is a path
    made.daemon_threads = True
    made.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
