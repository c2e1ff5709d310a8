"""Timings come back as they were, and damaged ones are called so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceloom.pipelines.store.last_run import LastRun, read_last_run, write_last_run
from faceloom.pipelines.store.paths import LAST_RUN
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError

RUN = LastRun(
    workers=2, photos_analysed=3, samples_rendered=4, samples_reused=0, wall_seconds={"scan": 0.5}, work_seconds={}
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_timings_come_back(storage: Storage) -> None:
    assert read_last_run(storage) is None
    write_last_run(storage, RUN)
    assert read_last_run(storage) == RUN
    assert storage.read_bytes(LAST_RUN).startswith(b'{\n "workers": 2,\n "photos_analysed": 3,')


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"null", b"\xff", b"[" * 9999, b" " * 2**17, RUN.model_dump_json().encode()[:-1],
     RUN.model_dump_json().replace("2", '"two"').encode(), RUN.model_dump_json().replace("2", "-2").encode(),
     RUN.model_dump_json().replace("0.5", "NaN").encode(), RUN.model_dump_json().replace("0.5", "[]").encode()],
)  # fmt: skip
def test_damaged_timings_are_called_so_in_one_line(storage: Storage, content: bytes) -> None:
    with storage.write(LAST_RUN) as stream:
        stream.write(content)
    with pytest.raises(StorageError) as caught:
        read_last_run(storage)
    assert caught.value.where == LAST_RUN and "\n" not in str(caught.value)


def test_a_pipe_is_not_read(storage: Storage) -> None:
    storage.local(LAST_RUN).parent.mkdir()
    os.mkfifo(storage.local(LAST_RUN))
    assert read_last_run(storage) is None
