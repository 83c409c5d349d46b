"""Services in a cluster: against ``kubectl`` and ``curl`` doing the same there, and what the live view costs.

Needs Kubernetes with KServe (``$KUBECONFIG``), S3 (``$KALE_S3_ENDPOINT`` and the AWS variables), ``kubectl`` (or
``$KUBECTL``), ``curl``, Node.js and Chromium (or ``$CHROMIUM``).
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import IO

from jupyter import server
from report import Row
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from kale_serve_ext import Endpoint, Model, serve
from kale_serve_ext.engines.base import Manifest
from kale_serve_ext.engines.cluster.api import MERGE, Api
from kale_serve_ext.engines.cluster.api_objects import SERVICES
from kale_serve_ext.engines.cluster.credentials import find_place, load
from kale_serve_ext.ml import JSON
from kale_serve_ext.sync import run

NEEDED = ("KUBECONFIG", "KALE_S3_ENDPOINT")
BUCKET = "kale-test"
PAIRS = 5
CHANGES = 40
CALLS = 100
MANY = 500
LIMIT = 120.0
"""Seconds that anything may take."""
PROBE = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
ROWS = [row for _ in range(10) for row in load_iris().data[:100].tolist()]
WATCHER = """
import asyncio, gc, json, sys, psutil
from kale_serve_ext.config import Settings
from kale_serve_ext.engines.cluster.engine import ClusterEngine

async def main():
    settings, process, many = Settings.from_environ(), psutil.Process(), int(sys.argv[1])
    # What the first request to an API server loads is not the services'.
    empty = ClusterEngine(settings, namespace="default")
    await empty.services()
    gc.collect()
    before = process.memory_info().rss
    engine, told = ClusterEngine(settings), set()
    async for event in engine.watch():
        told.add(event.ref.name)
        if len(told) == many:
            break
    await asyncio.sleep(10)
    print(json.dumps([before, process.memory_info().rss]))

asyncio.run(main())
"""


def lacks() -> str:
    """What this needs and has not; empty where it can be taken."""
    absent = [f"${name}" for name in NEEDED if not os.environ.get(name)]
    return f"{' and '.join(absent)} not set" if absent else ""


def measure(folder: Path) -> list[Row]:
    with _namespace() as name:
        return [*_serving(folder, name), *_page(folder, name), *_watching(name)]


@contextmanager
def _namespace() -> Iterator[str]:
    """A namespace and a place in S3, made the ones in which everything here is served."""
    import boto3

    endpoint = os.environ["KALE_S3_ENDPOINT"]
    name = f"kale-bench-{secrets.token_hex(3)}"
    os.environ["KALE_SERVE_ENGINE"] = "cluster"
    os.environ["KALE_SERVE_NAMESPACE"] = name
    os.environ["KALE_SERVE_CLUSTER_STORAGE"] = f"s3://{BUCKET}/{name}?endpoint={endpoint}"
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=BUCKET)
    api = _api()
    run(api.create("/api/v1/namespaces", {"metadata": {"name": name}}))
    try:
        yield name
    finally:
        run(api.delete(f"/api/v1/namespaces/{name}"))
        run(api.close())


def _api() -> Api:
    return Api(find_place(os.environ["KUBECONFIG"]))


def _serving(folder: Path, namespace: str) -> list[Row]:
    """Until a service is ready, and requests to one."""
    features, target = load_iris(return_X_y=True)
    model = Model(LogisticRegression(max_iter=500).fit(features, target), name="iris", version="1").submit_artifact()
    config = {"predictor": {"container": {"readinessProbe": PROBE}}, "requests": {"cpu": "50m"}}
    # The first one brings the files to S3, and keeps the secret there for those that follow.
    first = serve(model.id, name="first", serve_config=config, timeout=LIMIT)
    manifest = first.service.manifest
    pairs: list[tuple[float, float]] = []
    for number in range(PAIRS):
        ours = _serve(model.id, f"ours-{number}", config) if number % 2 else 0.0
        theirs = _apply(folder, manifest, f"theirs-{number}", namespace)
        pairs.append((ours or _serve(model.id, f"ours-{number}", config), theirs))
    ready = _typical(pairs)
    predicted = _predictions(first, namespace, folder)
    first.delete()
    return [
        Row("serve to Ready in a cluster", ready[0], "s", "kubectl apply and wait", ready[1], 1.1, limits_ratio=True),
        predicted,
    ]


def _typical(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The pair whose ratio is the median: both of a pair met the same load."""
    middle = statistics.median(ours / theirs for ours, theirs in pairs)
    return min(pairs, key=lambda pair: abs(pair[0] / pair[1] - middle))


