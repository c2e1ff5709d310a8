"""Each gate passes for a sound release, and names what is wrong with another one."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.cards.croissant import croissant_json
from faceloom.pipelines.release import gates as gates_module
from faceloom.pipelines.release.gates import run_gates
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import append_sample
from faceloom.schemas.release import GateResult, Release
from tests.pipelines.release.sets import One, people, with_morphs, write_set

ALL = [
    *("checksums", "samples", "counts", "identities", "photos", "near-duplicates", "morphs", "licences"),
    *("croissant", "version"),
]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def run(storage: Storage, release: Release, previous: Release | None = None) -> dict[str, GateResult]:
    before = (storage, previous) if previous else None
    return {result.gate: result for result in run_gates(storage, release, None, before, Watcher())}


def failed(results: dict[str, GateResult]) -> list[str]:
    return [name for name, result in results.items() if not result.passed]


def test_a_sound_release_passes_every_gate(storage: Storage) -> None:
    release = write_set(storage, with_morphs(people(6)))
    results = run(storage, release)
    assert list(results) == ALL and failed(results) == []
    assert (
        results["samples"].found == "24 samples with 120 files open in tar order and by the ranges of the index alike"
    )
    assert results["morphs"].found == "the parents of all 12 morphs are in the splits of the morphs"
    assert all("\n" not in result.found for result in results.values())


def test_what_has_passed_names_no_person(storage: Storage) -> None:
    shared = [One(1, "Ada"), One(2, "Ada", "test"), One(3, "Grace")]
    release = write_set(storage, shared, recipe={"name": "x", "split": {"per_identity": 0.5}})
    results = run(storage, release)
    assert failed(results) == []
    assert results["identities"].figures == {"people": 2, "in_several_splits": 1}
    text = json.dumps([result.model_dump() for result in results.values()])
    assert "Ada" not in text and shared[0].sha256[:16] not in text


def flip(storage: Storage, path: str, at: int) -> None:
    file = Path(storage.root, path)
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda s, name: flip(s, shard_tar(name), 600), "another sha256"),
        (lambda s, name: flip(s, shard_index(name), -9), "another sha256"),
        (lambda s, name: s.remove(shard_tar(name)), "is missing"),
        (lambda s, name: Path(s.root, shard_index(name)).write_bytes(b"x"), "has 1 bytes, not"),
    ],
)
def test_a_damaged_file_is_named_and_the_other_gates_do_not_run(
    storage: Storage, harm: Callable[[Storage, str], Any], words: str
) -> None:
    release = write_set(storage, people(4))
    name = release.shards[1].name
    harm(storage, name)
    results = run(storage, release)
    assert list(results) == ALL[:2] and failed(results) == ["checksums"]
    assert name in results["checksums"].found and words in results["checksums"].found


def test_a_sample_with_other_files_is_named(storage: Storage) -> None:
    release = write_set(storage, people(2))
    results = run(storage, release.model_copy(update={"members": (*release.members, "guide.png")}))
    assert failed(results) == ["samples"] and "has the files face.png, json" in results["samples"].found


def test_an_index_that_lies_about_a_sample_is_found(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests agree, and yet the tar holds other names than the index."""
    from tests.pipelines.release import sets

    honest = append_sample
    monkeypatch.setattr(sets, "append_sample", lambda stream, at, key, files: honest(stream, at, f"{key}x", files))
    results = run(storage, write_set(storage, people(1)))
    assert failed(results) == ["samples"] and "tar header" in results["samples"].found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"by_mask": {"B": 4}}, "by mask"),
        ({"splits": {"train": {"samples": 4, "people": 2, "shards": 2}}}, "splits"),
    ],
)
def test_counts_are_those_of_the_indexes(storage: Storage, change: dict[str, Any], words: str) -> None:
    release = write_set(storage, people(2))
    results = run(storage, release.model_copy(update=Release.model_construct(**change).__dict__ | _parsed(change)))
    assert failed(results) == ["counts"] and words in results["counts"].found


def _parsed(change: dict[str, Any]) -> dict[str, Any]:
    from faceloom.schemas.release import SplitUse

    splits = {name: SplitUse(**split) for name, split in change.get("splits", {}).items()}
    return change | ({"splits": splits} if splits else {})


