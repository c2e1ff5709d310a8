"""Variation: a picture and its map move together, by the draws of the generator alone."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.detector.preset import DETECTOR, DetectorPreset
from faceloom.models.detector.variation import degraded, moved

TINY = cast(DetectorPreset, DETECTOR.presets[-1])


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_picture_and_its_map_move_together() -> None:
    truth = torch.zeros(8, 1, 16, 16)
    truth[:, :, 6:12, 4:9] = 1
    picture, found = moved(truth.expand(8, 3, 16, 16), truth, TINY, chance())
    assert torch.allclose(picture[:, :1], found) and not torch.allclose(found, truth)
    assert torch.equal(found, moved(truth.expand(8, 3, 16, 16), truth, TINY, chance())[1])


def test_without_reach_only_mirroring_is_left() -> None:
    truth = torch.rand(16, 1, 16, 16)
    still = replace(TINY, shift=0.0, zoom=1.0, turn=0.0)
    found = moved(truth.expand(16, 3, 16, 16), truth, still, chance())[1]
    same = [bool(torch.allclose(one, two, atol=1e-5)) for one, two in zip(found, truth, strict=True)]
    turned = [bool(torch.allclose(one, two.flip(2), atol=1e-5)) for one, two in zip(found, truth, strict=True)]
    assert all(a != b for a, b in zip(same, turned, strict=True)) and any(same) and any(turned)


def test_degraded_pictures_stay_in_range_and_nothing_happens_without_a_share() -> None:
    picture = torch.rand(8, 3, 16, 16)
    found = degraded(picture, TINY, chance())
    assert found.shape == picture.shape and float(found.min()) >= 0 and float(found.max()) <= 1
    assert degraded(picture, replace(TINY, degrade=0.0), chance()) is picture
