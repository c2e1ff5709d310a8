"""Columns of JSON hold what a JSON encoder would write for each face."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan.face_records import each_value, face_json, face_records, hex_json, text_json
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.schemas.keys import to_json
from tests.pipelines.planning import choose, item, recipe


@given(st.lists(st.text(max_size=5) | st.sampled_from(['"', "\\", "\x7f", "\u2028", "\n"])))
def test_texts_are_quoted_as_json_quotes_them(texts: list[str]) -> None:
    assert text_json(pa.array(texts, pa.string())).to_pylist() == [to_json(text).encode() for text in texts]


def test_records_become_digits_and_missing_ones_empty_texts() -> None:
    records = np.array([[0, 255], [16, 1]], np.uint8)
    assert hex_json(records).to_pylist() == [b'"00ff"', b'"1001"']
    assert hex_json(records, np.array([True, False, True])).to_pylist() == [b'"00ff"', b'""', b'"1001"']
    assert hex_json(records[:0]).to_pylist() == []


def test_values_of_a_piece_of_an_array() -> None:
    blobs = pa.array([b"a", b"", b"bcd", b"e"])
    assert [bytes(one) for one in each_value(blobs)] == [b"a", b"", b"bcd", b"e"]
    assert [bytes(one) for one in each_value(blobs[1:3])] == [b"", b"bcd"]


@pytest.mark.parametrize("rows", [slice(1, 4), np.array([4, 0, 0, 2])])
def test_faces_in_any_order_have_the_json_of_their_fields(rows: slice | np.ndarray) -> None:
    faces = choose(recipe(), [item(f"{n}.jpg", identity="Ada" if n % 2 else None) for n in range(5)]).faces
    assert isinstance(faces, PlannedFaces)
    some = [faces[at] for at in np.arange(len(faces))[rows].tolist()]
    columns = face_json(faces.table, rows)
    for name in ("source", "uri", "photo_sha256", "identity", "width", "licence", "consent", "score", "detector"):
        assert columns[name].to_pylist() == [to_json(getattr(face, name)).encode() for face in some], name
    for face, text in zip(some, face_records(faces.table, rows, "settings"), strict=True):
        assert bytes(text).startswith(f'["settings","s","{face.uri}","{face.photo_sha256}"'.encode())
        assert bytes(text).endswith(b",null]") and face.landmarks.hex().encode() in bytes(text)
