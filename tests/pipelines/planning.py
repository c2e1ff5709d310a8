"""Photos that were never taken, their plans, and strategies for both: what tests of choosing and planning share."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.plan.choose import ChosenFaces, choose_faces
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.keys import digest
from faceloom.schemas.masks import Mask
from faceloom.schemas.photos import Photo
from faceloom.schemas.plan import FaceRows, Plan, PlannedFace
from faceloom.schemas.recipe import Recipe, parse_recipe

Item = tuple[Photo, AnalysedPhoto]
POLYGON = {"kind": "polygon", "shape": "A"}
TEMPLATE = {"kind": "template", "template": "kn95"}
SMALL = {"output": {"shards": {"samples": 12}}}


def recipe(**changes: Any) -> Recipe:
    """A recipe of two masks, a drawn and a printed one, with some keys of its own."""
    return parse_recipe({"name": "x", "masks": [POLYGON, TEMPLATE], **changes})


def face_row(width: float = 100, left: float = 10, mark: float = 0) -> FaceRow:
    """A face of that width; faces of another mark have other landmarks."""
    return FaceRow((left, 10, left + width, 10 + width), np.full((68, 2), mark, np.float32).tobytes(), 1.0, ())


def item(
    uri: str, *, content: object = None, identity: str | None = None, split: str | None = None, source: str = "s",
    faces: Sequence[FaceRow] = (face_row(),), code: str = "", labels: str = "",
) -> Item:  # fmt: skip
    """A photo and what analysis found in it: its address stands for its bytes, unless `content` does."""
    sha = hashlib.sha256(str(uri if content is None else content).encode()).hexdigest()
    photo = Photo(source, uri, identity, split, "CC0", None, (), None, 100, "t")
    return photo, AnalysedPhoto(
        photo.photo_id, 100, "t", sha, 640, 480, 1, () if code else tuple(faces), code, code and "m", labels=labels
    )


def look(mask: Mask) -> str:
    return digest(mask.model_dump(mode="json", exclude={"weight"}))


def plan(items: Sequence[Item], how: Recipe | None = None) -> Plan:
    """The plan that a build of these photos would have."""
    how = how or recipe()
    return make_plan(how, choose(how, items), [look(m) for m in how.masks])


def choose(how: Recipe, items: Sequence[Item]) -> ChosenFaces:
    """The faces that a build of these photos would have."""
    photos, rows = PhotoTable.of(photo for photo, _ in items), {photo.photo_id: found for photo, found in items}
    return choose_faces(how, Analysis.of(Storage(tempfile.gettempdir()), photos, rows))


def faces_of(found: Plan) -> list[PlannedFace]:
    return [face for shard in found.shards for part in shard.parts for face in part.faces]


def parts_of(found: Plan) -> dict[str, FaceRows]:
    """The faces of each part by its digest, which changes with what is in them."""
    return {part.digest: part.faces for shard in found.shards for part in shard.parts}


def many(count: int, people: int = 40) -> list[Item]:
    """Photos of people in turn."""
    return [item(f"{n}.jpg", identity=f"person {n % people}") for n in range(count)]


FACE_ROWS = st.lists(st.builds(face_row, st.floats(20, 200), st.floats(-20, 500)), min_size=1, max_size=3)

ITEMS = st.lists(
    st.builds(
        item, st.integers(0, 99).map(lambda n: f"{n}.jpg"), content=st.integers(0, 60),
        identity=st.none() | st.sampled_from("abcdef"), split=st.sampled_from([None, "train", "Test set"]),
        source=st.sampled_from(["s", "t"]), faces=FACE_ROWS, code=st.sampled_from(["", "", "", "no_face"]),
    ),
    max_size=40,
    unique_by=lambda one: one[0].photo_id,
)  # fmt: skip

RECIPES = st.builds(
    lambda by, select, per_face, masks, samples: recipe(
        split={"by": by} if by != "per_identity" else {"per_identity": 0.7},
        faces={"select": select},
        per_face=per_face,
        masks=masks,
        output={"shards": {"samples": samples}},
    ),
    st.sampled_from(["identity", "source", "per_identity"]),
    st.sampled_from(["largest", "all", "centre"]),
    st.integers(1, 3),
    st.sampled_from([[], [POLYGON], [POLYGON, TEMPLATE]]),
    st.integers(1, 50),
)
