"""Records come back as they were written, in any order, from memory and from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.store import record_file
from faceloom.pipelines.store.record_file import RecordFile
from faceloom.pipelines.store.storage import Storage


@pytest.fixture(params=[2**20, 0])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> RecordFile:
    """A thousand records of 8 bytes, in memory or on disk."""
    made = RecordFile(Storage(str(tmp_path)), 8, request.param)
    for start in (0, 300):
        made.append(numbers(range(start, 1000 if start else 300)))
    return made


def numbers(some: range | np.ndarray) -> np.ndarray:
    return np.array(some, ">u8").view(np.uint8).reshape(-1, 8)


def test_records_are_read_at_any_place(file: RecordFile) -> None:
    assert len(file) == 1000
    assert np.array_equal(file.read(298, 302), numbers(range(298, 302)))
    rows = np.array([7, 8, 9, 3, 999, 0])
    assert np.array_equal(file.take(rows), numbers(rows))
    assert file.take(rows[:0]).shape == file.read(5, 5).shape == (0, 8)


@pytest.mark.parametrize("at_once", [8 * 1000, 8 * 37])
def test_records_are_put_in_order_in_stretches(file: RecordFile, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(record_file, "_SORTED", at_once)
    monkeypatch.setattr(record_file, "_CHUNK", at_once // 3)
    rows = np.random.default_rng(1).permutation(1000)[:900]
    ordered = file.in_order(rows)
    assert len(ordered) == 900
    assert np.array_equal(ordered.read(0, 900), numbers(rows))
    assert len(file.in_order(rows[:0])) == 0


def test_no_file_is_left_where_it_could_be_seen(tmp_path: Path) -> None:
    made = RecordFile(Storage(str(tmp_path)), 8, 0)
    made.append(numbers(range(100)))
    assert made.read(99, 100).tolist() == numbers(range(99, 100)).tolist()
    assert list(tmp_path.iterdir()) == []
    made.close()
