"""The published network layer for layer, and what the compact one promises."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.networks import (  # noqa: E402
    CompactMasker,
    PaperAutoencoder,
    compose,
    make_network,
    parameter_count,
)
from faceloom.models.presets import PRESETS, CompactPreset, PaperPreset  # noqa: E402

TINY = PRESETS["tiny-compact"]
assert isinstance(TINY, CompactPreset)


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
    network = make_network(TINY)
    assert isinstance(network, CompactMasker) and network.stride == TINY.stride == 2
    colour, logits = network(torch.rand(2, 3, height, width), torch.randn(2, TINY.code))
    assert colour.shape == (2, 3, height, width) and logits.shape == (2, 1, height, width)
    assert float(colour.detach().min()) >= 0 and float(colour.detach().max()) <= 1


def test_the_real_compact_preset_runs_at_other_sizes_than_it_is_trained_on() -> None:
    preset = PRESETS["compact"]
    assert isinstance(preset, CompactPreset)
    with torch.inference_mode():
        network = make_network(preset).eval()
        assert isinstance(network, CompactMasker)
        for size in (64, 128):
            assert network(torch.rand(1, 3, size, size), torch.zeros(1, preset.code))[1].shape == (1, 1, size, size)
    assert preset.stride == 8


def test_a_code_changes_the_look_and_a_face_in_a_batch_does_not_change_another() -> None:
    network = make_network(TINY).eval()
    assert isinstance(network, CompactMasker)
    faces, codes = torch.rand(3, 3, 16, 16), torch.randn(3, TINY.code)
    with torch.inference_mode():
        colour, _ = network(faces, codes)
        other, _ = network(faces, torch.cat([codes[:2], codes[2:] + 2]))
    torch.testing.assert_close(other[:2], colour[:2], rtol=0, atol=0)
    assert float((other[2] - colour[2]).abs().max()) > 1e-3


def test_the_encoder_sees_only_what_the_mask_covers() -> None:
    network = make_network(TINY).eval()
    assert isinstance(network, CompactMasker)
    masked, mask = torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    mask[..., 8:, :] = 1
    elsewhere, inside = masked.clone(), masked.clone()
    elsewhere[..., :8, :] = 0
    inside[..., 8:, :] = 0
    with torch.inference_mode():
        mean, spread = network.encoder(masked, mask)
        assert mean.shape == spread.shape == (1, TINY.code)
        torch.testing.assert_close(network.encoder(elsewhere, mask)[0], mean, rtol=0, atol=0)
        assert float((network.encoder(inside, mask)[0] - mean).abs().max()) > 1e-4


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