def _serve(model_id: int | None, name: str, config: Mapping[str, object]) -> float:
    start = time.perf_counter()
    endpoint = serve(model_id, name=name, serve_config=config, timeout=LIMIT)
    took = time.perf_counter() - start
    endpoint.delete()
    return took


def _apply(folder: Path, manifest: Manifest, name: str, namespace: str) -> float:
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    file = folder / "service.json"
    file.write_text(json.dumps({**manifest, "metadata": {**metadata, "name": name}}))
    start = time.perf_counter()
    _kubectl("apply", "-f", str(file))
    _kubectl("wait", "-n", namespace, "--for=condition=Ready", f"inferenceservice/{name}", f"--timeout={LIMIT:g}s")
    took = time.perf_counter() - start
    _kubectl("delete", "-n", namespace, "inferenceservice", name, "--cascade=foreground")
    return took


def _kubectl(*arguments: str) -> None:
    subprocess.run([_program("KUBECTL", "kubectl"), *arguments], stdout=subprocess.DEVNULL, check=True)


def _program(variable: str, *names: str) -> str:
    found = os.environ.get(variable) or next((p for name in names if (p := shutil.which(name))), None)
    if not found:
        raise SystemExit(f"There is no {names[0]} here: put it on the PATH, or set ${variable}.")
    return found


def _predictions(endpoint: Endpoint, namespace: str, folder: Path) -> Row:
    """The same JSON through the API server, one request after the other over one connection in both."""
    user = load(find_place(os.environ["KUBECONFIG"]))
    text = json.dumps({"instances": ROWS})
    body = folder / "body.json"
    body.write_text(text)
    service = f"/api/v1/namespaces/{namespace}/services/{endpoint.name}-predictor:80"
    options = {
        "url": f"{user.server.rstrip('/')}{service}/proxy/v1/models/{endpoint.name}:predict",
        "data-binary": f"@{body}",
        "cacert": user.config.ssl_ca_cert,
        "cert": user.config.cert_file,
        "key": user.config.key_file,
        "output": os.devnull,
        "write-out": "%{time_total} %{http_code}\\n",
    }
    token = user.authorization()
    request = [f'{name} = "{value}"' for name, value in options.items() if value]
    request += ["silent", 'header = "Content-Type: application/json"']
    request += [f'header = "Authorization: {token}"'] if token else []
    asked = "\nnext\n".join(["\n".join(request)] * CALLS)
    endpoint.predict(text)
    pairs: list[tuple[float, float]] = []
    for _ in range(PAIRS):
        command = [_program("CURL", "curl"), "--config", "-"]
        told = subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout.split()
        if set(told[1::2]) != {"200"}:
            raise SystemExit(f"curl was answered with {set(told[1::2])}.")
        # The first one opens the connection.
        theirs = [1e3 * float(took) for took in told[::2]][1:]
        ours: list[float] = []
        for _ in range(CALLS):
            start = time.perf_counter()
            endpoint.predict(text)
            ours.append(1e3 * (time.perf_counter() - start))
        pairs.append((statistics.median(ours), statistics.median(theirs)))
    values = _typical(pairs)
    what = f"predict {len(ROWS)}×4 by the API server, p50"
    return Row(what, values[0], "ms", "curl, p50", values[1], 1.2, limits_ratio=True)


