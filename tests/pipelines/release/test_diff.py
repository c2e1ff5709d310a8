"""A diff finds each changed sample, once, from the indexes alone."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.release.diff import KINDS, Diff, SampleSet, build_set, diff, release_set
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.release.sets import One, people, with_morphs, write_set

MIRRORED = {"added": "removed", "removed": "added"}


def compare(folder: Path, before: list[One], after: list[One]) -> Diff:
    storage = Storage(str(folder))
    return diff(release_set(storage, write_set(storage, before)), release_set(storage, write_set(storage, after)))


def kinds(found: Diff) -> dict[str, str]:
    return dict(zip(found.changes["key"].to_pylist(), found.changes["kind"].to_pylist(), strict=True))


def test_each_kind_of_change(tmp_path: Path) -> None:
    base = [One(number, f"P{number}") for number in range(8)]
    changes = {
        1: {"look": 1}, 2: {"note": "n"}, 3: {"mask": "B"}, 4: {"identity": "Q"}, 5: {"origin": "o"},
        6: {"split": "test", "look": 1},
    }  # fmt: skip
    after = [replace(one, **changes.get(one.photo, {})) for one in base[:7]] + [One(99, "New")]  # type: ignore[arg-type]
    found = compare(tmp_path, base, after)
    key = [one.key for one in base]
    assert kinds(found) == {
        key[1]: "rerendered", key[2]: "relabelled", key[3]: "relabelled", key[4]: "relabelled", key[5]: "lineage",
        key[6]: "moved", key[7]: "removed", One(99, "").key: "added",
    }  # fmt: skip
    assert found.counts == {
        "added": 1, "removed": 1, "moved": 1, "rerendered": 1, "relabelled": 3, "lineage": 1, "unchanged": 1,
    }  # fmt: skip
    assert found.samples == (8, 8) and found.splits_added == ("test",) and found.splits_removed == ()
    assert found.by_identity["Q"] == {"relabelled": 1} and found.by_identity["P7"] == {"removed": 1}
    assert found.by_split["moved"] == {"test": 1} and found.by_split["removed"] == {"train": 1}


def test_the_rows_of_a_change_show_both_sides(tmp_path: Path) -> None:
    one = One(1, "Ada")
    (row,) = compare(tmp_path, [one], [replace(one, split="test", mask="B")]).plain(listed=True)["changes"]
    assert (row["split_before"], row["split_after"], row["mask_before"], row["mask_after"]) == (
        "train",
        "test",
        "A",
        "B",
    )
    (row,) = compare(tmp_path, [one, One(2, "Ada")], [one]).plain(listed=True)["changes"]
    assert row["kind"] == "removed" and row["identity_before"] == "Ada" and row["identity_after"] is None


def test_shared_shards_are_not_read(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    ones = people(4)
    before = release_set(storage, write_set(storage, ones))
    after = release_set(storage, write_set(storage, [*ones, One(999, "New", shard=9)]))
    for shard in before.shards:
        storage.remove(shard_index(shard.name))
    seen: list[tuple[str, object]] = []

    class Seeing(Watcher):
        def stage(self, name: str, total: int | None, unit: str) -> None:
            seen.append((name, total))

        def done(self, count: int) -> None:
            seen.append(("done", count))

    found = diff(before, after, Seeing())
    assert found.shards == (4, 0, 1) and seen == [("compare", 1), ("done", 1)]
    assert found.counts["added"] == 1 and found.counts["unchanged"] == len(ones)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    ones = [One(1, "Ada"), replace(One(1, "Ada"), shard=1)]
    with pytest.raises(StorageError, match="two samples have the same key"):
        compare(tmp_path, ones, [One(1, "Bo")])


def test_an_index_with_other_rows_than_listed_is_refused(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    before, after = (write_set(storage, ones) for ones in (people(1), people(1, photos=3)))
    shutil.copy(tmp_path / shard_index(before.shards[0].name), tmp_path / shard_index(after.shards[0].name))
    with pytest.raises(StorageError, match="the index has 2 rows, and 3 samples are listed"):
        diff(release_set(storage, before), release_set(storage, after))


def test_a_release_is_compared_with_an_empty_one(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    full = release_set(storage, write_set(storage, people(2)))
    empty = SampleSet("empty", storage, (), frozenset(), frozenset())
    assert diff(empty, full).counts["added"] == 4 and diff(full, empty).counts["removed"] == 4
    assert diff(empty, empty).plain()["counts"] == dict.fromkeys((*KINDS, "unchanged"), 0)


ONES = st.lists(
    st.builds(
        One,
        photo=st.integers(0, 5), identity=st.sampled_from("AB"), split=st.sampled_from(["train", "test"]),
        look=st.integers(0, 1), mask=st.sampled_from("AB"), note=st.sampled_from("xy"), origin=st.sampled_from("xy"),
        shard=st.integers(0, 1),
    ),
    unique_by=lambda one: one.photo, min_size=1, max_size=6,
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(before=ONES, after=ONES)
def test_changes_partition_the_keys_and_mirror(
    tmp_path_factory: pytest.TempPathFactory, before: list[One], after: list[One]
) -> None:
    storage = Storage(str(tmp_path_factory.mktemp("sets")))
    sets = [release_set(storage, write_set(storage, with_morphs(ones))) for ones in (before, after)]
    forth, back = diff(sets[0], sets[1]), diff(sets[1], sets[0])
    keys = [{one.key for one in with_morphs(ones)} for ones in (before, after)]
    assert sum(forth.counts.values()) == len(keys[0] | keys[1])
    found = kinds(forth)
    assert len(found) == len(forth.changes) == sum(count for kind, count in forth.counts.items() if kind != "unchanged")
    assert {key for key, kind in found.items() if kind == "added"} == keys[1] - keys[0]
    assert {key for key, kind in found.items() if kind == "removed"} == keys[0] - keys[1]
    assert kinds(back) == {key: MIRRORED.get(kind, kind) for key, kind in found.items()}
    assert (back.splits_added, back.members_added) == (forth.splits_removed, forth.members_removed)
    swapped = [
        {
            name.replace("before", "-").replace("after", "before").replace("-", "after"): value
            for name, value in row.items()
        }
        for row in back.changes.drop_columns("kind").to_pylist()
    ]
    order = lambda row: row["key"]  # noqa: E731
    assert sorted(swapped, key=order) == sorted(forth.changes.drop_columns("kind").to_pylist(), key=order)
    of_key = [{one.key: one for one in with_morphs(ones)} for ones in (before, after)]
    people = [person for key in found for person in (of_key[1].get(key) or of_key[0][key]).people]
    assert {name: sum(of.values()) for name, of in forth.by_identity.items()} == Counter(people)


def test_a_build_can_be_compared(masked_build: Path) -> None:
    from faceloom.pipelines.store.build_record import read_record

    storage = Storage(str(masked_build))
    one = build_set(storage, read_record(storage))
    assert one.splits == {"train", "test"} and {"face.png", "json"} <= one.members
    assert diff(one, one).counts["unchanged"] == 18
    record = read_record(storage)
    empty = record.shards[0].model_copy(update={"name": "train-0-empty", "samples": 0})
    assert build_set(storage, record.model_copy(update={"shards": (empty, *record.shards)})).members == one.members
