"""Frames are planned from the faces of a photo: all of them are named, and the recipe's share wears a mask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.plan.frames import MOST_FACES, with_frames
from faceloom.pipelines.plan.inputs import sample_inputs
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.store.planned_rows import read_planned, write_planned
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.plan import PlannedFace, PlannedFrame
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import Item, choose, face_row, item, look, recipe


def frames(items: list[Item], **changes: Any) -> list[PlannedFace]:
    return list(with_frames(how(**changes), choose(how(**changes), items)).faces)


def how(masked_share: float = 1.0, **changes: Any) -> Recipe:
    return recipe(align={"mode": "frame", "masked_share": masked_share}, **changes)


def frame_of(face: PlannedFace) -> PlannedFrame:
    assert face.frame is not None
    return face.frame


CROWD = [face_row(100, 10), face_row(90, 200), face_row(20, 400), face_row(80, 500)]


def test_a_photo_is_one_sample_with_all_its_faces() -> None:
    (face,) = frames([item("a.jpg", faces=CROWD)])
    frame = frame_of(face)
    assert [one.face for one in frame.faces] == [0, 1, 2, 3]
    assert [one.used for one in frame.faces] == [True, True, False, True], "20 pixels are below faces.min_size"
    assert [one.fault for one in frame.faces] == ["", "", "face_too_small", ""]
    assert [len(one.masks) for one in frame.faces] == [1, 1, 0, 1]
    assert frame.faces[2].landmarks == b"" and frame.faces[2].box == CROWD[2].box
    assert face.samples == 1 and face.identity == f"photo-{face.photo_sha256[:16]}"


def test_a_single_face_keeps_its_name_and_people_are_all_who_are_named() -> None:
    alone, crowd = frames([item("a.jpg", identity="Ada"), item("b.jpg", identity="Bob", faces=CROWD)], split={
        "shares": {"train": 1.0}
    })  # fmt: skip
    if alone.uri != "a.jpg":
        alone, crowd = crowd, alone
    assert alone.identity == "Ada" and frame_of(alone).people == ("Ada",)
    assert "Bob" in frame_of(crowd).people and len(frame_of(crowd).people) == 5


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_faces_that_wear_a_mask(share: float) -> None:
    drawn = [
        mask
        for face in frames([item(f"{n}.jpg", faces=CROWD) for n in range(200)], masked_share=share)
        for one in frame_of(face).faces
        for mask in one.masks
    ]
    assert len(drawn) == 600
    assert sum(mask >= 0 for mask in drawn) / 600 == pytest.approx(share, abs=0.07 if 0 < share < 1 else 0)


def test_a_smaller_share_takes_masks_away_and_changes_none() -> None:
    items = [item(f"{n}.jpg", faces=CROWD) for n in range(50)]
    for more, less in zip(frames(items), frames(items, masked_share=0.5), strict=True):
        for one, other in zip(frame_of(more).faces, frame_of(less).faces, strict=True):
            assert all(b in (a, -1) for a, b in zip(one.masks, other.masks, strict=True))


def test_the_largest_faces_of_a_vast_crowd_are_kept() -> None:
    rows = [face_row(40 + number % 50, 5 + number) for number in range(MOST_FACES + 30)]
    (face,) = frames([item("a.jpg", faces=rows)])
    kept = frame_of(face).faces
    assert len(kept) == MOST_FACES and [one.face for one in kept] == sorted(one.face for one in kept)
    assert min(one.box[2] - one.box[0] for one in kept) >= 44


def test_inputs_depend_on_every_face() -> None:
    (face,) = frames([item("a.jpg", faces=CROWD)])
    looks = [look(mask) for mask in how().masks]
    frame = frame_of(face)
    other = replace(frame.faces[3], masks=(1 - frame.faces[3].masks[0],))
    changes = [
        replace(frame, faces=frame.faces[:3]),
        replace(frame, faces=(*frame.faces[:3], other)),
        replace(frame, people=("Ada",)),
    ]
    digests = {tuple(sample_inputs(replace(face, frame=one), "s", looks)) for one in [frame, None, *changes]}
    assert len(digests) == 5
    swapped = replace(frame, faces=tuple(replace(one, masks=tuple(1 - m for m in one.masks)) for one in frame.faces))
    flipped = replace(face, masks=tuple(1 - m for m in face.masks), frame=swapped)
    assert sample_inputs(flipped, "s", looks[::-1]) == sample_inputs(face, "s", looks), "places of masks do not count"


def test_plan_rows_of_frames_can_be_read_again(tmp_path: Path) -> None:
    recipe = how()
    chosen = with_frames(recipe, choose(recipe, [item(f"{n}.jpg", faces=CROWD) for n in range(5)]))
    plan = make_plan(recipe, chosen, [look(mask) for mask in recipe.masks])
    faces = [face for part in plan.parts for face in part.faces]
    assert plan.samples == len(faces) == 5
    storage = Storage(str(tmp_path))
    write_planned(storage, "rows.parquet", faces)
    assert read_planned(storage, "rows.parquet") == faces


def test_damaged_plan_rows_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (face,) = frames([item("a.jpg", faces=CROWD)])
    monkeypatch.setattr("faceloom.schemas.plan.frame_text", lambda _: '{"faces": [{"landmarks": "xy"}], "people": []}')
    write_planned(Storage(str(tmp_path)), "rows.parquet", [face])
    with pytest.raises(StorageError, match="frame"):
        read_planned(Storage(str(tmp_path)), "rows.parquet")


def test_a_photo_without_a_face_is_a_reject() -> None:
    learned = {"kind": "autoencoder", "checkpoint": "x", "when": "landmarks_missing"}
    recipe = how(masks=[{"kind": "polygon", "shape": "A"}, learned])
    chosen = with_frames(recipe, choose(recipe, [item("a.jpg", faces=(), code="no_face")]))
    assert not chosen.faces and [reject.code for reject in chosen.rejects] == ["no_face"]
