"""Names of faces as columns, and the chains of people who share photos."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.plan.named_faces import chains, named_faces, shared_photos
from faceloom.schemas.photos import GivenFace, Photo


def photo(number: int, *names: str | None, landmarks: bytes | None = None) -> Photo:
    faces = tuple(GivenFace(name, (("n", number),), (0, 0, 9, 9), None) for name in names)
    first = names[0] if names else "alone"
    return Photo("s", f"{number:09d}.jpg", first, None, None, None, (), landmarks, 9, "t", "", faces)


PAIRS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40)


@given(PAIRS)
def test_chains_join_what_is_connected_and_nothing_else(pairs: list[tuple[int, int]]) -> None:
    groups: list[set[int]] = []
    for pair in pairs:  # the slow way
        met = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if not group & set(pair)] + [set(pair).union(*met)]
    assert chains(pairs) == {one: min(group) for group in groups for one in group}


def test_a_chain_of_a_million_takes_no_time_and_no_recursion() -> None:
    begin = time.process_time()
    assert set(chains((n, n + 1) for n in range(300_000, 0, -1)).values()) == {1}
    assert time.process_time() - begin < 5


def test_names_attributes_and_points() -> None:
    five = bytes(range(40))
    photos = PhotoTable.of(
        [photo(0, landmarks=five), photo(1, "b", None, "new"), photo(2, landmarks=bytes(544)), photo(3, "b")]
    )
    found = named_faces(photos)
    assert found.names.take(found.identity[[0, 2, 3]]).to_pylist() == ["b", "new", "b"] and found.identity[1] == -1
    assert [found.attributes[one] for one in found.attribute.tolist()] == [(("n", 1),)] * 3 + [(("n", 3),)]
    assert (found.first.tolist(), found.counts.tolist()) == ([0, 0, 3, 3], [0, 3, 0, 1])
    assert found.five.to_pylist() == [five] and found.five_of_photo.tolist() == [0, -1, -1, -1]
    assert not len(named_faces(photos[:1]).identity)


@given(st.lists(st.lists(st.none() | st.sampled_from("abcdefgh"), max_size=4), max_size=10))
def test_people_who_share_photos_have_one_name_for_their_chain(names: list[list[str | None]]) -> None:
    linked = shared_photos(named_faces(PhotoTable.of(photo(n, *some) for n, some in enumerate(names))))
    people = [sorted({name for name in some if name}) for some in names]
    assert set(linked) == {name for some in people if len(some) > 1 for name in some}
    for some in people:
        assert len({linked[name] for name in some if name in linked}) < 2
    assert all(linked[first] == first <= name for name, first in linked.items())
