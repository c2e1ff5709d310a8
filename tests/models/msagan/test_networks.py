"""MSaGAN's networks: four structures and a discriminator with published sizes."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.msagan.networks import STRUCTURES, AttributeClassifier, Discriminator, Generator  # noqa: E402
from faceloom.models.networks import parameter_count  # noqa: E402


@pytest.mark.parametrize(
    ("structure", "count"),
    [("E1D1", 6_114_244), ("E1D2", 6_802_596), ("E2D1", 6_938_884), ("E2D2", 12_220_644)],
)
def test_the_published_sizes(structure: Any, count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(Generator(structure)) == count
    with torch.inference_mode():
        edit = Generator(structure, width=2)(torch.zeros(2, 3, 128, 128), torch.zeros(2, 1))
    assert edit.picture.shape == (2, 3, 128, 128) and edit.attention.shape == (2, 1, 128, 128)


def test_two_encoders_may_be_added() -> None:
    with torch.device("meta"):
        assert parameter_count(Generator("E2D1", merge="add")) == 6_807_556


def test_the_encoder_and_the_middle_have_the_published_layers() -> None:
    seen = []
    generator: Any = Generator("E1D1", width=2)
    for part in (generator.encode, generator.middle, generator.decode[:-1]):
        for layer in part:
            if next(layer.parameters(recurse=True), None) is not None:
                layer.register_forward_hook(lambda _, __, made: seen.append((16 * made.shape[1], made.shape[2])))
    generator(torch.zeros(1, 3, 128, 128), torch.zeros(1, 1))
    assert seen == [
        (32, 128), (64, 64), (128, 32), (256, 16), *[(256, 16)] * 4, (128, 32), (64, 64), (32, 128),
    ]  # fmt: skip


def test_the_discriminator() -> None:
    with torch.device("meta"):
        assert parameter_count(Discriminator()) == 11_190_754
    judged = Discriminator(width=2)(torch.zeros(2, 3, 128, 128))
    assert judged.scores.shape == (2, 1, 2, 2) and judged.logits.shape == (2, 1)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_picture_changes_where_the_attention_allows_it(structure: Any) -> None:
    torch.manual_seed(0)
    generator = Generator(structure, width=4, attributes=2).eval()
    for module in generator.modules():  # strong edits, so that a wrong blend shows
        if isinstance(module, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(module.weight, 0, 0.5)
    picture = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.inference_mode():
        edit = generator(picture, torch.tensor([[1.0, 0.0]]))
        other = generator(picture, torch.tensor([[0.0, 1.0]]))
    assert float(edit.attention.min()) >= 0 and float(edit.attention.max()) <= 1
    painted = (edit.picture - picture * (1 - edit.attention)) / edit.attention.clamp(min=1e-6)
    assert float(painted[(edit.attention > 0.05).expand_as(painted)].abs().max()) <= 1 + 1e-4
    assert not torch.equal(edit.picture, other.picture)
    assert torch.equal(edit.attention, other.attention) == (structure == "E2D2")


def test_the_classifier_is_resnet_50() -> None:
    with torch.device("meta"):
        assert parameter_count(AttributeClassifier(attributes=1000)) == 25_557_032
    for bottleneck in (True, False):
        small = AttributeClassifier(depths=(1, 2), width=8, bottleneck=bottleneck)
        assert small(torch.zeros(2, 3, 32, 32)).shape == (2, 1)


def test_starting_weights_are_narrow() -> None:
    torch.manual_seed(0)
    generator: Any = Generator("E1D1", width=16)
    weight = generator.middle[0].change[0].weight
    assert float(weight.detach().std()) == pytest.approx(0.02, rel=0.02)
