"""Facts of samples, and file names of photos: unique, plain and the same in every export."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.export.sample_facts import SampleFacts, is_picture, original_names, read_facts
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.read.builds import make_build


def fact(key: str, uri: str, identity: str = "Ada", split: str = "train") -> SampleFacts:
    return SampleFacts(key, identity, split, uri, False, ("face.jpg", "json"))


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("Ada/Ada_0001.jpg", "Ada_0001"), ("train.rec::000000017", "000000017"), ("x/a-0.tar::Ada 7.png", "Ada 7"),
        ("a/b.c.JPEG", "b.c"), ("noending", "noending"), ("a/../con.jpg", "con-"), ("a/.jpg", "unnamed-"),
    ],
)  # fmt: skip
def test_a_sample_is_called_after_its_photo(uri: str, name: str) -> None:
    (found,) = original_names([fact("aa-f00-m000", uri)]).values()
    assert found == name or (name.endswith("-") and found.startswith(name))


def test_names_that_are_not_unique_get_the_end_of_the_key() -> None:
    facts = [fact("aa-f00-m000", "1.jpg"), fact("aa-f00-m001", "1.jpg"), fact("bb-f00-m000", "2.jpg")]
    assert list(original_names(facts).values()) == ["1-f00-m000", "1-f00-m001", "2"]
    facts = [fact("aa-f00-m000", "x/1.jpg"), fact("bb-f00-m000", "y/1.JPG")]
    assert list(original_names(facts).values()) == ["1-aa-f00-m000", "1-bb-f00-m000"]
    facts = [fact("aa-f00-m000", "x/A.jpg"), fact("bb-f01-m000", "y/a.jpg")]
    assert list(original_names(facts).values()) == ["A-f00-m000", "a-f01-m000"], "one file on some systems"


def test_a_photo_that_is_called_as_another_one_with_the_end_of_a_key_keeps_its_own_file() -> None:
    facts = [fact("aa-f00-m000", "x.jpg"), fact("aa-f00-m001", "x.jpg"), fact("bb-f00-m000", "X-f00-m001.png")]
    names = [*original_names(facts).values()]
    assert names == ["x-f00-m000", "x-aa-f00-m001", "X-f00-m001-bb-f00-m000"]
    assert len({name.casefold() for name in names}) == 3


def test_other_people_and_splits_have_their_own_folders() -> None:
    facts = [fact("a", "1.jpg"), fact("b", "1.jpg", identity="Bea"), fact("c", "1.jpg", split="test")]
    assert set(original_names(facts).values()) == {"1"}


def test_facts_are_those_of_the_index(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 2), ("test", 1)], without_landmarks=[1])
    storage = Storage(str(tmp_path))
    shards = read_record(storage).shards
    one, two, three = read_facts(storage, shards)
    assert (one.key, one.identity, one.split, one.uri, one.is_morph) == ("0000-f00-m000", "p", "train", "u", False)
    assert set(one.members) - set(two.members) == {"landmarks.npy"} and three.split == "test"
    assert [name for name in one.members if is_picture(name)] == ["alpha.png", "face.png", "mask.png", "masked.png"]
    storage.remove(f"index/{shards[0].name}.parquet")
    with pytest.raises(StorageError, match=shards[0].name):
        list(read_facts(storage, shards))
