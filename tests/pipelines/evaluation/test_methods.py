"""Methods: what they are given, what they never look at, and that the same face is masked the same way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from faceloom.models.predict import Prediction
from faceloom.pipelines.evaluation.methods import (
    USUAL,
    AnotherTemplate,
    Method,
    Network,
    NoMask,
    Pair,
    Polygon,
    Target,
)
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.masks import TemplateMask

SIDE = 64


class FakePredictor:
    """Paints the lower half in a grey level that the seed gives."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def predict(self, faces: np.ndarray, seeds: list[int]) -> Prediction:
        self.seeds += seeds
        alpha = np.zeros(faces.shape[:3], np.float32)
        alpha[:, SIDE // 2 :] = 1
        colour = np.stack([np.full(faces.shape[1:], seed % 256 / 255, np.float32) for seed in seeds])
        output = np.where(alpha[..., None] > 0, colour * 255, faces).astype(np.uint8)
        return Prediction(colour, alpha, np.zeros_like(alpha), output)


def network(name: str = "net") -> Network:
    return Network(name, FakePredictor())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pairs(synthetic: SimpleNamespace) -> list[Pair]:
    """Three faces with landmarks, and one without."""
    made = []
    for number in range(4):
        face = synthetic.picture(SIDE, SIDE, number)
        truth = np.zeros((SIDE, SIDE), bool)
        truth[40:60, 16:48] = True
        target = np.where(truth[..., None], np.uint8(200), face)
        points = synthetic.landmarks((32, 29), 20) if number < 3 else None
        made.append(Pair(f"k{number}", frozenset({"Ada"}), "surgical", face, target, truth, points))
    return made


METHODS: list[Method] = [NoMask(), Target(), Polygon(), AnotherTemplate((USUAL,)), network()]
BLIND = [method for method in METHODS if not isinstance(method, Target)]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_face_is_masked_the_same_way_in_any_company(method: Method, pairs: list[Pair]) -> None:
    together = method.mask(pairs)
    alone = [method.mask([pair])[0] for pair in pairs]
    for one, other in zip(together, alone, strict=True):
        if one is None or other is None:
            assert one is other
            continue
        assert np.array_equal(one.output, other.output) and np.array_equal(one.region, other.region)
        assert one.output.dtype == np.uint8 and one.region.dtype == bool and one.region.shape == (SIDE, SIDE)


@pytest.mark.parametrize("method", BLIND, ids=lambda method: method.name)
def test_no_method_looks_at_the_target(method: Method, pairs: list[Pair]) -> None:
    pair = pairs[0]
    hidden = replace(pair, target=255 - pair.target, truth=~pair.truth, mask="kn95", people=frozenset({"Bob"}))
    seen, unseen = method.mask([pair])[0], method.mask([hidden])[0]
    assert seen and unseen and np.array_equal(seen.output, unseen.output) and np.array_equal(seen.region, unseen.region)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_pairs_are_left_as_they_are(method: Method, pairs: list[Pair]) -> None:
    faces, targets = [pair.face.copy() for pair in pairs], [pair.target.copy() for pair in pairs]
    method.mask(pairs)
    assert all(np.array_equal(pair.face, face) for pair, face in zip(pairs, faces))
    assert all(np.array_equal(pair.target, target) for pair, target in zip(pairs, targets))


def test_the_two_ends_are_the_face_and_the_target(pairs: list[Pair]) -> None:
    bare, best = NoMask().mask(pairs)[0], Target().mask(pairs)[0]
    assert bare and best and bare.output is pairs[0].face and not bare.region.any()
    assert best.output is pairs[0].target and np.array_equal(best.region, pairs[0].truth)


@pytest.mark.parametrize("method", [Polygon(), AnotherTemplate((USUAL,))], ids=lambda method: method.name)
def test_masks_from_landmarks_cover_the_mouth_and_need_landmarks(method: Method, pairs: list[Pair]) -> None:
    found = method.mask(pairs)
    assert found[3] is None
    for pair, masked in zip(pairs[:3], found, strict=False):
        assert masked is not None and pair.landmarks is not None
        x, y = pair.landmarks[48:68].mean(axis=0).round().astype(int)
        assert masked.region[y, x] and not masked.region[: SIDE // 4].any()
        assert np.array_equal(masked.output[:8], pair.face[:8])


def test_the_polygon_is_black(pairs: list[Pair]) -> None:
    masked = Polygon().mask(pairs[:1])[0]
    assert masked and (np.median(masked.output[masked.region], axis=0) == 0).all()


def test_a_template_leaves_what_it_does_not_touch(pairs: list[Pair]) -> None:
    face = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)  # any resampling would show
    masked = AnotherTemplate((USUAL,)).mask([replace(pairs[0], face=face)])[0]
    assert masked and masked.output.shape == face.shape and masked.output.dtype == np.uint8
    changed = (masked.output != face).any(2)
    assert not changed[: SIDE // 4].any() and (changed | ~masked.region).all()


def test_a_mask_that_does_not_fit_is_no_mask(pairs: list[Pair]) -> None:
    points = np.zeros((68, 2), np.float32)
    assert AnotherTemplate((USUAL,)).mask([replace(pairs[0], landmarks=points)]) == [None]


def test_templates_are_drawn_by_weight_and_differ_from_face_to_face(
    pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: Counter[str] = Counter()

    def paint(
        image: np.ndarray, landmarks: np.ndarray, mask: TemplateMask, rng: np.random.Generator
    ) -> SimpleNamespace:
        drawn[mask.template] += 1
        return SimpleNamespace(image=image, alpha=np.zeros(image.shape[:2], np.float32))

    monkeypatch.setattr("faceloom.pipelines.evaluation.methods.paint_template", paint)
    masks = [{"kind": "template", "template": "surgical", "weight": 3}, {"kind": "template", "template": "kn95"}]
    method = AnotherTemplate.of_recipe({"masks": [*masks, {"kind": "polygon", "shape": "A"}]})
    method.mask([replace(pairs[0], key=f"k{number}") for number in range(400)])
    assert set(drawn) == {"surgical", "kn95"} and 240 < drawn["surgical"] < 360


def test_settings_of_the_recipe_s_templates_are_kept() -> None:
    plain = {"kind": "template", "template": "cloth", "colour": [1, 2, 3], "spread": 0.5, "straps": False}
    (mask,) = AnotherTemplate.of_recipe({"masks": [plain]}).masks
    assert (mask.template, mask.colour, mask.spread, mask.straps) == ("cloth", (1, 2, 3), 0.5, False)


def test_a_fabric_whose_file_is_gone_gives_way_to_the_usual_patterns(pairs: list[Pair]) -> None:
    method = AnotherTemplate.of_recipe({"masks": [{"kind": "template", "template": "cloth", "pattern": "tartan.png"}]})
    assert method.masks[0].pattern == "any" and method.mask(pairs[:1])[0] is not None


def test_a_recipe_without_templates_is_compared_with_a_surgical_mask() -> None:
    assert AnotherTemplate.of_recipe({"masks": [{"kind": "polygon", "shape": "A"}]}).masks == (USUAL,)


def test_a_network_masks_every_face_by_a_seed_of_its_own(pairs: list[Pair]) -> None:
    method = network()
    found = method.mask(pairs)
    assert all(masked is not None and masked.region[SIDE // 2 :].all() for masked in found)
    seeds = method.predictor.seeds  # type: ignore[attr-defined]
    assert len(set(seeds)) == 4 and all(seed >= 0 for seed in seeds)


def sample(**changes: object) -> dict[str, object]:
    face = np.zeros((SIDE, SIDE, 3), np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10:20] = 255
    facts = {"people": ["Ada"], "mask": "kn95"}
    return {"__key__": "k", "face": face, "masked": face + 9, "mask": mask, "json": facts, **changes}


def test_a_pair_is_what_the_sample_holds() -> None:
    pair = Pair.from_sample(sample(landmarks=np.ones((68, 2), np.float32)))
    assert (pair.key, pair.people, pair.mask) == ("k", frozenset({"Ada"}), "kn95")
    assert pair.truth.dtype == bool and pair.truth.sum() == 10 * SIDE and (pair.target == 9).all()
    assert pair.landmarks is not None and Pair.from_sample(sample()).landmarks is None


def test_a_morph_shows_both_people() -> None:
    facts = {"identity": "Ada+Bob", "mask": "kn95", "people": ["Ada", "Bob"]}
    assert Pair.from_sample(sample(json=facts)).people == {"Ada", "Bob"}
    assert Pair.from_sample(sample(json={**facts, "people": ["Ada", "Ada"]})).people == {"Ada"}


@pytest.mark.parametrize(
    "change",
    [
        {"masked": np.zeros((SIDE, SIDE // 2, 3), np.uint8)},
        {"mask": np.zeros((1, 1), np.uint8)},
        {"json": {}},
        {"json": {"people": [], "mask": "kn95"}},
        {"json": {"people": ["Ada"], "mask": ["kn95"]}},
        {"json": {"identity": "Ada", "mask": "kn95", "people": 7}},
        {"json": {"identity": "Ada", "mask": "kn95", "people": [7]}},
        {"json": {"identity": "Ada", "mask": "kn95", "people": {"identity": "Ada"}}},
    ],
)
def test_a_sample_that_makes_no_sense_is_named(change: dict[str, object]) -> None:
    with pytest.raises(StorageError, match=r"^k: the sample cannot be evaluated"):
        Pair.from_sample(sample(**change))


def test_a_sample_without_a_mask_is_refused_with_what_it_lacks() -> None:
    bare = {name: value for name, value in sample().items() if name not in ("masked", "mask")}
    with pytest.raises(FaceloomError, match=r"^k: .*got masked, mask"):
        Pair.from_sample(bare)
