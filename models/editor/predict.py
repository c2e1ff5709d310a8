"""Paints the faces under masks with a trained editor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceloom.models.editor.preset import EditorPreset
from faceloom.models.presets import preset_from_values
from faceloom.schemas.errors import CheckpointError
from faceloom.transforms.types import BoolMask, Image

if TYPE_CHECKING:
    from torch import nn

    from faceloom.schemas.model_card import ModelCard


class MaskEditor:
    """A trained editor with its weights loaded.

    Attributes:
        card: of the checkpoint; `card.data.align` states how faces must be cropped.
        size: side of its input faces, in pixels.
    """

    def __init__(self, network: nn.Module, card: ModelCard, *, device: str = "cpu") -> None:
        preset = preset_from_values(card.hyper_parameters, job="editor")
        assert isinstance(preset, EditorPreset)
        self.card, self.size = card, card.size
        self._network, self._preset, self._device = network, preset, device

    @classmethod
    def load(cls, folder: Path, *, device: str = "cpu") -> MaskEditor:
        """Load the best weights of a run.

        Args:
            folder: of the run.
            device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is a usable GPU.

        Raises:
            CheckpointError: the folder is no checkpoint of an editor, or it is damaged.
            TrainingError: the device is unknown or not available.
        """
        from faceloom.models.checkpoint import load_network
        from faceloom.models.devices import find_device

        place = find_device(device)
        network, card = load_network(folder, device=place, job="editor")
        return cls(network, card, device=place)

    def edit(self, masked: Image, mask: BoolMask) -> tuple[Image, BoolMask]:
        """Paint the face under a mask.

        Args:
            masked: uint8 (size, size, 3), RGB, aligned as the training data (`card.data.align`).
            mask: bool (size, size), where the mask is.

        Returns:
            uint8 (size, size, 3), RGB, and where it was painted, bool (size, size): the map, dilated as the preset
            states. Pixels outside are those of `masked`.

        Raises:
            CheckpointError: the face does not have the size of the network, or its output is not a finite number.
        """
        import torch

        from faceloom.models.jobs.editor import hole_of

        if masked.shape != (self.size, self.size, 3):
            what = f"the editor was trained for faces of {self.size}x{self.size} pixels"
            given = "x".join(map(str, masked.shape))
            raise CheckpointError(what, where=self.card.preset, value=given, remedy="Align with its `card.data.align`")
        picture = torch.from_numpy(masked).to(self._device).permute(2, 0, 1)[None].float() / 255
        hole = hole_of(torch.from_numpy(mask).to(self._device)[None, None].float(), self._preset.grow)
        network: Any = self._network
        with torch.inference_mode():
            made = network["editor"](picture, hole).refined[0].permute(1, 2, 0)
        painted: NDArray[np.float32] = made.float().cpu().numpy()
        if not np.isfinite(painted).all():
            what, remedy = "the network's output is not a finite number", "Train it again"
            raise CheckpointError(what, where=self.card.preset, remedy=remedy)
        inside = hole[0, 0].bool().cpu().numpy()
        levels = np.rint(painted * 255).clip(0, 255).astype(np.uint8)
        return np.where(inside[..., None], levels, masked), inside
