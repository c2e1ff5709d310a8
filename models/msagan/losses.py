"""The losses of MSaGAN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.msagan.networks import Discriminator, Generator

MaskLoss = Literal["sde", "mae", "mse", "none"]


def mask_loss(guide: Tensor, attention: Tensor, kind: MaskLoss = "sde") -> Tensor:
    """Distance of an attention mask to the guide mask, a scalar.

    `sde`, the set-difference error mean(max(m - b, 0)), punishes only what the attention misses: an attention that is
    too large costs nothing. `mae` and `mse` punish both sides, `none` neither.

    Args:
        guide: m, float (N, 1, S, S), 0..1.
        attention: b, of the same shape.
    """
    if kind == "sde":
        return F.relu(guide - attention).mean()
    if kind == "mae":
        return F.l1_loss(attention, guide)
    if kind == "mse":
        return F.mse_loss(attention, guide)
    return attention.new_zeros(())


class GeneratorLoss(NamedTuple):
    """Weighted parts of the generator's loss, scalars; `attention` is the mean of the edit pass."""

    adversarial: Tensor
    attribute: Tensor
    dual: Tensor
    identity: Tensor
    mask: Tensor
    attention: Tensor

    @property
    def total(self) -> Tensor:
        """The sum that is minimised."""
        return self.adversarial + self.attribute + self.dual + self.identity + self.mask


def generator_loss(
    generator: Generator,
    discriminator: Discriminator,
    picture: Tensor,
    has: Tensor,
    wanted: Tensor,
    guide: Tensor,
    *,
    kind: MaskLoss = "sde",
    alpha: float = 100.0,
    beta: float = 20.0,
    dual_weight: float = 20.0,
    identity_weight: float = 100.0,
) -> GeneratorLoss:
    """Three passes: the edit, the edit undone (dual), and the picture with the attributes that it has (identity).

    The mask loss is α of the identity pass and β of the dual pass; the edit pass has none.

    Args:
        picture: float (N, 3, S, S), -1..1.
        has, wanted: float (N, K), the picture's attributes and those of the edit.
        guide: float (N, 1, S, S), 0..1.
    """
    fake = generator(picture, wanted)
    judged = discriminator(fake.picture)
    dual, same = generator(fake.picture, has), generator(picture, has)
    return GeneratorLoss(
        adversarial=-judged.scores.mean(),
        attribute=F.binary_cross_entropy_with_logits(judged.logits, wanted),
        dual=dual_weight * F.l1_loss(dual.picture, picture),
        identity=identity_weight * F.l1_loss(same.picture, picture),
        mask=alpha * mask_loss(guide, same.attention, kind) + beta * mask_loss(guide, dual.attention, kind),
        attention=fake.attention.detach().mean(),
    )


def discriminator_loss(
    discriminator: Discriminator,
    real: Tensor,
    fake: Tensor,
    has: Tensor,
    chance: torch.Generator,
    *,
    penalty_weight: float = 10.0,
) -> Tensor:
    """Wasserstein loss with gradient penalty (Gulrajani et al. 2017), and cross entropy of the real attributes.

    Args:
        real, fake: float (N, 3, S, S), -1..1.
        has: float (N, K), attributes of `real`.
        chance: a generator on the CPU; draws where between the two the penalty is taken.
    """
    judged = discriminator(real)
    distance = discriminator(fake.detach()).scores.mean() - judged.scores.mean()
    share = torch.rand(len(real), 1, 1, 1, generator=chance).to(real.device)
    between = torch.lerp(fake.detach(), real, share).requires_grad_()
    penalty = gradient_penalty(lambda x: discriminator(x).scores, between)
    return distance + penalty_weight * penalty + F.binary_cross_entropy_with_logits(judged.logits, has)


def gradient_penalty(critic: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Mean squared distance of the norm of the critic's gradient to 1, over the pictures of a batch.

    Args:
        critic: maps pictures to scores of any shape per picture.
        at: float (N, C, H, W) that requires gradients.
    """
    scores = critic(at)
    (slope,) = torch.autograd.grad(scores, at, torch.ones_like(scores), create_graph=True)
    return ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
