"""A training run from the command line's wishes to a folder: checks first, then pairs, epochs, files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.models.checkpoint import (
    BEST,
    CARD,
    LAST,
    RESUME,
    check_weights,
    read_card,
    read_weights,
    write_card,
    write_weights,
)
from faceloom.models.curve import CURVE, TABLE, draw_curve, write_table
from faceloom.models.devices import device_text, find_device
from faceloom.models.presets import CompactPreset, PaperPreset, preset_values
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.training_data import TrainingData, build_digest, fit_preset, open_pairs
from faceloom.schemas.errors import CheckpointError, FaceloomError, TrainingError
from faceloom.schemas.model_card import FileCard, ModelCard, ParentCard

if TYPE_CHECKING:
    from faceloom.models.training import EpochLoss, Snapshot

REPORT = "evaluation"
"""Where `faceloom evaluate` puts its report, if nobody says otherwise; it stays there whatever becomes of the run."""
OURS = (CARD, BEST, LAST, RESUME, TABLE, CURVE, ".lock")
"""Files that a run's folder may hold."""
_FREE = ("save_every", "epochs")
"""Hyper-parameters that may differ when a run is resumed; epochs only while the learning rate does not hang on them."""


@dataclass(frozen=True)
class Wish:
    """What a user asks for.

    Attributes:
        data: folder of a finished build.
        to: folder of the run; made if it is not there.
        preset: with the user's own choices put in.
        seed: of everything drawn at random.
        device: `auto`, `cpu` or `cuda`.
        parent: a run whose best weights to start from.
        workers: processes that read the pairs.
        resume: go on where the run in `to` stopped; otherwise its files are deleted first.
    """

    data: str
    to: str
    preset: PaperPreset | CompactPreset
    seed: int = 0
    device: str = "auto"
    parent: Path | None = None
    workers: int = 0
    resume: bool = True


@dataclass(frozen=True)
class Ready:
    """A wish that has passed all checks, with its device found and its preset fitted to the data."""

    wish: Wish
    device: str
    parent: ParentCard | None


@dataclass(frozen=True)
class Report:
    """What a run came to: its card, after how many epochs it was resumed, and the seconds that this took."""

    card: ModelCard
    resumed: int
    seconds: float


def prepare(wish: Wish) -> Ready:
    """Check all that can be wrong before any work.

    Raises:
        FaceloomError: a package is missing, the device is absent, the build does not fit, the parent is no checkpoint
            of the same preset, or the folder holds another run or somebody else's files.
    """
    for package in ("torch", "webdataset", "safetensors", "matplotlib"):
        _check_installed(package)
    device = find_device(wish.device)
    wish = replace(wish, preset=fit_preset(wish.data, wish.preset))
    ready = Ready(wish, device, _parent_card(wish))
    _check_folder(ready)
    return ready


def run_training(ready: Ready, on_start: Callable[[int], None], on_epoch: Callable[[EpochLoss], None]) -> Report:
    """Train, and keep the folder up to date every `save_every` epochs. A finished run is checked and left as it is.

    Args:
        ready: from `prepare`.
        on_start: told after how many epochs training goes on, once the pairs are read.
        on_epoch: told of each epoch.

    Raises:
        FaceloomError: the data cannot be read, the folder not written, or the loss is no longer a number; or the
            weights of a finished run are not those of its card.
    """
    from faceloom.models.training import train

    begin, wish = time.monotonic(), ready.wish
    folder = Path(wish.to)
    with Storage(wish.to).exclusive():
        _clear(folder, everything=not wish.resume)
        if (folder / CARD).exists():
            card = read_card(folder)
            if card.finished and card.epochs_done >= wish.preset.epochs:
                for name in card.files:
                    check_weights(folder, card, name)
                return Report(card, card.epochs_done, time.monotonic() - begin)
        data = open_pairs(wish.data, wish.preset, seed=wish.seed, workers=wish.workers)
        resume = read_resume(folder) if (folder / CARD).exists() else None
        weights = None
        if wish.parent is not None and resume is None:
            weights, _ = read_weights(wish.parent / BEST)
        keep = _Keeper(folder, ready, data, {})
        done = len(resume.losses) if resume else 0
        on_start(done)

        def after(snapshot: Snapshot) -> None:
            on_epoch(snapshot.losses[-1])
            keep(snapshot)

        batch = wish.preset.batch
        train(
            wish.preset,
            partial(data.train.epoch, batch, ready.device, wish.seed),
            partial(data.held_out.batches, batch, ready.device),
            seed=wish.seed,
            device=ready.device,
            resume=resume,
            weights=weights,
            on_epoch=after,
        )
        _clear(folder)
        return Report(read_card(folder), done, time.monotonic() - begin)


