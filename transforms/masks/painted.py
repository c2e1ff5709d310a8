"""The result of painting a mask, by any method."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue

from faceloom.transforms.types import Coverage, Image


@dataclass(frozen=True, eq=False)
class PaintedMask:
    """A picture with a mask on it, and the ground truth of the mask.

    Attributes:
        image: uint8 (H, W, 3), RGB, same size as the picture that was painted on.
        alpha: float32 (H, W), 0..1: coverage by the mask's body; the binary truth is at least 0.5.
        straps: float32 (H, W), 0..1, coverage of ear straps: painted, but not part of the truth; None without straps.
        parameters: all drawn or computed values as JSON, stored with the sample.
    """

    image: Image
    alpha: Coverage
    straps: Coverage | None = None
    parameters: dict[str, JsonValue] = field(default_factory=dict)
