"""Training runs: a folder that is whole at any time, the same result after a kill, and refusals before any work."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

from faceloom.models import losses as losses_module  # noqa: E402
from faceloom.models import training  # noqa: E402
from faceloom.models.checkpoint import BEST, CARD, LAST, RESUME, read_card, read_weights, write_card  # noqa: E402
from faceloom.models.curve import CURVE, TABLE  # noqa: E402
from faceloom.models.predict import MaskPredictor  # noqa: E402
from faceloom.models.presets import PRESETS  # noqa: E402
from faceloom.pipelines.training import train as running  # noqa: E402
from faceloom.pipelines.training.train import Report, Wish, prepare, run_training  # noqa: E402
from faceloom.schemas.errors import CheckpointError, FaceloomError, StorageError, TrainingError  # noqa: E402

TINY = PRESETS["tiny-compact"]
THREADS = 1


class Stop(Exception):
    """What a test ends a run with, after any epoch."""


def run(data: Path, to: Path, *, stop: int = 0, **wishes: Any) -> Report:
    """Train, or stop as a kill would once `stop` epochs are over and saved."""

    def stopping(snapshot: Any) -> None:
        if stop and len(snapshot.losses) == stop:
            raise Stop

    wish = Wish(**{"data": str(data), "to": str(to), "preset": TINY, "device": "cpu", **wishes})
    if not stop:
        return run_training(prepare(wish), lambda done: None, lambda loss: None)
    keep = running._Keeper.__call__

    def kept(self: Any, snapshot: Any) -> None:
        keep(self, snapshot)
        stopping(snapshot)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(running._Keeper, "__call__", kept)
        run_training(prepare(wish), lambda done: None, lambda loss: None)
    return Report(read_card(to), 0, 0)


def weights_of(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (BEST, LAST)}


def losses_of(folder: Path) -> list[list[str]]:
    return [line.split(",")[:3] for line in (folder / TABLE).read_text().splitlines()]


@pytest.fixture(autouse=True, scope="module")
def no_pictures() -> Iterator[None]:
    """Drawing takes longer than training here; what is drawn has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "draw_curve", lambda folder, *rest: (folder / CURVE).touch())
        yield


