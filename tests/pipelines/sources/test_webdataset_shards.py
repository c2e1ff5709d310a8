from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.sources.webdataset_shards import WebDatasetShards
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec


def write(path: Path, contents: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in contents:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def open_shards(path: Path) -> WebDatasetShards:
    return WebDatasetShards(SourceSpec(path=str(path), name="set", licence="CC0"))


def photos(source: WebDatasetShards) -> dict[str, Photo]:
    return {row.uri: row for row in source.scan() if isinstance(row, Photo)}


def codes(source: WebDatasetShards) -> dict[str, str]:
    return {row.uri: row.code for row in source.scan() if isinstance(row, Reject)}


def test_a_sample_with_everything(tmp_path: Path) -> None:
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    array = io.BytesIO()
    np.save(array, points)
    facts = {"identity": 7, "split": "val", "attributes": {"b": 1, "a": "x"}, "license": "CC-BY", "consent": "signed"}
    write(
        tmp_path / "a.tar",
        [
            ("p/0001.masked.jpg", b"masked"),
            ("p/0001.json", json.dumps(facts).encode()),
            ("p/0001.landmarks.npy", array.getvalue()),
            ("p/0001.Face.JPG", b"the face"),
        ],
    )
    os.utime(tmp_path / "a.tar", ns=(0, 1000))
    (uri, photo), *rest = photos(open_shards(tmp_path)).items()
    assert not rest
    assert uri == "a.tar::p/0001.Face.JPG"
    assert (photo.identity, photo.split, photo.licence, photo.consent) == ("7", "val", "CC-BY", "signed")
    assert photo.attributes == (("a", "x"), ("b", 1))
    assert photo.landmarks == points.astype(np.float32).tobytes()
    assert photo.size == 8
    assert photo.stamp.startswith("1000+")
    assert open_shards(tmp_path).read(uri) == b"the face"


def test_members_of_a_sample_need_not_be_neighbours(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", [("2.jpg", b"two"), ("1.jpg", b"one"), ("1.cls", b"Ada"), ("2.cls", b"Eve")])
    found = photos(open_shards(tmp_path / "a.tar"))
    assert {uri: photo.identity for uri, photo in found.items()} == {"a.tar::1.jpg": "Ada", "a.tar::2.jpg": "Eve"}


def test_the_key_ends_at_the_first_dot_of_the_last_part(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", [("v1.0/1.jpg", b"one"), ("v1.0/1.cls", b"Ada"), ("v2.0/1.jpg", b"two")])
    found = photos(open_shards(tmp_path))
    assert {uri: photo.identity for uri, photo in found.items()} == {
        "a.tar::v1.0/1.jpg": "Ada",
        "a.tar::v2.0/1.jpg": None,
    }
    assert {photo.licence for photo in found.values()} == {"CC0"}


def test_every_sample_is_accounted_for(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    write(
        tmp_path / "a.tar",
        [
            ("fine.jpg", b"x"),
            ("fine.jpg", b"again"),
            ("lonely.json", b"{}"),
            ("two.left.jpg", b"x"),
            ("two.right.jpg", b"x"),
            ("empty.jpg", b""),
            ("bad.jpg", b"x"),
            ("bad.json", b"{"),
            ("._fine.jpg", b"x"),
            (".hidden.jpg", b"x"),
            (odd, b"x"),
            ("README", b"x"),
        ],
    )
    assert list(photos(open_shards(tmp_path))) == ["a.tar::fine.jpg"]
    assert open_shards(tmp_path).read("a.tar::fine.jpg") == b"x"
    assert codes(open_shards(tmp_path)) == {
        "a.tar::fine.jpg": "duplicate_uri",
        "a.tar::lonely": "no_picture",
        "a.tar::two": "ambiguous_picture",
        "a.tar::empty": "empty",
        "a.tar::bad.jpg": "bad_metadata",
        "a.tar::._fine.jpg": "resource_fork",
        "a.tar::.hidden.jpg": "hidden_file",
        "a.tar::caf\\xe9.jpg": "bad_name",
        "a.tar::README": "no_picture",
    }


def test_damage_costs_only_what_comes_after(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", [(f"{n}.jpg", b"x" * 600) for n in range(4)])
    path.write_bytes(path.read_bytes()[:4000])
    write(tmp_path / "b.tar", [("1.jpg", b"fine")])
    (tmp_path / "c.tar").write_bytes(b"no tar file at all")
    (tmp_path / "d.tar.gz").write_bytes(b"x")
    (tmp_path / "e.tar").touch()
    write(tmp_path / "f.tar", [])
    source = open_shards(tmp_path)
    assert list(photos(source)) == ["a.tar::0.jpg", "a.tar::1.jpg", "b.tar::1.jpg"]
    assert codes(source) == {
        "a.tar": "damaged_shard",
        "c.tar": "damaged_shard",
        "d.tar.gz": "not_a_shard",
        "e.tar": "empty",
        "f.tar": "empty",
    }
    assert source.read("a.tar::1.jpg") == b"x" * 600


def test_shards_are_in_order_of_their_uris(tmp_path: Path) -> None:
    for name in ["a.tar", "a.b.tar", "a.tar.tar", "a-1.tar"]:
        write(tmp_path / name, [("2.jpg", b"x"), ("1.jpg", b"x")])
    uris = list(photos(open_shards(tmp_path)))
    assert uris == sorted(uris)
    assert len(uris) == 8


def test_a_name_that_would_be_mistaken(tmp_path: Path) -> None:
    write(tmp_path / "a::b.tar", [("1.jpg", b"x")])
    assert codes(open_shards(tmp_path)) == {"a::b.tar": "bad_name"}


def test_a_pattern_with_a_hole(tmp_path: Path) -> None:
    write(tmp_path / "s-0.tar", [("1.jpg", b"x")])
    source = open_shards(tmp_path / "s-{0..1}.tar")
    assert list(photos(source)) == ["s-0.tar::1.jpg"]
    assert codes(source) == {}, "a tar file is no photo"
    assert source.notices == ("1 tar file of the pattern does not exist: s-1.tar",)
    assert source.read("s-0.tar::1.jpg") == b"x"


@pytest.mark.parametrize("name", ["s-{5..6}.tar", "s-*.tar", ""])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="no tar file at this path"):
        list(open_shards(tmp_path / name).scan())


def test_one_shard_of_many_may_vanish_but_the_only_one_is_the_source(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", [("1.jpg", b"x")])
    many, single = open_shards(tmp_path), open_shards(tmp_path / "a.tar")
    assert many.read("a.tar::1.jpg") == single.read("a.tar::1.jpg") == b"x"
    (tmp_path / "a.tar").unlink()
    with pytest.raises(PhotoError) as caught:
        many.read("a.tar::1.jpg")
    assert caught.value.code == "vanished"
    with pytest.raises(SourceError):
        single.read("a.tar::1.jpg")


def test_texts_name_people_if_they_repeat_over_all_files(tmp_path: Path) -> None:
    for number, texts in enumerate([("Ann", "Bob"), ("Ann", "Bob", "Cid")]):
        members = [(f"{n}{end}", text.encode()) for n, text in enumerate(texts) for end in (".jpg", ".txt")]
        write(tmp_path / f"{number}.tar", members)
    found = [photo.identity for photo in photos(open_shards(tmp_path)).values()]
    assert found == ["Ann", "Bob", "Ann", "Bob", None]


def test_captions_are_no_people(tmp_path: Path) -> None:
    texts = ["sunny day", "sunny day", "old friends", "at sea", "smiling", "a boy", "a boy"]
    members = [(f"{n}{end}", text.encode()) for n, text in enumerate(texts) for end in (".jpg", ".txt")]
    write(tmp_path / "a.tar", members)
    assert {photo.identity for photo in photos(open_shards(tmp_path)).values()} == {None}


def test_columns_choose_the_fields_of_the_json(tmp_path: Path) -> None:
    facts = {"who": "Ann", "age": 3, "url": "x", "id": 9}
    write(tmp_path / "a.tar", [("0.jpg", b"x"), ("0.json", json.dumps(facts).encode())])

    def seen(**columns: object) -> tuple[str | None, dict[str, object]]:
        spec = SourceSpec.model_validate({"path": str(tmp_path), "columns": columns})
        (photo,) = (row for row in WebDatasetShards(spec).scan() if isinstance(row, Photo))
        return photo.identity, dict(photo.attributes)

    assert seen() == ("9", {"who": "Ann", "age": 3, "url": "x"})
    assert seen(identity="who", others=["age"]) == ("Ann", {"age": 3})
    assert seen(identity=None)[0] is None
