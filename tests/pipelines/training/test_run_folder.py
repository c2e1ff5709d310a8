"""The folder of a run: its files, a true card, and a valid checkpoint after a kill at any time."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

from faceloom.models.checkpoint import BEST, CARD, LAST, RESUME, read_card, write_card  # noqa: E402
from faceloom.models.curve import CURVE, TABLE  # noqa: E402
from faceloom.models.predict import MaskPredictor  # noqa: E402
from faceloom.models.weights_file import read_weights  # noqa: E402
from faceloom.schemas.errors import CheckpointError  # noqa: E402
from tests.pipelines.training.runs import TINY, losses_of, run, weights_of  # noqa: E402


def test_a_run_leaves_its_files_and_a_card_that_is_true(whole: Path, pairs_build: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names == {CARD, BEST, LAST, TABLE, CURVE, ".lock"}
    card = read_card(whole)
    assert card.finished and card.epochs_done == 4 and card.preset == "tiny-compact" and card.size == 16
    assert card.hyper_parameters["batch"] == TINY.batch and card.seed == 0 and card.parent is None
    assert card.device.startswith("cpu: ") and card.torch == torch.__version__ and card.precision == "float32"
    assert card.data.digest == hashlib.sha256((pairs_build / "build.json").read_bytes()).hexdigest()
    for name, file in card.files.items():
        data = (whole / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)
    table = losses_of(whole)
    assert table[0] == ["epoch", "train", "held_out"] and len(table) == 5
    best = min(table[1:], key=lambda row: float(row[2]))
    assert card.metrics["best_epoch"] == float(best[0]) and card.metrics["best_held_out_loss"] == float(best[2])
    assert read_weights(whole / BEST)[1] == {"epoch": int(best[0])}
    assert card.parameters == sum(parameter.numel() for parameter in MaskPredictor.load(whole)._network.parameters())


def test_a_kill_between_two_files_does_no_harm(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    """The newest best weights and state, the card of an epoch before: resumed, and the card made true."""
    folder = tmp_path / "run"
    run(pairs_build, folder, stop=1)
    old = read_card(folder)
    run(pairs_build, folder, stop=2)
    write_card(folder, old)
    assert run(pairs_build, folder).resumed == 2
    assert weights_of(folder) == weights_of(whole)
    MaskPredictor.load(folder)


def test_states_are_saved_as_often_as_asked_and_at_the_end(pairs_build: Path, tmp_path: Path, whole: Path) -> None:
    seldom = dataclasses.replace(TINY, save_every=3)
    folder = tmp_path / "run"
    assert run(pairs_build, folder, stop=3, preset=seldom).card.epochs_done == 3
    run(pairs_build, folder, preset=seldom)
    assert weights_of(folder) == weights_of(whole)
    assert run(pairs_build, folder).resumed == 4, "how often is no part of what a run is"


def test_a_state_that_cannot_be_read_says_how_to_start_over(pairs_build: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(pairs_build, folder, stop=1)
    (folder / RESUME).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"resume.safetensors: the weights cannot be read"):
        run(pairs_build, folder)
    (folder / RESUME).write_bytes((folder / LAST).read_bytes())
    with pytest.raises(CheckpointError, match=r"do not fit the network .got unknown tensor"):
        run(pairs_build, folder)
    assert run(pairs_build, folder, resume=False).card.finished


def test_no_path_of_this_machine_is_in_the_card(whole: Path, pairs_build: Path) -> None:
    text = (whole / CARD).read_text()
    assert str(pairs_build.parent) not in text and str(whole.parent) not in text
    assert json.loads(text)["finished"] is True
