from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceloom.pipelines.sources.shard_files import root_of, shard_files
from faceloom.pipelines.sources.walk import Found
from faceloom.schemas.photos import Reject


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ["set-000.tar", "set-001.tar", "set-003.tar", "more/val-0.tar", "README.md"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def found(path: Path) -> list[str]:
    return sorted(row.uri for row in shard_files(path, "s") if isinstance(row, Found))


def rejects(path: Path) -> dict[str, str]:
    return {row.uri: row.code for row in shard_files(path, "s") if isinstance(row, Reject)}


def test_a_folder(folder: Path) -> None:
    assert found(folder) == ["more/val-0.tar", "set-000.tar", "set-001.tar", "set-003.tar"]
    assert rejects(folder) == {"README.md": "not_a_shard"}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("set-000.tar", ["set-000.tar"]),
        ("set-{000..001}.tar", ["set-000.tar", "set-001.tar"]),
        ("set-00[01].tar", ["set-000.tar", "set-001.tar"]),
        ("set-*.tar", ["set-000.tar", "set-001.tar", "set-003.tar"]),
        ("**/*.tar", ["more/val-0.tar", "set-000.tar", "set-001.tar", "set-003.tar"]),
        ("{more/val,set}-{0,*}.tar", ["more/val-0.tar", "set-000.tar", "set-001.tar", "set-003.tar"]),
        ("*/val-0.tar", ["more/val-0.tar"]),
        ("none-*.tar", []),
    ],
)
def test_patterns(folder: Path, pattern: str, names: list[str]) -> None:
    assert root_of(folder / pattern) == folder
    assert found(folder / pattern) == names


def test_a_shard_that_a_brace_names_must_be_there(folder: Path) -> None:
    assert found(folder / "set-{000..003}.tar") == ["set-000.tar", "set-001.tar", "set-003.tar"]
    assert rejects(folder / "set-{000..003}.tar") == {"set-002.tar": "missing_file"}


def test_a_file_that_only_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "odd [1]").mkdir()
    (tmp_path / "odd [1]" / "a*.tar").write_bytes(b"x")
    assert found(tmp_path / "odd [1]" / "a*.tar") == ["a*.tar"]
    assert root_of(tmp_path / "odd [1]") == tmp_path / "odd [1]"


def test_what_is_no_file_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.tar")
    (folder / "folder.tar").mkdir()
    for path in (folder / "*.tar", folder / "{pipe,folder}.tar"):
        assert {"pipe.tar": "not_a_file", "folder.tar": "not_a_file"}.items() <= rejects(path).items()
    assert rejects(folder / "pipe.tar") == {"pipe.tar": "not_a_file"}
    assert rejects(folder)["pipe.tar"] == "not_a_file"


def test_repeated_stars_cost_no_more_than_one(folder: Path) -> None:
    deep = folder.joinpath(*"abcdefghijklmnopqrst")
    deep.mkdir(parents=True)
    (deep / "x.tar").write_bytes(b"x")
    assert len(found(folder / ("**/" * 12 + "*.tar"))) == 5
