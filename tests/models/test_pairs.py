"""Pairs: bytes to floats, and variations that keep face, masked face and mask together."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.pairs import TILT, Pairs, degraded, moved, tilted
from faceloom.models.presets import PRESETS

PLAIN = dataclasses.replace(PRESETS["tiny-compact"], flip=False, jitter=0.0, degrade=0.0)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_members_are_the_tensors_of_a_batch(tiny: SimpleNamespace) -> None:
    pairs = tiny.make_pairs(3, 16)
    assert list(pairs.members) == ["face", "masked", "mask"] and len(pairs) == 3
    assert Pairs(**pairs.members).mask is pairs.mask


def test_a_preset_without_variations_changes_nothing(tiny: SimpleNamespace) -> None:
    pairs = tiny.make_pairs(3, 16)
    assert moved(pairs, PLAIN, chance()) is pairs
    same, blurred = degraded(pairs, PLAIN, chance())
    assert same is pairs and blurred.shape == (3, 1, 1, 1) and float(blurred.max()) == 0


def test_mirrored_pairs_are_the_same_pixels_the_other_way_round(tiny: SimpleNamespace) -> None:
    pairs = tiny.make_pairs(40, 16)
    got = moved(pairs, dataclasses.replace(PLAIN, flip=True), chance())
    same = [torch.equal(a, b) for a, b in zip(got.face, pairs.face)]
    turned = [torch.equal(a, b.flip(2)) for a, b in zip(got.face, pairs.face)]
    assert all(a != b for a, b in zip(same, turned)) and 8 < sum(turned) < 32
    for number in range(40):
        expected = pairs.masked[number].flip(2) if turned[number] else pairs.masked[number]
        assert torch.equal(got.masked[number], expected)


@pytest.mark.parametrize("flip", [False, True])
def test_jitter_moves_all_three_together(tiny: SimpleNamespace, flip: bool) -> None:
    base = tiny.make_pairs(6, 32)
    ramp = torch.linspace(0, 1, 32).expand(6, 3, 32, 32)
    pairs = Pairs(ramp, ramp, ramp[:, :1])
    preset = dataclasses.replace(PLAIN, flip=flip, jitter=0.1)
    got = moved(pairs, preset, chance(4))
    torch.testing.assert_close(got.face, got.masked)
    torch.testing.assert_close(got.face[:, :1], got.mask)
    assert float((got.face - ramp).abs().amax((1, 2, 3)).min()) > 0.005, "each one is moved"
    if not flip:
        assert float((got.face - ramp).abs().max()) < 0.35, "and not far"
    assert torch.equal(moved(base, preset, chance(4)).face, moved(base, preset, chance(4)).face)
    assert not torch.equal(moved(base, preset, chance(4)).face, moved(base, preset, chance(5)).face)


def test_tilted_pairs_are_turned_about_their_centre_and_the_matrix_turns_them_back(tiny: SimpleNamespace) -> None:
    rows = (torch.arange(32) * 2 + 1) / 32 - 1
    places = torch.stack(torch.meshgrid(rows, rows, indexing="xy"))  # x and y of each pixel
    picture = torch.cat([places, places[:1]]).expand(50, 3, 32, 32)
    got, upright = tilted(Pairs(picture, picture, picture[:, :1]), dataclasses.replace(PLAIN, jitter=0.1), chance())
    assert upright is not None
    torch.testing.assert_close(got.face, got.masked)
    torch.testing.assert_close(got.face[:, :1], got.mask)
    middle = (places.norm(dim=0) < 0.9).expand(50, 2, 32, 32)
    expected = torch.einsum("nij,jhw->nihw", upright, places)
    torch.testing.assert_close(got.face[:, :2][middle], expected[middle])
    angles = torch.rad2deg(torch.atan2(upright[:, 1, 0], upright[:, 0, 0]))
    assert 30 < float(angles.max()) <= TILT and -TILT <= float(angles.min()) < -30
    pairs = tiny.make_pairs(2, 16)
    assert tilted(pairs, PLAIN, chance()) == (pairs, None)


def test_pairs_are_tilted_in_full_precision_under_autocast(tiny: SimpleNamespace) -> None:
    pairs, preset = tiny.make_pairs(3, 16), dataclasses.replace(PLAIN, jitter=0.1)
    plain, turned = tilted(pairs, preset, chance(3))
    with torch.autocast("cpu", torch.bfloat16):
        same, also = tilted(pairs, preset, chance(3))
    assert turned is not None and also is not None
    assert torch.equal(turned, also) and torch.equal(plain.face, same.face)


def test_degraded_pairs_are_grey_or_blurred_mask_and_all(tiny: SimpleNamespace) -> None:
    rough = torch.rand(60, 3, 16, 16, generator=chance(1)) * 0.8
    pairs = tiny.make_pairs(60, 16)
    pairs = Pairs(rough, torch.where(pairs.mask > 0, pairs.masked * 0.8, rough), pairs.mask)
    got, marks = degraded(pairs, dataclasses.replace(PLAIN, degrade=0.4), chance())
    assert marks.shape == (60, 1, 1, 1) and torch.equal(got.mask, pairs.mask)
    blurred = (marks.flatten() == 1).tolist()
    grey = [bool((face.std(0) < 1e-6).all()) for face in got.face]
    assert 10 < sum(grey) < 40 and 10 < sum(blurred) < 40
    assert any(a and not b for a, b in zip(grey, blurred)) and any(b and not a for a, b in zip(grey, blurred))
    for number in range(60):
        before, after, inside = pairs.face[number], got.face[number], pairs.mask[number] > 0
        roughness = after.diff(dim=2).abs().mean() / before.diff(dim=2).abs().mean()
        if blurred[number]:
            assert roughness < 0.5
            continue
        light = after.mean() / before.mean()
        assert 0.44 < light < 1.16
        if grey[number]:
            assert float(got.masked[number].std(0).max()) < 1e-6
            continue
        torch.testing.assert_close(after, before * light)
        torch.testing.assert_close(got.masked[number] * inside, pairs.masked[number] * inside * light)
        torch.testing.assert_close(got.masked[number] * ~inside, after * ~inside)
