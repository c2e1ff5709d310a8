"""A perceptual loss by a network of the user's: pictures are compared by its features (Din et al. 2020 use VGG-19)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.models.torchscript import cause_of
from faceloom.schemas.errors import TrainingError
from faceloom.schemas.regular_files import check_regular

if TYPE_CHECKING:
    from torch import Tensor

MOST_BYTES = 16 * 2**30
"""Length of the file of a network."""
REMEDY = "Give a TorchScript file that maps float32 (N, 3, H, W), RGB, 0..1, to float32 features, (N, …)"


class Perceptual:
    """Compares pictures by the features of a network, whose weights stay as they are.

    Args:
        path: a TorchScript file that maps float32 (N, 3, H, W), RGB, 0..1, to float32 features, (N, …).
        size: side of the pictures.
        device: `cpu` or `cuda`.

    Raises:
        TrainingError: it is not a TorchScript file, fails on a black picture, or its features have no gradient.
    """

    def __init__(self, path: Path, size: int, device: str = "cpu") -> None:
        import torch

        try:
            check_regular(path.stat(), MOST_BYTES)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of what makes such files
                self._network: Any = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
            for parameter in self._network.parameters():
                parameter.requires_grad = False
            found = self._network(torch.zeros(2, 3, size, size, device=device, requires_grad=True))
        except (RuntimeError, ValueError, OSError) as error:
            value = cause_of(error)
            raise TrainingError("the features cannot be used", where=str(path), value=value, remedy=REMEDY) from None
        value = type(found).__name__
        if isinstance(found, torch.Tensor):
            value = f"{found.dtype}, {'x'.join(map(str, found.shape))}"
            if found.is_floating_point() and found.shape[:1] == (2,):
                if found.requires_grad:
                    return
                value = "no gradient"
        raise TrainingError("the features cannot be used", where=str(path), value=value, remedy=REMEDY)

    def loss(self, made: Tensor, face: Tensor) -> Tensor:
        """Mean absolute difference of the features of two batches, float32 (N, 3, H, W), 0..1."""
        import torch

        with torch.no_grad():
            wanted = self._network(face)
        found: Tensor = self._network(made)
        return (found.float() - wanted.float()).abs().mean()