def test_a_key_that_two_shards_hold_is_found(storage: Storage) -> None:
    ones = [One(1, "Ada"), replace(One(1, "Ada"), shard=1)]
    results = run(storage, write_set(storage, ones))
    assert failed(results) == ["counts"] and "1 sample with the key of another one" in results["counts"].found


def test_a_person_in_two_splits_is_refused(storage: Storage) -> None:
    results = run(storage, write_set(storage, [One(1, "Ada"), One(2, "Ada", "test"), One(3, "Grace")]))
    assert failed(results) == ["identities"]
    assert results["identities"].found.startswith("1 of 2 people are in several splits: Ada. Use `split:")


def test_the_other_person_of_a_morph_counts(storage: Storage) -> None:
    morph = replace(One(1, "Ada"), other=One(2, "Grace", "test"))
    results = run(storage, write_set(storage, [One(1, "Ada"), morph, One(2, "Grace", "test")]))
    assert failed(results) == ["identities", "photos", "morphs"]
    assert "Grace" in results["identities"].found and One(2, "").sha256 in results["photos"].found
    assert results["morphs"].figures == {"morphs": 1, "misplaced": 2}  # by its photo, and by the person


def test_a_photo_in_two_splits_is_refused(storage: Storage) -> None:
    ones = [One(1, "Ada"), One(1, "Grace", "test", mask="B")]
    results = run(storage, write_set(storage, ones))
    assert {"photos", "near-duplicates"} <= set(failed(results)) and ones[0].sha256 in results["photos"].found


def test_near_duplicates_above_the_limit_are_refused(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.pipelines.release import sets

    honest = sets.picture
    monkeypatch.setattr(sets, "picture", lambda one: honest(replace(one, photo=1) if one.photo == 2 else one))
    release = write_set(storage, [One(1, "Ada"), One(2, "Grace", "test"), One(3, "Rosa"), One(4, "Marie", "test")])
    results = run(storage, release)
    assert failed(results) == ["near-duplicates"]
    found = results["near-duplicates"]
    assert found.found.startswith("2 of 4 faces (50.00%) have a near-duplicate in another split; at most 1.00% may")
    assert One(1, "").key in found.found and One(2, "").key in found.found
    allowed = release.model_copy(update={"recipe": {**release.recipe, "release": {"near_duplicates": 0.5}}})
    assert failed(run(storage, allowed)) == []


def test_a_source_without_licence_is_named_with_what_to_do(storage: Storage) -> None:
    ones = [One(1, "Ada", licence=None, source="web"), One(2, "Ada", licence=" ", source="web"), One(3, "Ada")]
    results = run(storage, write_set(storage, ones))
    assert failed(results) == ["licences"]
    assert "2 of 2 samples of web. Add `licence: …` to the source in the recipe" in results["licences"].found


def test_a_description_that_is_not_valid_is_refused(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    release = write_set(storage, people(2))
    good = croissant_json(release)
    for data, words in (
        (b"{", "no JSON"),
        (good.replace(release.shards[0].sha256.encode(), b"0" * 64), "another sha256 of"),
        (b"[]", "no object"),
        (b'{"@context": {}}', "no @context"),
    ):
        monkeypatch.setattr(gates_module, "croissant_json", lambda _, data=data: data)
        result = gates_module.croissant(release)
        assert not result.passed and words in result.found


def test_mlcroissant_checks_it_if_it_is_installed(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    release = write_set(storage, people(2))
    found = gates_module.croissant(release)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert gates_module.croissant(release) == found, "a release does not depend on what is installed"
    monkeypatch.undo()
    pytest.importorskip("mlcroissant")
    assert found.passed
    plain = json.loads(croissant_json(release))
    plain["recordSet"][0]["field"][0]["source"] = {"fileObject": {"@id": "gone"}, "extract": {"column": "key"}}
    monkeypatch.setattr(gates_module, "croissant_json", lambda _: json.dumps(plain).encode())
    assert not gates_module.croissant(release).passed


def test_a_version_that_rises_too_little_is_refused(storage: Storage) -> None:
    before = write_set(storage, people(4))
    after = write_set(storage, [*people(4), One(999, "New")], "1.0.1", parent=f"faces/1.0.0+{'0' * 64}")
    results = run(storage, after, before)
    assert failed(results) == ["version"] and results["version"].found.endswith("Use 1.1.0")
    assert failed(run(storage, after.model_copy(update={"version": "1.1.0"}), before)) == []
