"""The editor's losses, term by term."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from faceloom.models.editor.losses import (  # noqa: E402
    critic_loss,
    fooling_loss,
    generator_loss,
    joined,
    reconstruction_loss,
)
from faceloom.models.editor.networks import Edited  # noqa: E402
from faceloom.models.structural import ssim  # noqa: E402

FACE = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
MADE = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_reconstruction_is_half_pixels_and_half_structure() -> None:
    assert float(reconstruction_loss(FACE, FACE)) == pytest.approx(0, abs=1e-6)
    expected = 0.5 * F.smooth_l1_loss(MADE, FACE) + 0.5 * (1 - ssim(MADE, FACE))
    assert float(reconstruction_loss(MADE, FACE)) == pytest.approx(float(expected))
    assert float(reconstruction_loss(MADE, FACE, 0.0, "l1")) == pytest.approx(float((MADE - FACE).abs().mean()))


def test_labels_are_softened() -> None:
    assert float(fooling_loss(torch.full((2, 1, 3, 3), 0.9))) == pytest.approx(0)
    assert float(critic_loss(torch.full((2,), 0.9), torch.full((2,), 0.1))) == pytest.approx(0)
    assert float(critic_loss(torch.full((2,), 0.9), torch.full((2,), 0.9))) == pytest.approx(0.32)


def test_both_composites_count_a_hundredfold() -> None:
    judged = torch.tensor(0.25)
    both = Edited(MADE, FACE)
    expected = 0.25 + 100 * float(reconstruction_loss(MADE, FACE))
    assert float(generator_loss(both, FACE, judged)) == pytest.approx(expected)
    alone = Edited(MADE, MADE)
    assert float(generator_loss(alone, FACE, judged)) == pytest.approx(expected)


def test_the_region_joins_with_seven_tenths() -> None:
    one, other = torch.tensor(1.0), torch.tensor(2.0)
    assert float(joined(one, None)) == 1
    assert float(joined(one, other)) == pytest.approx(1.7)