@pytest.fixture(autouse=True, scope="module")
def threads() -> Iterator[None]:
    """The same number here and in processes of their own: it decides the order of sums, and so the last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(pairs_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(pairs_build, folder)
    return folder


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


def test_the_run_predicts(whole: Path, pairs_build: Path) -> None:
    from faceloom.pipelines.training.training_data import read_pairs

    faces = read_pairs(str(pairs_build), "test").face.permute(0, 2, 3, 1).numpy()
    got = MaskPredictor.load(whole).predict(faces, list(range(len(faces))))
    assert got.output.shape == faces.shape and 0 < (got.alpha > 0).mean() < 1


def test_the_same_wish_gives_the_same_weights_and_another_seed_others(
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
from faceloom.models import training
from faceloom.models.presets import PRESETS
from faceloom.pipelines.training.train import Wish, prepare, run_training
torch.set_num_threads({THREADS})
count = 0
real = training.loss_of
def counted(*args, **kwargs):
    global count
    count += 1
    if os.path.exists({str(folder / CARD)!r}) and '"epochs_done": 2' in open({str(folder / CARD)!r}).read():
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
training.loss_of = counted
wish = Wish({str(pairs_build)!r}, {str(folder)!r}, PRESETS["tiny-compact"], device="cpu")
run_training(prepare(wish), lambda done: None, lambda loss: None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (folder / f"{LAST}.partial-99").write_bytes(b"half")  # as a kill while writing leaves it
    assert run(pairs_build, folder).resumed == 2
    assert weights_of(folder) == weights_of(whole)
    assert not list(folder.glob("*.partial-*"))


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


def test_other_settings_are_refused_by_name(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    for wishes, said in (
        ({"seed": 3}, "seed 0, now 3"),
        ({"preset": dataclasses.replace(TINY, batch=3)}, "batch 4, now 3"),
        ({"preset": dataclasses.replace(TINY, epochs=9)}, "epochs 4, now 9"),  # the learning rate hangs on them
        ({"preset": PRESETS["tiny-paper"]}, r"got preset tiny-compact, now tiny-paper\)"),
    ):
        if wishes.get("preset") and wishes["preset"].epochs == 9:
            wishes["preset"] = dataclasses.replace(wishes["preset"], schedule="cosine")
            said = "schedule constant, now cosine"
        with pytest.raises(TrainingError, match=said):
            prepare(Wish(str(pairs_build), str(whole), device="cpu", **{"preset": TINY, **wishes}))


def test_a_finished_run_takes_no_more_epochs(whole: Path, pairs_build: Path) -> None:
    more = dataclasses.replace(TINY, epochs=6)
    with pytest.raises(TrainingError, match=r"finished, after fewer epochs \(got 4\).*--from"):
        prepare(Wish(str(pairs_build), str(whole), more, device="cpu"))


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


def test_a_parent_that_does_not_fit_is_refused(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    def ask(**wishes: Any) -> None:
        prepare(
            Wish(**{"data": str(pairs_build), "to": str(tmp_path / "x"), "preset": TINY, "device": "cpu", **wishes})
        )

    with pytest.raises(TrainingError, match=r"is no `tiny-paper` \(got tiny-compact\). Give --preset tiny-compact"):
        ask(preset=PRESETS["tiny-paper"], parent=whole)
    with pytest.raises(CheckpointError, match="no such folder"):
        ask(parent=tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="cannot start from itself"):
        ask(to=str(whole), parent=whole)
    other = tmp_path / "other"
    run(pairs_build, other)
    write_card(other, read_card(other).model_copy(update={"size": 32}))
    with pytest.raises(TrainingError, match="takes crops of 32 pixels"):
        ask(parent=other)
    (other / BEST).write_bytes(b"")
    write_card(other, read_card(other).model_copy(update={"size": 16}))
    with pytest.raises(CheckpointError, match="is damaged"):
        ask(parent=other)


def test_somebody_elses_folder_is_refused(pairs_build: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(TrainingError, match=r"not of a training run \(got thesis.tex\)"):
        prepare(Wish(str(pairs_build), str(tmp_path), TINY, device="cpu"))
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        prepare(Wish(str(pairs_build), str(tmp_path / "thesis.tex"), TINY, device="cpu"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_that_was_evaluated_goes_on(pairs_build: Path, tmp_path: Path) -> None:
    report = tmp_path / "evaluation" / "metrics.md"
    report.parent.mkdir()
    report.write_text("kept")
    prepare(Wish(str(pairs_build), str(tmp_path), TINY, device="cpu"))
    assert report.read_text() == "kept"


def test_two_runs_do_not_share_a_folder(pairs_build: Path, tmp_path: Path) -> None:
    from faceloom.pipelines.store.storage import Storage

    with Storage(str(tmp_path / "run")).exclusive(), pytest.raises(StorageError, match="another"):
        run(pairs_build, tmp_path / "run")


def test_absent_cuda_is_refused_before_the_data_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="CUDA was asked for, but is absent"):
        prepare(Wish(str(tmp_path / "nothing"), str(tmp_path / "run"), TINY, device="cuda"))
    assert not (tmp_path / "run").exists()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FaceloomError, match=r"got torch.*pip install 'faceloom\[torch\]'"):
        prepare(Wish(str(tmp_path), str(tmp_path / "run"), TINY))


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(
    pairs_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    run(pairs_build, folder, stop=2)
    before = weights_of(folder)
    monkeypatch.setattr(training, "loss_of", lambda *args: losses_module.loss_of(*args) * math.nan)
    with pytest.raises(TrainingError, match="epoch 3, step 1: the loss is no longer a finite number"):
        run(pairs_build, folder)
    assert weights_of(folder) == before
    MaskPredictor.load(folder)


def test_a_state_that_cannot_be_read_says_how_to_start_over(pairs_build: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(pairs_build, folder, stop=1)
    (folder / RESUME).write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"resume.safetensors: the weights cannot be read"):
        run(pairs_build, folder)
    (folder / RESUME).write_bytes((folder / LAST).read_bytes())
    with pytest.raises(CheckpointError, match=r"cannot be resumed from.*--no-resume"):
        run(pairs_build, folder)
    assert run(pairs_build, folder, resume=False).card.finished


def test_no_path_of_this_machine_is_in_the_card(whole: Path, pairs_build: Path) -> None:
    text = (whole / CARD).read_text()
    assert str(pairs_build.parent) not in text and str(whole.parent) not in text
    assert json.loads(text)["finished"] is True
