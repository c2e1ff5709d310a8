"""The masked photo of a pair: decoded for those who wear it, and divided among the faces of a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from faceloom.pipelines.render.pairs import decode_partner, with_partner
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.labels import MASKED, PAIR, LabelFiles
from faceloom.schemas.plan import FrameFace
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import translate
from faceloom.transforms.masks.real import MaskedPhoto
from faceloom.transforms.sample.working import Working
from tests.pipelines.conftest import encoded, landmarks, picture, planned
from tests.pipelines.rendering import recipe

BARE = picture(400, 400, 1)
HOW = recipe(masks=[{"kind": "real"}, {"kind": "polygon", "shape": "A"}])


def masked() -> np.ndarray:
    made = BARE.copy()
    made[200:300, 100:300] = (0, 190, 160)
    return made


def files(data: bytes) -> LabelFiles:
    return LabelFiles(PAIR, (), ((MASKED, data),))


def test_the_masked_photo_is_decoded_if_a_face_wears_it() -> None:
    face = planned(encoded(BARE), landmarks((200, 200), 80), masks=(0, 1))
    found = decode_partner(files(encoded(masked())), [face], BARE, 1, HOW)
    assert isinstance(found, MaskedPhoto) and np.array_equal(found.image, masked())
    painted = replace(face, masks=(1,))
    assert decode_partner(files(b"never read"), [painted], BARE, 1, HOW) is None
    assert decode_partner(None, [painted], BARE, 1, HOW) is None
    for bad in (files(b"no picture"), None):
        fault = decode_partner(bad, [face], BARE, 1, HOW)
        assert isinstance(fault, PhotoError) and fault.code == "bad_partner"


def frame_face(number: int, box: tuple[float, float, float, float]) -> FrameFace:
    return FrameFace(number, "x", box, b"", "hog", 1.0, 0, (0,), True)


def test_a_face_of_a_frame_gets_what_is_nearer_to_it() -> None:
    """Two faces side by side: their border lies in the middle between them."""
    faces = frame_face(0, (40, 100, 140, 200)), frame_face(1, (240, 100, 340, 200))
    cover = np.full((400, 400), 255, np.uint8)
    pair = MaskedPhoto(np.full_like(BARE, 7), cover, "drawn")
    working = Working(
        BARE[:, :260], None, FaceBox(*faces[0].box), translate(0, 0), translate(0, 0), (400, 400), None, {}
    )
    own = with_partner(working, pair, 1, faces[0], faces).pair
    assert isinstance(own, MaskedPhoto)
    assert (own.image[:, :190] == 7).all() and (own.cover[:, :190] == 255).all()
    assert np.array_equal(own.image[:, 191:], BARE[:, 191:260]) and not own.cover[:, 191:].any()
    alone = with_partner(working, pair, 1, faces[0], faces[:1]).pair
    assert isinstance(alone, MaskedPhoto) and (alone.cover == 255).all()
    fault = PhotoError("bad_partner", "x")
    assert with_partner(working, fault, 1, faces[0], faces).pair is fault
