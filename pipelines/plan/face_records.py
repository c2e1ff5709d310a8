"""The JSON of many planned faces, as their digests need it. Arrow joins the columns, so no value is an object."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.plan.planned_faces import FaceTable, Rows
from faceloom.pipelines.store.arrow_values import blobs_of, number_texts, value_bytes, values_at
from faceloom.schemas.faces import DETECTORS
from faceloom.schemas.keys import to_json


def face_records(table: FaceTable, at: Rows, settings: str) -> Iterator[memoryview]:
    """For each face the JSON, in UTF-8, of the list that `inputs.sample_inputs` computes its digest from.

    Args:
        table: of the faces.
        at: which of them.
        settings: the first item of each list.
    """
    import pyarrow.compute as pc

    fields = face_json(table, at).values()
    mixed = table.morphs.records(at) if table.morphs else b"null"
    fives = values_at(lambda one: (b"," + _json(five_digits(table, one)) if one >= 0 else b"") + b"]", table.five[at])
    ends = pc.binary_join_element_wise(mixed, fives, b"")
    return each_value(pc.binary_join_element_wise(_json([settings])[:-1], *fields, ends, b","))


def each_value(blobs: Any) -> Iterator[memoryview]:
    """Each value of a pyarrow array of bytes without nulls. Nothing is copied."""
    data = value_bytes(blobs).data
    lengths = np.diff(np.frombuffer(blobs.buffers()[1], np.int32)[blobs.offset : blobs.offset + len(blobs) + 1])
    ends = np.append(0, np.cumsum(lengths)).tolist()
    return (data[start:stop] for start, stop in pairwise(ends))


def face_json(table: FaceTable, at: Rows) -> dict[str, Any]:
    """The fields of some faces as JSON in UTF-8, in the order in which `inputs.sample_inputs` lists them, without five
    points. Each is a pyarrow array of bytes.

    Args:
        table: of the faces.
        at: which of them.
    """
    import pyarrow as pa

    analysed, photo = table.analysed, table.photo[at]
    width, height, box = table.sizes(at)
    taken = pa.array(photo)
    findings = table.findings(at)
    points = table.point[at]
    return {
        "source": _dictionary_json(analysed.photos.column("source").take(taken)),
        "uri": text_json(analysed.photos.column("uri").take(taken).cast(pa.string())),
        "photo_sha256": hex_json(analysed.sha256[photo]),
        "face": number_json(table.number[at]),
        "identity": _identity_json(table, at),
        "split": values_at(lambda one: _json(table.splits[one]), table.split[at]),
        "licence": _terms_json(table, at, "licence"),
        "consent": _terms_json(table, at, "consent"),
        "attributes": values_at(lambda one: _json(table.attributes[one]), table.attribute[at]),
        "width": number_json(width),
        "height": number_json(height),
        "landmarks": hex_json(table.landmarks.take(points[points >= 0]), points >= 0),
        "box": _box_json(box),
        "detector": values_at(lambda one: _json(DETECTORS[one]), findings["detector"]),
        "score": figures_json(findings["score"]),
        "turn": number_json(findings["turn"]),
        "landmarks_unsure": number_json(findings["landmarks_unsure"]),
        "labels": values_at(lambda one: _json(table.label(one)), analysed.texts("labels")[0][photo]),
    }


def text_json(texts: Any) -> Any:
    """Texts of a pyarrow array as JSON, and nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    letters = value_bytes(texts)
    if np.any((letters < 0x20) | (letters == ord('"')) | (letters == ord("\\"))):
        return pa.array(map(_json, texts.to_pylist()), pa.binary())
    return pc.binary_join_element_wise(b'"', texts.cast(pa.binary()), b'"', b"").fill_null(b"null")


def hex_json(records: npt.NDArray[np.uint8], has: npt.NDArray[np.bool_] | None = None) -> Any:
    """Records (N, L) as texts of hexadecimal digits in JSON; `has` as in `blobs_of`, a face without a record has an
    empty text."""
    count, length = records.shape
    letters = np.full((count, 2 * length + 2), ord('"'), np.uint8)
    digits = np.frombuffer(binascii.hexlify(np.ascontiguousarray(records).data), np.uint8)
    letters[:, 1:-1] = digits.reshape(count, 2 * length)
    if has is None or has.all():
        return blobs_of(letters)
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pa.array(has), blobs_of(letters, has), b'""')


def _identity_json(table: FaceTable, at: Rows) -> Any:
    codes = table.identity[at]
    if not table.morphs and (codes >= 0).all():
        return values_at(lambda one: _json(table.names[one].as_py()), codes)
    return text_json(table.identities(at))


def _terms_json(table: FaceTable, at: Rows, name: str) -> Any:
    if table.morphs:
        return text_json(table.terms(name, at))
    import pyarrow as pa

    return _dictionary_json(table.analysed.photos.column(name).take(pa.array(table.photo[at])))


def _dictionary_json(texts: Any) -> Any:
    """Values of a dictionary array as JSON."""
    codes = texts.indices.fill_null(-1).to_numpy()
    return values_at(lambda one: _json(texts.dictionary[one].as_py() if one >= 0 else None), codes)


def five_digits(table: FaceTable, number: int) -> str:
    """Five points as hexadecimal digits."""
    points: bytes = table.fives[number].as_py()
    return points.hex()


def _box_json(box: npt.NDArray[np.float64]) -> Any:
    import pyarrow.compute as pc

    texts = figures_json(box.ravel())
    corners = [texts.take(np.arange(corner, len(texts), 4)) for corner in range(4)]
    return pc.binary_join_element_wise(b"[", pc.binary_join_element_wise(*corners, b","), b"]", b"")


def figures_json(figures: npt.NDArray[np.float64]) -> Any:
    """Decimal numbers as JSON."""
    import pyarrow as pa

    if len(figures) and (figures.view(np.int64) == figures.view(np.int64)[0]).all():  # 0.0 is not -0.0
        return pa.repeat(pa.scalar(_json(float(figures[0]))), len(figures))
    return number_texts(figures).cast(pa.binary())


def number_json(values: npt.NDArray[Any]) -> Any:
    """Whole or logical numbers, whose texts are JSON."""
    import pyarrow as pa

    if len(values) and (values == values[0]).all():
        return pa.repeat(pa.scalar(_json(values[0].item())), len(values))
    return pa.array(values).cast(pa.string()).cast(pa.binary())


def _json(value: object) -> bytes:
    return to_json(value).encode("utf-8", "surrogatepass")
