"""A packed release comes from a stranger: it is verified, and nothing escapes the folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.pipelines.release import unpack
from faceloom.pipelines.release.channel_log import append_entry, read_log
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.manifest import manifest_bytes, pool_name
from faceloom.pipelines.release.pack import pack_release
from faceloom.pipelines.release.resolve import resolve, usable
from faceloom.pipelines.release.unpack import unpack_release
from faceloom.pipelines.release.verify import verify_release
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.release import Release
from tests.pipelines.release import sets

Files = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture(scope="module")
def packed(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packed")
    shutil.copytree(released, root / "root")
    storage = Storage(str(root / "root"))
    append_entry(storage, "promote", resolve(storage, "faces").id, channel="stable", why="good", who="Ada")
    pack_release(storage, "faces", root / "faces.tar")
    return root / "faces.tar"


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def content(packed: Path) -> Files:
    with tarfile.open(packed) as tar:
        return [(member, known.read() if (known := tar.extractfile(member)) else b"") for member in tar]


def write(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w") as tar:
        for member, data in files:
            if member.isreg():
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_a_release_arrives_as_it_was(packed: Path, tmp_path: Path) -> None:
    done = unpack_release(packed, tmp_path / "there")
    assert tree(tmp_path / "there") == tree(packed.parent / "root")
    there = Storage(str(tmp_path / "there"))
    assert not verify_release(there, "faces@stable", deep=True).faults
    assert done.shared == 0 and done.copied == 2 * len(done.published.shards)


def test_unpacking_twice_changes_nothing_and_repairs_what_is_damaged(packed: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    unpack_release(packed, there)
    whole = tree(there)
    assert unpack_release(packed, there).copied == 0
    assert tree(there) == whole
    shard = resolve(Storage(str(there)), "faces").release.shards[0].name
    (there / shard_tar(shard)).write_bytes(b"damaged")
    (there / shard_index(shard)).unlink()
    for name in ("release.json", "README.md", "SHA256SUMS"):
        (there / "releases" / "faces" / "1.0.0" / name).write_bytes(b"damaged")
    unpack_release(packed, there)
    assert tree(there) == whole


def test_a_yank_travels_and_a_channel_of_the_folder_stays(own_root: Storage, built: Path, tmp_path: Path) -> None:
    create_release(own_root.root, "faces", "1.0.1", out=built)
    old, new = (resolve(own_root, f"faces@{version}").id for version in ("1.0.0", "1.0.1"))
    pack_release(own_root, "faces@1.0.1", tmp_path / "new.tar")
    append_entry(own_root, "promote", old, channel="stable")
    append_entry(own_root, "yank", old, why="broken", who="Ada", replacement=new, when="2026-01-01T00:00:00Z")
    pack_release(own_root, "faces@1.0.0", tmp_path / "old.tar")
    there = Storage(str(tmp_path / "there"))
    unpack_release(tmp_path / "new.tar", there.root)
    append_entry(there, "promote", new, channel="stable", who="Bob")
    for _ in range(2):
        done = unpack_release(tmp_path / "old.tar", there.root)
    assert done.shared == 2 * len(done.published.shards)
    assert [(entry.action, entry.who) for entry in read_log(there, "faces")] == [("promote", "Bob"), ("yank", "Ada")]
    assert usable(there, "faces@stable").id == new
    with pytest.raises(ReleaseError, match=r"broken.*Use faces@1\.0\.1"):
        usable(there, "faces@1.0.0")


def test_a_yanked_release_never_opens_wherever_the_process_is_killed(
    own_root: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = resolve(own_root, "faces@1.0.0").id
    append_entry(own_root, "promote", one, channel="stable")
    append_entry(own_root, "yank", one, why="consent withdrawn")
    pack_release(own_root, "faces@1.0.0", tmp_path / "faces.tar")

    left = 0

    def killed(self: Storage, path: str, **options: Any) -> Any:
        nonlocal left
        if not path.startswith(("shards/", "index/")):
            left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return honest(self, path, **options)

    honest, opened = Storage.write, 0
    for count in range(100):
        left, there = count, Storage(str(tmp_path / f"{count}"))
        with monkeypatch.context() as patch:
            patch.setattr(Storage, "write", killed)
            try:
                unpack_release(tmp_path / "faces.tar", there.root)
                ended = True
            except KeyboardInterrupt:
                ended = False
        for reference in ("faces@1.0.0", "faces@latest", "faces@stable"):
            with pytest.raises(ReleaseError):
                usable(there, reference)
        if ended:
            break
        with contextlib.suppress(ReleaseError):
            opened += resolve(there, "faces@1.0.0").id == one
        unpack_release(tmp_path / "faces.tar", there.root)
        assert {entry.action for entry in read_log(there, "faces")} == {"promote", "yank"}
        shutil.rmtree(there.root)
    assert ended and opened, "some were killed after the manifest"


def test_another_release_of_the_same_version_is_not_replaced(packed: Path, own_root: Storage, built: Path) -> None:
    folder = own_root.local("releases/faces/1.0.0")
    shutil.rmtree(folder)
    create_release(own_root.root, "faces", "1.0.0", out=built, description="another")
    before = tree(Path(own_root.root))
    with pytest.raises(ReleaseError, match="another release of this version"):
        unpack_release(packed, own_root.root)
    (folder / "release.json").write_bytes(b"damaged")  # the list of digests still names it
    with pytest.raises(ReleaseError, match="another release of this version"):
        unpack_release(packed, own_root.root)
    (folder / "release.json").write_bytes(before["releases/faces/1.0.0/release.json"])
    assert tree(Path(own_root.root)) == before
    (folder / "release.json").rename(folder / "tombstone.json")
    with pytest.raises(ReleaseError, match="purged"):
        unpack_release(packed, own_root.root)


def test_a_shard_of_another_release_is_never_replaced(packed: Path, own_root: Storage, tmp_path: Path) -> None:
    """Names in the pool are short: another content can be made that has the same name."""
    from faceloom.pipelines.release import manifest

    shutil.rmtree(own_root.local("releases"))
    mine = tmp_path / "other"
    with pytest.MonkeyPatch.context() as patch:  # all shards of a place have one name
        for module in (manifest, sets):
            patch.setattr(module, "pool_name", lambda shard, *digests: f"{shard.rpartition('-')[0]}-{'0' * 12}")
        sets.release_in(mine, [sets.One(1, "Ada")], name="mine")
        sets.release_in(tmp_path / "theirs", [sets.One(2, "Eve")], name="theirs")
        theirs = Storage(str(tmp_path / "theirs"))
        pack_release(theirs, "theirs", tmp_path / "theirs.tar")
        before = tree(mine)
        with pytest.raises(
            ReleaseError, match=r"mine@1\.0\.0 has another file under the name of a shard.*another folder"
        ):
            unpack_release(tmp_path / "theirs.tar", mine)
        assert tree(mine) == before
        assert unpack_release(tmp_path / "theirs.tar", tmp_path / "there").copied == 2
        Storage(str(mine)).local("releases/mine/1.0.0/release.json").write_bytes(b"{}")
        assert unpack_release(tmp_path / "theirs.tar", mine).copied == 2, "what a damaged manifest lists is unknown"
        assert not verify_release(Storage(str(mine)), "theirs@1.0.0", deep=True).faults


FIRST = "releases/faces/1.0.0/release.json"


def swapped(sums: bytes, name: bytes) -> bytes:
    """A list of digests with another first digit of one file."""
    lines = sums.split(b"\n")
    return b"\n".join(
        (b"0" if line[:1] != b"0" else b"1") + line[1:] if line.endswith(name) else line for line in lines
    )


ODD: dict[str, Callable[[Files], Files]] = {
    "SHA256SUMS is damaged: the sha256 of README.md": lambda files: [
        (one, swapped(data, b"README.md") if one.name.endswith("SHA256SUMS") else data) for one, data in files
    ],
    "does not belong": lambda files: [*files, (member("../escaped"), b"x")],
    "escaped.* does not belong": lambda files: [*files, (member("/tmp/escaped"), b"x")],
    "shards/x.* does not belong": lambda files: [*files, (member("shards/x.tar"), b"x")],
    "faceloom.json.* does not belong": lambda files: [*files, (member("faceloom.json"), b"x")],
    "twice": lambda files: [*files, files[-1]],
    "a link": lambda files: [*files[:-1], (member(files[-1][0].name, tarfile.SYMTYPE, "/etc/passwd"), b"")],
    "no regular file": lambda files: [*files[:-1], (member(files[-1][0].name, tarfile.LNKTYPE, FIRST), b"")],
    "first file is not": lambda files: [(member("shards", tarfile.SYMTYPE, "/tmp"), b""), *files],
    "lacks shards": lambda files: files[:-1],
    "lacks .* and 9 more|lacks .* more files": lambda files: files[:1],
    "not the manifest": lambda files: files[1:],
    "more than": lambda files: [*files[:-1], (files[-1][0], files[-1][1] + b"x")],
    "its content is not": lambda files: [*files[:-1], (files[-1][0], files[-1][1][:-1] + b"x")],
    "is damaged": lambda files: [*files[:-1], (files[-1][0], files[-1][1][:-1])],
    "README.md is damaged": lambda files: [
        (one, data + b"x" if one.name.endswith("README.md") else data) for one, data in files
    ],
    "damaged log": lambda files: [
        (one, data.replace(b"Ada", b"Eve") if one.name.startswith("channels/") else data) for one, data in files
    ],
    "damaged manifest": lambda files: [(files[0][0], files[0][1].replace(b"made-up", b"made up, ")[:-3]), *files[1:]],
    "list of digests": lambda files: [(one, b"x" if one.name.endswith("SHA256SUMS") else data) for one, data in files],
    r"sha256 of release\.json is not the one": lambda files: [
        (files[0][0], files[0][1].replace(b"made-up", b"made_up")),
        *files[1:],
    ],
}


@pytest.mark.parametrize("match", ODD)
def test_odd_files_are_refused_and_nothing_is_written(match: str, packed: Path, tmp_path: Path) -> None:
    odd = write(tmp_path / "odd.tar", ODD[match](content(packed)))
    there = tmp_path / "there"
    with pytest.raises(StorageError, match=match) as caught:
        unpack_release(odd, there)
    assert caught.value.remedy and not there.exists() and not (tmp_path / "escaped").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_of_a_content_is_found(data: st.DataObject, packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    with tarfile.open(packed) as tar:
        one = data.draw(st.sampled_from(tar.getmembers()))
    place = one.offset_data + data.draw(st.integers(0, one.size - 1))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "changed.tar").write_bytes(changed)
    with pytest.raises(StorageError):
        unpack_release(tmp_path / "changed.tar", tmp_path / "there")
    assert not (tmp_path / "there").exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000) | st.floats(0, 1))
def test_other_bytes_and_cut_files_are_refused(data: bytes | float, packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()[:-2048]  # the end of a tar file, and of its last content
    cut = whole[: int(data * len(whole))] if isinstance(data, float) else data
    (tmp_path / "cut.tar").write_bytes(cut)
    with pytest.raises(StorageError):
        unpack_release(tmp_path / "cut.tar", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_rows_of_an_index_are_validated(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All digests fit, but the index places a sample outside its shard."""
    import pyarrow.parquet as pq

    files = content(packed)
    release = Release.model_validate_json(files[0][1])
    first = release.shards[0]
    table = pq.read_table(io.BytesIO({one.name: data for one, data in files}[shard_index(first.name)]))
    offsets = table["offset"].to_pylist()
    wrong = table.set_column(table.schema.get_field_index("offset"), "offset", [[offset + 512 for offset in offsets]])
    buffer = io.BytesIO()
    pq.write_table(wrong, buffer)
    index = buffer.getvalue()
    index_sha256 = hashlib.sha256(index).hexdigest()
    name = pool_name(first.name, first.sha256, index_sha256)
    shard = first.model_copy(update={"name": name, "index_bytes": len(index), "index_sha256": index_sha256})
    made = release.model_copy(update={"shards": (shard, *release.shards[1:])})
    manifest = manifest_bytes(made)
    forged: Files = []
    for one, data in files:
        if one.name == FIRST:
            data = manifest
        elif one.name.endswith("SHA256SUMS"):
            old, new = (hashlib.sha256(text).hexdigest().encode() for text in (files[0][1], manifest))
            data = data.replace(old, new)
        elif one.name.startswith("channels/"):
            continue
        elif one.name in (shard_index(first.name), shard_tar(first.name)):
            data = index if one.name.startswith("index") else data
            one.name = one.name.replace(first.name, name)
        forged.append((one, data))
    there = tmp_path / "there"
    with pytest.raises(StorageError) as caught:
        unpack_release(write(tmp_path / "forged.tar", forged), there)
    assert caught.value.where == shard_index(name)
    assert not (there / "releases").exists() and not [*(there / "shards").iterdir()]


def test_a_manifest_of_any_length_is_not_read(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MOST_MANIFEST", 100)
    with pytest.raises(StorageError, match="not the manifest"):
        unpack_release(packed, tmp_path / "there")
    monkeypatch.undo()
    monkeypatch.setattr(unpack, "MOST_BESIDE", 3)
    with pytest.raises(StorageError, match="more than 3"):
        unpack_release(packed, tmp_path / "there")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no\.tar.*No such file"):
        unpack_release(tmp_path / "no.tar", tmp_path / "there")


def test_a_pipe_or_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="a folder"):
        unpack_release(tmp_path, tmp_path / "there")
