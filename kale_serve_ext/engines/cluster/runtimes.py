"""The (Cluster)ServingRuntimes, in the order in which KServe would choose among them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...formats import served, with_names
from ..base import Manifest, Runtime
from ..fields import annotations_of, mapping, mappings, name_of, text
from ..kserve import OWN_RUNTIME, SERVING
from ..local.servers import ours
from .layouts import SERVER_OF

_SERVER_TYPE = f"{SERVING}server-type"
"""The annotation by which a runtime of KServe 0.20 says what it runs."""
_STOCK: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("kserve-sklearnserver", "KServe sklearn server", ("v1", "v2")),
    ("kserve-xgbserver", "KServe XGBoost server", ("v1", "v2")),
    ("kserve-lgbserver", "KServe LightGBM server", ("v1", "v2")),
    ("kserve-pmmlserver", "KServe PMML server", ("v1", "v2")),
    ("kserve-tensorflow-serving", "TensorFlow Serving", ("v1",)),
    ("kserve-tritonserver", "Triton", ("v2",)),
    ("kserve-torchserve", "TorchServe", ("v1", "v2")),
    ("kserve-huggingfaceserver", "Hugging Face server", ("v2", "v1")),
    ("kserve-mlserver", "MLServer", ("v2",)),
)
"""Name, title and protocols of the runtimes that KServe brings; the formats say which of them serve them."""


def stock() -> list[Runtime]:
    """Those that KServe brings, for where its cluster-wide ones may not be read."""
    formats = with_names()
    return [
        Runtime(
            name,
            title,
            tuple(f.name for f in formats if name in f.runtimes),
            protocols,
            assumed=True,
            server=SERVER_OF.get(name, ""),
            upkeep=_upkeep(SERVER_OF.get(name, "")),
        )
        for name, title, protocols in _STOCK
    ]


def in_order(
    namespaced: Sequence[Manifest], cluster_wide: Sequence[Manifest] | None, image: str, model_format: str = ""
) -> list[Runtime]:
    """Every enabled runtime, in the order in which KServe would take them for a model of this format.

    That is the namespace's own before the cluster's, those that may be chosen unasked first, then by falling priority.
    But MLServer comes last, where KServe would take it first for v2: its maker has given it up, and KServe's own
    servers speak v2 too.

    Args:
        cluster_wide: None where they may not be read.
        image: this package's, which serves the user's own code, and models with all that they knew in the notebook.
    """

    def rank(given: Manifest) -> tuple[bool, bool, int, str]:
        formats = mappings(mapping(given.get("spec")).get("supportedModelFormats"))
        own = [f for f in formats if f.get("name") == model_format]
        unasked = any(f.get("autoSelect") for f in own)
        priority = max((int(str(f.get("priority") or 0)) for f in own), default=0)
        return "mlserver" in name_of(given), not unasked, -priority, name_of(given)

    found = [_runtime(r) for r in sorted(namespaced, key=rank) if _enabled(r)]
    known = {r.name for r in found}
    if cluster_wide is None:
        found += [r for r in stock() if r.name not in known]
    else:
        found += [_runtime(r) for r in sorted(cluster_wide, key=rank) if _enabled(r) and name_of(r) not in known]
    own = ("custom", *served())
    found.append(Runtime(OWN_RUNTIME, f"{OWN_RUNTIME} model server", own, ("v1", "v2"), image=image))
    return [replace(runtime, preference=place) for place, runtime in enumerate(found)]


def _runtime(given: Manifest) -> Runtime:
    spec = mapping(given.get("spec"))
    formats = dict.fromkeys(str(f.get("name")) for f in mappings(spec.get("supportedModelFormats")))
    listed = spec.get("protocolVersions")
    protocols = [str(p) for p in listed] if isinstance(listed, list) else []
    containers = mappings(spec.get("containers"))
    server = text(annotations_of(given).get(_SERVER_TYPE)) or SERVER_OF.get(name_of(given), "")
    return Runtime(
        name=name_of(given),
        display_name=name_of(given),
        formats=tuple(formats),
        # What goes by gRPC has the protocol's name without the prefix here.
        protocols=tuple(dict.fromkeys(p.removeprefix("grpc-") for p in protocols)),
        image=str(containers[0].get("image") or "") if containers else "",
        server=server,
        upkeep=_upkeep(server),
    )


def _upkeep(server: str) -> str:
    """What is known of the program's upkeep, whose place a server of this machine takes too."""
    stands = (one for each in ours() for one in each.runtimes if server and SERVER_OF.get(one.name) == server)
    return next((one.upkeep for one in stands), "")


def _enabled(given: Manifest) -> bool:
    spec = mapping(given.get("spec"))
    return not spec.get("disabled") and not spec.get("multiModel") and not spec.get("workerSpec")
