"""What splits share is counted as a plain loop counts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.release.near_duplicates import Hashed
from faceloom.pipelines.release.split_gates import identities, licences, morphs, near_duplicates, photos
from faceloom.pipelines.store.parquet_tables import table_schema
from faceloom.schemas.index import IndexRow
from tests.pipelines.release.sets import One

ONES = st.lists(
    st.builds(
        One, photo=st.integers(0, 5), identity=st.sampled_from("ABC"), split=st.sampled_from(["train", "test"]),
        licence=st.sampled_from([None, "", " ", "CC0"]), source=st.sampled_from("st"),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def table(ones: Iterable[One]) -> pa.Table:
    """The columns that the gates read, in two chunks."""
    schema = table_schema(IndexRow)
    names = ("split", "people", "photo_sha256", "parents", "source", "licence")
    rows = [
        {
            "split": one.split, "people": list(one.people), "photo_sha256": one.sha256, "source": one.source,
            "licence": one.licence, "parents": [
                {"key": p.face, "identity": p.identity, "source": p.source, "uri": p.uri, "photo_sha256": p.sha256}
                for p in (one, one.other) if p and one.other
            ],
        }
        for one in ones
    ]  # fmt: skip
    part = pa.schema([schema.field(name) for name in names])
    return pa.concat_tables([pa.Table.from_pylist(rows[:2], part), pa.Table.from_pylist(rows[2:], part)])


def in_several(pairs: Iterable[tuple[str, str]]) -> set[str]:
    seen = defaultdict(set)
    for value, split in pairs:
        seen[value].add(split)
    return {value for value, splits in seen.items() if len(splits) > 1}


@given(ONES, st.booleans())
def test_people_and_photos_in_several_splits(ones: list[One], mixed: bool) -> None:
    if mixed:
        ones = [*ones, *(replace(one, other=other) for one, other in pairwise(ones))]
    people = in_several((person, one.split) for one in ones for person in one.people)
    hashes = in_several((side.sha256, one.split) for one in ones for side in (one, one.other) if side)
    found = identities(table(ones), shared=False)
    assert found.passed == (not people) and found.figures["in_several_splits"] == len(people)
    assert identities(table(ones), shared=True).passed
    found = photos(table(ones))
    assert found.passed == (not hashes) and found.figures["in_several_splits"] == len(hashes)


def test_a_parent_without_samples_of_its_own_may_be_anywhere() -> None:
    ada, grace = One(1, "Ada"), One(2, "Grace")
    morph = replace(ada, other=grace)
    assert morphs(table([ada, morph])).passed and morphs(table([morph])).passed
    assert morphs(table([ada, grace, morph])).found == "the parents of all 1 morphs are in the splits of the morphs"
    assert morphs(table([ada])).found == "it holds no morphs"
    elsewhere = morphs(table([ada, morph, replace(grace, split="test")]))
    assert not elsewhere.passed and grace.sha256 in elsewhere.found and "Grace" in elsewhere.found
    both = [ada, morph, replace(grace, split="test"), replace(grace, photo=3)]
    assert morphs(table(both)).figures["misplaced"] == 1, "Grace is in both splits, her photo is not"


@given(ONES)
def test_each_source_without_licences_is_counted(ones: list[One]) -> None:
    bare = [one for one in ones if not (one.licence or "").strip()]
    found = licences(table(ones))
    assert found.passed == (not bare) and found.figures["samples_without"] == len(bare)
    assert found.figures["without"] == len({one.source for one in bare})


def test_near_duplicates_are_refused_above_the_limit_only() -> None:
    hashes = np.zeros((4, 4), np.uint64)
    hashes[1, 0], hashes[2, 1], hashes[3, 2] = 1, 2**40 - 1, 2**40 - 1
    hashed = Hashed(list("abcd"), np.array([0, 1, 0, 1], np.int8), hashes, flat=1, without=2)
    found = near_duplicates(hashed, 0.5)
    assert found.passed and (found.figures["near"], found.figures["share"]) == (2, 0.5)
    assert "3 faces without structure or `face` are not compared" in found.found and "a and b" not in found.found
    refused = near_duplicates(hashed, 0.4)
    assert not refused.passed and "a and b, which differ in at most 16 of 256 bits" in refused.found
    none = near_duplicates(Hashed([], np.zeros(0, np.int8), np.zeros((0, 4), np.uint64), 0, 0), 0.0)
    assert none.passed and none.found.startswith("0 of 0 faces")
