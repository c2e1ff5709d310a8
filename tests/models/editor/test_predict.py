"""Painted faces: only under the mask and a pixel around it; sizes and other networks refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from faceloom.models.editor.predict import MaskEditor
from faceloom.schemas.errors import CheckpointError

FACE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
MASK = np.zeros((24, 24), bool)
MASK[12:20, 6:18] = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_editor: Any) -> Path:
    made: Path = write_editor(tmp_path_factory.mktemp("editor") / "run")
    return made


def test_pixels_outside_the_mask_are_the_photos_own(folder: Path) -> None:
    made, inside = MaskEditor.load(folder, device="cpu").edit(FACE, MASK)
    grown = np.zeros((24, 24), bool)
    grown[11:21, 5:19] = True
    assert np.array_equal(inside, grown), "the preset grows the map by a pixel"
    assert np.array_equal(made[~inside], FACE[~inside]) and (made[inside] != FACE[inside]).any()


def test_what_the_mask_hides_is_not_read(folder: Path) -> None:
    editor = MaskEditor.load(folder, device="cpu")
    other = np.where(MASK[..., None], np.uint8(7), FACE)
    assert np.array_equal(editor.edit(FACE, MASK)[0], editor.edit(other, MASK)[0])


def test_without_a_mask_nothing_changes(folder: Path) -> None:
    made, inside = MaskEditor.load(folder, device="cpu").edit(FACE, np.zeros_like(MASK))
    assert np.array_equal(made, FACE) and not inside.any()


def test_other_sizes_and_runs_are_refused(folder: Path, tiny_run: Path) -> None:
    with pytest.raises(CheckpointError, match=r"faces of 24x24 pixels \(got 8x8x3\)"):
        MaskEditor.load(folder, device="cpu").edit(FACE[:8, :8], MASK[:8, :8])
    with pytest.raises(CheckpointError, match=r"the network is no editor \(got autoencoder\)"):
        MaskEditor.load(tiny_run)


def test_a_network_without_numbers_is_an_error(folder: Path) -> None:
    import torch

    editor = MaskEditor.load(folder, device="cpu")
    with torch.no_grad():
        next(editor._network.parameters()).fill_(float("nan"))
    with pytest.raises(CheckpointError, match="not a finite number"):
        editor.edit(FACE, MASK)
