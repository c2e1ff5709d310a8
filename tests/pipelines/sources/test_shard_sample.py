from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources.shard_sample import SampleNotes, attributes_of, photo_of
from faceloom.pipelines.sources.tar_members import Member
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.source_spec import TableColumns

POINTS = [[float(n), n + 0.5] for n in range(68)]


def sample(*kinds: str) -> dict[str, Member]:
    return {kind: Member(f"key.{kind}", 0, 1, True) for kind in kinds}


def notes(folder: Path, **given: bytes) -> SampleNotes:
    """A shard is a file with the notes one after another; that it is no tar file does not matter here."""
    parts, data = {}, b""
    for kind, content in given.items():
        parts[kind.replace("__", ".")] = Member(kind, len(data), len(content), True)
        data += content
    (folder / "s.tar").write_bytes(data)
    return SampleNotes(folder, "s.tar", parts)


def npy(points: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(points), allow_pickle=True)
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kinds", "chosen"),
    [
        (["jpg", "json"], "jpg"),
        (["png", "jpg"], "jpg"),
        (["masked.jpg", "face.jpg", "mask.png", "json"], "face.jpg"),
        (["lr.png", "hr.png"], "hr.png"),
        (["jpg", "face.jpg"], "jpg"),
        (["left.png", "json"], "left.png"),
        (["pgm", "cls"], "pgm"),
    ],
)
def test_the_photo(kinds: list[str], chosen: str) -> None:
    assert photo_of(sample(*kinds)).name == f"key.{chosen}"


@pytest.mark.parametrize(
    ("kinds", "code"),
    [(["json", "cls"], "no_picture"), ([""], "no_picture"), (["a.jpg", "b.jpg"], "ambiguous_picture")],
)
def test_no_photo(kinds: list[str], code: str) -> None:
    with pytest.raises(PhotoError) as caught:
        photo_of(sample(*kinds))
    assert caught.value.code == code


@pytest.mark.parametrize(("size", "is_file", "code"), [(0, True, "empty"), (1, False, "not_a_file")])
def test_an_unusable_photo(size: int, is_file: bool, code: str) -> None:
    with pytest.raises(PhotoError) as caught:
        photo_of({"jpg": Member("key.jpg", 0, size, is_file)})
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("given", "identity"),
    [
        ({"json": b'{"identity": "Ada", "label": 3}', "cls": b"9"}, "Ada"),
        ({"json": b'{"label": 0}'}, "0"),
        ({"json": b'{"id": "n7"}'}, "n7"),
        ({"json": b'{"identity": null}', "cls": b"12\n"}, "12"),
        ({"json": b"{}", "txt": b"Ada Lovelace"}, "Ada Lovelace"),
        ({"txt": b"a caption\nof two lines"}, None),
        ({}, None),
    ],
)
def test_identity(tmp_path: Path, given: dict[str, bytes], identity: str | None) -> None:
    found = notes(tmp_path, **given)
    assert found.identity(found.facts()) == identity


@pytest.mark.parametrize(
    ("given", "identity"),
    [
        ({"json": b'{"caption": "Ann"}', "txt": b"Ann"}, None),
        ({"json": b'{"alt": "x", "key": "1"}', "txt": b"Ann"}, None),
        ({"json": b'{"said": "Ann"}', "txt": b"Ann"}, None),
        ({"txt": b"portrait of a man"}, None),
        ({"txt": b"Ann " * 40}, None),
        ({"txt": b"nan"}, None),
        ({"txt": b"12", "cls": b"-1"}, "12"),
        ({"json": b'{"identity": "None", "label": 7}'}, "7"),
    ],
)
def test_a_caption_is_no_name(tmp_path: Path, given: dict[str, bytes], identity: str | None) -> None:
    found = notes(tmp_path, **given)
    assert found.identity(found.facts()) == identity
    assert found.identity(found.facts(), is_name=lambda text: False) == (identity if "txt" not in given else None)


def test_a_field_that_the_recipe_names_is_the_only_one(tmp_path: Path) -> None:
    found = notes(tmp_path, json=b'{"who": "Ann", "identity": "x"}', cls=b"9")
    assert found.identity(found.facts(), "who") == "Ann" and found.identity(found.facts(), "age") is None


def test_json_fields_become_attributes_as_columns_do() -> None:
    left_out: Counter[str] = Counter()
    facts = {"age": 3, "ok": True, "emb": [1.0], "none": None, "label": 7, "attributes": {"age": 4, "deep": [1]}}
    assert attributes_of(facts, TableColumns(), left_out) == {"age": 4, "deep": [1], "ok": True}
    assert attributes_of(facts, TableColumns(others=("ok", "deep", "label")), left_out) == {
        "ok": True,
        "deep": [1],
        "label": 7,
    }
    assert "who" not in attributes_of({"who": "Ann"}, TableColumns(identity="who"), left_out)
    assert not left_out
    many = {f"f{n}": n for n in range(1_000)} | {"long": 10**40}
    assert len(attributes_of({**many, "attributes": {"x": 1}}, TableColumns(), left_out)) == 1_000
    assert left_out == {"f999": 1, "long": 1}


