"""Which descriptions of a service are kept, and which one is gone back to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kale_serve_ext.config import Settings
from kale_serve_ext.engines.base import Manifest, Revision, ServiceState, previous, version_of
from kale_serve_ext.engines.local import revisions
from kale_serve_ext.engines.local.folders import Folders
from kale_serve_ext.engines.local.home import Home, make_folder, write_json
from kale_serve_ext.engines.local.processes import Identity
from kale_serve_ext.engines.local.state import Spec, Status, read_spec
from kale_serve_ext.entities import ServiceRef
from kale_serve_ext.errors import ChangedMeanwhileError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home("default", "iris", tmp_path / "services" / "default" / "iris", tmp_path)
    make_folder(made)
    return made


def manifest(version: int, **notes: str) -> Manifest:
    return {"metadata": {"name": "iris", "annotations": {**notes}}, "spec": {"predictor": {"minReplicas": version}}}


def made(number: int, version: int = 0, back_to: int = 0) -> Revision:
    return Revision(number, manifest(version or number), 100.0 + number, "ada (train.ipynb)", back_to)


def test_the_last_ten_are_kept_for_their_owner_only(home: Home) -> None:
    for number in range(1, 14):
        revisions.keep(home, made(number))
    spec = Spec(manifest(13, **{"serving.kserve.io/stop": "true"}), 13, 101.0, 113.0)

    found = revisions.read(home, spec)

    # Whether it is paused is no part of a revision.
    assert found == [made(number) for number in range(13, 3, -1)]
    files = list((home.folder / "revisions").iterdir())
    assert len(files) == revisions.KEPT
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


def test_what_answers_is_kept_however_many_have_failed_since(home: Home) -> None:
    revisions.keep(home, made(1))
    write_json(home.status, Status(Identity.mine(), "", serving_revision=1).to_json())
    for number in range(2, 14):
        revisions.keep(home, made(number))

    found = revisions.read(home, Spec(manifest(13), 13, 101.0, 113.0))

    assert [r.number for r in found] == [*range(13, 3, -1), 1]
    assert previous(found, 1) == made(1)


def test_a_service_that_was_paused_meanwhile_is_not_the_one_that_was_planned_for(
    tmp_path: Path, short_dir: str
) -> None:
    settings = Settings(data_dir=tmp_path, runtime_dir=short_dir)
    found = Home.of(settings, "default", "iris")
    make_folder(found)
    spec = Spec(manifest(1), 1, 100.0, 101.0)
    write_json(found.spec, spec.with_paused(True, 102.0).to_json())
    planned_for = ServiceState(
        ServiceRef("local", "localhost", "default", "iris"), spec.manifest, 1, 1, (), created=100.0
    )

    with pytest.raises(ChangedMeanwhileError):
        Folders(settings, "default").apply("iris", manifest(2), version_of(planned_for))
    now = read_spec(found)
    assert now is not None
    assert (now.paused, now.revision) == (True, 1)


def test_what_an_earlier_release_made_can_be_gone_back_to(home: Home) -> None:
    before = Spec(manifest(3), 3, 100.0, 103.0)
    assert revisions.read(home, before) == [Revision(3, manifest(3), 103.0)]
    revisions.keep_before(home, before)
    revisions.keep(home, made(4))
    after = replace(before, manifest=manifest(4), revision=4)
    assert revisions.read(home, after) == [made(4), Revision(3, manifest(3), 103.0)]


def test_what_was_never_wanted_or_is_damaged_is_passed_over(home: Home) -> None:
    for number in (1, 2, 3, 4):
        revisions.keep(home, made(number))
    (home.folder / "revisions" / "1.json").write_text("{")
    (home.folder / "revisions" / "2.json").write_text(json.dumps({"number": 2}))
    assert [r.number for r in revisions.read(home, Spec(manifest(3), 3, 100.0, 103.0))] == [3]


@pytest.mark.parametrize(
    ("known", "serving", "wanted"),
    [
        ([made(1)], 1, None),
        ([made(2), made(1)], 2, 1),
        # What answers while an update fails, whatever was between.
        ([made(4), made(3), made(2)], 2, 2),
        ([made(12)], 1, None),
        # After going back, further back: 3 is 1 again, and 5 is 3 again.
        ([made(3, 1, back_to=1), made(2), made(1)], 3, None),
        ([made(5, 1, back_to=3), made(4), made(3, 1, back_to=1), made(2), made(1)], 5, None),
        ([made(4, 2, back_to=2), made(3), made(2), made(1)], 4, 1),
        ([made(4, 2, back_to=2), made(3)], 4, None),
        # The same again is no other version.
        ([made(3, 2), made(2), made(1)], 3, 1),
        # Paused: nothing answers.
        ([made(2), made(1)], 0, 1),
    ],
)
def test_the_version_to_go_back_to(known: list[Revision], serving: int, wanted: int | None) -> None:
    found = previous(known, serving)
    assert (found.number if found else None) == wanted
