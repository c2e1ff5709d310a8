from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from faceloom.pipelines.store.storage_errors import raise_storage_error, storage_errors
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ENOSPC, errno.EMFILE, errno.ENOENT])
def test_each_error_states_place_and_remedy(code: int, reading: bool) -> None:
    with pytest.raises(StorageError) as caught, storage_errors("cannot be used", "a.tar", reading=reading):
        raise OSError(code, os.strerror(code))
    error = caught.value
    assert error.where == "a.tar" and os.strerror(code) in error.what and error.remedy
    assert isinstance(error.__cause__, OSError) and error.__cause__.errno == code
    assert ("disk full" in error.what) == (code == errno.ENOSPC and not reading)


def test_a_full_disk_states_what_is_free(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"free now: \d+ MB"):
        raise_storage_error(OSError(errno.ENOSPC, "full"), "cannot be written", "a", tmp_path)
    with pytest.raises(StorageError, match="free now: unknown"):
        raise_storage_error(OSError(errno.ENOSPC, "full"), "cannot be written", "a", tmp_path / "gone")


def test_unfit_files_and_other_errors() -> None:
    with pytest.raises(StorageError, match="cannot be read: it is a folder"), storage_errors("cannot be read", "a"):
        raise UnfitFileError("it is a folder")
    with pytest.raises(ZeroDivisionError), storage_errors("cannot be read", "a"):
        _ = 1 / 0
