from __future__ import annotations

import os
from pathlib import Path

from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec


def test_no_one_is_named_and_folders_are_entered(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"one")
    (tmp_path / "b" / "c.jpg").write_bytes(b"two")
    os.utime(tmp_path / "a.jpg", ns=(0, 42_000))
    rows = list(FlatFolder(SourceSpec(path=str(tmp_path), name="set")).scan())
    stamp = str((tmp_path / "b" / "c.jpg").stat().st_mtime_ns)
    assert rows == [
        Photo("set", "a.jpg", None, None, None, None, (), None, 3, "42000"),
        Photo("set", "b/c.jpg", None, None, None, None, (), None, 3, stamp),
    ]


def test_the_same_size_at_another_time_is_another_stamp(tmp_path: Path) -> None:
    source = FlatFolder(SourceSpec(path=str(tmp_path)))
    (tmp_path / "a.jpg").write_bytes(b"one")
    os.utime(tmp_path / "a.jpg", ns=(0, 1))
    before = list(source.scan())
    (tmp_path / "a.jpg").write_bytes(b"two")
    os.utime(tmp_path / "a.jpg", ns=(0, 2))
    assert list(source.scan()) != before


def test_rejects_carry_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    rows = list(FlatFolder(SourceSpec(path=str(tmp_path), name="set")).scan())
    assert rows == [Reject("scan", "set", "a.txt", "not_a_picture", rows[0].message)]  # type: ignore[union-attr]
