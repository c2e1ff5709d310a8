"""What is damaged or missing is found, named, and comes with a remedy."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.pipelines.release.channel_log import append_entry
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.resolve import resolve, usable
from faceloom.pipelines.release.root import open_root
from faceloom.pipelines.release.verify import parse_sums, verify_build, verify_release
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError

not_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")


def files(root: Storage) -> list[str]:
    return [path for path in root.list() if path != ".lock"]


def flip(path: Path, place: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= bit
    path.write_bytes(data)


def test_a_whole_release_has_no_faults(own_root: Storage) -> None:
    append_entry(own_root, "promote", resolve(own_root, "faces").id, channel="stable")
    for deep in (False, True):
        done = verify_release(own_root, "faces@stable", deep=deep)
        assert done.faults == () and done.shards > 1 and done.bytes > 10_000


@pytest.mark.parametrize("deep", [False, True])
def test_every_missing_file_is_named(deep: bool, own_root: Storage) -> None:
    gone = [path for path in files(own_root) if path != "faceloom.json" and not path.endswith("release.json")]
    for path in gone:
        own_root.remove(path)
    faults = verify_release(own_root, "faces@1.0.0", deep=deep).faults
    expected = [path for path in gone if not path.endswith((".html", "README.md", "croissant.json"))]
    assert sorted(fault.file for fault in faults) == sorted(expected)  # SHA256SUMS stands for those beside it
    assert all("unpack" in fault.remedy or "mounted" in fault.remedy for fault in faults)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found_and_the_file_is_named(data: st.DataObject, own_root: Storage) -> None:
    if not own_root.exists("channels/faces.jsonl"):
        append_entry(own_root, "promote", resolve(own_root, "faces").id, channel="stable", who="Ada")
    path = data.draw(st.sampled_from(files(own_root)))
    place = own_root.local(path)
    whole = place.read_bytes()
    flip(place, data.draw(st.integers(0, len(whole) - 1)), 1 << data.draw(st.integers(0, 7)))
    try:
        faults = verify_release(open_root(own_root.root), "faces@1.0.0", deep=True).faults
    except (StorageError, ReleaseError) as error:
        assert path == "faceloom.json" and path in str(error)
    else:
        assert [fault.file for fault in faults] == [path] or path.startswith("releases/"), faults
        assert faults and any(path.rsplit("/", 1)[0] in fault.file for fault in faults)
        assert all(fault.remedy for fault in faults)
    finally:
        place.write_bytes(whole)


def test_without_deep_lengths_indexes_and_manifest_are_compared(own_root: Storage) -> None:
    first, second, third, *_ = resolve(own_root, "faces").release.shards
    flip(own_root.local(shard_tar(first.name)), 600)
    flip(own_root.local(shard_index(second.name)), 600)
    with own_root.local(shard_tar(third.name)).open("ab") as stream:
        stream.write(b"x")
    quick = verify_release(own_root, "faces@1.0.0").faults
    assert [fault.file for fault in quick] == [shard_index(second.name), shard_tar(third.name)]
    assert "1 are listed" not in quick[1].what and "are listed" in quick[1].what
    deep = verify_release(own_root, "faces@1.0.0", deep=True).faults
    assert deep[0].file == shard_tar(first.name) and len(deep) == 3
    assert "sample" in deep[0].what


def test_a_shard_that_is_a_link_or_a_folder_is_a_fault(own_root: Storage, tmp_path: Path) -> None:
    first, second, *_ = resolve(own_root, "faces").release.shards
    one, other = own_root.local(shard_tar(first.name)), own_root.local(shard_tar(second.name))
    one.rename(tmp_path / "aside")
    one.symlink_to(tmp_path / "aside")
    other.unlink()
    other.mkdir()
    faults = verify_release(own_root, "faces@1.0.0").faults
    assert [fault.file for fault in faults] == [shard_tar(first.name), shard_tar(second.name)]
    assert "a link" in faults[0].what and "no regular file" in faults[1].what


def test_a_damaged_log_is_a_fault_and_the_rest_is_still_compared(own_root: Storage) -> None:
    append_entry(own_root, "promote", resolve(own_root, "faces").id, channel="stable", who="Ada")
    flip(own_root.local("channels/faces.jsonl"), 20)
    own_root.remove(shard_tar(resolve_shard(own_root)))
    found = [fault.file for fault in verify_release(own_root, "faces@1.0.0").faults]
    assert found == ["channels/faces.jsonl", shard_tar(resolve_shard(own_root))]
    assert [fault.file for fault in verify_release(own_root, "faces@stable").faults] == ["channels/faces.jsonl"]


@pytest.mark.parametrize(("left", "words"), [(0, "the log is lost"), (1, "cut off: it has 1 of its 2 lines")])
def test_a_log_that_is_cut_off_or_lost_is_a_fault_and_opens_no_channel(
    own_root: Storage, left: int, words: str
) -> None:
    for channel in ("stable", "beta"):
        append_entry(own_root, "promote", resolve(own_root, "faces").id, channel=channel)
    log = own_root.local("channels/faces.jsonl")
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:left])) if left else log.unlink()
    for reference in ("faces@1.0.0", "faces@stable"):
        (fault,) = verify_release(own_root, reference).faults
        assert fault.file == "channels/faces.jsonl" and words in fault.what and "copy of the log" in fault.remedy
        with pytest.raises(StorageError, match=words):
            usable(own_root, reference)


@pytest.mark.parametrize("file", ["README.md", "croissant.json", "gallery.html", "release.json"])
def test_a_changed_digit_of_a_digest_is_a_fault_of_the_list(own_root: Storage, file: str) -> None:
    sums = own_root.local("releases/faces/1.0.0/SHA256SUMS")
    whole = sums.read_text()
    place = whole.index(f"  {file}") - 30
    sums.write_text(f"{whole[:place]}{(int(whole[place], 16) ^ 1):x}{whole[place + 1 :]}")
    (fault,) = verify_release(own_root, "faces@1.0.0").faults
    assert fault.file.endswith("/SHA256SUMS") and file in fault.what
    sums.write_text(whole)
    if file != "release.json":
        flip(own_root.local(f"releases/faces/1.0.0/{file}"), 20)
        (fault,) = verify_release(own_root, "faces@1.0.0").faults
        assert fault.file.endswith(f"/{file}"), "a changed file is a fault of its own"


def resolve_shard(root: Storage) -> str:
    from faceloom.pipelines.release.manifest import read_manifest

    return read_manifest(root, "faces", "1.0.0").release.shards[0].name


def test_a_manifest_that_was_replaced_with_its_sums_is_found_by_the_log_and_by_its_child(
    own_root: Storage, built: Path
) -> None:
    append_entry(own_root, "promote", resolve(own_root, "faces").id, channel="stable", who="Ada")
    create_release(own_root.root, "faces", "1.0.1", out=built)
    folder = own_root.local("releases/faces/1.0.0")
    old = (folder / "release.json").read_bytes()
    new = old.replace(b"made-up faces", b"better  faces")
    (folder / "release.json").write_bytes(new)
    sums = (folder / "SHA256SUMS").read_text()
    old_sum, new_sum = (hashlib.sha256(data).hexdigest() for data in (old, new))
    (folder / "SHA256SUMS").write_text(sums.replace(old_sum, new_sum))
    for version in ("1.0.0", "1.0.1"):
        (fault,) = verify_release(own_root, f"faces@{version}").faults
        assert fault.file == "releases/faces/1.0.0/release.json"


def test_an_unknown_release_is_refused(own_root: Storage) -> None:
    for reference in ("faces@2.0.0", "nothing", "../x"):
        with pytest.raises(ReleaseError):
            verify_release(own_root, reference)


@not_root
def test_a_reader_without_permission_is_advised_to_ask(own_root: Storage) -> None:
    index = own_root.local(shard_index(resolve_shard(own_root)))
    index.chmod(0)
    (fault,) = verify_release(own_root, "faces@1.0.0").faults
    assert "permission" in fault.remedy and "unpack" not in fault.remedy


def test_no_permission_is_named_as_such(own_root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard_index(resolve_shard(own_root))
    refuse(monkeypatch, path)
    (fault,) = verify_release(own_root, "faces@1.0.0").faults
    assert fault.file == path and "permission" in fault.remedy
    for word in ("Remove", "Delete", "anew", "unpack"):
        assert word not in fault.remedy


def refuse(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """From now on the system does not permit opening a file."""
    real = os.open

    def refusing(place: str, *rest: int, **more: int) -> int:
        if str(place).endswith(path):
            raise PermissionError(13, "Permission denied", str(place))
        return real(place, *rest, **more)

    monkeypatch.setattr(os, "open", refusing)


def test_a_whole_build_has_no_faults(built: Path) -> None:
    done = verify_build(Storage(str(built)))
    assert done.faults == () and done.shards == len(read_record(Storage(str(built))).shards)


def test_every_fault_of_a_build_is_listed(own_build: Storage) -> None:
    first, second, third, *_ = read_record(own_build).shards
    own_build.remove(shard_tar(first.name))
    flip(own_build.local(shard_tar(second.name)), 800)
    flip(own_build.local(shard_index(third.name)), 800)
    faults = verify_build(own_build).faults
    assert [fault.file for fault in faults] == [
        shard_tar(first.name), shard_tar(second.name), shard_index(third.name),
    ]  # fmt: skip
    assert all("faceloom build" in fault.remedy for fault in faults)


def test_a_flipped_byte_of_a_picture_is_found_in_a_build(own_build: Storage) -> None:
    shard = read_record(own_build).shards[0]
    data = own_build.local(shard_tar(shard.name)).read_bytes()
    flip(own_build.local(shard_tar(shard.name)), data.index(b".masked.jpg") + 1000)
    (fault,) = verify_build(own_build).faults
    assert "masked" in fault.what


@pytest.mark.parametrize(
    "text", ["", "x", "0" * 64 + "  release.json\n", f"{'0' * 64}  ../x\n" * 4, f"{'0' * 64}  release.json\n" * 4]
)
def test_other_lists_of_digests_are_refused(text: str) -> None:
    with pytest.raises(StorageError, match="list of digests"):
        parse_sums(text.encode(), "SHA256SUMS")
