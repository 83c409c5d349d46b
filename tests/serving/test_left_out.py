"""What a plan makes of a service that is there where a request leaves something out: pure, with an engine that only
says what runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest

from kale_serve_ext import __version__
from kale_serve_ext.engines.base import (
    AS_LOGGED,
    Check,
    Engine,
    EngineInfo,
    Manifest,
    Runtime,
    ServiceState,
    Staged,
    Use,
)
from kale_serve_ext.engines.local.runtimes import runtimes
from kale_serve_ext.entities import MODEL, TRANSFORMER, Artifact, Environment, ServiceRef
from kale_serve_ext.errors import InvalidInputError, NotFoundError
from kale_serve_ext.metadata.store import Metadata
from kale_serve_ext.ml import JSON
from kale_serve_ext.serving.config import normalise
from kale_serve_ext.serving.manifest import ServedArtifact, Wanted, build
from kale_serve_ext.serving.plan import Draft, draft
from kale_serve_ext.serving.types import ServeRequest

RECORDED, OTHER = "/recorded/bin/python", "/other/bin/python"


def artifact(number: int, kind: str = MODEL, *, name: str = "", protocol: str = "", model_format: str = "") -> Artifact:
    usual, usual_format = ("iris", "sklearn") if kind == MODEL else ("scale", "functional")
    return Artifact(
        kind,
        name or usual,
        str(number),
        uri=f"file:///s/{number}",
        digest=f"sha256:{number}",
        format=model_format or usual_format,
        id=number,
        environment=Environment(python=RECORDED, python_version="3.11.7"),
        details={"protocol": protocol} if protocol else {},
    )


IRIS, NEWER, SCALE = artifact(1), artifact(7), artifact(2, TRANSFORMER)


class Running:
    """An engine with one service."""

    info = EngineInfo("local", "here", "default")

    def __init__(self, manifest: Manifest, image: str = "") -> None:
        self.manifest, self.image = manifest, image

    async def services(self) -> list[ServiceState]:
        return [ServiceState(ServiceRef("local", "here", "default", "iris"), self.manifest, 1, 1, ())]

    async def runtimes(self, artifact: Artifact | None = None) -> list[Runtime]:
        return runtimes(artifact, [("other", "Other", OTHER)])

    async def lacks(self, runtime: Runtime) -> None:
        """Nothing."""

    async def check(self, artifact: Artifact, runtime: Runtime, name: str = "") -> list[Check]:
        return []

    async def address(self, artifact: Artifact, use: Use = AS_LOGGED) -> Staged:
        return Staged(artifact.uri, image=self.image)

    async def dry_run(self, manifest: Manifest, *, force: bool = False) -> list[Check]:
        return []


class Recorded:
    """Metadata with these artifacts."""

    def __init__(self, *artifacts: Artifact) -> None:
        self.artifacts = {one.id: one for one in artifacts}

    async def artifact(self, number: int) -> Artifact:
        if number not in self.artifacts:
            raise NotFoundError(f"No artifact has the id {number}.")
        return self.artifacts[number]


def running(**wanted: object) -> Manifest:
    """A service that runs."""
    made: dict[str, object] = {"name": "iris", "namespace": "default", "protocol": "v1", **wanted}
    return build(Wanted(**made))  # type: ignore[arg-type]  # the fields of Wanted, by name


def served(*parts: Artifact, python: str = RECORDED, **wanted: object) -> Manifest:
    """One that serves these artifacts."""
    roles = {
        "model" if one.type == MODEL else "transformer": ServedArtifact(one, Staged(one.uri), python) for one in parts
    }
    stock = "kserve-sklearnserver" if any(one.format == "sklearn" for one in parts) else ""
    return running(**{"runtime": stock, **roles, **wanted})


def planned(manifest: Manifest, known: Sequence[Artifact], image: str = "", **request: object) -> Draft:
    asked = ServeRequest(**{"name": "iris", "update": True, **request})  # type: ignore[arg-type]  # by name
    engine, metadata = cast(Engine, Running(manifest, image)), cast(Metadata, Recorded(*known))
    return asyncio.run(draft(asked, engine, metadata))


def container(manifest: Manifest, component: str = "predictor") -> Mapping[str, JSON]:
    found = manifest["spec"][component]["containers"][0]  # type: ignore[call-overload,index]  # an object
    assert isinstance(found, dict)
    return found


def variables(manifest: Manifest, component: str = "predictor") -> dict[str, str]:
    return {v["name"]: v["value"] for v in container(manifest, component)["env"]}  # type: ignore[union-attr,call-overload,index,misc]


def notes(manifest: Manifest, begin: str) -> dict[str, JSON]:
    metadata = cast(Mapping[str, Mapping[str, JSON]], manifest["metadata"])
    both = {**metadata["labels"], **metadata["annotations"]}
    return {k: v for k, v in both.items() if k.startswith(f"kale-serve-ext/{begin}")}


@pytest.mark.parametrize(
    "others",
    [
        [],
        [artifact(2, TRANSFORMER, name="drop_table")],
        [artifact(2, name="another")],
        [Artifact(TRANSFORMER, "scale", "2", digest="sha256:else", format="functional", id=2)],
    ],
    ids=["absent", "another name", "another type", "another digest"],
)
def test_a_transformer_of_other_metadata_stays_as_it_is(others: list[Artifact]) -> None:
    before = served(IRIS, SCALE)
    made = planned(before, [NEWER, *others], model_id=7)
    after = made.plan.manifest
    assert made.plan.ok
    assert made.elsewhere
    assert made.plan.changes == ("model iris 1 → 7",)
    assert after["spec"]["transformer"] == before["spec"]["transformer"]  # type: ignore[call-overload,index]
    assert notes(after, "transformer-") == notes(before, "transformer-") != {}
    # Settings of it, and the protocol, reach it all the same.
    asked = {"transformer": {"env": [{"name": "A", "value": "2"}]}}
    after = planned(before, [NEWER, *others], model_id=7, config=asked, protocol="v2").plan.manifest
    assert variables(after, "transformer") == {**variables(before, "transformer"), "A": "2"}
    assert container(after, "transformer")["args"] == ["--model_name", "iris", "--predictor_protocol", "v2"]
    assert notes(after, "transformer-") == notes(before, "transformer-")
    # From nothing it cannot be made.
    with pytest.raises(InvalidInputError, match="other metadata"):
        planned(before, [NEWER, *others], model_id=7, remove=("config",))
    gone = planned(before, [NEWER, *others], model_id=7, remove=("transformer",))
    assert "transformer" not in gone.plan.manifest["spec"]  # type: ignore[operator]  # an object
    assert not notes(gone.plan.manifest, "transformer-")
    assert not gone.elsewhere


def test_a_transformer_that_is_recorded_is_taken_from_there() -> None:
    made = planned(served(IRIS, SCALE), [NEWER, SCALE], model_id=7)
    assert not made.elsewhere
    assert made.wanted.transformer is not None


@pytest.mark.parametrize("others", [[], [artifact(1, name="another")], [artifact(1, TRANSFORMER)]])
def test_a_model_of_other_metadata_has_to_be_named(others: list[Artifact]) -> None:
    with pytest.raises(InvalidInputError) as raised:
        planned(served(IRIS), others, verify="off")
    assert raised.value.message == (
        "The service 'iris' was made with another metadata store, which has its model 'iris' (artifact 1); "
        "this one does not."
    )
    assert raised.value.hint == "Name the model to serve, by its id here."
    assert raised.value.field == "model_id"


OWN = {
    "image": "mine:1",
    "command": ["python", "server.py"],
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
    "envFrom": [{"secretRef": {"name": "keys"}}],
    "resources": {"limits": {"memory": "1Gi", "cpu": "1"}},
}


OVER = {"env": [{"name": "A", "value": "2"}], "resources": {"limits": {"memory": "2Gi"}}}


@pytest.mark.parametrize(
    "config",
    [
        {"env": [{"name": "A", "value": "2"}], "limits": {"memory": "2Gi"}},
        {"predictor": {"env": [{"name": "A", "value": "2"}], "limits": {"memory": "2Gi"}}},
        {"predictor": {"container": OVER}},
        {"predictor": {"containers": [OVER]}},
    ],
)
@pytest.mark.parametrize("update", [True, False])
def test_a_config_counts_over_the_container_that_runs(config: Mapping[str, object], update: bool) -> None:
    before = running(config=normalise({"predictor": {"container": OWN}}))
    made = planned(before, [], config=config, update=update)
    assert made.plan.ok
    assert {*made.plan.changes} == {"predictor variable A: changed", "predictor limits.memory 1Gi → 2Gi"}
    after = container(made.plan.manifest)
    assert variables(made.plan.manifest) == {"A": "2", "B": "1"}
    assert after["resources"] == {"limits": {"memory": "2Gi", "cpu": "1"}}
    same = ("image", "command", "args", "envFrom", "name")
    assert {k: after[k] for k in same} == {k: container(before)[k] for k in same}


def test_more_of_a_containers_variables_come_once() -> None:
    before = running(config=normalise({"predictor": {"container": OWN}}))
    more = {"secretRef": {"name": "more"}}
    after = planned(before, [], config={"envFrom": [more, *cast(list[JSON], OWN["envFrom"])]}).plan.manifest
    assert container(after)["envFrom"] == [{"secretRef": {"name": "keys"}}, more]


def test_a_config_and_the_protocol_reach_a_transformer_that_is_no_artifact() -> None:
    own = {"image": "mine/t:1", "env": [{"name": "A", "value": "1"}]}
    before = served(IRIS, config=normalise({"transformer": {"container": own}}))
    assert planned(before, [IRIS]).plan.manifest == before
    after = planned(before, [IRIS], protocol="v2", config={"transformer": {"env": [{"name": "A", "value": "2"}]}})
    assert variables(after.plan.manifest, "transformer") == {"A": "2"}
    assert container(after.plan.manifest, "transformer")["image"] == "mine/t:1"
    assert container(after.plan.manifest, "transformer")["args"][-2:] == ["--predictor_protocol", "v2"]  # type: ignore[index]
    assert planned(after.plan.manifest, [IRIS]).plan.manifest == after.plan.manifest
    back = planned(after.plan.manifest, [IRIS], protocol="v1").plan.manifest
    assert container(back, "transformer")["args"] == ["--model_name", "iris"]


def test_what_is_given_now_implies_the_protocol_before_the_service_does() -> None:
    speaking = artifact(5, TRANSFORMER, protocol="v2")
    made = planned(served(IRIS), [IRIS, speaking], transformer_id=5)
    assert made.plan.ok
    assert made.plan.changes == ("transformer scale 5: added", "protocol v1 → v2")
    # It goes on so where it is left out, and what is asked for counts.
    assert planned(made.plan.manifest, [IRIS, NEWER, speaking], model_id=7).plan.protocol == "v2"
    refused = planned(served(IRIS), [IRIS, speaking], transformer_id=5, protocol="v1").plan
    assert [c.code for c in refused.checks if c.level == "error"] == ["TransformerProtocol"]


def test_a_runtime_that_is_named_implies_the_protocol_before_the_service_does(monkeypatch: pytest.MonkeyPatch) -> None:
    async def with_mlserver(self: Running, artifact: Artifact | None = None) -> list[Runtime]:
        return [*runtimes(artifact, []), Runtime("kserve-mlserver", "MLServer", ("sklearn",), ("v2",))]

    monkeypatch.setattr(Running, "runtimes", with_mlserver)
    made = planned(served(IRIS), [IRIS], runtime="kserve-mlserver").plan
    assert (made.ok, made.runtime, made.protocol) == (True, "kserve-mlserver", "v2")


def test_a_container_of_ones_own_goes_on_with_its_protocol() -> None:
    before = running(config=normalise({"predictor": {"container": OWN}}))
    made = planned(before, [artifact(5, TRANSFORMER, protocol="v2")], transformer_id=5).plan
    told = [c.message for c in made.checks if c.level == "error"]
    assert told == ["The transformer 'scale' speaks v2, and the predictor v1."]


CODE, NEWER_CODE = artifact(3, name="own", model_format="custom"), artifact(4, name="own", model_format="custom")


@pytest.mark.parametrize("known", [[CODE, NEWER_CODE], [NEWER_CODE]], ids=["recorded", "other metadata"])
def test_the_interpreter_that_was_chosen_for_custom_code_stays(known: list[Artifact]) -> None:
    made = planned(served(CODE, python=OTHER), known, model_id=4).plan
    assert (made.runtime, made.changes) == ("kserve-customserver--other", ("model own 3 → 4",))
    assert notes(made.manifest, "predictor-python") == {"kale-serve-ext/predictor-python": OTHER}
    back = planned(made.manifest, [NEWER_CODE], runtime="kserve-customserver").plan
    assert back.changes == (f"interpreter {OTHER} → {RECORDED}",)


def test_the_interpreter_that_made_custom_code_goes_with_it() -> None:
    """It was not chosen, though the machine has it under a name."""
    made_by_other = replace(CODE, environment=Environment(python=OTHER, python_version="3.12.1"))
    made = planned(served(made_by_other, python=OTHER), [made_by_other, NEWER_CODE], model_id=4).plan
    assert (made.runtime, notes(made.manifest, "predictor-python")) == (
        "kserve-customserver",
        {"kale-serve-ext/predictor-python": RECORDED},
    )


def test_an_artifact_takes_the_place_of_a_container_and_its_image() -> None:
    before = running(config=normalise({"predictor": {"container": OWN}}))
    after = planned(before, [CODE], model_id=3).plan.manifest
    assert container(after)["image"] == container(served(CODE, image_tag=__version__))["image"]
    assert "command" not in container(after)
    assert variables(after) == {"A": "1", "B": "1", "STORAGE_URI": CODE.uri, "PROTOCOL": "v1"}
    assert container(after)["resources"] == OWN["resources"]
    back = planned(after, [CODE], config={"predictor": {"container": OWN}}).plan.manifest
    assert container(back) == container(before)
    with_own = served(IRIS, config=normalise({"transformer": {"container": OWN}}))
    placed = planned(with_own, [IRIS, SCALE], transformer_id=2).plan.manifest
    assert "command" not in container(placed, "transformer")


@pytest.mark.parametrize("config", [{}, {"predictor": {"image": "mine:1"}, "transformer": {"image": "mine:1"}}])
def test_an_image_of_the_settings_goes_with_them_and_a_given_one_stays(config: Mapping[str, object]) -> None:
    staged = {
        role: ServedArtifact(one, Staged(one.uri, image="code:1"))
        for role, one in (("model", CODE), ("transformer", SCALE))
    }
    before = running(**staged, config=normalise(config))
    for image in ("code:2", "code:3"):
        before = planned(before, [CODE, SCALE, NEWER_CODE], image=image, model_id=4).plan.manifest
        for component in ("predictor", "transformer"):
            assert container(before, component)["image"] == ("mine:1" if config else image)
