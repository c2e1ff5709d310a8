"""Records that are written are read back, by our reader and by one that is written here; exports hold every sample."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.recordio.record_writer import RecordWriter, cut_at_magic
from faceloom.pipelines.sources.registry import open_source
from faceloom.schemas.source_spec import SourceSpec
from tests.pipelines.recordio.plain_reader import MAGIC, read_plainly


def written(*records: tuple[int, float | tuple[float, ...], bytes]) -> tuple[bytes, bytes]:
    rec, idx = io.BytesIO(), io.BytesIO()
    writer = RecordWriter(rec, idx)
    for record in records:
        writer.write(*record)
    return rec.getvalue(), idx.getvalue()


def test_a_record_is_header_and_picture() -> None:
    rec, idx = written((0, 5.0, b"jpeg"), (7, (2.0, 3.0), b"other"))
    plain, packed = read_plainly(rec)
    assert plain == struct.pack("<IfQQ", 0, 5.0, 0, 0) + b"jpeg"
    assert packed == struct.pack("<IfQQ", 2, 0.0, 7, 0) + struct.pack("<2f", 2, 3) + b"other"
    assert idx == b"0\t0\n7\t36\n"


noisy = st.lists(st.one_of(st.just(MAGIC), st.binary(max_size=5)), max_size=8).map(b"".join)


@given(data=noisy)
def test_cutting_leaves_no_magic_number_where_readers_look(data: bytes) -> None:
    pieces = cut_at_magic(data)
    assert MAGIC.join(pieces) == data
    assert all(len(piece) % 4 == 0 for piece in pieces[:-1])
    assert not any(piece[at : at + 4] == MAGIC for piece in pieces for at in range(0, len(piece), 4))


@given(pictures=st.lists(noisy, max_size=6))
def test_any_bytes_come_back(pictures: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    rec, idx = written(*((number, float(number), picture) for number, picture in enumerate(pictures, 1)))
    assert [record[24:] for record in read_plainly(rec)] == pictures
    folder = tmp_path_factory.mktemp("records")
    (folder / "a.rec").write_bytes(rec)
    (folder / "a.idx").write_bytes(idx)
    source = open_source(SourceSpec(path=str(folder / "a.rec")))
    for number, picture in enumerate(pictures, 1):
        assert source.read(f"a.rec::{number:09d}") == picture


def test_what_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceloom.pipelines.recordio.record_writer.LENGTH_BITS", 6)
    with pytest.raises(ValueError, match="shorter than 64 bytes"):
        written((0, 1.0, b"x" * 64))
