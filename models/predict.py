"""Masks faces with a trained network. The bits of a result depend on face and seed, not on the rest of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceloom.models.presets import PaperPreset, preset_from_values
from faceloom.schemas.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from faceloom.schemas.model_card import ModelCard

BATCH = 32
"""Batch size."""


GAP = 4
"""Pixels without a strap between two pieces of it."""
FAINT = 0.1
"""Coverage up to which a pixel is no piece of a strap."""


@dataclass(frozen=True)
class Change:
    """Settings that compute coverage from the change of the picture, for a network that predicts none.

    Attributes:
        blur: standard deviation of the smoothing of the change, as a share of the side.
        least: a change smaller than this, 0..1, is never a mask.
        ramp: the coverage rises from 0 to 1 between (1 - ramp) and (1 + ramp) times the threshold.
    """

    blur: float = 0.06
    least: float = 0.03
    ramp: float = 0.25


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for N faces of S x S pixels.

    Attributes:
        colour: float32 (N, S, S, 3), RGB, 0..1: the mask's colour, valid where `alpha` or `straps` is above 0.
        alpha: float32 (N, S, S), 0..1 in steps of 1/255: its coverage. Exactly 0 on untouched skin.
        straps: float32 (N, S, S), 0..1 in steps of 1/255: coverage of its straps; 0 everywhere for `paper`.
        output: uint8 (N, S, S, 3), RGB: the masked faces. `compact` keeps pixels without mask and strap; `paper`
            repaints the whole picture.
    """

    colour: NDArray[np.float32]
    alpha: NDArray[np.float32]
    straps: NDArray[np.float32]
    output: NDArray[np.uint8]