@dataclass(frozen=True)
class _Keeper:
    """Writes the files of a run after an epoch, the card last."""

    folder: Path
    ready: Ready
    data: TrainingData
    best: dict[int, FileCard]
    """The best weights that were written last, by their epoch. Those of a run that was killed are written again."""

    def __call__(self, snapshot: Snapshot) -> None:
        preset, epoch = self.ready.wish.preset, snapshot.losses[-1].epoch
        if epoch % preset.save_every and epoch < preset.epochs:
            return
        if snapshot.best_epoch not in self.best:
            self.best.clear()
            card = write_weights(self.folder / BEST, snapshot.best, {"epoch": snapshot.best_epoch})
            self.best[snapshot.best_epoch] = card
        files = {BEST: self.best[snapshot.best_epoch]}
        finished = epoch >= preset.epochs
        if not finished:
            write_resume(self.folder, snapshot)
        files[LAST] = write_weights(self.folder / LAST, snapshot.network, {"epoch": epoch})
        write_table(self.folder, snapshot.losses)
        title = f"{preset.name}: {self.data.card.train} pairs, {self.data.card.held_out} held out"
        draw_curve(self.folder, snapshot.losses, snapshot.best_epoch, title)
        write_card(self.folder, _card(self.ready, self.data, snapshot, files))


def write_resume(folder: Path, snapshot: Snapshot) -> None:
    """Write what resuming needs beside the best weights: the network, Adam's moments, and the losses so far."""
    tensors = {f"network/{name}": tensor for name, tensor in snapshot.network.items()}
    tensors |= {f"optimiser/{name}": tensor for name, tensor in snapshot.optimiser.items()}
    losses = [[loss.epoch, loss.train, loss.held_out, loss.seconds] for loss in snapshot.losses]
    write_weights(folder / RESUME, tensors, {"losses": losses, "best_epoch": snapshot.best_epoch})


