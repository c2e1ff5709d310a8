from __future__ import annotations

from pathlib import Path

from faceloom.pipelines.sources.registry import open_source
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

PATTERN = "{split}/{licence}/{identity}/{light}/{angle}.jpg"


def scan(root: Path, *uris: str, **spec: object) -> list[Photo | Reject]:
    for uri in uris:
        (root / uri).parent.mkdir(parents=True, exist_ok=True)
        (root / uri).write_bytes(b"x")
    given = {"kind": "path_pattern", "path": str(root), "pattern": PATTERN, **spec}
    return list(open_source(SourceSpec.model_validate(given)).scan())


def test_folders_become_columns(tmp_path: Path) -> None:
    (row,) = scan(tmp_path, "test/CC0/007/dark/C-07.jpg", licence="other", consent="written")
    assert isinstance(row, Photo)
    assert (row.identity, row.split, row.licence, row.consent) == ("007", "test", "CC0", "written")
    assert row.attributes == (("angle", "C-07"), ("light", "dark"))
    assert row.uri == "test/CC0/007/dark/C-07.jpg" and row.size == 1 and row.labels == ""


def test_what_a_pattern_does_not_name_comes_from_the_spec(tmp_path: Path) -> None:
    (row,) = scan(tmp_path, "a/1.jpg", pattern="*/{shot}.jpg", licence="CC0")
    assert isinstance(row, Photo)
    assert (row.identity, row.split, row.licence, row.attributes) == (None, None, "CC0", (("shot", "1"),))


def test_what_does_not_match_is_a_reject_with_the_pattern(tmp_path: Path) -> None:
    rows = scan(tmp_path, "test/CC0/007/dark/C-07.jpg", "test/CC0/007/readme.jpg", "test/notes.txt")
    rejects = {row.uri: row for row in rows if isinstance(row, Reject)}
    assert rejects["test/CC0/007/readme.jpg"].code == "no_match"
    assert PATTERN in rejects["test/CC0/007/readme.jpg"].message
    assert rejects["test/notes.txt"].code == "not_a_picture"
    assert len(rows) == 3


def test_exclude_leaves_out_in_silence(tmp_path: Path) -> None:
    rows = scan(tmp_path, "test/CC0/007/dark/C-07.jpg", "cover.jpg", exclude=("cover*",))
    assert [type(row) for row in rows] == [Photo]
