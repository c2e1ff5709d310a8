"""Rows of a shard's index."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from faceloom.schemas.index import IndexRow, Member

MEMBERS = (Member("face.jpg", 512, 1000, "ab" * 32), Member("json", 2560, 30, "cd" * 32))


def row(**changes: object) -> IndexRow:
    fields: dict[str, object] = {
        "key": "k", "identity": "Ada", "split": "train", "part": "p", "inputs": "", "people": ("Ada",),
        "offset": 0, "length": 3072, "members": MEMBERS,
        "mask": "surgical", "source": "s", "uri": "a.jpg", "photo_sha256": "ef" * 32, "face": 0, "parents": (),
        "operations": "[]", "renderer": "1", "licence": None, "consent": None,
    }  # fmt: skip
    return IndexRow(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_row_holds_what_the_house_promises() -> None:
    names = {field.name for field in dataclasses.fields(IndexRow)}
    promised = {"key", "identity", "split", "members", "uri", "photo_sha256", "people", "operations", "renderer"}
    assert promised | {"parents", "inputs", "licence", "consent", "offset", "length"} <= names
    assert {field.name for field in dataclasses.fields(Member)} == {"name", "offset", "size", "sha256"}


def test_rows_are_frozen_hashable_and_travel() -> None:
    assert pickle.loads(pickle.dumps(row())) == row()
    assert len({row(), row(), row(key="other")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        row().offset = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        MEMBERS[0].offset = 1  # type: ignore[misc]


def test_moving_a_row_leaves_the_rest_alone() -> None:
    moved = dataclasses.replace(row(), offset=512)
    assert moved.members == MEMBERS
    assert dataclasses.replace(moved, offset=0) == row()


def test_operations_are_json_text() -> None:
    assert json.loads(row(operations='[{"name":"align"}]').operations) == [{"name": "align"}]
