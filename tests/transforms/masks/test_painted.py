"""What painting hands back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from faceloom.transforms.masks.painted import PaintedMask


def test_painted_mask_is_frozen_with_plain_defaults() -> None:
    painted = PaintedMask(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.float32))
    assert painted.straps is None and painted.parameters == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        painted.alpha = painted.alpha  # type: ignore[misc]