def _page(folder: Path, namespace: str) -> list[Row]:
    """From a change in the API to the changed row in Chromium, beside a bare watch that hears of the same change."""
    asked = {"service": "shown", "chromium": _program("CHROMIUM", "chromium", "chromium-browser", "google-chrome")}
    api = _api()
    service = f"{SERVICES.format(namespace)}/shown"
    run(api.apply(service, _stopped(namespace, "shown")))
    script = [_program("NODE", "node"), str(Path(__file__).with_name("page.mjs"))]
    with (
        server(folder, lab=True) as running,
        subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as page,
    ):
        assert page.stdin
        assert page.stdout
        page.stdin.write(json.dumps({**asked, "url": running.url, "token": running.token}) + "\n")
        page.stdin.flush()
        if page.stdout.readline() != "ready\n":
            raise SystemExit("The panel did not come up in the browser.")
        shown, heard = run(_changes(api, service, page.stdout))
        page.stdin.close()
    run(api.close())
    what = "change in a cluster to text in the browser, p95"
    return [Row(what, _p95(shown), "ms", "a bare watch of the API, p95", _p95(heard), limit=300)]


async def _changes(api: Api, service: str, lines: IO[str]) -> tuple[list[float], list[float]]:
    """Milliseconds from each request for a change to the browser's text, and to a watch's event."""
    shown: list[float] = []
    heard: list[float] = []
    told: dict[str, float] = {}

    async def watch() -> None:
        path = service.rpartition("/")[0]
        _, version = await api.list(path)
        while True:
            async with aclosing(api.watch(path, version)) as changes:
                async for _, item in changes:
                    metadata = item["metadata"]
                    assert isinstance(metadata, dict)
                    version = str(metadata["resourceVersion"])
                    told.setdefault(json.dumps(metadata.get("annotations")), 1e3 * time.time())

    watching = asyncio.create_task(watch())
    for number in range(CHANGES):
        mark = f"version-{number}-"
        start = 1e3 * time.time()
        note: Manifest = {"metadata": {"annotations": {"kale-serve-ext/model-version": mark}}}
        await api.patch(service, note, MERGE)
        while mark not in (event := json.loads(await asyncio.to_thread(lines.readline)))["text"]:
            pass
        shown.append(event["at"] - start)
        heard.append(min(at for text, at in told.items() if mark in text) - start)
        await asyncio.sleep(0.2)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return shown, heard


def _watching(namespace: str) -> list[Row]:
    """What a process gains by watching many services. They ask for no pods."""
    names = [f"many-{number:03}" for number in range(MANY)]
    run(_make(namespace, names))
    command = [sys.executable, "-c", WATCHER, str(MANY)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT).stdout
    before, after = (value / 2**20 for value in json.loads(told))
    return [Row(f"watching {MANY} services adds", after - before, "MB", "memory before", before, limit=150)]


async def _make(namespace: str, names: Sequence[str]) -> None:
    api = _api()
    at_once = asyncio.Semaphore(8)

    async def make(name: str) -> None:
        async with at_once:
            await api.apply(f"{SERVICES.format(namespace)}/{name}", _stopped(namespace, name))

    await asyncio.gather(*map(make, names))
    await api.close()


def _stopped(namespace: str, name: str) -> Manifest:
    notes: JSON = {
        "serving.kserve.io/stop": "true",
        "serving.kserve.io/deploymentMode": "Standard",
        "kale-serve-ext/model-name": "iris",
        "kale-serve-ext/model-version": "1",
    }
    labels: JSON = {"app.kubernetes.io/managed-by": "kale-serve-ext", "kale-serve-ext/model-id": "1"}
    model: JSON = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://nope/model"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": notes},
        "spec": {"predictor": {"model": model}},
    }


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
