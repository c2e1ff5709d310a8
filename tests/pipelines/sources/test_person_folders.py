"""The folder that names the person: the first one below sets, splits and wrappers, however deep the photos lie."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources.person_folders import Named, PersonFolders, stated_rule


def people(*uris: str) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """The person of each photo, and the notices."""
    rule = PersonFolders(Counter(uri.rpartition("/")[0] for uri in uris))
    return {uri: rule(uri).identity for uri in uris}, rule.notices


def two(*folders: str) -> list[str]:
    return [f"{folder}/{n}.jpg" for folder in folders for n in (1, 2)]


@pytest.mark.parametrize("name", ["Ann", "train", "1"])
def test_folders_of_people_stay_as_they_are(name: str) -> None:
    found, notices = people(*two(name, "Bob", "Cid"))
    assert set(found.values()) == {name, "Bob", "Cid"} and not notices
    found, notices = people(*two("Ann/2020", "Ann/2021", "Bob/2020"))
    assert set(found.values()) == {"Ann", "Bob"} and not notices, "equal levels"


@pytest.mark.parametrize("outer", [("train", "val"), ("Train", "TEST", "dev"), ("train",), ("set/train", "set/test")])
def test_folders_of_splits_are_no_people(outer: tuple[str, ...]) -> None:
    uris = two(*(f"{split}/{name}" for split in outer for name in ("Ann", "Bob")))
    found, notices = people(*uris)
    assert set(found.values()) == {"Ann", "Bob"} and "are splits" in notices[-1]
    rule = PersonFolders(Counter(uri.rpartition("/")[0] for uri in uris))
    assert [rule(uri).split for uri in uris] == [uri.split("/")[-3].lower() for uri in uris]


def test_photos_directly_in_splits_have_no_person() -> None:
    found, notices = people(*two("train", "val"))
    assert set(found.values()) == {None} and "no folder names a person" in notices[0]
    found, notices = people(*two("train/Ann", "train/Bob", "test"))
    assert set(found.values()) == {"Ann", "Bob", None} and "different levels" in notices[-1]


def test_a_wrapper_is_no_person() -> None:
    found, notices = people(*two("set/lfw/Ann", "set/lfw/Bob"))
    assert set(found.values()) == {"Ann", "Bob"}
    assert "the folder set," in notices[0] or "the folder lfw," in notices[-1]
    found, notices = people(*two("Ann"))
    assert set(found.values()) == {"Ann"} and not notices
    assert set(people(*two("Ann/album"))[0].values()) == {"Ann"}


def test_where_levels_are_mixed_the_first_folder_with_photos_is_the_person() -> None:
    found, notices = people(*two("lfw/Ann", "lfw/Bob", "orl/s1", "Zoe"), "cover.jpg")
    assert set(found.values()) == {"Ann", "Bob", "s1", "Zoe", None}
    assert "different levels (1 beside the folders, 2 one folder deep, 6 two folders deep)" in notices[0]
    found, _ = people("Ann/1.jpg", "Ann/album/summer/2.jpg", "Bob/3.jpg")
    assert set(found.values()) == {"Ann", "Bob"}, "an album of a person"


def test_few_photos_beside_people_make_no_person() -> None:
    uris = two(*(f"lfw/{n}" for n in range(9)), *(f"orl/s{n}" for n in range(9)))
    found, _ = people("lfw/overview.jpg", *uris)
    assert len(set(found.values())) == 19 and found["lfw/overview.jpg"] == "lfw"
    assert {found[uri] for uri in uris} == {*map(str, range(9)), *(f"s{n}" for n in range(9))}


@pytest.mark.parametrize(
    ("identity", "person"),
    [
        ("folder 1", "train"), ("folder 2", "Ann"), ("folder 3", None), ("parent", "Ann"), (r"/([A-Z])[a-z]+/", "A"),
        (r"(\d+)\.jpg$", "7"), (r"(?P<split>\w+)/(?P<identity>\w+)", "Ann"), ("^(x)", None), ("(x)?", None),
    ],
)  # fmt: skip
def test_a_stated_rule(identity: str, person: str | None) -> None:
    assert stated_rule(identity)("train/Ann/7.jpg").identity == person
    assert stated_rule("parent")("7.jpg") == Named(None, None)


def test_the_split_above_the_person() -> None:
    assert stated_rule("folder 2")("Train/Ann/7.jpg") == Named("Ann", "train")
    assert stated_rule("parent")("set/test/Ann/7.jpg") == Named("Ann", "test")
    assert stated_rule("folder 1")("train/Ann/7.jpg") == Named("train", None)


PATHS = st.lists(
    st.lists(st.sampled_from(["train", "val", "a", "b", "c"]), max_size=3).map(lambda some: "/".join([*some, "1.jpg"])),
    min_size=1,
    unique=True,
)


@given(PATHS, st.randoms())
def test_a_person_is_a_folder_of_the_path_in_any_order(uris: list[str], shuffle: random.Random) -> None:
    found, _ = people(*uris)
    shuffle.shuffle(uris)
    assert people(*uris)[0] == found
    for uri, person in found.items():
        assert person is None or person in uri.split("/")[:-1]
    levels = {uri.count("/") for uri in uris}
    if levels == {1} and not all(uri.split("/")[0] in ("train", "val") for uri in uris):
        assert all(person == uri.split("/")[0] for uri, person in found.items())


def test_equally_deep_sets_of_people_are_named_as_such() -> None:
    lfw, orl = [f"lfw/Ann{number}" for number in range(3)], [f"orl/s{number}" for number in range(3)]
    found, notices = people(*two(*lfw, *orl))
    assert set(found.values()) == {"lfw", "orl"}
    assert "the folders lfw, orl hold 6 folders of photos, and count as the people" in notices[0]
    assert "`identity: parent`" in notices[0]


def test_sessions_of_a_person_are_no_people() -> None:
    for folders in (["Ann/2020", "Ann/2021", "Bob/2022"], [f"{who}/{n}" for who in ("Ann", "Bob") for n in range(9)]):
        found, notices = people(*two(*folders))
        assert set(found.values()) == {"Ann", "Bob"} and not notices
