"""Found masks: same bits whatever the grouping, cleaned up, sizes and other networks refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from faceloom.models.checkpoint import load_network, read_card
from faceloom.models.detector.predict import MaskDetector, cleaned
from faceloom.models.presets import presets_of
from faceloom.schemas.errors import CheckpointError

FACES = np.random.default_rng(0).integers(0, 256, (19, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny: SimpleNamespace) -> Path:
    made: Path = tiny.make_run(tmp_path_factory.mktemp("det") / "run", presets_of("detector")["tiny"], job="detector")
    return made


def test_bits_do_not_depend_on_the_grouping(folder: Path) -> None:
    detector = MaskDetector.load(folder)
    whole = detector.probabilities(FACES)
    assert whole.shape == (19, 16, 16) and whole.min() >= 0 and whole.max() <= 1
    parts = [detector.probabilities(FACES[cut]) for cut in (slice(0, 5), slice(5, 19))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert detector.find(FACES).dtype == bool and detector.find(FACES[:0]).shape == (0, 16, 16)


def test_faces_of_another_size_are_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"faces of 16x16 pixels \(got 8x8x3\)"):
        MaskDetector.load(folder).probabilities(FACES[:, :8, :8])


def test_the_run_of_another_job_is_refused_by_name(folder: Path, tmp_path: Path, tiny: SimpleNamespace) -> None:
    other = tiny.make_run(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"the network is no detector \(got autoencoder\).*train detector"):
        MaskDetector.load(other)
    with pytest.raises(CheckpointError, match=r"the network is no autoencoder \(got detector\)"):
        load_network(folder)
    assert read_card(folder).what == "a network of faceloom"


def test_specks_and_holes_go_and_the_rest_is_widened_by_a_pixel() -> None:
    found = np.zeros((40, 40), bool)
    found[10:30, 10:30] = True
    found[18:20, 18:20] = False
    found[2, 2] = True
    expected = np.zeros((40, 40), bool)
    expected[9:31, 10:30] = expected[10:30, 9:31] = True
    assert np.array_equal(cleaned(found, 3), expected)
    found[2:38, 2:38] = True
    found[18:30, 18:30] = False
    assert not cleaned(found, 1)[18:30, 18:30].any(), "a large hole stays"
    found[:] = True
    found[:3, :3] = found[37:, 20:23] = False
    assert np.array_equal(cleaned(found, 1), found), "background at the border is no hole"
    assert not cleaned(np.zeros((8, 8), bool), 3).any() and cleaned(np.ones((8, 8), bool), 3).all()
