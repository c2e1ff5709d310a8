"""Presets of Anti-Mask: the published training, and a schedule for each of its two networks."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from faceloom.models.antimask.preset import ANTIMASK, AntimaskPreset
from faceloom.models.presets import JOBS, default_preset, preset_from_values, preset_values

BY_NAME: dict[str, Any] = {preset.name: preset for preset in ANTIMASK.presets}


def test_the_published_training() -> None:
    paper = BY_NAME["paper"]
    assert (paper.epochs, paper.decoder_epochs, paper.learning_rate) == (130, 100, 1e-4)
    assert (paper.hidden, paper.landmark_weight, paper.picture_weight) == (1000, 10, 100)
    assert {paper.rate(epoch) for epoch in range(1, 131)} == {1e-4}


def test_each_network_has_its_own_schedule() -> None:
    preset = replace(BY_NAME["small"], epochs=14, decoder_epochs=10)
    rates = [preset.rate(epoch) for epoch in range(1, 15)]
    assert rates[0] == rates[10] == pytest.approx(1e-3)
    assert rates[9] == rates[13] == pytest.approx(1e-5)


def test_the_job_is_listed_and_its_presets_come_back_from_cards() -> None:
    assert JOBS["antimask"] is ANTIMASK and default_preset("antimask") == "small"
    for preset in ANTIMASK.presets:
        assert preset_from_values(preset_values(preset), job="antimask") == preset
    assert set(AntimaskPreset.unstated) <= {one.name for one in fields(AntimaskPreset)}
