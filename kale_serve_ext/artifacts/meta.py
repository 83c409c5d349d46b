"""The record that goes into a model's snapshot, from what is known of its artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .. import modelmeta
from ..entities import Artifact
from ..modelmeta import ModelMeta, Recorded
from .base import Written
from .signature import slim


def with_meta(written: Written, record: Artifact, recorded: Recorded | None = None) -> Written:
    """What is ready for the store, with this record: what a server has to know of the model lies beside its file too.

    Custom code has none: it reads its requests itself.
    """
    signature = record.signature
    made = replace(written, record=replace(record, signature=slim(signature) if signature else None))
    details = record.details
    if record.format == "custom" or not (record.signature or details.get("methods")):
        return made
    methods, config = details.get("methods"), details.get("sklearn_config")
    before = modelmeta.read(written.source)  # of a snapshot that is logged again
    meta = ModelMeta(
        estimator=str(details.get("estimator") or ""),
        methods=tuple(str(m) for m in methods) if isinstance(methods, list | tuple) else (),
        signature=record.signature,
        sklearn_config=config if isinstance(config, Mapping) else {},
        recorded=recorded or (before.recorded if before else None),
    )
    return replace(made, beside={modelmeta.NAME: modelmeta.to_bytes(meta)})
