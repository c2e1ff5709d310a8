"""Presets of A-SKD: the published training, and a schedule for each of its two networks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from faceloom.models.askd.preset import ASKD, AskdPreset
from faceloom.models.presets import JOBS, default_preset, preset_from_values, preset_values

BY_NAME: dict[str, Any] = {preset.name: preset for preset in ASKD.presets}


def test_the_published_training() -> None:
    paper = BY_NAME["paper"]
    assert (paper.epochs, paper.teacher_epochs, paper.batch, paper.learning_rate) == (40, 20, 128, 0.1)
    assert (paper.depths, paper.width, paper.features, paper.dropout) == ((3, 4, 14, 3), 64, 512, 0.4)
    assert (paper.scale, paper.margin, paper.attention_weight) == (32, 0.5, 5)
    assert (paper.momentum, paper.decay, paper.sizes, paper.flip) == (0.9, 5e-4, (14, 28, 56), True)
    assert paper.choice == "last epoch"


def test_each_network_has_its_own_schedule() -> None:
    rates = [BY_NAME["paper"].rate(epoch) for epoch in range(1, 41)]
    assert rates[:20] == rates[20:]
    # Epochs 5, 10, 14 and 16, counted from 0.
    changes = [number for number in range(1, 20) if rates[number] != rates[number - 1]]
    assert changes == [5, 10, 14, 16]
    assert (rates[0], rates[19]) == (pytest.approx(0.1), pytest.approx(1e-5))
    small = [BY_NAME["small"].rate(epoch) for epoch in range(1, BY_NAME["small"].epochs + 1)]
    half = BY_NAME["small"].teacher_epochs
    assert small[0] == small[half] == pytest.approx(0.1) and small[half - 1] == pytest.approx(0.001)


def test_the_job_is_listed_and_its_presets_come_back_from_cards() -> None:
    assert JOBS["askd"] is ASKD and default_preset("askd") == "small"
    for preset in ASKD.presets:
        assert preset_from_values(preset_values(preset), job="askd") == preset
    assert set(AskdPreset.unstated) <= {one.name for one in fields(AskdPreset)}
