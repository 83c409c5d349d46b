"""A server that ends upon the requests that tell it to, and is started again each time: ``deadly.py http|grpc FOLDER``.

``FOLDER/port`` has its port, ``FOLDER/asked`` a letter for each request that told it to end.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc

from kale_serve_ext.serving.messages import messages

FOLDER = Path(sys.argv[2])


def end_upon(body: bytes) -> None:
    if b"end" in body:
        with (FOLDER / "asked").open("a") as file:
            file.write("x")
        os._exit(1)


class Http(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        end_upon(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "18")
        self.end_headers()
        self.wfile.write(b'{"predictions":[]}')

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class Infer(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        def answer(body: bytes, context: object) -> bytes:
            end_upon(body)
            return messages().ModelInferResponse(model_name="m").SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


def by_http(listener: socket.socket) -> None:
    server = ThreadingHTTPServer(listener.getsockname(), Http, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()


def by_grpc(held: socket.socket) -> None:
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 1)])
    server.add_generic_rpc_handlers((Infer(),))
    server.add_insecure_port("{}:{}".format(*held.getsockname()))
    server.start()
    server.wait_for_termination()


def main(serve: Callable[[socket.socket], None]) -> None:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    if serve is by_http:
        held.listen(16)
    (FOLDER / "port.new").write_text(str(held.getsockname()[1]))
    (FOLDER / "port.new").rename(FOLDER / "port")
    while (FOLDER / "port").exists():
        # gRPC has started nothing in this process, which forks alone.
        if (child := os.fork()) == 0:
            serve(held)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(by_grpc if sys.argv[1] == "grpc" else by_http)
