"""Looks: taken off a face to one place and size, disturbed in training, and found back by the flow."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from faceloom.models.looks import PLACE, SPREAD, disturbed_looks, gather_looks, spots, take_looks  # noqa: E402
from faceloom.models.pairs import Pairs  # noqa: E402

SIZE = 64


def ellipses(*boxes: tuple[float, float, float, float]) -> Pairs:
    """A mask each: an ellipse of (middle x, middle y, radius x, radius y), coloured by a gradient; -1..1."""
    rows = (torch.arange(SIZE) * 2 + 1) / SIZE - 1
    y, x = rows[:, None], rows[None]
    masks = torch.stack([(((x - mx) / rx) ** 2 + ((y - my) / ry) ** 2 < 1).float()[None] for mx, my, rx, ry in boxes])
    colour = torch.stack([0.5 + 0.3 * (x + 0 * y), 0.5 - 0.3 * (y + 0 * x), 0.4 + 0 * (x + y)]).expand(
        len(boxes), -1, -1, -1
    )
    face = torch.full_like(colour, 0.9)
    return Pairs(face, face * (1 - masks) + colour * masks, masks)


def as_pairs(looks: torch.Tensor) -> Pairs:
    return Pairs(torch.zeros_like(looks[:, :3]), looks[:, :3], looks[:, 3:])


places = st.tuples(st.floats(-0.3, 0.3), st.floats(0.2, 0.5), st.floats(0.3, 0.6), st.floats(0.25, 0.45))


@given(places)
def test_middle_and_size_are_those_of_the_mask(box: tuple[float, float, float, float]) -> None:
    middle, size = spots(ellipses(box))
    torch.testing.assert_close(middle[0], torch.tensor(box[:2]), atol=0.02, rtol=0)
    assert float(size[0]) == pytest.approx((box[2] * box[3]) ** 0.5 / 2, rel=0.05)  # spread of an ellipse: radius / 2


@given(places)
def test_a_look_always_lies_at_the_same_place_in_the_same_size(box: tuple[float, float, float, float]) -> None:
    middle, size = spots(as_pairs(take_looks(ellipses(box))))
    torch.testing.assert_close(middle[0], torch.tensor(PLACE), atol=0.03, rtol=0)
    assert float(size[0]) == pytest.approx(SPREAD, rel=0.08)


def test_a_look_holds_the_mask_only() -> None:
    look = take_looks(ellipses((0.1, 0.4, 0.5, 0.35)))
    bare = look[:, 3:] == 0
    assert 0.3 < float(bare.float().mean()) < 0.9
    assert float((look[:, :3] * bare).max()) == 0
    assert bool((look[:, :3] <= look[:, 3:]).all()), "premultiplied"


def test_a_face_without_a_mask_gives_an_empty_look() -> None:
    pairs = dataclasses.replace(ellipses((0, 0.4, 0.5, 0.3)), mask=torch.zeros(1, 1, SIZE, SIZE))
    assert float(take_looks(pairs).max()) == 0
    assert spots(pairs)[0][0].tolist() == pytest.approx(PLACE)


@settings(max_examples=20)
@given(places, st.integers(0, 1000))
def test_the_flow_puts_a_disturbed_look_back_on_its_face(box: tuple[float, float, float, float], seed: int) -> None:
    pairs = ellipses(box)
    looks, flow = disturbed_looks(pairs, torch.Generator().manual_seed(seed))
    back = F.grid_sample(looks[:, 3:], flow, align_corners=False)
    inside = ((looks[:, 3, [0, -1], :].sum() + looks[:, 3, :, [0, -1]].sum()) == 0).item()
    if inside:  # nothing of it was cut off
        assert float((back - pairs.mask).abs().mean()) < 0.02


def test_looks_are_disturbed_by_the_seed_and_lit_anew() -> None:
    pairs = ellipses((0, 0.4, 0.5, 0.3), (0.1, 0.3, 0.4, 0.3))
    first, flow = disturbed_looks(pairs, torch.Generator().manual_seed(1))
    again, _ = disturbed_looks(pairs, torch.Generator().manual_seed(1))
    other, _ = disturbed_looks(pairs, torch.Generator().manual_seed(2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert flow.shape == (2, SIZE, SIZE, 2)
    plain = take_looks(pairs)
    means = [(looks[:, :3].sum((2, 3)) / looks[:, 3:].sum((2, 3))) for looks in (first, plain)]
    assert float((means[0] / means[1] - 1).abs().max()) > 0.02


def test_gathered_looks_start_with_the_most_typical_and_go_round() -> None:
    pairs = ellipses(*[(0.0, 0.4, 0.5, 0.3)] * 3, (0.0, 0.4, 0.3, 0.45))
    level = torch.tensor([0.2, 0.4, 0.6, 0.4])[:, None, None, None]
    pairs = Pairs(pairs.face, pairs.mask * level + pairs.face * (1 - pairs.mask), pairs.mask)
    looks = gather_looks([pairs], 6)
    assert looks.shape == (6, 4, SIZE, SIZE) and looks.dtype == torch.uint8
    taken = (take_looks(pairs) * 255).round().to(torch.uint8)
    assert torch.equal(looks[0], taken[1]), "of middle brightness and the usual shape"
    assert [next(n for n in range(4) if torch.equal(look, taken[n])) for look in looks] == [1, 0, 2, 3, 1, 0]


def test_no_more_looks_are_gathered_than_are_kept(tiny: SimpleNamespace) -> None:
    asked = []

    def batches() -> object:
        for number in range(5):
            asked.append(number)
            yield tiny.make_pairs(2, 16, number)

    assert len(gather_looks(batches(), 3)) == 3
    assert asked == [0, 1]
