"""Presets of the detector: what the publication states, and limits of a card's values."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from faceloom.models.detector.preset import DETECTOR, DetectorPreset
from faceloom.models.presets import preset_from_values, preset_values, presets_of
from faceloom.schemas.errors import CheckpointError


def test_what_the_paper_does_not_state_is_listed_and_exists() -> None:
    names = {field.name for field in fields(DetectorPreset)}
    assert {"bare", "learning_rate"} <= set(DetectorPreset.unstated) <= names - {"size", "epochs", "batch", "widths"}


def test_values_go_through_a_card_and_the_size_fits_all_levels() -> None:
    for preset in DETECTOR.presets:
        assert preset_from_values(preset_values(preset), job="detector") == preset
    small = presets_of("detector")["small"]
    assert small.stride == 16 and presets_of("detector")["paper"].stride == 16
    with pytest.raises(CheckpointError, match="form no network"):
        preset_from_values(preset_values(replace(small, size=168)), job="detector")
