"""Losses: nothing to pay for what is right, and more for what is worse."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import cast

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.losses import compact_loss, dice_loss, loss_of, paper_loss
from faceloom.models.mask_cutouts import disturbed_cutouts, find_straps
from faceloom.models.mask_outline import MaskOutline
from faceloom.models.networks import CompactMasker, Fit, PaperAutoencoder, Put, make_network
from faceloom.models.pairs import Pairs
from faceloom.models.presets import PRESETS, CompactPreset, PaperPreset

PAPER, COMPACT = PRESETS["tiny-paper"], cast(CompactPreset, PRESETS["tiny-compact"])
assert isinstance(PAPER, PaperPreset) and isinstance(COMPACT, CompactPreset)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_paper_is_trained_with_mean_squared_error(tiny: SimpleNamespace) -> None:
    network, pairs = make_network(PAPER), tiny.make_pairs(3, 16)
    assert isinstance(network, PaperAutoencoder)
    with torch.inference_mode():
        expected = ((network(pairs.face) - pairs.masked) ** 2).mean()
        torch.testing.assert_close(paper_loss(network, pairs), expected)
        torch.testing.assert_close(loss_of(network, pairs, PAPER, chance()), expected)


@pytest.mark.parametrize(("alpha", "loss"), [(1.0, 0.0), (0.0, 1.0), (0.5, 1 / 3)])
def test_dice_of_a_mask_and_a_share_of_it(alpha: float, loss: float) -> None:
    mask = torch.zeros(2, 1, 40, 40)
    mask[..., 10:] = 1
    assert float(dice_loss(mask * alpha, mask)) == pytest.approx(loss, abs=1e-3)


def test_dice_without_any_mask_is_no_error() -> None:
    empty = torch.zeros(2, 1, 4, 4)
    assert float(dice_loss(empty, empty)) == 0


class _Known(MaskOutline):
    """Answers the same, whatever the face."""

    def __init__(self, level: torch.Tensor) -> None:
        super().__init__((2,))
        self.known = level

    def forward(self, face: torch.Tensor) -> torch.Tensor:
        return self.known


class Perfect(CompactMasker):
    """Knows the answer, and gets it wrong in one way on request."""

    def __init__(self, pairs: Pairs, **wrong: float) -> None:
        super().__init__(COMPACT)
        self.pairs, self.wrong = pairs, wrong

        level = 20 * (2 * pairs.mask - 1)
        self.outline = _Known(level.roll(int(wrong.get("outline", 0)), 3))

    def find(self, face: torch.Tensor, cutout: torch.Tensor, cover: torch.Tensor) -> Fit:
        _, flow = disturbed_cutouts(self.pairs, chance())
        off = self.wrong.get("flow", 0) / 32  # pixels of a 64x64 crop
        soft = torch.full((len(face), 1, 1, 1), self.wrong.get("soft", 0))
        return Fit(flow + off, torch.ones_like(face), soft, torch.ones_like(soft))

    def put(self, cutout: torch.Tensor, fit: Fit) -> Put:
        colour = self.pairs.masked * (1 - self.wrong.get("colour", 0))
        straps = find_straps(self.pairs) * (1 - self.wrong.get("straps", 0))
        return Put(colour, self.pairs.mask.roll(int(self.wrong.get("shift", 0)), 3), straps)


def cost(pairs: Pairs, shown: Pairs | None = None, **wrong: float) -> dict[str, float]:
    preset = dataclasses.replace(COMPACT, degrade=0.0, jitter=0.0)
    with torch.inference_mode():
        loss = compact_loss(Perfect(pairs, **wrong), shown or pairs, preset, chance())
    return {field.name: float(getattr(loss, field.name)) for field in dataclasses.fields(loss)}


def test_the_right_answer_costs_nothing(tiny: SimpleNamespace) -> None:
    assert cost(tiny.make_pairs(2, 16)) == pytest.approx(dict.fromkeys(PARTS, 0), abs=1e-6)


PARTS = ("outline", "picture", "coverage", "colour", "flow", "soft")


@pytest.mark.parametrize(
    ("wrong", "dear"),
    [
        ({"outline": 2}, {"outline"}),
        ({"colour": 0.5}, {"picture", "colour"}),
        ({"shift": 2}, {"picture", "coverage"}),
        ({"flow": 3.0}, {"flow"}),
        ({"soft": 0.5}, {"soft"}),
    ],
)
def test_each_mistake_costs_in_its_own_part(tiny: SimpleNamespace, wrong: dict[str, float], dear: set[str]) -> None:
    costs = cost(tiny.make_pairs(2, 16), None, **wrong)
    assert {part for part in PARTS if costs[part] > 1e-3} == dear
    if "flow" in wrong:
        assert costs["flow"] == pytest.approx(3, rel=1e-3)


def test_shadows_far_from_the_mask_do_not_count(tiny: SimpleNamespace) -> None:
    pairs = tiny.make_pairs(2, 16)
    shadow = pairs.masked.clone()
    shadow[..., :4, :] -= 0.06
    assert cost(pairs, dataclasses.replace(pairs, masked=shadow))["picture"] == pytest.approx(0, abs=1e-6)


def test_straps_count(tiny: SimpleNamespace) -> None:
    pairs = tiny.make_pairs(2, 16)
    strap = pairs.masked.clone()
    strap[..., :1, :8] = 1
    pairs = dataclasses.replace(pairs, masked=strap)
    assert cost(pairs)["picture"] == pytest.approx(0, abs=1e-6)
    dear = {part for part, paid in cost(pairs, None, straps=1.0).items() if paid > 1e-3}
    assert dear == {"picture"}


def test_training_disturbs_by_the_generator(tiny: SimpleNamespace) -> None:
    network, pairs = make_network(COMPACT), tiny.make_pairs(4, 16)
    assert isinstance(network, CompactMasker)

    def drawn(seed: int) -> float:
        with torch.inference_mode():
            return float(compact_loss(network, pairs, COMPACT, chance(seed)).flow)

    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(1) > 0.1


def test_the_total_is_weighted_by_the_preset(tiny: SimpleNamespace) -> None:
    network, pairs = make_network(COMPACT), tiny.make_pairs(4, 16)
    assert isinstance(network, CompactMasker)
    with torch.inference_mode():
        loss = compact_loss(network, pairs, COMPACT, chance())
        heavy = dataclasses.replace(COMPACT, coverage_weight=COMPACT.coverage_weight + 2)
        torch.testing.assert_close(loss.total(heavy), loss.total(COMPACT) + 2 * loss.coverage)


@pytest.mark.parametrize("name", ["tiny-paper", "tiny-compact"])
def test_every_parameter_is_trained(tiny: SimpleNamespace, name: str) -> None:
    preset = PRESETS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # some random starts of so small a network leave a map without any gradient
        network = make_network(preset)
        if isinstance(network, CompactMasker):  # its last layer starts at zero, which stops gradients before it
            torch.nn.init.normal_(network.fit.weight, 0, 0.01)
    loss_of(network, tiny.make_pairs(4, 16), preset, chance()).backward()  # type: ignore[no-untyped-call]
    grads = [parameter.grad for parameter in network.parameters()]
    assert all(grad is not None and float(grad.abs().sum()) > 0 for grad in grads)


@pytest.mark.parametrize("name", ["tiny-paper", "tiny-compact"])
def test_products_in_bfloat16_give_nearly_the_same_loss(tiny: SimpleNamespace, name: str) -> None:
    preset, pairs = PRESETS[name], tiny.make_pairs(4, 16)
    network = make_network(preset).eval()
    with torch.inference_mode():
        exact = loss_of(network, pairs, preset, chance())
        with torch.autocast("cpu", torch.bfloat16):  # as training does on CUDA
            rounded = loss_of(network, pairs, preset, chance())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0)
