"""Small faces, made in the job as the student of A-SKD sees them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.transforms.lowres.sampling import ASKD_BLUR, nearest_index


def small_faces(faces: Tensor, sizes: Sequence[int], chance: torch.Generator) -> Tensor:
    """Reduce each face to a side drawn from `sizes` and enlarge it again, as A-SKD does.

    Args:
        faces: float (N, 3, H, H), 0..1, in steps of 1/255.
        sizes: in pixels, all equally likely.
        chance: on the CPU.

    Returns:
        float (N, 3, H, H), 0..1; equal to `transforms.lowres` in mode `askd` bit for bit.
    """
    side = faces.shape[-1]
    drawn = torch.randint(len(sizes), (len(faces),), generator=chance).tolist()
    sources = {size: _sources(side, size) for size in set(sizes)}
    rows = torch.stack([sources[sizes[number]] for number in drawn]).to(faces.device)
    values = (faces * 255).round()
    values = values.gather(2, rows[:, None, :, None].expand_as(values))
    values = values.gather(3, rows[:, None, None, :].expand_as(values))
    taps = torch.tensor(ASKD_BLUR, dtype=torch.float64, device=faces.device).reshape(1, 1, -1, 1)
    padded = F.pad(values.double(), (0, 0, 2, 2), mode="reflect").flatten(0, 1)[:, None]
    total = F.conv2d(padded, taps).reshape(values.shape)
    return (((total + 50_000) / 100_000).floor() / 255).float()


def _sources(side: int, size: int) -> Tensor:
    """The row of the face that each row shows in the end; columns are the same."""
    down, up = nearest_index(side, size), nearest_index(size, side)
    return torch.from_numpy(down[up])
