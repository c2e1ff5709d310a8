"""The log of a set: appended to, never changed without a trace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.release import channel_log
from faceloom.pipelines.release.channel_log import (
    START,
    append_entry,
    channels,
    log_bytes,
    make_entry,
    parse_log,
    read_log,
    yanked,
)
from faceloom.pipelines.release.log_heads import read_heads
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError

ONE, TWO = f"faces/1.0.0+{'1' * 64}", f"faces/1.1.0+{'2' * 64}"
LINE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=30)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(str(tmp_path))
    with locked_root(storage, create=True):
        pass
    append_entry(storage, "promote", ONE, channel="stable", why="first", who="Ada")
    append_entry(storage, "promote", TWO, channel="stable", why="better", who="Ada")
    append_entry(storage, "yank", ONE, replacement=TWO, why="a mask is upside down", who="Bob")
    return storage


def test_the_log_holds_who_when_and_why(storage: Storage) -> None:
    first, second, third = read_log(storage, "faces")
    assert (first.action, first.release, first.channel, first.who, first.why) == (
        "promote",
        ONE,
        "stable",
        "Ada",
        "first",
    )
    assert first.when.endswith("Z") and first.previous == START
    assert second.previous == first.sha256 and third.previous == second.sha256
    assert channels([first, second, third]) == {"stable": second} and yanked([first, third]) == {"1.0.0": third}
    assert len(Path(storage.root, "channels", "faces.jsonl").read_text().splitlines()) == 3
    assert make_entry("yank", ONE).who == channel_log.user_name() != ""


def test_a_set_without_a_log_has_no_entries(storage: Storage) -> None:
    assert read_log(storage, "others") == ()


def test_every_changed_byte_is_detected(storage: Storage) -> None:
    data = storage.read_bytes("channels/faces.jsonl")
    for place in range(len(data)):
        for bit in (1, 32):
            changed = bytearray(data)
            changed[place] ^= bit
            with pytest.raises(StorageError, match=r"damaged log: line \d"):
                parse_log(bytes(changed), "channels/faces.jsonl")


def test_missing_moved_and_forged_lines_are_detected(storage: Storage) -> None:
    first, second, third = storage.read_bytes("channels/faces.jsonl").splitlines(keepends=True)
    for wrong in (
        [second, third],
        [first, third],
        [second, first, third],
        [first, first, second],
        [first, second[:-1]],
    ):
        with pytest.raises(StorageError, match="damaged log"):
            parse_log(b"".join(wrong), "channels/faces.jsonl")
    forged = {**json.loads(second), "why": "forged"}
    with pytest.raises(StorageError, match=r"line 2: .*not the one that was written"):
        parse_log(first + json.dumps(forged).encode() + b"\n" + third, "channels/faces.jsonl")


def test_nothing_is_appended_to_a_damaged_log(storage: Storage) -> None:
    path = storage.local("channels/faces.jsonl")
    path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve"))
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"line 1"):
        append_entry(storage, "yank", TWO)
    assert path.read_bytes() == before


def test_the_log_of_another_set_is_refused(storage: Storage) -> None:
    storage.local("channels/faces.jsonl").rename(storage.local("channels/others.jsonl"))
    with pytest.raises(StorageError, match="another set"):
        read_log(storage, "others")


def test_a_link_is_refused(storage: Storage) -> None:
    storage.local("channels/others.jsonl").symlink_to(storage.local("channels/faces.jsonl"))
    with pytest.raises(StorageError, match="a link"):
        read_log(storage, "others")


@pytest.mark.parametrize("left", [0, 1, 2])
def test_lines_that_are_cut_off_are_detected(storage: Storage, left: int) -> None:
    path = storage.local("channels/faces.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    for use in (lambda: read_log(storage, "faces"), lambda: append_entry(storage, "yank", TWO)):
        with pytest.raises(StorageError, match=r"cut off: it has \d of its 3 lines|is lost") as caught:
            use()
        assert caught.value.where == "channels/faces.jsonl" and "faceloom.json" in caught.value.remedy


def test_a_lost_log_is_detected(storage: Storage) -> None:
    shutil.rmtree(storage.local("channels"))
    with pytest.raises(StorageError, match=r"channels/faces\.jsonl: the log is lost \(got it had 3 lines\)"):
        read_log(storage, "faces")


def test_a_kill_between_a_line_and_its_end_leaves_a_whole_log(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Storage, path: str, **options: Any) -> Any:
        if path == "faceloom.json":
            raise KeyboardInterrupt
        return honest(self, path, **options)

    honest = Storage.write
    for _ in range(2):  # the second one first notes the end that the first one did not
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Storage, "write", killed)
            append_entry(storage, "yank", TWO)
        assert len(read_log(storage, "faces")) == 4
    append_entry(storage, "yank", TWO)
    assert len(read_log(storage, "faces")) == 5 and read_heads(storage)["faces"].lines == 5


def test_the_name_of_a_log_is_on_the_disk_before_its_end_is(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a log may be ahead of its end. An end ahead of its log looks like a log that was cut."""
    calls: list[str] = []

    def recorded(honest: Any) -> Any:
        def call(self: Storage, *paths: str, **options: Any) -> Any:
            calls.extend(paths)
            return honest(self, *paths, **options)

        return call

    for name in ("write", "sync_folders"):
        monkeypatch.setattr(Storage, name, recorded(getattr(Storage, name)))
    append_entry(storage, "yank", TWO)
    assert calls == ["channels/faces.jsonl", "channels", "faceloom.json"]
    lines = storage.read_bytes("channels/faces.jsonl") + log_bytes([make_entry("yank", TWO, previous=end(storage))])
    storage.local("channels/faces.jsonl").write_bytes(lines)  # of a process that was killed in between
    calls.clear()
    append_entry(storage, "yank", ONE)
    assert calls == ["channels", "faceloom.json", "channels/faces.jsonl", "channels", "faceloom.json"]


def end(storage: Storage) -> str:
    return read_log(storage, "faces")[-1].sha256


@pytest.mark.parametrize("why", ["two\nlines", "\x1b[31m", "x" * 2001])
def test_reasons_take_one_line(why: str) -> None:
    with pytest.raises(ReleaseError, match="one line"):
        make_entry("yank", ONE, why=why)


def test_long_logs_are_refused(monkeypatch: pytest.MonkeyPatch, storage: Storage) -> None:
    monkeypatch.setattr(channel_log, "MOST_LOG", 100)
    with pytest.raises(StorageError, match="at most 100"):
        parse_log(storage.read_bytes("channels/faces.jsonl"), "x")


@given(st.lists(st.tuples(LINE, LINE), max_size=5))
def test_what_is_written_comes_back(texts: list[tuple[str, str]]) -> None:
    entries, previous = [], START
    for who, why in texts:
        entries.append(make_entry("yank", ONE, who=who, why=why, previous=previous))
        previous = entries[-1].sha256
    assert parse_log(log_bytes(entries), "x") == tuple(entries)


@given(st.binary(max_size=300))
def test_other_bytes_are_no_log(data: bytes) -> None:
    if data:
        with pytest.raises(StorageError, match="damaged log"):
            parse_log(data, "x")
