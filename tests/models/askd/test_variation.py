"""Small faces made in the job are those of the builds."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from faceloom.models.askd.variation import small_faces  # noqa: E402
from faceloom.transforms.lowres.degrade import degrade  # noqa: E402


@pytest.mark.parametrize("size", [14, 24, 28, 56, 112])
def test_they_are_those_of_a_build_bit_for_bit(size: int) -> None:
    face = np.random.default_rng(size).integers(0, 256, (112, 112, 3), np.uint8)
    wanted = degrade(face, {"mode": "askd", "size": [size, size], "down": "nearest", "up": "nearest"}, upsampled=True)
    batch = torch.from_numpy(face).permute(2, 0, 1)[None].float() / 255
    made = small_faces(batch, (size,), torch.Generator())
    assert wanted.upsampled is not None
    assert np.array_equal((made[0] * 255).round().byte().permute(1, 2, 0).numpy(), wanted.upsampled)


def test_each_face_has_its_own_size() -> None:
    faces = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0)).expand(12, -1, -1, -1)
    made = small_faces(faces, (14, 28), torch.Generator().manual_seed(0))
    assert len({one.numpy().tobytes() for one in made}) == 2
