"""From one planned face to its samples: what is in them, and where it lies."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.pipelines.render import render_photos as render
from faceloom.pipelines.render.mask_painter import MaskRequest
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.keys import face_key, generator, sample_key
from faceloom.schemas.masks import Mask
from faceloom.schemas.photos import Reject
from faceloom.schemas.versions import RENDERER
from faceloom.transforms.align import crop_reduction, warp_alpha
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.working import crop_matrix, cut_working
from tests.known import known
from tests.pipelines.rendering import GREEN, Painter, one, paint, recipe, run, steps_of


@pytest.mark.parametrize(
    ("output", "masks", "names"),
    [
        ({}, (0,), ["face.jpg", "json", "landmarks.npy", "mask.png", "masked.jpg"]),
        ({"alpha": True}, (0,), ["alpha.png", "face.jpg", "json", "landmarks.npy", "mask.png", "masked.jpg"]),
        ({"image": "png", "mask": "webp"}, (0,), ["face.png", "json", "landmarks.npy", "mask.webp", "masked.png"]),
        ({"image": "webp", "alpha": True, "mask": "webp"}, (0,),
         ["alpha.webp", "face.webp", "json", "landmarks.npy", "mask.webp", "masked.webp"]),
        ({"alpha": True}, (), ["face.jpg", "json", "landmarks.npy"]),
    ],
)  # fmt: skip
def test_a_sample_holds_its_files_in_sorted_order(
    scene: SimpleNamespace, synthetic: SimpleNamespace, output: Any, masks: tuple[int, ...], names: list[str]
) -> None:
    face = synthetic.planned(scene.data, scene.points, masks)
    sample, files = one(run(scene.data, [face], recipe(output=output)))
    assert [name for name, _ in sample.files] == names
    for name, data in files.items():
        magic = {"png": b"\x89PNG", "jpg": b"\xff\xd8\xff", "webp": b"RIFF"}.get(name.rsplit(".", 1)[-1])
        assert magic is None or data.startswith(magic)
        assert magic is None or synthetic.decoded(data).shape[:2] == (112, 112)


@pytest.mark.parametrize("mode", ["arcface", "eye_level", "face_box"])
def test_face_and_masked_are_the_same_wherever_no_mask_lies(
    scene: SimpleNamespace, synthetic: SimpleNamespace, mode: str
) -> None:
    how = recipe(align={"mode": mode})
    _, files = one(run(scene.data, [scene.face], how))
    matrix = crop_matrix(how, scene.face)
    working = cut_working(scene.rgb, scene.face, matrix, 1, how)
    alpha = warp_alpha(
        paint(working.image, known(working.landmarks), how.masks[0], generator(0, "", "")).alpha,
        working.matrix,
        (112, 112),
    )
    face, masked = synthetic.decoded(files["face.png"]), synthetic.decoded(files["masked.png"])
    bare = alpha == 0
    assert 0.2 < bare.mean() < 0.9
    assert np.array_equal(face[bare], masked[bare])
    assert (face[alpha > 0.99] != masked[alpha > 0.99]).any(axis=1).all()
    assert np.abs(masked[alpha > 0.999].astype(int) - GREEN).max() <= 1
    assert np.array_equal(synthetic.decoded(files["mask.png"]) == 255, alpha >= 0.5)


def test_an_enlarged_crop_differs_next_to_the_mask_at_most(synthetic: SimpleNamespace) -> None:
    """Cubic interpolation reads one photo pixel further than the coverage does."""
    rgb = synthetic.picture(96, 96, 2)
    points = synthetic.landmarks((46, 40), 20)
    data = synthetic.encoded(rgb)
    _, files = one(run(data, [synthetic.planned(data, points)], recipe(align={"size": 224})))
    face, masked, alpha = (synthetic.decoded(files[f"{name}.png"]) for name in ("face", "masked", "alpha"))
    reach = int(np.ceil(2 * 224 / 112 * 35.2 / 20)) + 1
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((2 * reach + 1,) * 2)) > 0
    assert np.array_equal(face[~near], masked[~near])
    assert (~near).mean() > 0.2


def test_the_mask_is_the_coverage_from_one_half_on(scene: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    _, files = one(run(scene.data, [scene.face]))
    mask, alpha = synthetic.decoded(files["mask.png"]), synthetic.decoded(files["alpha.png"])
    assert mask.ndim == alpha.ndim == 2
    assert set(np.unique(mask)) == {0, 255}
    assert len(np.unique(alpha)) > 10
    assert np.array_equal(mask == 255, alpha >= 128)


@pytest.mark.parametrize(
    "align",
    [
        {},
        {"size": [96, 112]},
        {"mode": "eye_level", "size": [80, 100]},
        {"mode": "face_box", "size": 64, "margin": 0.3},
    ],
)
def test_landmarks_lie_where_the_recorded_matrix_takes_them(
    scene: SimpleNamespace, synthetic: SimpleNamespace, align: Any
) -> None:
    how = recipe(align=align)
    _, files = one(run(scene.data, [scene.face], how))
    points = np.load(io.BytesIO(files["landmarks.npy"]), allow_pickle=False)
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    record = steps_of(json.loads(files["json"]))[-1]
    assert (record["name"], record["mode"]) == ("align", how.align.mode)
    assert record["size"] == list(how.align.width_height)
    assert points == pytest.approx(apply_affine(np.array(record["matrix"]), scene.points), abs=1e-2)
    assert synthetic.decoded(files["face.png"]).shape[1::-1] == how.align.width_height


def test_pixels_lie_where_the_landmarks_say(synthetic: SimpleNamespace) -> None:
    """A dot painted on landmark 30 of the photo is found on landmark 30 of the crop."""
    points = synthetic.landmarks((190, 160), 90, -0.3)
    rgb = np.full((380, 400, 3), 90, np.uint8)
    x, y = np.round(points[30]).astype(int)
    rgb[y - 4 : y + 5, x - 4 : x + 5] = (250, 20, 20)
    data = synthetic.encoded(rgb)
    _, files = one(run(data, [synthetic.planned(data, points, ())]))
    red = synthetic.decoded(files["face.png"])[..., 0].astype(float) - 90
    weights = red.clip(0) / red.clip(0).sum()
    centre = [(weights * grid).sum() for grid in np.meshgrid(np.arange(112), np.arange(112))]
    nose = np.load(io.BytesIO(files["landmarks.npy"]))[30]
    assert centre == pytest.approx(nose, abs=0.3)


def test_the_painter_gets_landmarks_in_pixels_of_its_picture(synthetic: SimpleNamespace) -> None:
    points = synthetic.landmarks((500, 460), 300)
    rgb = np.full((1200, 1100, 3), 90, np.uint8)
    for x, y in np.round(points[[8, 30, 36]]).astype(int):
        rgb[y - 12 : y + 13, x - 12 : x + 13] = (250, 20, 20)
    seen = []

    def look(image: np.ndarray, landmarks: np.ndarray, mask: Mask, rng: np.random.Generator) -> PaintedMask:
        seen.append((image, landmarks))
        return paint(image, landmarks, mask, rng)

    data = synthetic.encoded(rgb, ".jpg")
    face = synthetic.planned(data, points)
    assert crop_reduction(crop_matrix(recipe(), face)) == 4
    run(data, [face], painter=look)
    [(image, landmarks)] = seen
    assert image.shape[0] < 400, "a smaller decode is painted on"
    assert landmarks.dtype == np.float32
    for x, y in np.round(landmarks[[8, 30, 36]]).astype(int):
        assert image[y, x].tolist() == pytest.approx([250, 20, 20], abs=12)
    x, y = np.round(landmarks[[57]]).astype(int)[0]
    assert image[y, x].tolist() == pytest.approx([90, 90, 90], abs=6)


@pytest.mark.parametrize(("eyes", "reduction"), [(150, 2), (320, 4), (640, 8)])
def test_a_reduced_decode_gives_nearly_the_same_crop(
    synthetic: SimpleNamespace, eyes: int, reduction: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = 4 * eyes
    points = synthetic.landmarks((side / 2 + 3, side / 2.4), eyes, 0.1)
    data = synthetic.encoded(synthetic.picture(side, side, 3, blob=eyes // 8), ".jpg")
    face = synthetic.planned(data, points)
    assert crop_reduction(crop_matrix(recipe(), face)) == reduction
    _, small = one(run(data, [face]))
    monkeypatch.setattr(render, "crop_reduction", lambda _: 1)
    _, full = one(run(data, [face]))
    assert small["landmarks.npy"] == full["landmarks.npy"]
    difference = synthetic.decoded(small["face.png"]).astype(int) - synthetic.decoded(full["face.png"])
    assert np.abs(difference).mean() < 1.5
    assert abs(difference.mean()) < 0.3, "no shift of brightness"
    masks = [synthetic.decoded(files["mask.png"]) == 255 for files in (small, full)]
    assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.96


@pytest.mark.parametrize("border", ["reflect", "constant"])
def test_a_face_does_not_depend_on_the_others_of_its_photo(synthetic: SimpleNamespace, border: str) -> None:
    """A small face keeps the photo from being reduced: a large one then has many pixels for each of its crop."""
    rgb = synthetic.picture(1600, 1400, 6, blob=200)
    data = synthetic.encoded(rgb)
    large = synthetic.planned(data, synthetic.landmarks((700, 600), 130))
    small = synthetic.planned(data, synthetic.landmarks((1500, 1300), 12), face=1)
    how = recipe(align={"mode": "face_box", "margin": 1, "size": 24, "border": border})
    assert crop_reduction(crop_matrix(how, large)) > crop_reduction(crop_matrix(how, small)) == 1
    alone, together = (dict(run(data, faces, how)[0].files) for faces in ([large], [large, small]))  # type: ignore[union-attr]
    faces = [synthetic.decoded(files["face.png"]).astype(int) for files in (alone, together)]
    assert np.abs(faces[0] - faces[1]).max() <= 2
    masks = [synthetic.decoded(files["mask.png"]) for files in (alone, together)]
    assert (masks[0] != masks[1]).mean() < 0.02


def test_a_face_that_makes_no_crop_costs_no_other_face(synthetic: SimpleNamespace) -> None:
    data = synthetic.encoded(synthetic.picture(300, 260, 6))
    good = synthetic.planned(data, synthetic.landmarks((150, 130), 50))
    bad = synthetic.planned(data, np.full((68, 2), 1e9, np.float32), face=1)
    found = run(data, [bad, good])
    assert [getattr(item, "code", "") for item in found] == ["degenerate_points", ""]
    assert [item.code for item in run(data, [bad]) if isinstance(item, Reject)] == ["degenerate_points"]


def test_no_border_appears_in_a_crop_that_lies_inside_the_photo(synthetic: SimpleNamespace) -> None:
    data = synthetic.encoded(np.full((1400, 1600, 3), 200, np.uint8))
    faces = [
        synthetic.planned(data, synthetic.landmarks(middle, eyes), (), face=n)
        for n, (middle, eyes) in enumerate([((700, 600), 130), ((1500, 1200), 12)])
    ]
    how = recipe(align={"mode": "face_box", "margin": 1, "size": 24, "border": "constant"})
    for sample in run(data, faces, how):
        assert isinstance(sample, Sample)
        assert (synthetic.decoded(dict(sample.files)["face.png"]) == 200).all()


def test_the_photo_is_decoded_once_for_all_faces_and_variants(
    synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = synthetic.encoded(synthetic.picture(500, 300))
    faces = [
        synthetic.planned(data, synthetic.landmarks((x, 120), 60), (0, 1, 2), face=n) for n, x in enumerate((130, 360))
    ]
    calls = []

    def decode(*args: Any, **named: Any) -> Any:
        calls.append(1)
        return decode_rgb(*args, **named)

    monkeypatch.setattr(render, "decode_rgb", decode)
    watch = Stopwatch()
    results = list(render_photos([PhotoToRender(data, faces)], RenderResources(recipe(), Painter()), watch))
    assert len(calls) == 1
    assert len(results) == 6
    keys = [sample.key for sample in results]
    assert keys == [sample_key(faces[0].photo_sha256, n, v) for n in (0, 1) for v in (0, 1, 2)]
    assert keys == sorted(keys)
    assert set(watch.seconds) == {"decode", "labels", "align", "paint", "encode"}


def test_variants_share_the_face_and_differ_in_the_draw(scene: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    face = synthetic.planned(scene.data, scene.points, (2, 0, 0))
    samples = run(scene.data, [face])
    files = [dict(sample.files) for sample in samples]  # type: ignore[union-attr]
    assert len({f["face.png"] for f in files}) == len({f["landmarks.npy"] for f in files}) == 1
    records = [json.loads(f["json"]) for f in files]
    assert [record["mask"] for record in records] == ["polygon-E", "polygon-A", "polygon-A"]
    assert len({steps_of(record)[0]["drawn"] for record in records}) == 3


def test_draws_come_from_recipe_seed_key_and_operation_and_are_recorded(scene: SimpleNamespace) -> None:
    for seed in (0, 5):
        sample, files = one(run(scene.data, [scene.face], recipe(seed=seed)))
        first = steps_of(json.loads(files["json"]))[0]
        assert first["drawn"] == generator(seed, sample.key, "paint").random()
        assert np.random.default_rng(int(first["seed"], 16)).random() == first["drawn"], (
            "the record alone repeats the draw"
        )


def test_the_record(scene: SimpleNamespace) -> None:
    sample, files = one(run(scene.data, [scene.face]))
    record = json.loads(files["json"])
    key = sample_key(scene.face.photo_sha256, 0, 0)
    assert sample.key == record["key"] == key
    assert (record["identity"], record["split"], record["mask"]) == ("Ada", "train", "polygon-A")
    assert record["source"] == {"name": "s", "uri": "a.png", "sha256": scene.face.photo_sha256, "face": 0}
    assert record["face_box"] == pytest.approx(scene.face.box, abs=0.01)
    assert (record["licence"], record["consent"], record["attributes"]) == ("CC0", "", {"age": 36})
    own = {"key": face_key(scene.face.photo_sha256, 0), "identity": "Ada", "source": "s", "uri": "a.png"}
    assert record["faces"] == [{**own, "photo_sha256": scene.face.photo_sha256}] and record["people"] == ["Ada"]
    assert record["has_landmarks"] is True
    assert {name: record[name] for name in ("detector", "score", "turn", "landmarks_unsure")} == {
        "detector": "", "score": 0.0, "turn": 0, "landmarks_unsure": False,
    }  # fmt: skip
    assert record["renderer"] == RENDERER
    assert [operation["name"] for operation in record["operations"]] == ["mask", "align"]
    assert {"mask", "seed", "drawn"} <= steps_of(record)[0].keys()
    assert json.loads(sample.operations) == steps_of(record)
    assert sample.mask == "polygon-A"


def test_the_record_of_a_sample_without_mask(scene: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    sample, files = one(run(scene.data, [synthetic.planned(scene.data, scene.points, ())]))
    record = json.loads(files["json"])
    assert (sample.mask, record["mask"]) == ("", "")
    assert [operation["name"] for operation in record["operations"]] == ["align"]


def test_names_in_any_script_and_broken_ones_can_be_recorded(
    scene: SimpleNamespace, synthetic: SimpleNamespace
) -> None:
    face = synthetic.planned(scene.data, scene.points, identity="Zoë 写真", uri="a\udc80.png")
    _, files = one(run(scene.data, [face]))
    assert "Zoë 写真".encode() in files["json"]
    assert json.loads(files["json"])["source"]["uri"] == "a\udc80.png"


def test_the_same_photo_is_the_same_bytes(scene: SimpleNamespace) -> None:
    assert run(scene.data, [scene.face]) == run(scene.data, [scene.face])


def test_straps_count_as_mask_only_if_asked(scene: SimpleNamespace, synthetic: SimpleNamespace) -> None:
    def with_straps(image: np.ndarray, landmarks: np.ndarray, mask: Mask, rng: np.random.Generator) -> PaintedMask:
        body = paint(image, landmarks, mask, rng)
        straps = np.zeros_like(body.alpha)
        straps[: int(landmarks[27, 1])] = 1
        return PaintedMask(body.image, body.alpha, straps)

    area = {}
    for straps in (False, True):
        how = recipe(output={"image": "png", "straps": straps})
        _, files = one(run(scene.data, [scene.face], how, with_straps))
        area[straps] = (synthetic.decoded(files["mask.png"]) == 255).mean()
    assert area[True] > area[False] + 0.2


@pytest.mark.parametrize(("border", "filled"), [("constant", False), ("reflect", True), ("replicate", True)])
def test_a_face_at_the_photos_edge_gets_the_border_asked_for(
    border: str, filled: bool, synthetic: SimpleNamespace
) -> None:
    points = synthetic.landmarks((20, 60), 60)
    data = synthetic.encoded(synthetic.picture(300, 260, 4))
    how = recipe(align={"border": border})
    _, files = one(run(data, [synthetic.planned(data, points, ())], how))
    face = synthetic.decoded(files["face.png"])
    assert (face[:, :10].max() > 20) == filled


@pytest.mark.parametrize("border", ["constant", "reflect", "replicate"])
@pytest.mark.parametrize("roll", [0.0, 0.3])
def test_no_mask_is_drawn_beyond_the_photo(border: str, roll: float, synthetic: SimpleNamespace) -> None:
    points = synthetic.landmarks((150, 215), 60, roll)
    data = synthetic.encoded(synthetic.picture(300, 260, 4))
    how = recipe(align={"mode": "eye_level", "size": 160, "border": border})
    face = synthetic.planned(data, points, (0,))
    _, files = one(run(data, [face], how))
    plain, masked = synthetic.decoded(files["face.png"]), synthetic.decoded(files["masked.png"])
    truth = synthetic.decoded(files["mask.png"]) > 0
    inside = warp_alpha(np.ones((260, 300), np.float32), crop_matrix(how, face), (160, 160)) > 0.999
    assert truth.any() and not inside.all()
    assert not (truth & ~inside).any()
    assert np.array_equal(plain[~inside], masked[~inside])


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_faces_are_prepared_together_and_come_out_the_same(
    scene: SimpleNamespace, synthetic: SimpleNamespace, batch: int
) -> None:
    """A network sees many faces at once; the order and the bytes of the samples are those of one at a time."""
    others = [synthetic.picture(400, 380, seed) for seed in (7, 8, 9)]
    photos = [PhotoToRender(scene.data, [scene.face])]
    for rgb in others:
        data = synthetic.encoded(rgb)
        photos.append(PhotoToRender(data, [synthetic.planned(data, scene.points, (0, 1))]))
    far = synthetic.planned(scene.data, scene.points + np.float32(5000), (0,), face=1)
    photos.insert(1, PhotoToRender(scene.data, [far]))
    together: list[int] = []

    class Counting(Painter):
        def predict(self, requests: Sequence[MaskRequest]) -> list[MaskRequest]:
            together.append(len(requests))
            return super().predict(requests)

    resources = RenderResources(recipe(), Counting(together=batch))
    results = list(render_photos(photos, resources, Stopwatch()))
    assert results == [result for photo in photos for result in run(photo.data, photo.faces)]
    assert [type(result) for result in results] == [Sample, Reject, *[Sample] * 6]
    assert sum(together) == 7 and max(together) <= 2 * batch, "one that cannot be cut is not painted"
