"""A Croissant card is checked entry by entry, and mlcroissant loads a short one of the same kind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from faceloom.pipelines.cards.croissant import croissant_json
from faceloom.pipelines.cards.croissant_check import MOST_SHARDS, find_fault, library_fault, shortened
from faceloom.schemas.release import Code, Release, ReleaseShard, SplitUse


def release_of(count: int, splits: int = 2) -> Release:
    """A release with `count` shards of one sample."""
    names = [f"s{number % splits}" for number in range(count)]
    shards = [
        ReleaseShard(
            name=f"{split}-{number:010b}-{number:012x}", split=split, samples=1, bytes=1024 + number,
            sha256=f"{number:064x}", index_bytes=10, index_sha256=f"{10**6 + number:064x}",
        )
        for number, split in enumerate(names)
    ]  # fmt: skip
    uses = {name: SplitUse(samples=names.count(name), people=1, shards=names.count(name)) for name in set(names)}
    return Release(
        name="x", version="1.0.0", code=Code(faceloom="0", analyser="1", renderer="1"), libraries={}, recipe={},
        plan="0" * 64, seed="0x0", sources=(), splits=uses, members=("face.jpg", "json", "landmarks.npy", "masked.jpg"),
        photos=count, faces=count, planned=count, written=count, by_mask={"A": count}, rejects={}, shards=tuple(shards),
    )  # fmt: skip


RELEASE = release_of(6)


def card() -> Any:
    return json.loads(croissant_json(RELEASE))


def damage(place: Callable[[Any], Any], **changes: Any) -> Any:
    """The card with other values in one of its entries."""
    changed = card()
    place(changed).update(changes)
    return changed


def entry(name: str) -> Callable[[Any], Any]:
    return lambda found: next(one for one in [*found["distribution"], *found["recordSet"]] if one["@id"] == name)


LAST = RELEASE.shards[-1].name
TAR, INDEX = f"shards/{LAST}.tar", f"index/{LAST}.parquet"


def test_a_sound_card_has_no_fault() -> None:
    assert find_fault(card(), RELEASE) == ""


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        ([], "no object"),
        (damage(lambda found: found, distribution=[]), "no distribution"),
        (damage(lambda found: found, recordSet="x"), "without an @id"),
        (damage(lambda found: found, distribution=[1]), "without an @id"),
        (damage(entry(TAR), sha256="0" * 64), f"another sha256 of {TAR}"),
        (damage(entry(INDEX), sha256="0" * 64), f"another sha256 of {INDEX}"),
        (damage(entry(TAR), contentSize="1 B"), f"another contentSize of {TAR}"),
        (damage(entry(INDEX), contentUrl="../../../../etc/passwd"), f"another contentUrl of {INDEX}"),
        (damage(entry(TAR), **{"@id": RELEASE.shards[0].name}), f"of {TAR}"),
        (damage(entry(TAR), **{"@id": INDEX}), "an @id of its own"),
        (damage(entry(TAR), encodingFormat="text/plain"), "two shards differ"),
        (damage(lambda found: entry(f"index-{LAST}")(found)["field"][0], dataType="sc:Float"), "two shards differ"),
        (damage(entry(f"index-{LAST}"), **{"@id": "index-other"}), f"no records of {INDEX}"),
        (damage(entry("files-face.jpg"), containedIn=[{"@id": TAR}]), "not those of all shards"),
        (damage(entry("files-json"), **{"@type": "cr:FileObject"}), "does not hold: 'files-json'"),
    ],
)  # fmt: skip
def test_a_damaged_card_is_refused(damaged: Any, words: str) -> None:
    assert words in find_fault(damaged, RELEASE)


def test_a_card_of_another_release_is_refused() -> None:
    assert f"of {TAR}" in find_fault(json.loads(croissant_json(release_of(5))), RELEASE)
    assert "does not hold" in find_fault(json.loads(croissant_json(release_of(7))), RELEASE)


def test_a_short_card_keeps_a_shard_of_each_split_and_all_that_is_of_no_shard() -> None:
    whole, short = card(), shortened(card(), RELEASE)
    kept = {shard.name for shard in RELEASE.shards[:2]}
    files = [one for one in short["distribution"] if one["@type"] == "cr:FileObject"]
    assert {one["@id"].split("/")[1].partition(".")[0] for one in files} == kept and len(files) == 4
    sets = [one for one in short["distribution"] if one["@type"] == "cr:FileSet"]
    assert len(sets) == 4 and all(len(one["containedIn"]) == 2 for one in sets)
    assert {one["@id"] for one in short["recordSet"]} == {f"index-{name}" for name in kept} | {"face", "masked", "json"}
    assert {key: value for key, value in short.items() if key not in ("distribution", "recordSet")} == {
        key: value for key, value in whole.items() if key not in ("distribution", "recordSet")
    }
    assert whole == card(), "the card itself stays as it is"
    many = release_of(40, splits=40)
    assert len(shortened(json.loads(croissant_json(many)), many)["recordSet"]) == MOST_SHARDS + 3


def test_mlcroissant_refuses_what_only_it_knows() -> None:
    pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    assert library_fault(card(), RELEASE) == ""
    damaged = card()
    for one in damaged["recordSet"]:
        if one["@id"].startswith("index-"):
            one["field"][0]["source"] = {"fileObject": {"@id": "gone"}, "extract": {"column": "key"}}
    assert find_fault(damaged, RELEASE) == "" and "gone" in library_fault(damaged, RELEASE)


def test_a_thousand_shards_take_seconds() -> None:
    pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    many = release_of(1000)
    plain = json.loads(croissant_json(many))
    began = time.process_time()  # 1 s on a free core; 5 minutes for the whole card
    assert find_fault(plain, many) == "" and library_fault(plain, many) == ""
    assert time.process_time() - began < 10