def read_resume(folder: Path) -> Snapshot:
    """Read what `write_resume` wrote, and the best weights.

    These may be of a later epoch, if a kill came between the two files; training finds the same ones again.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    from faceloom.models.training import EpochLoss, Snapshot

    tensors, note = read_weights(folder / RESUME)
    best, _ = read_weights(folder / BEST)
    try:
        losses = tuple(EpochLoss(int(epoch), *map(float, rest)) for epoch, *rest in note["losses"])
        best_epoch = int(note["best_epoch"])
    except (KeyError, TypeError, ValueError) as error:
        where, remedy = str(folder / RESUME), "Start over with --no-resume"
        raise CheckpointError("cannot be resumed from", where=where, value=error, remedy=remedy) from None
    parts: dict[str, dict[str, Any]] = {"network": {}, "optimiser": {}}
    for name, tensor in tensors.items():
        part, _, rest_of_name = name.partition("/")
        parts.setdefault(part, {})[rest_of_name] = tensor
    copies = {name: tensor.clone() for name, tensor in best.items()}  # the file is replaced while they are in use
    return Snapshot(losses, parts["network"], parts["optimiser"], copies, best_epoch)


def _card(ready: Ready, data: TrainingData, snapshot: Snapshot, files: dict[str, FileCard]) -> ModelCard:
    from importlib.metadata import version

    import torch

    wish, losses = ready.wish, snapshot.losses
    best = next(loss for loss in losses if loss.epoch == snapshot.best_epoch)
    trained = {name for name in snapshot.network if f"{name}/step" in snapshot.optimiser}
    metrics = {
        "best_epoch": float(best.epoch),
        "best_held_out_loss": best.held_out,
        "best_train_loss": best.train,
        "last_held_out_loss": losses[-1].held_out,
        "last_train_loss": losses[-1].train,
        "seconds_per_epoch": round(sum(loss.seconds for loss in losses) / len(losses), 3),
    }
    return ModelCard(
        preset=wish.preset.name,
        size=wish.preset.size,
        parameters=sum(snapshot.network[name].numel() for name in trained),
        hyper_parameters=preset_values(wish.preset),
        unstated_in_paper=type(wish.preset).unstated,
        seed=wish.seed,
        epochs_done=losses[-1].epoch,
        finished=losses[-1].epoch >= wish.preset.epochs,
        chosen=wish.preset.choice,
        metrics=metrics,
        device=device_text(ready.device),
        precision="bfloat16 products" if ready.device == "cuda" else "float32",
        code=version("faceloom"),
        torch=torch.__version__,
        data=data.card,
        parent=ready.parent,
        files=files,
    )


def _parent_card(wish: Wish) -> ParentCard | None:
    if wish.parent is None:
        return None
    if wish.parent.resolve() == Path(wish.to).resolve():
        remedy = "Choose a new folder for --to; to go on with a stopped run, leave out --from"
        raise TrainingError("a run cannot start from itself", where="--from", value=wish.parent, remedy=remedy)
    card = read_card(wish.parent)
    if card.preset != wish.preset.name:
        remedy = f"Give --preset {card.preset}, or another run"
        what = f"the run to start from is no `{wish.preset.name}`"
        raise TrainingError(what, where=str(wish.parent), value=card.preset, remedy=remedy)
    if card.size != wish.preset.size:
        remedy = f"Build pairs of {card.size}x{card.size} pixels, or start without --from"
        what = f"the run to start from takes crops of {card.size} pixels, the build has others"
        raise TrainingError(what, where=str(wish.parent), value=wish.preset.size, remedy=remedy)
    check_weights(wish.parent, card, BEST)
    return ParentCard(folder=wish.parent.resolve().name, weights=card.files[BEST].sha256, data=card.data)


def _check_folder(ready: Ready) -> None:
    """Refuse somebody else's folder, and another run's unless it is to be replaced."""
    wish, folder = ready.wish, Path(ready.wish.to)
    Storage(wish.to).check_folder()
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in there if name not in (*OURS, REPORT) and ".partial-" not in name]
    if foreign:
        remedy = "Choose a new or an empty folder"
        what = "the folder holds files that are not of a training run"
        raise TrainingError(what, where=wish.to, value=", ".join(foreign[:3]), remedy=remedy)
    if not wish.resume or CARD not in there:
        return
    card = read_card(folder)
    before, now = _settings(card), _settings_of(ready)
    changed = [f"{name} {before.get(name)}, now {now.get(name)}" for name in now if before.get(name) != now.get(name)]
    if before["name"] != now["name"]:  # all else that differs follows from that
        changed = [f"preset {before['name']}, now {now['name']}"]
    if changed:
        remedy = "Choose another folder, give the same settings, or start over with --no-resume"
        what = "the folder holds a run with other settings"
        raise TrainingError(what, where=wish.to, value="; ".join(changed), remedy=remedy)
    if card.finished and card.epochs_done < wish.preset.epochs:
        remedy = f"Go on with --from {wish.to} into a new folder, or start over with --no-resume"
        raise TrainingError(
            "the run is finished, after fewer epochs", where=wish.to, value=card.epochs_done, remedy=remedy
        )


def _settings(card: ModelCard) -> dict[str, Any]:
    """What must be the same for a run to be resumed."""
    hyper = dict(card.hyper_parameters)
    free = _FREE if hyper.get("schedule") == "constant" else _FREE[:1]
    kept = {name: value for name, value in hyper.items() if name not in free}
    parent = card.parent.weights if card.parent else None
    computed = card.device.partition(":")[0]
    return {**kept, "seed": card.seed, "data": card.data.digest, "parent": parent, "device": computed}


def _settings_of(ready: Ready) -> dict[str, Any]:
    wish = ready.wish
    hyper = json.loads(json.dumps(preset_values(wish.preset)))
    free = _FREE if wish.preset.schedule == "constant" else _FREE[:1]
    kept = {name: value for name, value in hyper.items() if name not in free}
    parent = ready.parent.weights if ready.parent else None
    data = build_digest(Storage(wish.data))
    return {**kept, "seed": wish.seed, "data": data, "parent": parent, "device": ready.device}


def _clear(folder: Path, *, everything: bool = False) -> None:
    """Delete what a killed run left half written and, if it is finished, what resuming needed; or the whole run."""
    for path in folder.glob("*.partial-*"):
        path.unlink(missing_ok=True)
    if everything:
        for name in OURS[:-1]:  # the card first: without it the rest is no checkpoint
            (folder / name).unlink(missing_ok=True)
    elif (folder / CARD).exists() and read_card(folder).finished:
        (folder / RESUME).unlink(missing_ok=True)


def _check_installed(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise FaceloomError("training needs a package", value=package, remedy="Run: pip install 'faceloom[torch]'")
