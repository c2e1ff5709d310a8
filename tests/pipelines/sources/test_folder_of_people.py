from __future__ import annotations

from pathlib import Path

from faceloom.pipelines.sources.folder_of_people import FolderOfPeople
from faceloom.schemas.photos import Photo
from faceloom.schemas.source_spec import SourceSpec


def test_the_first_folder_is_the_person(tmp_path: Path) -> None:
    for uri in ["Ada L./1.jpg", "Ada L./2020/summer/2.jpg", "007/3.jpg", "cover.jpg"]:
        (tmp_path / uri).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / uri).write_bytes(b"x")
    rows = FolderOfPeople(SourceSpec(path=str(tmp_path))).scan()
    assert {row.uri: row.identity for row in rows if isinstance(row, Photo)} == {
        "007/3.jpg": "007",
        "Ada L./1.jpg": "Ada L.",
        "Ada L./2020/summer/2.jpg": "Ada L.",
        "cover.jpg": None,
    }


def test_a_person_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "1.jpg").write_bytes(b"x")
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "Ada").symlink_to(tmp_path / "pool")
    source = FolderOfPeople(SourceSpec(path=str(tmp_path / "people")))
    assert [(row.uri, row.identity) for row in source.scan() if isinstance(row, Photo)] == [("Ada/1.jpg", "Ada")]
    assert source.read("Ada/1.jpg") == b"x"


def test_the_recipe_says_who_is_the_person(tmp_path: Path) -> None:
    for uri in ["train/Ann/Ann_1.jpg", "val/Bob/Bob_2.jpg", "val/Ann/x.jpg"]:
        (tmp_path / uri).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / uri).write_bytes(b"x")

    def scanned(identity: str | None) -> list[tuple[str | None, str | None] | str]:
        rows = FolderOfPeople(SourceSpec(path=str(tmp_path), identity=identity)).scan()
        return [(row.identity, row.split) if isinstance(row, Photo) else row.code for row in rows]

    assert scanned(None) == scanned("folder 2") == [("Ann", "train"), ("Ann", "val"), ("Bob", "val")]
    assert scanned("folder 1") == [("train", None), ("val", None), ("val", None)]
    assert scanned(r"([A-Z]\w+)_\d+") == [("Ann", None), "no_match", ("Bob", None)]


def test_names_are_compared_in_one_form_and_words_for_no_one_are_no_person(tmp_path: Path) -> None:
    for folder in ["Zoe\u0308", "Zo\u00eb", "-1", "None"]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(b"x")
    source = FolderOfPeople(SourceSpec(path=str(tmp_path)))
    found = [row.identity for row in source.scan() if isinstance(row, Photo)]
    assert sorted(map(str, found)) == ["None", "None", "Zo\u00eb", "Zo\u00eb"] and found.count(None) == 2
    assert "-1 (1), None (1)" in source.notices[0]
