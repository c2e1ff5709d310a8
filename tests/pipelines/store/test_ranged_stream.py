from __future__ import annotations

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.store import ranged_stream
from faceloom.pipelines.store.ranged_stream import RangedStream

DATA = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged_stream, "FIRST", 100)
    monkeypatch.setattr(ranged_stream, "MOST", 1000)


class Ranges:
    """A file that counts what is read of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, offset: int, length: int) -> bytes:
        assert 0 <= offset < offset + length <= len(DATA)
        self.asked.append((offset, length))
        return DATA[offset : offset + length]


_STEP = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 3000)),
    st.tuples(st.sampled_from(["set", "end", "cur"]), st.integers(-11_000, 11_000)),
)


@given(steps=st.lists(_STEP, max_size=30))
def test_it_reads_what_a_file_would(steps: list[tuple[str, int]]) -> None:
    whence = {"set": io.SEEK_SET, "cur": io.SEEK_CUR, "end": io.SEEK_END}
    with RangedStream(Ranges(), len(DATA)) as stream, io.BytesIO(DATA) as file:
        for do, number in steps:
            if do == "read":
                assert stream.read(number) == file.read(number)
            elif (place := {"set": 0, "cur": file.tell(), "end": len(DATA)}[do] + number) >= 0:
                assert stream.seek(number, whence[do]) == file.seek(place)
            else:
                with pytest.raises(ValueError, match="negative"):
                    stream.seek(number, whence[do])
            assert stream.tell() == file.tell()


def test_single_reads_get_no_more_than_they_ask_for() -> None:
    read = Ranges()
    stream = RangedStream(read, len(DATA))
    for offset in (5000, 20, 900):
        stream.seek(offset)
        assert stream.read(7) == DATA[offset : offset + 7]
    assert read.asked == [(5000, 7), (20, 7), (900, 7)]


def test_reading_in_order_takes_few_and_growing_ranges() -> None:
    read = Ranges()
    with RangedStream(read, len(DATA)) as stream:
        assert b"".join(iter(lambda: stream.read(10), b"")) == DATA
    assert sum(length for _, length in read.asked) == len(DATA), "nothing is read twice"
    assert len(read.asked) < 20 and max(length for _, length in read.asked) == 1000


def test_the_next_range_comes_while_this_one_is_used() -> None:
    ahead = threading.Event()

    def read(offset: int, length: int) -> bytes:
        if offset == 110:
            ahead.set()
        return DATA[offset : offset + length]

    with RangedStream(read, len(DATA)) as stream:
        stream.read(10)
        assert not ahead.is_set()
        stream.read(10)
        assert ahead.wait(10)


def test_an_error_of_a_range_is_that_of_the_read() -> None:
    def read(offset: int, length: int) -> bytes:
        if offset > 300:
            raise OSError("away")
        return DATA[offset : offset + length]

    with RangedStream(read, len(DATA)) as stream, pytest.raises(OSError, match="away"):
        while stream.read(50):
            pass


def test_buffers_and_other_readers() -> None:
    stream = RangedStream(Ranges(), len(DATA))
    assert stream.readable() and stream.seekable()
    with io.BufferedReader(stream, 64) as reader:
        assert reader.read() == DATA
    assert stream.closed
