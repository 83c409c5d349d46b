"""What is logged comes back, versions follow their rule, and bad input is refused before it is sent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.entities import DATASET, MODEL, TRANSFORMER, Artifact, Environment
from kale_serve_ext.errors import ConflictError, InvalidInputError, InvalidNameError, NotFoundError
from kale_serve_ext.metadata import open_metadata
from kale_serve_ext.metadata.store import Metadata
from kale_serve_ext.ml import Column, Signature
from tests.metadata.conftest import NOTEBOOK, model, python

WHOLE = Artifact(
    MODEL,
    "iris <b>classifier</b> / Größe 花 'quoted' \"twice\"",
    "1.0.0",
    uri="file:///snapshots/aa",
    digest="sha256:aa",
    description="Two lines;\nthe second -- with DROP TABLE Artifact; --",
    author="Kale",
    tags={"stage": "development", "empty": "", "ключ": "значение"},
    format="sklearn",
    signature=Signature(
        input_size=["batch_size", 2],
        output_size=["batch_size"],
        columns=(Column("sepal length (cm)"), Column("species", "object")),
        sample={"sepal length (cm)": 5.1, "species": "setosa"},
    ),
    environment=Environment("/opt/venv/bin/python", "3.11.7", "host-1", {"scikit-learn": "1.5.0"}),
    details={"class_name": "Pipeline", "requirements": ["a", "b"], "nested": {"deep": [1, 2.5, None, True]}},
)


def test_every_field_comes_back_as_it_went(metadata: Metadata) -> None:
    async def work() -> None:
        written = await metadata.put_artifact(WHOLE, provenance=NOTEBOOK)
        assert written.id > 0
        assert written.created > 1_700_000_000
        assert replace(written, id=0, created=0.0, updated=0.0) == WHOLE
        assert await metadata.artifact(written.id) == written
        assert await metadata.versions(MODEL, WHOLE.name) == [written]

    asyncio.run(work())


def test_versions_count_up_and_the_same_content_is_the_same_artifact(metadata: Metadata) -> None:
    async def work() -> None:
        put = metadata.put_artifact
        first = await put(model(), provenance=NOTEBOOK)
        named = await put(model(version="2.0-rc"), provenance=NOTEBOOK)
        second = await put(model(), provenance=NOTEBOOK)
        tenth = await put(model(version="10"), provenance=NOTEBOOK)
        after = await put(model(), provenance=NOTEBOOK)
        assert [a.version for a in (first, named, second, tenth, after)] == ["1", "2.0-rc", "2", "10", "11"]
        again = await put(model(version="2.0-rc"), provenance=NOTEBOOK)
        assert again == named
        with pytest.raises(ConflictError) as error:
            await put(model(version="2.0-rc", digest="sha256:bb"), provenance=NOTEBOOK)
        assert f"artifact {named.id}" in error.value.message
        assert error.value.field == "version"
        assert [a.id for a in await metadata.versions(MODEL, "iris")] == [
            after.id,
            tenth.id,
            second.id,
            named.id,
            first.id,
        ]

    asyncio.run(work())


def test_types_have_versions_of_their_own(metadata: Metadata) -> None:
    async def work() -> None:
        for type_ in (MODEL, TRANSFORMER, DATASET):
            written = await metadata.put_artifact(replace(model(), type=type_), provenance=NOTEBOOK)
            assert (written.version, written.type) == ("1", type_)
        assert len(await metadata.versions(TRANSFORMER, "iris")) == 1
        assert await metadata.versions(MODEL, "unknown") == []

    asyncio.run(work())


def test_more_versions_than_a_page_holds(metadata: Metadata) -> None:
    async def work() -> None:
        written = [await metadata.put_artifact(model(version=f"v{n}"), provenance=NOTEBOOK) for n in range(105)]
        found = await metadata.versions(MODEL, "iris")
        assert [a.id for a in found] == [a.id for a in reversed(written)]
        ids = [a.id for a in written]
        assert [a.id for a in await metadata.artifacts([*ids, 10**6, ids[0]])] == ids

    asyncio.run(work())


def test_submits_at_once_from_several_processes_get_versions_of_their_own(metadata: Metadata) -> None:
    asyncio.run(metadata.prepare())
    code = """if True:
        import asyncio, json
        from kale_serve_ext.config import Settings
        from kale_serve_ext.metadata import open_metadata
        from tests.metadata.conftest import NOTEBOOK, model
        async def work():
            metadata = open_metadata(Settings.from_environ())
            done = await asyncio.gather(*(metadata.put_artifact(model(), provenance=NOTEBOOK) for _ in range(5)))
            print(json.dumps([[a.id, a.version] for a in done]))
        asyncio.run(work())
    """
    processes = [python(code) for _ in range(3)]
    told = [process.communicate(timeout=60) for process in processes]
    assert [p.returncode for p in processes] == [0, 0, 0], told
    pairs = [pair for out, _ in told for pair in json.loads(out)]
    assert sorted(int(version) for _, version in pairs) == list(range(1, 16))
    assert len({id_ for id_, _ in pairs}) == 15


def test_the_same_version_submitted_at_once_is_one_artifact(metadata: Metadata) -> None:
    async def work() -> None:
        made = await asyncio.gather(
            *(metadata.put_artifact(model(version="1.0"), provenance=NOTEBOOK) for _ in range(8)),
        )
        assert len({a.id for a in made}) == 1
        others = [
            metadata.put_artifact(model(version="2.0", digest=f"sha256:{n}"), provenance=NOTEBOOK) for n in range(4)
        ]
        answers = await asyncio.gather(*others, return_exceptions=True)
        assert sum(isinstance(a, ConflictError) for a in answers) == 3, answers
        assert len(await metadata.versions(MODEL, "iris")) == 2

    asyncio.run(work())


@pytest.mark.parametrize("id_", [1, 10**6, 0, -1, 2**63, 2**100])
def test_an_unknown_id_is_told_as_such(metadata: Metadata, id_: int) -> None:
    with pytest.raises(NotFoundError) as error:
        asyncio.run(metadata.artifact(id_))
    assert error.value.hint
    assert str(id_) in error.value.message


@pytest.mark.parametrize(
    ("artifact", "field"),
    [
        (model(""), "name"),
        (model("   "), "name"),
        (model(" iris"), "name"),
        (model("x" * 1_000_000), "name"),
        (model("iris\n"), "name"),
        (model("iris\0"), "name"),
        (model("iris\ud800"), "name"),
        (model(version="1/2"), "version"),
        (model(version="1" * 1_000_000), "version"),
        (model("n" * 200, "1" * 60), "name"),
        (model(description="d" * 1_000_000), "description"),
        (model(description="\ud800"), "description"),
        (model(author="a" * 1000), "author"),
        (model(tags={"a" * 1000: "b"}), "tags"),
        (model(tags={"a": "b" * 1000}), "tags"),
        (model(tags={"": "b"}), "tags"),
        (model(tags={str(n): "" for n in range(1000)}), "tags"),
        (model(signature=Signature(sample=["x" * 1_000_000])), "signature"),
        (model(signature=Signature(sample=[float("nan")])), "signature"),
        (model(details={"requirements": ["x" * 1_000_000]}), "details"),
        (replace(model(), uri="file:///" + "x" * 1_000_000), "uri"),
        (replace(model(), type="kale.Cake"), "type"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_sent(artifact: Artifact, field: str) -> None:
    # Nobody listens here: whatever gets past the check ends in another error.
    nowhere = open_metadata(Settings(metadata="grpc://127.0.0.1:9"))
    with pytest.raises(InvalidInputError) as error:
        asyncio.run(nowhere.put_artifact(artifact, provenance=NOTEBOOK))
    assert error.value.field == field
    assert len(str(error.value)) < 1000
    assert isinstance(error.value, InvalidNameError) == (field in ("name", "version"))


def test_longest_names_are_kept(metadata: Metadata) -> None:
    longest = model("花" * 200, "v" * 54)
    written = asyncio.run(metadata.put_artifact(longest, provenance=NOTEBOOK))
    assert (written.name, written.version) == (longest.name, longest.version)


def test_a_failed_log_leaves_no_artifact(metadata: Metadata) -> None:
    async def work() -> None:
        with pytest.raises(NotFoundError):
            await metadata.put_artifact(model(), provenance=NOTEBOOK, inputs=[12345])
        assert await metadata.versions(MODEL, "iris") == []
        await metadata.index.refresh(wait=None)
        assert (await metadata.index.page(types={MODEL}))[2] == 0

    asyncio.run(work())


def test_one_connection_serves_several_loops(metadata: Metadata) -> None:
    """As in a notebook: code that awaits runs on the kernel's loop, the rest on the background one."""
    written = asyncio.run(metadata.put_artifact(model(), provenance=NOTEBOOK))
    for _ in range(3):
        assert asyncio.run(metadata.artifact(written.id)) == written
