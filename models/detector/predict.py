"""Finds masks on faces with a trained detector. The bits of a result do not depend on the rest of the batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceloom.models.detector.preset import DetectorPreset
from faceloom.models.presets import preset_from_values
from faceloom.schemas.errors import CheckpointError
from faceloom.transforms.types import BoolMask

if TYPE_CHECKING:
    from torch import nn

    from faceloom.schemas.model_card import ModelCard

BATCH = 16
"""Batch size. The last batch is padded: with other sizes torch may differ in the last bit."""


class MaskDetector:
    """A trained detector with its weights loaded.

    Attributes:
        card: of the checkpoint; `card.data.align` states how faces must be cropped.
        size: side of its input faces, in pixels.
    """

    def __init__(self, network: nn.Module, card: ModelCard, *, device: str = "cpu") -> None:
        preset = preset_from_values(card.hyper_parameters, job="detector")
        assert isinstance(preset, DetectorPreset)
        self.card, self.size = card, card.size
        self._network, self._preset, self._device = network, preset, device

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu", digest: bool = True) -> MaskDetector:
        """Load the best weights of a run.

        Args:
            folder: of the run.
            device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is a usable GPU.
            digest: check the sha256 of the weights; if one process has checked, others can skip it.

        Raises:
            CheckpointError: the folder is no checkpoint of a detector, or it is damaged.
            TrainingError: the device is unknown or not available.
        """
        from faceloom.models.checkpoint import load_network
        from faceloom.models.devices import find_device

        place = find_device(device)
        network, card = load_network(folder, device=place, digest=digest, job="detector")
        return cls(network, card, device=place)

    def probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probability that a pixel shows a mask, float32 (N, size, size), 0..1.

        Args:
            faces: uint8 (N, size, size, 3), RGB, aligned as the training data (`card.data.align`).

        Raises:
            CheckpointError: the faces do not have the size of the network, or its output is not a finite number.
        """
        import torch

        if faces.dtype != np.uint8 or faces.shape[1:] != (self.size, self.size, 3):
            what = f"the detector was trained for faces of {self.size}x{self.size} pixels"
            given = "x".join(map(str, faces.shape[1:]))
            raise CheckpointError(what, where=self.card.preset, value=given, remedy="Align with its `card.data.align`")
        found = np.empty(faces.shape[:3], np.float32)
        batch = np.zeros((BATCH, self.size, self.size, 3), np.uint8)
        for start in range(0, len(faces), BATCH):
            count = min(BATCH, len(faces) - start)
            batch[:count] = faces[start : start + count]
            with torch.inference_mode():
                picture = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float() / 255
                logits: Any = self._network(picture)
                found[start : start + count] = logits[:count, 0].float().sigmoid().cpu().numpy()
        if not np.isfinite(found).all():
            what, remedy = "the network's output is not a finite number", "Train it again"
            raise CheckpointError(what, where=self.card.preset, remedy=remedy)
        return found

    def find(self, faces: NDArray[np.uint8]) -> BoolMask:
        """Where the masks are, bool (N, size, size): probability above 0.5, cleaned up as Mask2Face does.

        Args:
            faces: see `probabilities`.

        Raises:
            CheckpointError: see `probabilities`.
        """
        found = self.probabilities(faces) > 0.5
        return np.stack([cleaned(one, self._preset.dilate) for one in found]) if len(found) else found


def cleaned(found: BoolMask, dilate: int) -> BoolMask:
    """A found map without specks and holes, and widened.

    Mask2Face widens the map by one dilation with an ellipse of 3x3 pixels. Before it, regions smaller than a twentieth
    of the largest one are removed, and holes smaller than a twentieth of the map are filled. Background that touches
    the border is no hole.

    Args:
        found: bool (H, W).
        dilate: side of the ellipse, in pixels.
    """
    import cv2

    regions, areas, _ = _regions(found)
    kept = (areas >= areas.max(initial=0) / 20)[regions] & found
    holes, areas, inside = _regions(~kept)
    kept |= (inside & (areas < np.count_nonzero(kept) / 20))[holes] & ~kept
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (dilate, dilate))
    return np.asarray(cv2.dilate(kept.astype(np.uint8), ellipse) > 0)


def _regions(found: BoolMask) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """The number of each pixel's region (H, W), and by number the area, 0 for the rest, and if it touches no border."""
    import cv2

    _, regions, figures, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8), connectivity=4)
    areas = figures[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # what is outside the map
    left, top, width, height = figures[:, :4].T
    inside = (left > 0) & (top > 0) & (left + width < found.shape[1]) & (top + height < found.shape[0])
    return regions, areas, inside
