"""The sixteen models of MSaGAN's paper: each structure with each mask loss, in one folder of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faceloom.models.checkpoint import read_card
from faceloom.models.msagan.preset import MASK_LOSSES, STRUCTURES
from faceloom.pipelines.training.request import CheckedRequest, TrainingRequest, change_preset, check_request
from faceloom.pipelines.training.train import run_training


@dataclass(frozen=True)
class Grid:
    """Sixteen training runs that were checked and can start, by the name of the folder of each."""

    folder: Path
    runs: dict[str, CheckedRequest]

    @property
    def folders(self) -> list[Path]:
        """Of the runs."""
        return [self.folder / name for name in self.runs]


def check_grid(
    folder: str,
    data: str,
    classifier: Path,
    *,
    preset: str,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Grid:
    """Check all runs before any work.

    Args:
        folder: of the runs; each gets a folder of its own, such as `E1D1-sde`.
        data: folder of the build.
        classifier: run of the classifier; its attribute is edited.
        preset: of the editors.
        epochs: of each; None takes the value of the preset.
        seed: of each.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        FaceloomError: the classifier is none, the build does not fit, or a folder holds another run or other files.
    """
    attribute = read_card(classifier, "classifier").hyper_parameters["attribute"]
    runs = {}
    for structure in STRUCTURES:
        for loss in MASK_LOSSES:
            name = f"{structure}-{loss}"
            chosen = change_preset(
                preset, "msagan", epochs=epochs, attribute=attribute, structure=structure, mask_loss=loss
            )
            request = TrainingRequest(data, str(Path(folder) / name), chosen, seed, device, job="msagan")
            runs[name] = check_request(request)
    return Grid(Path(folder), runs)


def train_grid(grid: Grid, on_run: Callable[[str, int], None] = lambda name, number: None) -> None:
    """Train the runs of a grid. Finished ones are verified, stopped ones resumed.

    Args:
        grid: from `check_grid`.
        on_run: called before each run, with its name and number, from 1.

    Raises:
        FaceloomError: as `run_training`. Finished runs are kept.
    """
    for number, (name, checked) in enumerate(grid.runs.items(), 1):
        on_run(name, number)
        run_training(checked)