class MaskPredictor:
    """A trained network with its weights loaded.

    All batches have the same size, and the last one is padded with black: with other sizes torch may compute in another
    order and differ in the last bit. For the same reason, outputs are bit-identical only on one machine with one
    version of torch; elsewhere they may differ by rounding.

    Attributes:
        card: of the checkpoint.
        preset: of its training.
        size: side of its input faces, in pixels.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        *,
        device: str = "cpu",
        batch: int = BATCH,
        change: Change | None = None,
    ) -> None:
        self.card = card
        self.preset = preset_from_values(card.hyper_parameters)
        self.size = card.size
        self._network: Any = network
        self._device, self._batch, self._change = device, batch, change or Change()

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: str = "cpu",
        batch: int = BATCH,
        digest: bool = True,
        change: Change | None = None,
    ) -> MaskPredictor:
        """Load the best weights of a run.

        Args:
            folder: of the run.
            device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is a usable GPU.
            batch: batch size.
            digest: check the sha256 of the weights; if one process has checked, others can skip it.
            change: settings for the coverage of `paper`.

        Raises:
            CheckpointError: the folder is not a checkpoint of faceloom, or it is damaged.
            TrainingError: the device is unknown or not available.
        """
        from faceloom.models.checkpoint import load_network
        from faceloom.models.devices import find_device

        place = find_device(device)
        network, card = load_network(folder, device=place, digest=digest)
        return cls(network, card, device=place, batch=batch, change=change)

    def predict(self, faces: NDArray[np.uint8], seeds: Sequence[int] | None = None) -> Prediction:
        """Mask faces.

        Args:
            faces: uint8 (N, size, size, 3), RGB, aligned as the training data (`card.data.align`).
            seeds: one for each face, 0 or above; it chooses the cutout of the mask. Without seeds all get the most
                typical cutout. `paper` has one cutout only.

        Raises:
            CheckpointError: the faces do not have the size of the network, or its output is not a finite number.
            ValueError: wrong type, or the number of seeds is not that of faces.
        """
        if faces.dtype != np.uint8 or faces.ndim != 4 or faces.shape[3] != 3:
            raise ValueError(f"faces are uint8 (N, size, size, 3), not {faces.dtype} {faces.shape}")
        if faces.shape[1:3] != (self.size, self.size):
            given = f"{faces.shape[2]}x{faces.shape[1]}"
            remedy = f"Align with mode {self.card.data.align.mode} and size {self.size}, or train another network"
            what = f"the network was trained for faces of {self.size}x{self.size} pixels"
            raise CheckpointError(what, where=self.card.preset, value=given, remedy=remedy)
        if seeds is not None and len(seeds) != len(faces):
            raise ValueError(f"{len(seeds)} seeds for {len(faces)} faces")
        colour = np.empty(faces.shape, np.float32)
        alpha, straps = (np.zeros(faces.shape[:3], np.float32) for _ in range(2))
        for start in range(0, len(faces), self._batch):
            stop = min(start + self._batch, len(faces))
            chosen = None if seeds is None else seeds[start:stop]
            colour[start:stop], alpha[start:stop], straps[start:stop] = self._run(faces[start:stop], chosen)
        if not all(np.isfinite(values).all() for values in (colour, alpha, straps)):
            what, remedy = "the network's output is not a finite number", "Train it again"
            raise CheckpointError(what, where=self.card.preset, remedy=remedy)
        # In steps of 1/255, as it is stored: coverage that rounds to 0 is 0.
        for coverage in (alpha, straps):
            np.rint(coverage * 255, out=coverage)
            coverage /= np.float32(255)
        if isinstance(self.preset, PaperPreset):
            return Prediction(colour, alpha, straps, np.rint(colour * 255).astype(np.uint8))
        mixed = faces + (colour * 255 - faces) * np.maximum(alpha, straps)[..., None]
        return Prediction(colour, alpha, straps, np.rint(mixed).clip(0, 255).astype(np.uint8))

    def _run(
        self, faces: NDArray[np.uint8], seeds: Sequence[int] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | float]:
        """Colour, alpha and coverage of straps of one batch of faces or fewer."""
        import torch

        count = len(faces)
        batch = np.zeros((self._batch, self.size, self.size, 3), np.uint8)
        batch[:count] = faces
        with torch.inference_mode():
            picture = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float() / 255
            if isinstance(self.preset, PaperPreset):
                shown = _pictures(self._network(picture).clamp(0, 1)[:count])
                return shown, changed(faces, shown, self._change), 0.0
            put = self._network(picture, self._cutouts(seeds, count))
            cover, straps = (part[:count, 0].cpu().numpy() for part in (put.cover, put.straps))
            return _pictures(put.colour[:count]), cover, attached(cover, straps)

    def _cutouts(self, seeds: Sequence[int] | None, count: int) -> Tensor:
        """A stored cutout for each face of a batch, drawn by its seed."""
        kept: Tensor = self._network.looks
        drawn = [0] * self._batch
        if seeds is not None:
            drawn[:count] = [int(np.random.default_rng(seed).integers(len(kept))) for seed in seeds]
        return kept[drawn].float() / 255


def _pictures(values: Tensor) -> NDArray[np.float32]:
    """(N, 3, H, W) as (N, H, W, 3) in memory."""
    pictures: NDArray[np.float32] = values.permute(0, 2, 3, 1).cpu().numpy()
    return pictures


def attached(cover: NDArray[np.float32], straps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The straps that hang on their mask; loose pieces are removed. Gaps of up to `GAP` pixels do not part a strap.

    Args:
        cover: coverage of the masks, float32 (N, S, S), 0..1.
        straps: coverage of the straps, float32 (N, S, S), 0..1.
    """
    import cv2

    kept = np.zeros_like(straps)
    closing = np.ones((GAP + 1, GAP + 1), np.uint8)
    for mask, strap, result in zip(cover, straps, kept, strict=True):
        pieces = cv2.dilate(((strap > FAINT) | (mask >= 0.5)).astype(np.uint8), closing)
        _, regions = cv2.connectedComponents(pieces, connectivity=8)
        hanging = np.unique(regions[mask >= 0.5])
        result[:] = np.where(np.isin(regions, hanging) & (regions > 0), strap, 0)
    return kept


def changed(faces: NDArray[np.uint8], output: NDArray[np.float32], change: Change) -> NDArray[np.float32]:
    """Coverage of a mask from the change that a network made to the picture, float32 (N, S, S), 0..1.

    An autoencoder also changes what it cannot rebuild, such as hair and background, so a fixed threshold fails. The
    largest change among the channels is smoothed and divided by Otsu's threshold of each picture; only the largest of
    the regions above the threshold is kept.

    Args:
        faces: uint8 (N, S, S, 3), RGB.
        output: float32 (N, S, S, 3), RGB, 0..1.
        change: the settings.
    """
    import cv2

    result = np.zeros(faces.shape[:3], np.float32)
    for face, picture, kept in zip(faces, output, result):
        moved = np.abs(picture - face.astype(np.float32) / 255).max(2)
        moved = cv2.GaussianBlur(moved, (0, 0), change.blur * faces.shape[1])
        in_steps = np.clip(moved * 255, 0, 255).astype(np.uint8)
        otsu, _ = cv2.threshold(in_steps, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        middle = max(otsu / 255, change.least)
        coverage = np.clip((moved / middle - 1) / (2 * change.ramp) + 0.5, 0, 1)
        count, regions, figures, _ = cv2.connectedComponentsWithStats((coverage > 0).astype(np.uint8), connectivity=4)
        if count > 1:
            largest = 1 + int(figures[1:, cv2.CC_STAT_AREA].argmax())
            kept[:] = np.where(regions == largest, coverage, 0)
    return result
