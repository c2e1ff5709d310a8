"""Bare photos and their partners: photos with a mask, and maps."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from faceloom.pipelines.analyse.photo_table import stamp_of
from faceloom.pipelines.sources.pairs import Pairs
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import notices_of_scan
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo
from faceloom.schemas.source_spec import SourceSpec


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def spec(root: Path, **more: object) -> SourceSpec:
    folders = {key: str(root / folder) for key, folder in (("bare", "a"), ("masked", "b"))}
    return SourceSpec.model_validate({"kind": "pairs", **folders, **more})


def scanned(given: SourceSpec) -> tuple[dict[str, Photo], dict[str, str]]:
    rows = list(open_source(given).scan())
    photos = {row.uri: row for row in rows if isinstance(row, Photo)}
    return photos, {row.uri: row.code for row in rows if not isinstance(row, Photo)}


def test_partners_have_the_same_stem_and_people_are_folders(tmp_path: Path) -> None:
    put(tmp_path, "a/Ada/1.jpg", "a/Ada/2.PNG", "a/Bob/x.y.jpg", "b/Ada/1.png", "b/Ada/2.JPG", "b/Bob/x.y.jpg")
    photos, rejects = scanned(spec(tmp_path))
    assert {uri: photo.identity for uri, photo in photos.items()} == {
        "Ada/1.jpg": "Ada", "Ada/2.PNG": "Ada", "Bob/x.y.jpg": "Bob",
    }  # fmt: skip
    assert not rejects
    source = open_source(spec(tmp_path))
    assert isinstance(source, Pairs) and source.name == "a"
    read = {uri: source.read_labels(uri) for uri in photos}
    assert {uri: files and files.files for uri, files in read.items()} == {
        "Ada/1.jpg": (("masked", b"b/Ada/1.png"),),
        "Ada/2.PNG": (("masked", b"b/Ada/2.JPG"),),
        "Bob/x.y.jpg": (("masked", b"b/Bob/x.y.jpg"),),
    }


def test_a_map_belongs_to_the_pair(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.png")
    source = open_source(spec(tmp_path, maps=str(tmp_path / "c")))
    assert isinstance(source, Pairs)
    files = source.read_labels("1.jpg")
    assert files and files.files == (("map", b"c/1.png"), ("masked", b"b/1.jpg")) and files.order == "pair"


def test_a_suffix_of_the_masked_photos(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "a/2.jpg", "b/1-with-mask.jpg", "b/2.jpg")
    photos, rejects = scanned(spec(tmp_path, suffix="-with-mask"))
    assert list(photos) == ["1.jpg"]
    assert rejects == {"2.jpg": "no_partner", "masked::2.jpg": "no_partner"}


@pytest.mark.parametrize(
    ("name", "given", "hint"),
    [("1-mask.jpg", "", "suffix: -mask`"), ("1_b.jpg", "-mask", "suffix: _b`"), ("x.jpg", "", "Name both alike")],
)
def test_if_no_photo_has_a_partner_a_notice_names_the_suffix(tmp_path: Path, name: str, given: str, hint: str) -> None:
    put(tmp_path, "a/Ada/1.jpg", "a/Ada/2.jpg", f"b/Ada/{name}")
    source = open_source(spec(tmp_path, suffix=given))
    assert len(list(source.scan())) == 3
    [notice] = notices_of_scan(source)
    assert f"no photo has a partner: that of Ada/1.jpg would be Ada/1{given} with any ending" in notice
    assert hint in notice
    put(tmp_path, f"b/Ada/2{given}.png")
    list(source.scan())
    assert notices_of_scan(source) == ()


def test_each_file_without_its_partner_is_a_reject(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "a/alone.jpg", "a/mapless.jpg", "a/two.jpg", "a/same.jpg", "a/same.png")
    put(tmp_path, "b/1.jpg", "b/mapless.jpg", "b/bareless.jpg", "b/two.jpg", "b/two.png", "b/same.jpg", "b/notes.txt")
    put(tmp_path, "c/1.png", "c/alone.png", "c/two.png", "c/same.png", "c/nothing.png")
    (tmp_path / "b" / "empty.jpg").touch()
    photos, rejects = scanned(spec(tmp_path, maps=str(tmp_path / "c")))
    assert list(photos) == ["1.jpg", "same.jpg"]
    assert rejects == {
        "alone.jpg": "no_partner", "mapless.jpg": "no_map", "two.jpg": "ambiguous_partner",
        "same.png": "ambiguous_partner", "masked::bareless.jpg": "no_partner", "masked::notes.txt": "not_a_picture",
        "masked::empty.jpg": "empty", "maps::nothing.png": "no_partner",
    }  # fmt: skip


def test_partners_of_photos_that_are_left_out_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.png", "b/2.png")
    photos, rejects = scanned(spec(tmp_path, exclude=("1.jpg",)))
    assert (list(photos), rejects) == (["2.jpg"], {})


def test_the_stamp_changes_with_the_partners_only(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
    before, _ = scanned(spec(tmp_path))
    (tmp_path / "b" / "2.jpg").write_bytes(b"another")
    after, _ = scanned(spec(tmp_path))
    assert {uri for uri in before if stamp_of(before[uri]) != stamp_of(after[uri])} == {"2.jpg"}
    assert all(before[uri].stamp == after[uri].stamp for uri in before)


def test_a_partner_that_vanished_is_an_error_of_the_photo(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "b/1.jpg")
    source = open_source(spec(tmp_path))
    (tmp_path / "b" / "1.jpg").unlink()
    assert isinstance(source, Pairs)
    with pytest.raises(PhotoError) as caught:
        source.read_labels("1.jpg")
    assert caught.value.code == "vanished"


@pytest.mark.parametrize("name", ["1.Jpg", "1.png"])
def test_the_file_of_the_scan_is_read(tmp_path: Path, name: str) -> None:
    """Endings in both cases are found again, and an empty file of the same name is left out by both."""
    put(tmp_path, "a/p/1.jpg", f"b/p/{name}")
    (tmp_path / "b" / "p" / "1.jpg").touch()
    photos, rejects = scanned(spec(tmp_path))
    assert (list(photos), rejects) == (["p/1.jpg"], {"masked::p/1.jpg": "empty"})
    source = open_source(spec(tmp_path))
    assert isinstance(source, Pairs)
    files = source.read_labels("p/1.jpg")
    assert files and files.files == (("masked", f"b/p/{name}".encode()),)


def test_both_kinds_in_one_folder_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg", "a/1-mask.jpg")
    with pytest.raises(SourceError, match="in one folder"):
        open_source(spec(tmp_path, masked=str(tmp_path / "a"), suffix="-mask"))


def test_folders_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg")
    with pytest.raises(SourceError, match="`masked`"):
        open_source(spec(tmp_path))
    put(tmp_path, "b/1.jpg")
    with pytest.raises(SourceError, match="`maps`"):
        open_source(spec(tmp_path, maps=str(tmp_path / "c")))


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "pairs", "bare": "a"},
        {"kind": "pairs", "path": "a", "masked": "b"},
        {"kind": "pairs", "bare": "a", "path": "other", "masked": "b"},
        {"kind": "people", "path": "a", "masked": "b"},
        {"kind": "people", "bare": "a"},
        {"kind": "people", "path": "a", "maps": "c"},
        {"kind": "people", "path": "a", "suffix": "x"},
        {"kind": "pairs", "bare": "a", "masked": "b", "suffix": "x/y"},
    ],
)
def test_the_keys_of_pairs_belong_together(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"pairs|suffix"):
        SourceSpec.model_validate(given)
