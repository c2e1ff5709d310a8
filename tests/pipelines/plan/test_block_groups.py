"""Blocks are opened in groups, and a recipe decides the distance."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.pipelines.plan import block_groups
from faceloom.pipelines.plan.block_groups import BlockGroups, metric_of, read_json, write_groups, write_json
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.morph import Morph
from tests.pipelines.plan.blocks import write_blocks


def test_groups_are_opened_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_groups, "GROUP", 2)
    storage = Storage(str(tmp_path))
    blocks = write_blocks(storage, 14, 3)
    write_groups(storage, "search", blocks)
    groups = BlockGroups(storage, "search")
    assert [len(group) for group in groups] == [6, 6, 2]
    keys = sorted(key for group in groups for key in group.keys)
    assert [key for group in groups[1:] for key in group.keys] == keys[6:]
    group = groups[0]
    assert group.textures.shape == (6, 32, 32, 3) and group.textures[2:4].shape == (2, 32, 32, 3)
    assert np.array_equal(group.textures[2:4][1], group.textures[3]) and group.textures[0].dtype == np.uint8
    assert json.loads(storage.read_bytes("work/search.groups.json")) == groups.names


def test_units_decide_what_white_is() -> None:
    assert metric_of(Morph()).white == 255 and metric_of(Morph(texture_units="levels")).white == 1
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert cv2.norm(black, white) / metric_of(Morph()).white == pytest.approx(12**0.5)
    assert metric_of(Morph.model_validate({"lambda": 3.5})).weight == 3.5


def test_json_of_another_form_is_damage(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    write_json(storage, "work/a.json", {"a": 1})
    assert read_json(storage, "work/a.json", dict[str, int]) == {"a": 1}
    with pytest.raises(StorageError, match="damaged"):
        read_json(storage, "work/a.json", list[str])
