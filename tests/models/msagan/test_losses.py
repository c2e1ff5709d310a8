"""MSaGAN's losses: four distances of masks, which passes they count in, and the gradient penalty."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.msagan.losses import (  # noqa: E402
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    mask_loss,
)
from faceloom.models.msagan.networks import Discriminator, Edit, Generator, Judgement  # noqa: E402


@pytest.mark.parametrize(
    ("kind", "small", "large"), [("sde", 0.25, 0.0), ("mae", 0.25, 0.5), ("mse", 0.25, 0.5), ("none", 0, 0)]
)
def test_the_set_difference_forgives_an_attention_that_is_too_large(kind: Any, small: float, large: float) -> None:
    guide = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    missing = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 2, 2)
    assert float(mask_loss(guide, missing, kind)) == pytest.approx(small)
    assert float(mask_loss(guide, torch.ones_like(guide), kind)) == pytest.approx(large)


class Fixed:
    """A generator whose attention is the wanted attribute, and whose picture is its input plus a tenth."""

    def __call__(self, picture: Any, wanted: Any) -> Edit:
        return Edit(picture + 0.1, wanted[:, :1, None, None].expand(-1, 1, *picture.shape[2:]))


class Judge:
    """A discriminator that scores the mean of a picture."""

    def __call__(self, picture: Any) -> Judgement:
        return Judgement(picture.mean((1, 2, 3)), torch.zeros(len(picture), 1))


def test_each_term_has_its_weight_and_the_edit_has_no_mask_loss() -> None:
    picture, guide = torch.zeros(2, 3, 8, 8), torch.ones(2, 1, 8, 8)
    has, wanted = torch.zeros(2, 1), torch.ones(2, 1)
    fixed: Any = Fixed()
    judge: Any = Judge()
    loss = generator_loss(fixed, judge, picture, has, wanted, guide)
    assert float(loss.adversarial) == pytest.approx(-0.1)
    assert float(loss.attribute) == pytest.approx(0.6931, abs=1e-4)
    assert float(loss.dual) == pytest.approx(20 * 0.2) and float(loss.identity) == pytest.approx(100 * 0.1)
    # The identity and the dual pass miss the whole guide; the edit's attention, all ones, is not asked.
    assert float(loss.mask) == pytest.approx(100 + 20) and float(loss.attention) == 1
    other = generator_loss(fixed, judge, picture, wanted, has, guide)
    assert float(other.mask) == 0
    assert float(loss.total) == pytest.approx(-0.1 + 0.6931 + 4 + 10 + 120, abs=1e-3)


def test_the_penalty_is_zero_where_the_slope_is_one() -> None:
    at = torch.rand(3, 1, 2, 2, requires_grad=True)
    assert float(gradient_penalty(lambda x: x.sum((1, 2, 3)) / 2, at)) == pytest.approx(0)
    assert float(gradient_penalty(lambda x: x.sum((1, 2, 3)), at)) == pytest.approx(1)


def test_a_discriminator_learns_to_tell_real_from_fake() -> None:
    torch.manual_seed(0)
    critic = Discriminator(8, width=4)
    adam = torch.optim.Adam(critic.parameters(), 1e-2)
    real, fake, has = torch.ones(4, 3, 8, 8) * 0.5, -torch.ones(4, 3, 8, 8) * 0.5, torch.tensor([[1.0]] * 4)
    chance = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(12):
        loss: Any = discriminator_loss(critic, real, fake, has, chance)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    judged = critic(real), critic(fake)
    assert losses[-1] < losses[0] - 0.3 and bool(judged[0].scores.mean() > judged[1].scores.mean())
    assert bool(judged[0].logits.mean() > 0)


def test_the_generator_gets_gradients_from_every_structure() -> None:
    torch.manual_seed(0)
    generator, critic = Generator("E2D2", width=2), Discriminator(16, width=2)
    picture, one = torch.rand(2, 3, 16, 16), torch.ones(2, 1)
    loss = generator_loss(generator, critic, picture, 1 - one, one, torch.ones(2, 1, 16, 16))
    torch.autograd.backward(loss.total)
    assert all(parameter.grad is not None for parameter in generator.parameters())
