"""Every entry of a folder ends as a photo, a companion or a reject, or is a folder that is listed; none is lost."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.recordio.record_writer import RecordWriter
from faceloom.pipelines.sources.recordio import is_companion
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.walk import safe_text
from faceloom.schemas.source_spec import SourceSpec

NAMES = (
    st.sampled_from([f"{stem}.{ending}" for stem in ("a", "17", "closed") for ending in ("jpg", "bin", "tar", "rec")])
    | st.sampled_from(["._x.jpg", ".hid", ".hid.jpg", "property", "labels.csv", "a.b.JPG", "b.idx", " ", "~"])
    | st.text("a.\x01\n é\udcff", min_size=1, max_size=6).filter(lambda name: name.strip(".") != "")
)
PLAIN, LINKS = (
    ("file", "empty", "folder", "folder", "pipe", "socket"),
    ("up", "self", "dangling", "to_file", "to_folder"),
)
ENTRIES = st.lists(st.tuples(st.integers(0, 99), NAMES, st.sampled_from((*PLAIN, *LINKS))), max_size=14)


def grow(root: Path, entries: list[tuple[int, str, str]]) -> None:
    """Make each entry in one of the folders that are there already."""
    folders, files = [root], [root / "absent"]
    for where, name, kind in entries:
        path = folders[where % len(folders)] / name
        if os.path.lexists(path):
            continue
        if kind == "file":
            path.write_bytes(b"x")
        elif kind == "empty":
            path.touch()
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        else:
            targets = {
                "up": path.parent,
                "self": Path(name),
                "dangling": Path("nowhere"),
                "to_file": files[where % len(files)],
                "to_folder": folders[where % len(folders)],
            }
            path.symlink_to(targets[kind])
        if kind == "folder":
            folders.append(path)
        elif kind == "file":
            files.append(path)


def lay_tar(root: Path) -> None:
    with tarfile.open(root / "z.tar", "w") as tar:
        member = tarfile.TarInfo("a.jpg")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))


def lay_records(root: Path) -> None:
    with (root / "z.rec").open("wb") as stream:
        RecordWriter(stream).write(0, 1.0, b"x")


KINDS: dict[str, tuple[str, dict[str, str], Callable[[Path], None] | None]] = {
    "people": ("", {}, None),
    "flat": ("", {}, None),
    "path_pattern": ("", {"pattern": "{identity}/*.jpg"}, None),
    "tinyface": ("", {}, None),
    "celebamask_hq": ("CelebA-HQ-img", {}, None),
    "label_maps": ("", {"labels": "."}, None),
    "shards": ("", {}, lay_tar),
    "recordio": ("", {}, lay_records),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(entries=ENTRIES)
def test_no_entry_is_lost(
    kind: str, entries: list[tuple[int, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    below, keys, lay = KINDS[kind]
    top = tmp_path_factory.mktemp("tree")
    root = top / below
    root.mkdir(exist_ok=True)
    grow(root, entries)
    if lay:
        lay(root)
    keys = {key: str(top / value) if key == "labels" else value for key, value in keys.items()}
    source = open_source(SourceSpec.model_validate({"kind": kind, "path": str(top), **keys}))
    scandir = os.scandir

    def guarded(path: Any = ".") -> Any:
        if "closed" in os.path.basename(os.fspath(path)):  # noqa: PTH119
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with mock.patch.object(os, "scandir", guarded):
        rows = list(source.scan())
    listed = {row.uri.partition("::")[0] for row in rows}
    entered = counted = companions = folders = 0
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for name in os.listdir(root / prefix):  # noqa: PTH208, names may be undecodable
            entered += 1
            uri, path = prefix + name, root / prefix / name
            if safe_text(uri) in listed:
                counted += 1
            elif path.is_dir():
                folders += 1
                waiting.append(f"{uri}/")
            else:
                assert kind == "recordio" and path.is_file() and is_companion(name), uri
                companions += 1
    assert entered == counted + companions + folders
    if kind not in ("shards", "recordio"):
        assert counted == len(rows)
    shutil.rmtree(top)
