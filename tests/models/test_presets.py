"""Presets: what the publication states stays as it states it, and a card gives the preset back."""

from __future__ import annotations

import dataclasses
import json

import pytest

from faceloom.models.presets import PRESETS, CompactPreset, PaperPreset, preset_from_values, preset_values
from faceloom.schemas.errors import CheckpointError


def test_the_paper_preset_is_what_the_paper_states() -> None:
    paper = PRESETS["paper"]
    assert isinstance(paper, PaperPreset)
    assert (paper.size, paper.maps, paper.hidden, paper.epochs) == (64, 16, 2500, 160)
    assert paper.choice == "last epoch" and PRESETS["compact"].choice == "smallest held-out loss"


def test_what_the_paper_does_not_state_is_listed_and_exists() -> None:
    names = {field.name for field in dataclasses.fields(PaperPreset)}
    assert {"batch", "learning_rate", "output_activation"} <= set(PaperPreset.unstated) <= names
    assert not {"size", "epochs", "maps", "hidden", "name"} & set(PaperPreset.unstated)


def test_our_network_repeats_nothing_of_a_paper() -> None:
    assert CompactPreset.unstated == ()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_go_through_json(name: str) -> None:
    assert preset_from_values(json.loads(json.dumps(preset_values(PRESETS[name])))) == PRESETS[name]


def test_presets_are_found_by_their_own_name_and_cannot_be_changed() -> None:
    assert all(preset.name == name for name, preset in PRESETS.items())
    with pytest.raises(dataclasses.FrozenInstanceError):
        PRESETS["paper"].batch = 3  # type: ignore[misc]


def test_the_stride_follows_the_depth() -> None:
    compact = PRESETS["compact"]
    assert isinstance(compact, CompactPreset)
    for depth in range(1, 5):
        assert dataclasses.replace(compact, widths=(8,) * depth).stride == 2**depth


def test_values_of_no_preset_are_refused_by_name() -> None:
    values = preset_values(PRESETS["compact"])
    with pytest.raises(CheckpointError, match=r"fit no network.*wings"):
        preset_from_values({**values, "wings": 2})
    with pytest.raises(CheckpointError, match="train it again"):
        preset_from_values({"name": "compact"})
