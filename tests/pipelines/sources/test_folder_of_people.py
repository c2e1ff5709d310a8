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
