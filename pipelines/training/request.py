"""A requested training run, and its checks before any work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faceloom.models.checkpoint import BEST, CARD, read_card, read_network
from faceloom.models.devices import find_device
from faceloom.models.presets import PRESETS, CompactPreset, PaperPreset, preset_values
from faceloom.pipelines.store.output_folder import refuse_inside
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.run_folder import is_ours
from faceloom.pipelines.training.training_data import build_digest, fit_preset
from faceloom.schemas.errors import FaceloomError, TrainingError
from faceloom.schemas.model_card import ModelCard, ParentCard

PACKAGES = ("torch", "webdataset", "safetensors", "matplotlib")
"""What the extra `torch` installs and training imports."""


@dataclass(frozen=True)
class TrainingRequest:
    """A training run as the user requests it.

    Attributes:
        data: folder of a finished build.
        to: folder of the run; it is created if it does not exist.
        preset: network and hyper-parameters, with the changes of the user (`change_preset`).
        seed: of all random draws.
        device: `auto`, `cpu` or `cuda`.
        parent: folder of a run; its best weights are the starting weights.
        workers: processes that read the pairs; 0 reads in this process.
        resume: continue the run in `to` after its last saved epoch; otherwise its files are deleted first.
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
class CheckedRequest:
    """A request that passed all checks: the device is resolved, and the preset has the size of the build's crops."""

    request: TrainingRequest
    device: str
    parent: ParentCard | None


def change_preset(
    name: str,
    *,
    epochs: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    save_every: int | None = None,
) -> PaperPreset | CompactPreset:
    """Return a preset by its name, with the values that are not None changed.

    Raises:
        TrainingError: there is no such preset, or a value is out of range.
    """
    if name not in PRESETS:
        allowed = ", ".join(name for name in PRESETS if not name.startswith("tiny"))
        raise TrainingError("unknown preset", where="preset", value=name, remedy=f"Allowed: {allowed}")
    if learning_rate is not None and not 0 < learning_rate < float("inf"):
        raise TrainingError("the learning rate must be greater than 0", where="learning_rate", value=learning_rate)
    counts = {"epochs": epochs, "batch": batch, "save_every": save_every}
    for field, count in counts.items():
        if count is not None and count < 1:
            raise TrainingError("must be at least 1", where=field, value=count)
    changes: dict[str, Any] = {**counts, "learning_rate": learning_rate}
    return replace(PRESETS[name], **{field: value for field, value in changes.items() if value is not None})


def check_request(request: TrainingRequest) -> CheckedRequest:
    """Check a request before any work; writes nothing.

    Raises:
        FaceloomError: a package is missing, the device does not exist, the build does not fit the preset, the parent is
            no checkpoint of the same preset, or the folder holds another run or other files.
    """
    for package in PACKAGES:
        _check_installed(package)
    device = find_device(request.device)
    request = replace(request, preset=fit_preset(request.data, request.preset))
    checked = CheckedRequest(request, device, _parent_card(request))
    _check_folder(checked)
    return checked


def _check_installed(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        remedy = "Run: pip install 'faceloom[torch]'"
        raise FaceloomError("training needs a package that is not installed", value=package, remedy=remedy)


def _parent_card(request: TrainingRequest) -> ParentCard | None:
    parent, preset = request.parent, request.preset
    if parent is None:
        return None
    if parent.resolve() == Path(request.to).resolve():
        remedy = "Choose a new folder for --to. To resume a stopped run, leave out --from"
        raise TrainingError("a run cannot start from itself", where="--from", value=parent, remedy=remedy)
    card = read_card(parent)
    if card.preset != preset.name:
        remedy = f"Use --preset {card.preset}, or choose another run for --from"
        what = f"the parent run was not trained with the preset `{preset.name}`"
        raise TrainingError(what, where=str(parent), value=card.preset, remedy=remedy)
    if card.size != preset.size:
        remedy = f"Build pairs of {card.size}x{card.size} pixels, or train without --from"
        what = f"the parent run takes crops of {card.size} pixels, but the crops of the build have another size"
        raise TrainingError(what, where=str(parent), value=preset.size, remedy=remedy)
    read_network(parent, card)
    return ParentCard(folder=parent.resolve().name, weights=card.files[BEST].sha256, data=card.data)


def _check_folder(checked: CheckedRequest) -> None:
    """Raise an error if the folder holds other files, or a different run that the request does not replace."""
    request, folder = checked.request, Path(checked.request.to)
    Storage(request.to).check_folder()
    refuse_inside(request.to, Storage(str(request.data)))
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if foreign := [name for name in names if not is_ours(name)]:
        what, remedy = "the folder holds files that no training run writes", "Choose a new or an empty folder"
        raise TrainingError(what, where=request.to, value=", ".join(foreign[:3]), remedy=remedy)
    if not request.resume or CARD not in names:
        return
    card = read_card(folder)
    before, now = _settings_of_card(card), _settings_of_request(checked)
    changed = [f"{name} {before.get(name)}, now {now.get(name)}" for name in now if before.get(name) != now.get(name)]
    if before["name"] != now["name"]:  # the other differences follow from this one
        changed = [f"preset {before['name']}, now {now['name']}"]
    if changed:
        remedy = "Choose another folder, use the same settings, or start over with --no-resume"
        what = "the folder holds a run with other settings"
        raise TrainingError(what, where=request.to, value="; ".join(changed), remedy=remedy)
    if card.finished and card.epochs_done < request.preset.epochs:
        remedy = f"Train further with --from {request.to} into a new folder, or start over with --no-resume"
        what = "the run is already finished, after fewer epochs"
        raise TrainingError(what, where=request.to, value=card.epochs_done, remedy=remedy)


def _settings_of_card(card: ModelCard) -> dict[str, Any]:
    """Values that must be equal to resume a run."""
    parent = card.parent.weights if card.parent else None
    device = card.device.partition(":")[0]
    rest = {"seed": card.seed, "data": card.data.digest, "parent": parent, "device": device}
    return {**_fixed(card.hyper_parameters), **rest}


def _settings_of_request(checked: CheckedRequest) -> dict[str, Any]:
    request = checked.request
    parent = checked.parent.weights if checked.parent else None
    rest = {"seed": request.seed, "data": build_digest(Storage(request.data)), "parent": parent}
    # As JSON, as in the card.
    return {**_fixed(json.loads(json.dumps(preset_values(request.preset)))), **rest, "device": checked.device}


def _fixed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hyper-parameters that must not change; more epochs are allowed unless the learning rate depends on them."""
    free = ("save_every", "epochs") if values.get("schedule") == "constant" else ("save_every",)
    return {name: value for name, value in values.items() if name not in free}
