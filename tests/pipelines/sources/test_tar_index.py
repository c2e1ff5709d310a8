from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.sources import tar_index
from faceloom.pipelines.sources.tar_index import find_picture
from faceloom.pipelines.sources.tar_members import Member, members


def write(path: Path, contents: list[tuple[str, bytes]], mtime_ns: int = 0) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in contents:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    os.utime(path, ns=(0, mtime_ns))
    return path


def test_a_picture_is_found_where_it_lies(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", [("b.jpg", b"bee"), ("a.json", b"{}"), ("é.jpg", b"accent"), ("a.jpg", b"")])
    data = path.read_bytes()
    for name, expected in [("b.jpg", b"bee"), ("é.jpg", b"accent"), ("a.jpg", b"")]:
        place = find_picture(path, name)
        assert place is not None
        assert data[place[0] : sum(place)] == expected
    for name in ["a.json", "c.jpg", "", "zzz.jpg", "b.jp"]:
        assert find_picture(path, name) is None


def test_no_pictures_at_all(tmp_path: Path) -> None:
    assert find_picture(write(tmp_path / "a.tar", [("a.json", b"{}")]), "a.jpg") is None


def test_the_first_of_a_name_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", [("a.jpg", b"first"), ("a.jpg", b"again!")])
    assert find_picture(path, "a.jpg") == (512, 5)


def test_a_tar_file_is_listed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []

    def counted(path: Path) -> Iterator[Member]:
        listed.append(path)
        return members(path)

    monkeypatch.setattr(tar_index, "members", counted)
    path = write(tmp_path / "a.tar", [("a.jpg", b"one"), ("b.jpg", b"two")])
    assert find_picture(path, "a.jpg") != find_picture(path, "b.jpg")
    assert len(listed) == 1
    write(path, [("b.jpg", b"two"), ("a.jpg", b"one")], mtime_ns=1)
    assert find_picture(path, "b.jpg") == (512, 3)
    assert len(listed) == 2


def test_what_comes_before_damage_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", [("a.jpg", b"one"), ("b.jpg", b"two")])
    path.write_bytes(path.read_bytes()[:1100])
    assert find_picture(path, "a.jpg") == (512, 3)
    assert find_picture(path, "b.jpg") is None


def as_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def test_one_very_long_name_does_not_make_all_of_them_long(tmp_path: Path) -> None:
    long = "x" * 900_000 + ".jpg"
    path = write(tmp_path / "a.tar", [(long, b"long"), *((f"{n}.jpg", b"short") for n in range(300))])
    assert find_picture(path, "299.jpg") and find_picture(path, long)
    found = path.stat()
    index = tar_index._index(path, found.st_size, found.st_mtime_ns)
    assert len(index.names) + index.ends.nbytes + index.places.nbytes < 920_000, "300 names of its length are 270 MB"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("ab\udc80é", min_size=1, max_size=4), max_size=12))
def test_every_name_is_found_and_no_other(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = write(tmp_path_factory.mktemp("t") / "a.tar", [(f"{name}.png", as_bytes(name)) for name in names])
    data = path.read_bytes()
    for name in names:
        place = find_picture(path, f"{name}.png")
        assert place is not None
        assert data[place[0] : sum(place)] == as_bytes(name)
        assert find_picture(path, f"{name}.pn") is None and find_picture(path, f"{name}c.png") is None


def test_no_file_is_the_callers_business(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_picture(tmp_path / "a.tar", "a.jpg")
