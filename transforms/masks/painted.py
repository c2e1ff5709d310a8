"""What every way of painting a mask hands back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue


@dataclass(frozen=True, eq=False)
class PaintedMask:
    """A picture with a mask on it, and the truth about where the mask is.

    Attributes:
        image: uint8 (H, W, 3), RGB, same size as the picture that was painted on.
        alpha: float32 (H, W), 0..1: how far the mask's body covers each pixel; at least 0.5 is the binary truth.
        straps: float32 (H, W), 0..1, coverage of ear straps: painted, but no part of the truth; None without straps.
        parameters: every value that was drawn or decided, JSON-able, to be stored with the sample.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    straps: NDArray[np.float32] | None = None
    parameters: dict[str, JsonValue] = field(default_factory=dict)
