from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from faceloom.schemas.regular_files import UnfitFileError, check_regular, open_regular_file, read_regular_file


def test_reads_a_file_at_its_limit_and_refuses_a_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular_file(path, 5) == b"12345"
    with pytest.raises(UnfitFileError, match="it has 5 bytes; at most 4 are read"):
        read_regular_file(path, 4)


def test_a_pipe_without_a_writer_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnfitFileError, match="a pipe, socket or device"):
        read_regular_file(tmp_path / "pipe", 10)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(UnfitFileError, match="a pipe, socket or device"):
        read_regular_file(device, 10)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnfitFileError, match="a folder"):
        read_regular_file(tmp_path, 10)


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        with pytest.raises((UnfitFileError, OSError)):
            read_regular_file(tmp_path / "s", 10)
        with pytest.raises(UnfitFileError, match="a pipe, socket or device"):
            check_regular((tmp_path / "s").stat())


def test_links_are_followed_unless_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    assert read_regular_file(tmp_path / "link", 10) == b"1"
    with pytest.raises(UnfitFileError, match="it is a link"):
        read_regular_file(tmp_path / "link", 10, follow_links=False)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "none", 10)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"123")
    real = os.fdopen

    def grow(*args: object) -> object:
        path.write_bytes(b"123456")
        return real(*args)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "fdopen", grow)
    with pytest.raises(UnfitFileError, match="at most 4 are read"):
        read_regular_file(path, 4)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(UnfitFileError):
            open_regular_file(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
