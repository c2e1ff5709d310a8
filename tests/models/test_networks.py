"""The published network layer for layer, and what the compact one promises."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import cast

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.networks import (
    CompactMasker,
    Fit,
    PaperAutoencoder,
    compose,
    make_network,
    parameter_count,
)
from faceloom.models.presets import PRESETS, CompactPreset, PaperPreset

TINY = cast(CompactPreset, PRESETS["tiny-compact"])


def compact(preset: CompactPreset) -> CompactMasker:
    network = make_network(preset).eval()
    assert isinstance(network, CompactMasker)
    return network


def shapes_of(network: torch.nn.Module, *inputs: torch.Tensor) -> list[tuple[str, tuple[int, ...]]]:
    """Kind and output shape of every layer that has parameters, in the order in which they run."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for layer in network.modules():
        if list(layer.parameters(recurse=False)):
            layer.register_forward_hook(
                lambda layer, _, out: found.append((type(layer).__name__, tuple(out.shape[1:])))
            )
    network(*inputs)
    return found


def test_the_paper_network_has_the_published_layers() -> None:
    with torch.device("meta"):  # shapes only: the real thing takes 1.15 GB
        network = make_network(PRESETS["paper"])
        assert isinstance(network, PaperAutoencoder)
        found = shapes_of(network, torch.empty(1, 3, 64, 64))
    assert found == [
        ("Conv2d", (16, 62, 62)),
        ("Conv2d", (16, 60, 60)),
        ("Linear", (2500,)),
        ("Linear", (57_600,)),
        ("ConvTranspose2d", (16, 62, 62)),
        ("ConvTranspose2d", (3, 64, 64)),
    ]


def test_the_paper_network_has_288_million_parameters() -> None:
    with torch.device("meta"):
        network = make_network(PRESETS["paper"])
    convolutions = (3 * 9 * 16 + 16) + (16 * 9 * 16 + 16) + (16 * 9 * 16 + 16) + (16 * 9 * 3 + 3)
    dense = 57_600 * 2500 + 2500 + 2500 * 57_600 + 57_600
    assert parameter_count(network) == convolutions + dense == 288_065_623


def test_the_paper_network_activates_as_the_preset_says() -> None:
    preset = PRESETS["tiny-paper"]
    assert isinstance(preset, PaperPreset)
    face = torch.rand(2, 3, 16, 16)
    bounded = make_network(preset)(face).detach()
    assert float(bounded.min()) > 0 and float(bounded.max()) < 1
    plain = make_network(dataclasses.replace(preset, dense_activation="linear", output_activation="linear"))
    names = [type(layer).__name__ for layer in plain.modules()]
    assert names.count("ReLU") == 3 and names.count("Identity") == 3 and "Sigmoid" not in names


def test_the_compact_network_is_small() -> None:
    with torch.device("meta"):
        network = make_network(PRESETS["compact"])
    assert parameter_count(network) < 2_000_000


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 64), (18, 40), (128, 96)])
def test_the_compact_network_takes_any_multiple_of_its_stride(height: int, width: int) -> None:
    network = compact(TINY)
    assert TINY.stride == 2
    with torch.inference_mode():
        put = network(torch.rand(2, 3, height, width), torch.rand(2, 5, height, width))
    assert put.colour.shape == (2, 3, height, width)
    assert put.cover.shape == put.straps.shape == (2, 1, height, width)
    for values in (put.colour, put.cover, put.straps):
        assert float(values.min()) >= 0 and float(values.max()) <= 1


def test_the_real_compact_preset_runs_at_other_sizes_than_it_is_trained_on() -> None:
    preset = PRESETS["compact"]
    assert isinstance(preset, CompactPreset) and preset.stride == 8
    with torch.inference_mode():
        network = compact(preset)
        for size in (64, 128):
            put = network(torch.rand(1, 3, size, size), torch.rand(1, 5, size, size))
            assert put.cover.shape == (1, 1, size, size)


def test_training_starts_with_the_cutout_where_it_is(tiny: SimpleNamespace) -> None:
    cutout = tiny.make_cutouts(2, 32)
    with torch.inference_mode():
        network = compact(dataclasses.replace(TINY, size=32))
        fit = network.find(torch.rand(2, 3, 32, 32), cutout, cutout[:, 3:4])
        put = network.put(cutout, dataclasses.replace(fit, soft=torch.zeros(2, 1, 1, 1)))
    torch.testing.assert_close(fit.flow[0, 0, 0], torch.tensor([-31 / 32, -31 / 32]))
    torch.testing.assert_close(fit.flow[0, -1, 0], torch.tensor([-31 / 32, 31 / 32]))
    torch.testing.assert_close(put.cover, cutout[:, 3:4])
    torch.testing.assert_close(put.colour * put.cover, cutout[:, :3])


def test_a_cutout_goes_where_the_flow_says_and_gets_the_light_that_the_gain_says(tiny: SimpleNamespace) -> None:
    cutout = tiny.make_cutouts(1, 16) * torch.tensor([0.5, 0.5, 0.5, 1, 1])[:, None, None]
    network = compact(TINY)
    with torch.inference_mode():
        fit = network.find(torch.rand(1, 3, 16, 16), cutout, cutout[:, 3:4])
        none, all_of_it = torch.zeros_like(fit.soft), torch.ones_like(fit.soft)
        shifted = Fit(fit.flow - torch.tensor([2 / 8, 0]), torch.full_like(fit.gain, 1.5), none, all_of_it)
        put = network.put(cutout, shifted)
    torch.testing.assert_close(put.cover[..., 2:], cutout[:, 3:4, :, :-2])
    torch.testing.assert_close((put.colour * put.cover)[..., 2:], 1.5 * cutout[:, :3, :, :-2])


