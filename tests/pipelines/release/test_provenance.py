"""Sources, terms, people and code of a release are those of its build."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from faceloom.pipelines.release.provenance import code_of, count_content, kinds_of
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.last_run import read_last_run
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.release.conftest import build_set


def test_the_counts_are_those_of_the_record(built: Path) -> None:
    storage = Storage(str(built))
    record = read_record(storage)
    counts = count_content(storage, record.shards, kinds_of(record.settings))
    assert counts.by_mask == record.by_mask and sum(source.samples for source in counts.sources) == record.written
    assert {split: use.samples for split, use in counts.splits.items()} == record.by_split
    assert sum(use.shards for use in counts.splits.values()) == len(record.shards)
    assert sum(use.people for use in counts.splits.values()) == 4
    assert {"face.jpg", "json", "masked.jpg", "mask.png"} <= set(counts.members)
    assert list(counts.members) == sorted(counts.members)


def test_people_and_photos_of_morphs_are_counted_once(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    photos = tmp_path / "photos"
    synthetic.lay_photos(photos, range(8))
    plain = build_set(tmp_path / "out", photos, masks=[], morph={"neighbours": 2}, split={"shares": {"train": 1.0}})
    storage = Storage(str(plain))
    record = read_record(storage)
    assert record.morphs
    (source,) = count_content(storage, record.shards, {}).sources
    assert (source.people, source.photos, source.kind) == (4, 8, "unknown")


def test_the_kind_of_a_source_is_that_of_the_recipe() -> None:
    recipe = parse_recipe({"name": "x", "sources": [{"path": "a/b", "kind": "people"}, {"path": "c", "name": "d"}]})
    assert kinds_of(recipe) == {"b": "people", "d": "auto"}


def test_the_code_is_that_of_the_build(built: Path) -> None:
    storage = Storage(str(built))
    record, run = read_record(storage), read_last_run(storage)
    code = code_of(record, run)
    assert (code.faceloom, code.analyser, code.renderer) == (record.code, record.analyser, record.renderer)
    assert run and code.commit == run.commit and code.dirty == run.dirty
    assert code_of(record, None).commit == ""
