"""A release is packed into one plain tar file, the same bytes each time."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from faceloom.pipelines.release.channel_log import append_entry, parse_log
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.pack import pack_release, packed_entries, packed_files
from faceloom.pipelines.release.resolve import resolve
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError


def test_the_file_is_a_plain_tar_with_the_manifest_first(own_root: Storage, tmp_path: Path) -> None:
    append_entry(own_root, "promote", resolve(own_root, "faces").id, channel="stable", who="Ada")
    done = pack_release(own_root, "faces@stable", tmp_path / "faces.tar")
    with tarfile.open(tmp_path / "faces.tar") as tar:
        members = tar.getmembers()
        for member in members:
            content = tar.extractfile(member)
            assert content and content.read() == own_root.read_bytes(member.name)
            assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (0, 0, 0, "", 0o644)
    names = [member.name for member in members]
    assert names[0] == "releases/faces/1.0.0/release.json" and names[-1].startswith("shards/")
    held = {path for path in own_root.list() if path not in (".lock", "faceloom.json")}
    assert set(names) == held and len(names) == done.files == len(held)
    assert done.bytes == (tmp_path / "faces.tar").stat().st_size


def test_the_same_release_gives_the_same_bytes(own_root: Storage, released: Path, tmp_path: Path) -> None:
    for number, root in enumerate((own_root, Storage(str(released)))):
        pack_release(root, "faces", tmp_path / f"{number}.tar")
    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "1.tar").read_bytes()


def test_only_what_the_log_states_about_the_release_is_packed(own_root: Storage, built: Path) -> None:
    create_release(own_root.root, "faces", "1.0.1", out=built)
    old, new = (resolve(own_root, f"faces@{version}").id for version in ("1.0.0", "1.0.1"))
    log = [
        append_entry(own_root, "promote", old, channel="stable", why="first"),
        append_entry(own_root, "promote", old, channel="beta"),
        append_entry(own_root, "promote", new, channel="stable"),
        append_entry(own_root, "yank", new, why="broken", replacement=old, who="Ada", when="2026-01-01T00:00:00Z"),
    ]
    entries = packed_entries(log, new)
    assert [(entry.action, entry.channel, entry.why) for entry in entries] == [
        ("promote", "stable", ""), ("yank", "", "broken"),
    ]  # fmt: skip
    assert (entries[1].who, entries[1].when) == ("Ada", "2026-01-01T00:00:00Z")
    assert [entry.channel for entry in packed_entries(log, old)] == ["beta"]
    from faceloom.pipelines.release.channel_log import log_bytes

    assert parse_log(log_bytes(entries), "x") == tuple(entries)


def test_a_damaged_release_is_not_packed(own_root: Storage, tmp_path: Path) -> None:
    path = own_root.local(shard_tar(resolve(own_root, "faces").release.shards[0].name))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match="damaged"):
        pack_release(own_root, "faces", tmp_path / "faces.tar")
    with path.open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(StorageError, match="damaged"):
        pack_release(own_root, "faces", tmp_path / "faces.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_manifest_without_its_own_digest_is_not_packed(own_root: Storage) -> None:
    sums = own_root.local("releases/faces/1.0.0/SHA256SUMS")
    found = resolve(own_root, "faces")
    sums.write_text(sums.read_text().replace(found.digest, "0" * 64))
    with pytest.raises(StorageError, match="not of this manifest"):
        packed_files(own_root, found)


def test_no_file_is_replaced(own_root: Storage, tmp_path: Path) -> None:
    (tmp_path / "faces.tar").write_text("precious")
    for file in (tmp_path / "faces.tar", tmp_path / "root" / "faces.tar", tmp_path / "root" / "shards" / "x.tar"):
        with pytest.raises(ReleaseError):
            pack_release(own_root, "faces", file)
    assert (tmp_path / "faces.tar").read_text() == "precious"


def test_long_names_and_large_sizes_have_room() -> None:
    from faceloom.pipelines.release.pack import _append
    from faceloom.pipelines.store.file_faults import ListedFile

    out, name = io.BytesIO(), f"releases/{'a' * 100}/1.0.0/release.json"
    _append(out, ListedFile(name, 3), io.BytesIO(b"abc"))
    with tarfile.open(fileobj=io.BytesIO(out.getvalue() + bytes(1024))) as tar:
        assert tar.getnames() == [name]
    header = tarfile.TarInfo("x")
    header.size = 2**35
    assert tarfile.TarInfo.frombuf(header.tobuf(tarfile.GNU_FORMAT), "utf-8", "strict").size == 2**35
