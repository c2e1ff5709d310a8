"""Losses of Anti-Mask."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.antimask.networks import Completed


def decoder_loss(
    made: Completed, picture: Tensor, landmarks: Tensor, *, landmark_weight: float = 10.0, picture_weight: float = 100.0
) -> Tensor:
    """λ1·mean (L - L̂)² + λ2·mean |T - T̂|. Landmarks that are NaN do not count.

    Args:
        made: by the decoder.
        picture: float (N, 3, H, W), 0..1.
        landmarks: float (N, points, 2), shares of the picture's sides.
    """
    known = torch.isfinite(landmarks)
    apart = torch.where(known, made.landmarks - landmarks, 0)
    shape = (apart**2).sum() / known.sum().clamp(min=1)
    return landmark_weight * shape + picture_weight * F.l1_loss(made.picture, picture)


def encoder_loss(features: Tensor, wanted: Tensor, kind: Literal["mse", "cosine"] = "mse") -> Tensor:
    """Distance of features to those of the whole face; the paper does not state which.

    Args:
        features, wanted: float (N, F).
    """
    if kind == "mse":
        return F.mse_loss(features, wanted)
    return 1 - F.cosine_similarity(features, wanted).mean()