def test_softness_blurs_a_cutout_and_its_edge(tiny: SimpleNamespace) -> None:
    cutout = tiny.make_cutouts(1, 32)
    network = compact(TINY)
    with torch.inference_mode():
        fit = network.find(torch.rand(1, 3, 32, 32), cutout, cutout[:, 3:4])
        soft = network.put(cutout, dataclasses.replace(fit, soft=torch.ones(1, 1, 1, 1))).cover
    between = (soft > 0.05) & (soft < 0.95)
    assert int(between.sum()) > 50 and float((soft - cutout[:, 3:4]).abs().max()) > 0.2


def test_a_grey_face_gets_a_grey_mask_and_a_coloured_one_a_coloured_mask() -> None:
    network = compact(TINY)
    assert network.fit.bias is not None
    torch.nn.init.normal_(network.fit.bias)  # the gain has a colour too
    cutout = torch.tensor([0.2, 0.3, 0.6, 1, 0])[:, None, None].expand(1, 5, 16, 16)
    grey = torch.rand(1, 1, 16, 16).expand(-1, 3, -1, -1)
    skin = grey * torch.tensor([1, 0.8, 0.7])[:, None, None]
    with torch.inference_mode():
        chroma = [
            float((put.colour.amax(1) - put.colour.amin(1)).mean())
            for put in (network(grey, cutout), network(skin, cutout))
        ]
    assert chroma[0] < 1e-5 and chroma[1] > 0.1


def test_a_bright_mask_keeps_its_folds() -> None:
    network = compact(TINY)
    folds = torch.tensor([0.6, 0.8]).repeat(8).expand(16, 16)
    cutout = torch.stack([folds, folds, folds, torch.ones(16, 16), torch.zeros(16, 16)])[None]
    with torch.inference_mode():
        fit = network.find(torch.rand(1, 3, 16, 16), cutout, cutout[:, 3:4])
        colour = network.put(cutout, dataclasses.replace(fit, gain=torch.full_like(fit.gain, 2))).colour
    assert float(colour.mean()) < 0.91 and float(colour.std()) > 0.1


def known_outline(network: CompactMasker, cover: torch.Tensor) -> None:
    """Make the outline of a network that of a coverage, whatever the face."""
    network.outline.forward = lambda face: 20 * (2 * cover - 1).expand(len(face), -1, -1, -1)  # type: ignore[method-assign]


def test_a_cutout_that_is_too_small_fills_the_outline_in_its_colour(tiny: SimpleNamespace) -> None:
    network, cutout = compact(TINY), tiny.make_cutouts(1, 32)
    wide = torch.nn.functional.max_pool2d(cutout[:, 3:4], 5, 1, 2)
    known_outline(network, wide)
    with torch.inference_mode():
        put = network(torch.rand(1, 3, 32, 32), cutout)
    outside = (wide > 0) & (cutout[:, 3:4] == 0)
    assert float(put.cover[outside].min()) >= 0.5 > float(put.cover[wide == 0].max())
    own = cutout[:, :3, 20:21, 16:17]
    hue = put.colour / put.colour.amax(1, keepdim=True)
    off = (hue - own / own.amax()).abs() * outside
    assert float(off.max()) < 0.02, "the mask's own colour, not black"


def test_straps_hang_beside_the_mask(tiny: SimpleNamespace) -> None:
    network, cutout = compact(TINY), tiny.make_cutouts(1, 32)
    known_outline(network, cutout[:, 3:4])
    cutout = tiny.add_straps(cutout)
    with torch.inference_mode():
        put = network(torch.rand(1, 3, 32, 32), cutout)
    row = put.painted[0, 0, 18]
    assert float(row[:24].min()) > 0.8, "no gap where it meets the mask"
    assert float(put.straps[0, 0, 17:19, :6].min()) > 0.5 and float(put.straps[0, 0, :13].max()) < 0.01
    torch.testing.assert_close(put.painted, put.straps.maximum(put.cover))


def test_a_face_in_a_batch_does_not_change_another() -> None:
    network = compact(TINY)
    torch.nn.init.normal_(network.fit.weight)
    faces, cutouts = torch.rand(3, 3, 16, 16), torch.rand(3, 5, 16, 16)
    with torch.inference_mode():
        before = network.find(faces, cutouts, cutouts[:, 3:4]).flow
        after = network.find(torch.cat([faces[:2], faces[2:] / 2]), cutouts, cutouts[:, 3:4]).flow
    torch.testing.assert_close(after[:2], before[:2], rtol=0, atol=0)
    assert float((after[2] - before[2]).abs().max()) > 1e-3


def test_composing_keeps_the_face_where_there_is_no_mask() -> None:
    face, colour = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    alpha = torch.zeros(1, 1, 4, 4)
    alpha[..., 2:, :] = 1
    mixed = compose(face, colour, alpha)
    torch.testing.assert_close(mixed[..., :2, :], face[..., :2, :], rtol=0, atol=0)
    torch.testing.assert_close(mixed[..., 2:, :], colour[..., 2:, :])
    torch.testing.assert_close(compose(face, colour, alpha / 2)[..., 2:, :], ((face + colour) / 2)[..., 2:, :])


def test_the_same_seed_starts_the_same_network() -> None:
    def start() -> dict[str, torch.Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            return make_network(TINY).state_dict()

    first, second = start(), start()
    assert all(torch.equal(first[name], second[name]) for name in first)
