"""Sides of the split: people stay whole, shares are kept, and people who come later move no one."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan.splits import assign_splits, empty_splits
from faceloom.schemas.keys import unit_interval
from faceloom.schemas.recipe import Split

Row = tuple[str, str, str | None]


def sha(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def split(**data: object) -> Split:
    return Split.model_validate(data)


rows = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 500), st.sampled_from([None, "train", "test"])),
    max_size=60,
    unique_by=lambda row: row[1],
).map(lambda found: [(group, sha(number), own) for group, number, own in found])
shares = st.sampled_from(
    [{"train": 1.0}, {"train": 0.5, "test": 0.5}, {"train": 0.8, "val": 0.1, "test": 0.1}, {"train": 0.0, "test": 1.0}]
)


@given(rows, shares, st.integers(0, 99))
def test_a_person_is_on_one_side(photos: list[Row], parts: dict[str, float], seed: int) -> None:
    sides = defaultdict(set)
    for (group, _, _), side in zip(photos, assign_splits(split(shares=parts), seed, photos), strict=True):
        sides[group].add(side)
    assert all(len(found) == 1 for found in sides.values())
    assert {side for found in sides.values() for side in found} <= {name for name, share in parts.items() if share}


@given(rows, shares, st.integers(0, 99), st.randoms())
def test_people_who_come_later_move_no_one(
    photos: list[Row], parts: dict[str, float], seed: int, rng: random.Random
) -> None:
    how = split(shares=parts)
    whole = dict(zip(photos, assign_splits(how, seed, photos), strict=True))
    some = [row for row in photos if rng.random() < 0.5]
    assert assign_splits(how, seed, some) == [whole[row] for row in some]


@pytest.mark.parametrize("parts", [{"train": 0.8, "val": 0.1, "test": 0.1}, {"test": 0.3, "train": 0.7}])
def test_shares_are_kept_over_many_people(parts: dict[str, float]) -> None:
    people = [(f"person {number}", sha(number), None) for number in range(5000)]
    found = Counter(assign_splits(split(shares=parts), 1, people))
    for name, share in parts.items():
        assert abs(found[name] / 5000 - share) < 5 * (share * (1 - share) / 5000) ** 0.5


def test_another_seed_is_another_split() -> None:
    people = [(f"person {number}", sha(number), None) for number in range(200)]
    how = split(shares={"train": 0.5, "test": 0.5})
    one, other = (assign_splits(how, seed, people) for seed in (0, 1))
    assert 60 < sum(a != b for a, b in zip(one, other, strict=True)) < 140


def test_more_train_takes_from_the_neighbour_alone() -> None:
    """With the shares in the same order, growing the first never sends anybody the other way."""
    people = [(f"person {number}", sha(number), None) for number in range(500)]
    less, more = (assign_splits(split(shares={"train": t, "test": 1 - t}), 0, people) for t in (0.6, 0.8))
    assert not [1 for a, b in zip(less, more, strict=True) if (a, b) == ("train", "test")]


@given(rows)
def test_the_sources_own_split_is_taken_as_it_is(photos: list[Row]) -> None:
    assert assign_splits(split(by="source"), 0, photos) == [own for _, _, own in photos]


@given(rows, st.floats(0.01, 0.99), st.integers(0, 9), st.randoms())
def test_per_identity_shares_are_exact_to_a_photo_whatever_the_order(
    photos: list[Row], share: float, seed: int, rng: random.Random
) -> None:
    how = split(per_identity=share)
    sides = dict(zip(photos, assign_splits(how, seed, photos), strict=True))
    for group in {row[0] for row in photos}:
        own = [side for row, side in sides.items() if row[0] == group]
        assert abs(own.count("train") - share * len(own)) < 1
        assert own.count("train") + own.count("test") == len(own)
    shuffled = photos[:]
    rng.shuffle(shuffled)
    assert dict(zip(shuffled, assign_splits(how, seed, shuffled), strict=True)) == sides


@given(rows, st.floats(0.01, 0.99))
def test_per_identity_one_persons_photos_do_not_matter_to_another(photos: list[Row], share: float) -> None:
    how = split(per_identity=share)
    whole = dict(zip(photos, assign_splits(how, 0, photos), strict=True))
    own = [row for row in photos if row[0] == "a"]
    assert assign_splits(how, 0, own) == [whole[row] for row in own]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("each", [1, 2, 3])
def test_per_identity_shares_hold_over_many_people_of_few_photos(share: float, each: int) -> None:
    """A photo without a name is a group of its own: rounding would put all of them on one side."""
    photos: list[Row] = [(f"p{person}", sha((person, n)), None) for person in range(3000) for n in range(each)]
    found = assign_splits(split(per_identity=share), 0, photos)
    assert abs(found.count("train") / len(found) - share) < 5 * (0.25 / 3000) ** 0.5


def test_per_identity_a_share_of_whole_photos_leaves_nothing_to_chance() -> None:
    photos: list[Row] = [(f"p{person}", sha((person, n)), None) for person in range(200) for n in range(20)]
    found = Counter(zip((row[0] for row in photos), assign_splits(split(per_identity=0.7), 0, photos), strict=True))
    assert {(side, count) for (_, side), count in found.items()} == {("train", 14), ("test", 6)}


def test_lee_2022_seventy_per_cent_of_each_of_22_people() -> None:
    photos: list[Row] = [(f"p{person}", sha((person, n)), None) for person in range(22) for n in range(10 + person % 5)]
    found = assign_splits(split(per_identity=0.7), 0, photos)
    assert found.count("train") / len(found) == pytest.approx(0.7, abs=0.03)


def test_which_photos_are_drawn_depends_on_the_seed() -> None:
    photos: list[Row] = [("a", sha(number), None) for number in range(40)]
    one, other = (assign_splits(split(per_identity=0.5), seed, photos) for seed in (0, 1))
    assert one != other
    assert one.count("train") == other.count("train") == 20


def test_a_draw_at_the_very_end_still_has_a_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceloom.pipelines.plan.splits.unit_interval", lambda *_: 1 - 2**-53)
    for parts, last in (({"train": 0.7, "val": 0.1, "test": 0.2}, "test"), ({"train": 1.0, "test": 0.0}, "train")):
        assert assign_splits(split(shares=parts), 0, [("a", sha(1), None)]) == [last]


def test_no_people_no_sides() -> None:
    assert assign_splits(split(), 0, []) == []
    assert assign_splits(split(per_identity=0.5), 0, []) == []


def test_a_split_without_people_is_reported_with_the_reason() -> None:
    faces = 3, 2, ["train"]
    assert empty_splits(split(), *faces) == (
        "split val (10%) gets no sample: each person is assigned to a split by hash, and none of 2 to this one. "
        "More people, another `seed` or `split: {per_identity: 0.7}` may fill it",
        "split test (10%) gets no sample: each person is assigned to a split by hash, and none of 2 to this one. "
        "More people, another `seed` or `split: {per_identity: 0.7}` may fill it",
    )
    assert "no source names people, so each photo goes to a split" in empty_splits(split(), *faces, named=False)[0]
    [warning] = empty_splits(split(shares={"train": 0.5, "val": 0, "test": 0.5}), *faces)
    assert warning.startswith("split test (50%)")


def test_so_is_one_to_which_no_photo_falls() -> None:
    [warning] = empty_splits(split(per_identity=0.9), 3, 2, ["train"])
    assert warning == (
        "split test (10%) gets no sample: each person's photos are divided by hash, and none of 3 is in this one. "
        "More photos or another `seed` may fill it"
    )


@pytest.mark.parametrize(
    ("how", "faces"),
    [
        ({}, [("Ada", "train"), ("Grace", "val"), ("Mary", "test")]),
        ({}, []),
        ({"shares": {"train": 1}}, [("Ada", "train")]),
        ({"by": "source"}, [("Ada", "dev")]),
        ({"per_identity": 0.5}, [("Ada", "train"), ("Ada", "test")]),
    ],
)
def test_otherwise_nothing_is_told(how: dict[str, object], faces: list[tuple[str, str]]) -> None:
    people, full = ({one[place] for one in faces} for place in (0, 1))
    assert empty_splits(split(**how), len(faces), len(people), full) == ()


def test_the_order_of_the_shares_changes_no_split() -> None:
    people = [(f"person {number}", sha(number), None) for number in range(1000)]
    shares = {"train": 0.7, "val": 0.2, "test": 0.1}
    sides = assign_splits(split(shares=shares), 1, people)
    for order in permutations(shares):
        how = split(shares={name: shares[name] for name in order})
        assert assign_splits(how, 1, people) == sides
        assert list(how.shares) == ["train", "val", "test"]


def test_sides_of_the_shipped_recipes_are_those_of_the_first_version() -> None:
    """Train takes the smallest draws, then val, then test."""
    people = [(f"person {number}", sha(number), None) for number in range(12)]
    words = " ".join(assign_splits(split(shares={"train": 0.5, "val": 0.3, "test": 0.2}), 0, people))  # type: ignore[arg-type]
    draws = [unit_interval("split", 0, name) for name, _, _ in people]
    assert words.split() == ["train" if draw < 0.5 else "val" if draw < 0.8 else "test" for draw in draws]
