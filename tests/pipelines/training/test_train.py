"""Training runs: the same weights from the same request, also after a stop, a kill or a resume."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

from faceloom.models import losses as losses_module  # noqa: E402
from faceloom.models.checkpoint import BEST, CARD, LAST, RESUME, read_card  # noqa: E402
from faceloom.models.job import make_job  # noqa: E402
from faceloom.models.jobs import autoencoder  # noqa: E402
from faceloom.models.predict import MaskPredictor  # noqa: E402
from faceloom.pipelines.training.board import BOARD  # noqa: E402
from faceloom.schemas.errors import CheckpointError, StorageError, TrainingError  # noqa: E402
from tests.pipelines.training.runs import THREADS, TINY, losses_of, run, weights_of  # noqa: E402


def test_the_run_predicts(whole: Path, pairs_build: Path) -> None:
    from faceloom.pipelines.training.training_data import read_samples

    faces = (
        read_samples(str(pairs_build), "test", make_job("autoencoder", TINY))
        .members["face"]
        .permute(0, 2, 3, 1)
        .numpy()
    )
    got = MaskPredictor.load(whole).predict(faces, list(range(len(faces))))
    assert got.output.shape == faces.shape and 0 < (got.alpha > 0).mean() < 1


def test_the_same_request_gives_the_same_weights_and_another_seed_others(
    whole: Path, pairs_build: Path, tmp_path: Path
) -> None:
    run(pairs_build, tmp_path / "again")
    assert weights_of(tmp_path / "again") == weights_of(whole)
    run(pairs_build, tmp_path / "other", seed=1)
    assert weights_of(tmp_path / "other") != weights_of(whole)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    whole: Path, pairs_build: Path, tmp_path: Path, stop: int
) -> None:
    folder = tmp_path / "run"
    card = run(pairs_build, folder, stop=stop).card
    assert not card.finished and card.epochs_done == stop and (folder / RESUME).exists()
    MaskPredictor.load(folder)  # what is there is a checkpoint
    done = run(pairs_build, folder)
    assert done.resumed == stop
    assert weights_of(folder) == weights_of(whole) and losses_of(folder) == losses_of(whole)
    assert not (folder / RESUME).exists()


def test_a_killed_process_goes_on_to_the_same_weights(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    """A real SIGKILL, in the middle of an epoch: after the second one was saved."""
    folder = tmp_path / "run"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch
from faceloom.models.jobs import autoencoder
from faceloom.models.presets import PRESETS
from faceloom.pipelines.training.request import TrainingRequest, check_request
from faceloom.pipelines.training.train import run_training
torch.set_num_threads({THREADS})
count = 0
real = autoencoder.loss_of
def counted(*args, **kwargs):
    global count
    count += 1
    if os.path.exists({str(folder / CARD)!r}) and '"epochs_done": 2' in open({str(folder / CARD)!r}).read():
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
autoencoder.loss_of = counted
request = TrainingRequest({str(pairs_build)!r}, {str(folder)!r}, PRESETS["tiny-compact"], device="cpu")
run_training(check_request(request))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder / f"{LAST}.partial-99").write_bytes(b"half")  # as a kill while writing leaves it
    assert run(pairs_build, folder).resumed == 2
    assert weights_of(folder) == weights_of(whole)
    assert not list(folder.glob("*.partial-*"))


def test_a_finished_run_is_left_as_it_is(whole: Path, pairs_build: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir() if path.name != ".lock"}
    report = run(pairs_build, whole)
    assert report.resumed == 4 and report.card == read_card(whole)
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir() if path.name != ".lock"} == before


@pytest.mark.parametrize("name", [BEST, LAST])
def test_a_finished_run_whose_weights_are_damaged_is_not_called_finished(
    whole: Path, pairs_build: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    said = rf"{name}: is damaged .*sha256 differs\. Copy .*`faceloom train` with --no-"
    with pytest.raises(CheckpointError, match=said):
        run(pairs_build, folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}.*--no-resume"):
        run(pairs_build, folder)
    assert run(pairs_build, folder, resume=False).card.files == read_card(whole).files


def test_no_resume_starts_over(pairs_build: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(pairs_build, folder, seed=5)
    assert run(pairs_build, folder, seed=6, resume=False).resumed == 0
    assert read_card(folder).seed == 6


def test_further_training_names_its_parent_and_starts_from_it(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    report = run(pairs_build, tmp_path / "more", parent=whole)
    parent = report.card.parent
    assert parent is not None and parent.folder == "run"
    assert parent.weights == read_card(whole).files[BEST].sha256 and parent.data == read_card(whole).data
    assert weights_of(tmp_path / "more") != weights_of(whole)
    first = float(losses_of(tmp_path / "more")[1][1])
    assert first < float(losses_of(whole)[1][1]), "it knows something already"


def test_further_training_can_be_stopped_too(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    run(pairs_build, tmp_path / "a", parent=whole)
    run(pairs_build, tmp_path / "b", parent=whole, stop=2)
    run(pairs_build, tmp_path / "b", parent=whole)
    assert weights_of(tmp_path / "a") == weights_of(tmp_path / "b")


def test_two_runs_do_not_share_a_folder(pairs_build: Path, tmp_path: Path) -> None:
    from faceloom.pipelines.store.storage import Storage

    with Storage(str(tmp_path / "run")).exclusive(), pytest.raises(StorageError, match="another"):
        run(pairs_build, tmp_path / "run")


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(
    pairs_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    run(pairs_build, folder, stop=2)
    before = weights_of(folder)
    monkeypatch.setattr(autoencoder, "loss_of", lambda *args: losses_module.loss_of(*args) * math.nan)
    with pytest.raises(TrainingError, match="epoch 3, step 1: the loss is no longer a finite number"):
        run(pairs_build, folder)
    assert weights_of(folder) == before
    MaskPredictor.load(folder)


def test_losses_for_tensorboard_are_those_of_the_table_and_the_weights_stay(
    whole: Path, pairs_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    from faceloom.pipelines.training.board import Board
    from tests.pipelines.training.test_board import values

    closed: list[Board] = []
    close = Board.close

    def counted(board: Board) -> None:
        closed.append(board)
        close(board)

    monkeypatch.setattr(Board, "close", counted)
    run(pairs_build, tmp_path / "run", stop=2, tensorboard=True)
    assert len(closed) == 1, "also if the run is stopped"
    run(pairs_build, tmp_path / "run", tensorboard=True)
    assert weights_of(tmp_path / "run") == weights_of(whole)
    table = [(int(epoch), float(train)) for epoch, train, _ in losses_of(tmp_path / "run")[1:]]
    shown = values(tmp_path / "run")["loss/train"]
    assert len(shown) == len(table) and all(one == pytest.approx(row, rel=1e-4) for one, row in zip(shown, table))


def test_a_run_that_is_resumed_without_tensorboard_keeps_no_events_that_end_early(
    pairs_build: Path, tmp_path: Path
) -> None:
    events = tmp_path / "run" / BOARD / "events.out.tfevents.1"
    run(pairs_build, tmp_path / "run", stop=2)
    events.parent.mkdir()
    events.write_bytes(b"of two epochs")
    run(pairs_build, tmp_path / "run")
    assert not events.exists()
    events.write_bytes(b"of all epochs")
    run(pairs_build, tmp_path / "run")
    assert events.exists(), "a finished run stays as it is"
