from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from faceloom.schemas.lowres import LowRes, Mode


def test_defaults_are_an_area_average_at_its_own_size() -> None:
    spec = LowRes()
    assert (spec.mode, spec.native, spec.upsampled) == ("area", True, False)
    assert (spec.sizes, spec.size_range, spec.size_share, spec.sizes_from) == ((), None, None, None)


def test_as_the_issue_of_a_recipe_writes_it() -> None:
    given = {"mode": "askd", "sizes": (14, 28, 56), "native": True, "upsampled": True}
    spec = LowRes.model_validate(given, strict=True)
    assert spec.sizes == (14, 28, 56) and spec.upsampled


@pytest.mark.parametrize("mode", get_args(Mode))
def test_every_mode_knows_its_largest(mode: Mode) -> None:
    expected = {"askd": 56, "fskd": 112, "adaface": 0, "area": 56, "realistic": 56}
    assert LowRes(mode=mode).largest == expected[mode]


@pytest.mark.parametrize(
    ("given", "largest"),
    [
        ({"sizes": (24,)}, 24),
        ({"size_range": (14, 40)}, 40),
        ({"size_share": (0.1, 0.5)}, 0),
        ({"sizes_from": "tinyface"}, 0),
        ({"sizes_from": "tinyface", "mode": "fskd"}, 0),
    ],
)
def test_largest_is_what_the_recipe_says(given: dict[str, Any], largest: int) -> None:
    assert LowRes(**given).largest == largest


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"native": False}, "native picture, the upsampled one"),
        ({"sizes": (14,), "size_range": (14, 28)}, "give one of"),
        ({"sizes_from": "x", "size_share": (0.1, 1.0)}, "give one of"),
        ({"size_range": (28, 14)}, "size_range is the smallest"),
        ({"size_share": (0.9, 0.2)}, "size_share is the smallest"),
        ({"sizes": (2,)}, "greater than or equal to 4"),
        ({"size_share": (0.0, 1.0)}, "greater than 0"),
        ({"mode": "blurry"}, "askd"),
        ({"size": 24}, "did you mean 'sizes'"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LowRes.model_validate(wrong, strict=True)


def test_upsampled_alone_will_do() -> None:
    assert LowRes(native=False, upsampled=True).upsampled