def test_samples_of_a_build_keep_their_own_attributes_alone() -> None:
    names = ("key", "identity", "split", "mask", "source", "operations", "renderer")
    facts: dict[str, object] = {**dict.fromkeys(names, "x"), "attributes": {"age": 3}, "has_landmarks": True}
    assert attributes_of(facts, TableColumns(), Counter()) == {"age": 3}


@pytest.mark.parametrize(
    "text",
    [b"{", b"[1]", b"\xff\xfe\x00", b"3", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5_000, b'{"id": 1, "id": 2}'],
)
def test_bad_json(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(PhotoError) as caught:
        notes(tmp_path, json=text).facts()
    assert caught.value.code == "bad_metadata"


@pytest.mark.parametrize(
    "given",
    [
        {"landmarks__npy": npy(POINTS)},
        {"npy": npy(POINTS)},
        {"json": json.dumps({"landmarks": POINTS}).encode()},
        {"npy": npy([1.0, 2.0]), "json": json.dumps({"landmarks": POINTS}).encode()},
    ],
)
def test_landmarks(tmp_path: Path, given: dict[str, bytes]) -> None:
    found = notes(tmp_path, **given)
    assert found.landmarks(found.facts()) == np.array(POINTS, np.float32).tobytes()


def test_no_landmarks(tmp_path: Path) -> None:
    assert notes(tmp_path, npy=npy([[1.0]])).landmarks({}) is None
    assert notes(tmp_path).landmarks({}) is None
    unknown = np.full((68, 2), np.nan)
    assert notes(tmp_path, landmarks__npy=npy(unknown)).landmarks({}) is None, "as builds write it"


@pytest.mark.parametrize(
    "given",
    [
        {"landmarks__npy": npy(POINTS[:5])},
        {"landmarks__npy": b"no array"},
        {"landmarks__npy": npy([{"a": 1}])},
        {"json": b'{"landmarks": [[1, 2]]}'},
        {"json": b'{"landmarks": "soon"}'},
        {"json": b'{"landmarks": "' + b"[" * 50_000 + b'"}'},
        {"json": json.dumps({"landmarks": [[10**299, 1]] * 68}).encode()},
        {"landmarks__npy": npz()},
        {"npy": npz()},
        {"npy": b"PK\3\4 no zip file"},
        {"npy": npy(POINTS)[:-1]},
        {"landmarks__npy": npy(np.zeros((68, 2), bool))},
        {"landmarks__npy": npy(np.full((68, 2), "1"))},
        {"landmarks__npy": npy(np.array([[np.nan, 1]] * 68))},
    ],
)
def test_bad_landmarks(tmp_path: Path, given: dict[str, bytes]) -> None:
    found = notes(tmp_path, **given)
    with pytest.raises(PhotoError) as caught:
        found.landmarks(found.facts())
    assert caught.value.code == "bad_landmarks"


def test_a_giant_note_is_not_read(tmp_path: Path) -> None:
    giant = SampleNotes(tmp_path, "s.tar", {"json": Member("key.json", 0, 1 << 40, True)})
    with pytest.raises(PhotoError) as caught:
        giant.facts()
    assert caught.value.code == "bad_metadata"


def test_a_note_that_is_a_link_is_reported(tmp_path: Path) -> None:
    linked = SampleNotes(tmp_path, "s.tar", {"cls": Member("key.cls", 0, 0, False)})
    with pytest.raises(PhotoError, match="the cls is a link") as caught:
        linked.identity({})
    assert caught.value.code == "bad_metadata"


def test_notes_of_other_tools_are_read(tmp_path: Path) -> None:
    found = notes(tmp_path, json=b'\xef\xbb\xbf{"score": NaN, "caption": "cut \\ud83d", "identity": "Ada"}')
    assert found.identity(found.facts()) == "Ada"


def test_a_long_text_is_no_identity(tmp_path: Path) -> None:
    long = "x" * 1_001
    assert notes(tmp_path, txt=long.encode()).identity({}) is None
    with pytest.raises(PhotoError, match="the identity has 1,001 characters; at most 1,000") as caught:
        notes(tmp_path).identity({"label": long})
    assert caught.value.code == "bad_metadata"


@given(
    kind=st.sampled_from(["json", "cls", "txt", "npy", "landmarks__npy"]),
    data=st.binary(max_size=100)
    | st.text(max_size=100).map(str.encode)
    | st.recursive(st.none() | st.floats() | st.text(max_size=5), st.lists).map(
        lambda value: json.dumps({"landmarks": value, "label": value, "attributes": value}).encode()
    ),
)
def test_any_note_is_a_value_or_an_error_of_the_photo(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: bytes
) -> None:
    found = notes(tmp_path_factory.getbasetemp(), **{kind: data})
    try:
        facts = found.facts()
        found.identity(facts)
        found.landmarks(facts)
    except PhotoError as error:
        assert error.code in ("bad_metadata", "bad_landmarks")
        assert error.what
