"""Losses of attention similarity distillation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def attention_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Sum over all attention maps of the batch mean of 1 - cosine similarity, a scalar; 0 for proportional maps.

    Args:
        student, teacher: maps before the sigmoid, each (N, …), two per block.
    """
    apart = [
        1 - F.cosine_similarity(mine.float().flatten(1), other.float().flatten(1)).mean()
        for mine, other in zip(student, teacher, strict=True)
    ]
    return torch.stack(apart).sum()
