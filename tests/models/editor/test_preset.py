"""The editor's presets: published values, and what the paper leaves open."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from faceloom.models.editor.preset import EDITOR, EditorPreset
from faceloom.models.presets import JOBS, default_preset, preset_from_values, preset_values

BY_NAME: dict[str, Any] = {preset.name: preset for preset in EDITOR.presets}


def test_the_published_training() -> None:
    paper = BY_NAME["paper"]
    assert (paper.size, paper.batch, paper.epochs, paper.learning_rate, paper.width) == (160, 16, 192, 1e-3, 64)
    assert paper.refine and not paper.squeeze_after and not paper.region_from
    assert (paper.rec_weight, paper.ssim_share) == (100, 0.5)


def test_din_2020_adds_two_things() -> None:
    paper, din = BY_NAME["paper"], BY_NAME["din2020"]
    others = {one.name for one in fields(din) if getattr(din, one.name) != getattr(paper, one.name)}
    assert others == {"name", "squeeze_after", "region_from"} and len(din.squeeze_after) == 3


def test_the_job_is_listed_and_its_presets_come_back_from_cards() -> None:
    assert JOBS["editor"] is EDITOR and default_preset("editor") == "small"
    for preset in EDITOR.presets:
        assert preset_from_values(preset_values(preset), job="editor") == preset
    assert set(EditorPreset.unstated) <= {one.name for one in fields(EditorPreset)}
