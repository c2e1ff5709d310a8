"""The folder of a training run: its files, writing them after an epoch, and reading them to resume."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.models.checkpoint import BEST, CARD, LAST, RESUME, WHATS, read_card, write_card, write_weights
from faceloom.models.curve import CURVE, TABLE, draw_curve, write_table
from faceloom.models.devices import device_text
from faceloom.models.preset import Preset
from faceloom.models.presets import preset_values
from faceloom.models.weights_file import check_tensors, read_weights
from faceloom.pipelines.store.paths import LOCK
from faceloom.pipelines.training.board import BOARD, remove_events
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import CheckpointError
from faceloom.schemas.model_card import DataCard, FileCard, ModelCard, ParentCard

if TYPE_CHECKING:
    from torch import Tensor

    from faceloom.models.job import Job
    from faceloom.models.training import EpochLoss, Snapshot

REPORT = "evaluation"
"""Default folder of the report of `faceloom evaluate`. Training does not change it."""
OURS = (CARD, BEST, LAST, RESUME, TABLE, CURVE, LOCK)
"""Files that a training run writes."""


def is_ours(name: str) -> bool:
    """Whether a run folder may hold a file or folder of this name."""
    return name in (*OURS, REPORT, BOARD) or ".partial-" in name


class RunFolder:
    """Writes the files of a run after an epoch, the card last, so that a kill at any time leaves a valid checkpoint."""

    def __init__(
        self,
        folder: Path,
        job: str,
        preset: Preset,
        *,
        seed: int,
        device: str,
        data: DataCard,
        parent: ParentCard | None = None,
        uses: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._job, self._preset, self._seed, self._device = folder, job, preset, seed, device
        self._data, self._parent, self._uses = data, parent, dict(uses or {})
        # Epoch of the best weights on disk; those of a killed run are written again.
        self._best: dict[int, FileCard] = {}

    def save(self, snapshot: Snapshot) -> None:
        """Write all files if the epoch is a multiple of `save_every`, or the last one.

        Raises:
            CheckpointError: a file cannot be written.
        """
        from faceloom.models.job import make_job

        preset, epoch = self._preset, snapshot.losses[-1].epoch
        if epoch % preset.save_every and epoch < preset.epochs:
            return
        if snapshot.best_epoch not in self._best:
            card = write_weights(self._folder / BEST, snapshot.best, {"epoch": snapshot.best_epoch})
            self._best = {snapshot.best_epoch: card}
        files = {BEST: self._best[snapshot.best_epoch]}
        if epoch < preset.epochs:
            write_resume(self._folder, snapshot)
        files[LAST] = write_weights(self._folder / LAST, snapshot.network, {"epoch": epoch})
        write_table(self._folder, snapshot.losses)
        title = f"{self._job}, {preset.name}: {counted(self._data.train, 'sample')}, {self._data.held_out:,} held out"
        starts = make_job(self._job, preset).starts(epoch)
        draw_curve(self._folder, snapshot.losses, snapshot.best_epoch, title, starts)
        write_card(self._folder, self._card(snapshot, files))

    def _card(self, snapshot: Snapshot, files: dict[str, FileCard]) -> ModelCard:
        from importlib.metadata import version

        import torch

        from faceloom.models.job import make_job
        from faceloom.models.networks import parameter_count

        preset, losses = self._preset, snapshot.losses
        best = next(loss for loss in losses if loss.epoch == snapshot.best_epoch)
        with torch.device("meta"):
            job = make_job(self._job, preset)
            parameters = parameter_count(job.product(job.network()))
        metrics = {
            "best_epoch": float(best.epoch),
            "best_held_out_loss": best.held_out,
            "best_train_loss": best.train,
            "last_held_out_loss": losses[-1].held_out,
            "last_train_loss": losses[-1].train,
            "seconds_per_epoch": round(sum(loss.seconds for loss in losses) / len(losses), 3),
        }
        return ModelCard(
            what=WHATS[self._job != "autoencoder"],
            job=self._job,
            preset=preset.name,
            size=preset.size,
            parameters=parameters,
            hyper_parameters=preset_values(preset),
            unstated_in_paper=preset.unstated,
            seed=self._seed,
            epochs_done=losses[-1].epoch,
            finished=losses[-1].epoch >= preset.epochs,
            chosen=preset.choice,
            metrics=metrics,
            device=device_text(self._device),
            precision="bfloat16 products" if self._device == "cuda" else "float32",
            code=version("faceloom"),
            torch=torch.__version__,
            data=self._data,
            parent=self._parent,
            uses=self._uses,
            files=files,
        )


def write_resume(folder: Path, snapshot: Snapshot) -> None:
    """Write the state for resuming, without the best weights: network, state of optimisers, and losses so far."""
    tensors = {f"network/{name}": tensor for name, tensor in snapshot.network.items()}
    tensors |= {f"optimiser/{name}": tensor for name, tensor in snapshot.optimiser.items()}
    losses = [
        [loss.epoch, loss.train, loss.held_out, loss.seconds, *([dict(loss.more)] if loss.more else [])]
        for loss in snapshot.losses
    ]
    write_weights(folder / RESUME, tensors, {"losses": losses, "best_epoch": snapshot.best_epoch})


def read_resume(folder: Path, job: Job[Any]) -> Snapshot:
    """Read the state that `write_resume` wrote, and the best weights.

    After a kill between the two files the best weights may be of a later epoch; training finds them again.

    Raises:
        CheckpointError: a file is missing, damaged, or of another network.
    """
    import torch

    from faceloom.models.training import Snapshot

    with torch.device("meta"):
        network = job.network()
        expected = dict(network.state_dict())
        step = torch.zeros(())
    tensors, note = read_weights(folder / RESUME)
    saved = {f"network/{name}": tensor for name, tensor in expected.items()}
    for name, parameter in network.named_parameters():
        saved |= _expected_state(f"optimiser/{name}", parameter, step, tensors)
    check_tensors(folder / RESUME, tensors, saved, finite=True)
    best, _ = read_weights(folder / BEST)
    check_tensors(folder / BEST, best, expected, finite=True)
    try:
        losses = tuple(map(_loss, note["losses"]))
        best_epoch = int(note["best_epoch"])
        if [loss.epoch for loss in losses] != list(range(1, len(losses) + 1)) or not 1 <= best_epoch <= len(losses):
            raise ValueError("its epochs are not 1, 2, …")
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        what, remedy = "the saved state is damaged", "Start over with --no-resume"
        raise CheckpointError(what, where=str(folder / RESUME), value=error, remedy=remedy) from None
    parts: dict[str, dict[str, Any]] = {"network": {}, "optimiser": {}}
    for name, tensor in tensors.items():
        part, _, rest_of_name = name.partition("/")
        parts[part][rest_of_name] = tensor
    copies = {name: tensor.clone() for name, tensor in best.items()}  # training replaces the file
    return Snapshot(losses, parts["network"], parts["optimiser"], copies, best_epoch)


def _expected_state(name: str, parameter: Tensor, step: Tensor, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of an optimiser for a parameter: of SGD, of Adam, or none where it has not been trained yet."""
    kinds = {key.rpartition("/")[2] for key in found if key.startswith(f"{name}/")}
    if "momentum_buffer" in kinds:
        return {f"{name}/momentum_buffer": parameter}
    if not kinds:
        return {}
    return {f"{name}/step": step, f"{name}/exp_avg": parameter, f"{name}/exp_avg_sq": parameter}


def _loss(row: Any) -> EpochLoss:
    from faceloom.models.training import EpochLoss

    epoch, train, held_out, seconds, *rest = row
    more = {str(name): float(value) for name, value in (rest[0].items() if rest else ())}
    return EpochLoss(int(epoch), float(train), float(held_out), float(seconds), more)


def delete_run(folder: Path) -> None:
    """Delete all files of a run except its lock. The card is first: without it the rest is no checkpoint."""
    for name in OURS[:-1]:
        (folder / name).unlink(missing_ok=True)
    remove_events(folder)


def delete_leftovers(folder: Path) -> None:
    """Delete partial files of a killed process and, if the run is finished, the state for resuming."""
    for path in folder.glob("*.partial-*"):
        path.unlink(missing_ok=True)
    if (folder / CARD).exists() and read_card(folder).finished:
        (folder / RESUME).unlink(missing_ok=True)
