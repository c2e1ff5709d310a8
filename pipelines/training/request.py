"""A requested training run, and its checks before any work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faceloom.models.checkpoint import BEST, CARD, check_weights, read_card, read_network
from faceloom.models.devices import find_device
from faceloom.models.preset import Preset, options_of
from faceloom.models.presets import JOBS, preset_from_values, preset_values, presets_of
from faceloom.pipelines.store.output_folder import refuse_inside
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.run_folder import is_ours
from faceloom.pipelines.training.training_data import build_digest, fit_preset
from faceloom.schemas.errors import CheckpointError, FaceloomError, TrainingError
from faceloom.schemas.model_card import ModelCard, ParentCard
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file

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
        job: what to train, one of `models.presets.JOBS`.
        files: the job's further files and runs, by the name of their option.
        tensorboard: also write the losses for TensorBoard.
    """

    data: str
    to: str
    preset: Preset
    seed: int = 0
    device: str = "auto"
    parent: Path | None = None
    workers: int = 0
    resume: bool = True
    job: str = "autoencoder"
    files: Mapping[str, Path] = field(default_factory=dict)
    tensorboard: bool = False


@dataclass(frozen=True)
class CheckedRequest:
    """A request that passed all checks: the device is resolved, and the preset has the values that the build decides.

    Attributes:
        uses: sha256 of each of the request's `files`; of the best weights if it is a run.
    """

    request: TrainingRequest
    device: str
    parent: ParentCard | None
    uses: Mapping[str, str] = field(default_factory=dict)


def change_preset(
    name: str,
    job: str = "autoencoder",
    *,
    epochs: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    save_every: int | None = None,
    **options: Any,
) -> Preset:
    """Return a preset by its name, with the values that are not None changed.

    Args:
        name: of the preset.
        job: whose preset it is.
        epochs, batch, learning_rate, save_every: of every preset.
        options: fields of the job's presets that are options of the command line.

    Raises:
        TrainingError: there is no such job or preset, or a value is out of range.
    """
    presets = presets_of(job)
    if name not in presets:
        allowed = ", ".join(name for name in presets if not name.startswith("tiny"))
        raise TrainingError("unknown preset", where="preset", value=name, remedy=f"Allowed: {allowed}")
    preset, options = presets[name], {name: value for name, value in options.items() if value is not None}
    if unknown := sorted(options.keys() - options_of(type(preset))):
        allowed = ", ".join(options_of(type(preset))) or "none"
        raise TrainingError("unknown option", where=job, value=unknown[0], remedy=f"Options of {job}: {allowed}")
    if learning_rate is not None and not 0 < learning_rate < float("inf"):
        raise TrainingError("the learning rate must be greater than 0", where="learning_rate", value=learning_rate)
    counts = {"epochs": epochs, "batch": batch, "save_every": save_every}
    for count_name, count in counts.items():
        if count is not None and count < 1:
            raise TrainingError("must be at least 1", where=count_name, value=count)
    changes: dict[str, Any] = {**counts, "learning_rate": learning_rate}
    changed = replace(preset, **{key: value for key, value in changes.items() if value is not None})
    for option, value in options.items():
        changed = replace(changed, **{option: value})
        try:
            preset_from_values(preset_values(changed), job=job)
        except CheckpointError as error:
            raise TrainingError(error.what, where=option, value=value) from None
    return changed


def check_request(request: TrainingRequest) -> CheckedRequest:
    """Check a request before any work; writes nothing.

    Raises:
        FaceloomError: a package is missing, the device does not exist, the build does not fit the preset, the parent is
            no checkpoint of the same preset, or the folder holds another run or other files.
    """
    for package in PACKAGES:
        _check_installed(package)
    if request.tensorboard:
        _check_installed("tensorboard", "pip install 'faceloom[tensorboard]'")
    device = find_device(request.device)
    if unknown := sorted(request.files.keys() - JOBS[request.job].files.keys()):
        allowed = ", ".join(JOBS[request.job].files) or "none"
        what = f"{request.job} takes no such file"
        raise TrainingError(what, where="files", value=unknown[0], remedy=f"Allowed: {allowed}")
    if request.parent is not None:
        from faceloom.models.job import find_job

        find_job(request.job).check_parent(request.files)
    request = replace(request, preset=fit_preset(request.data, request.job, request.preset, request.files))
    uses = {name: _digest(name, path) for name, path in request.files.items()}
    checked = CheckedRequest(request, device, _parent_card(request), uses)
    _check_folder(checked)
    return checked


def _digest(option: str, path: Path) -> str:
    """sha256 of a file, or of the best weights of a run."""
    if path.is_dir():
        card = read_card(path)
        check_weights(path, card)
        return card.files[BEST].sha256
    digest = hashlib.sha256()
    try:
        with open_regular_file(path) as stream:
            while piece := stream.read(2**20):
                digest.update(piece)
        return digest.hexdigest()
    except (OSError, UnfitFileError) as error:
        value = getattr(error, "strerror", None) or error
        raise TrainingError("the file cannot be read", where=f"--{option} {path}", value=value) from None


def _check_installed(package: str, install: str = "pip install 'faceloom[torch]'") -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        remedy = f"Run: {install}"
        raise FaceloomError("training needs a package that is not installed", value=package, remedy=remedy)


def _parent_card(request: TrainingRequest) -> ParentCard | None:
    parent, preset = request.parent, request.preset
    if parent is None:
        return None
    if parent.resolve() == Path(request.to).resolve():
        remedy = "Choose a new folder for --to. To resume a stopped run, leave out --from"
        raise TrainingError("a run cannot start from itself", where="--from", value=parent, remedy=remedy)
    card = read_card(parent, request.job)
    if card.preset != preset.name:
        remedy = f"Use --preset {card.preset}, or choose another run for --from"
        what = f"the parent run was not trained with the preset `{preset.name}`"
        raise TrainingError(what, where=str(parent), value=card.preset, remedy=remedy)
    for name in preset.decides_layers:
        if (value := card.hyper_parameters[name]) != getattr(preset, name):
            option = name.replace("_", "-")
            used = {True: f"--{option}", False: f"--no-{option}"}.get(value, f"--{option} {value}")
            remedy = f"Use {used}, or choose another run for --from"
            what = f"the parent run was not trained with `{name}: {getattr(preset, name)}`, so it has other layers"
            raise TrainingError(what, where=str(parent), value=value, remedy=remedy)
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
    changed = [
        f"{name} {before.get(name)}, now {now.get(name)}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
    if before["job"] != now["job"]:
        changed = [f"network {before['job']}, now {now['job']}"]
    elif before["name"] != now["name"]:  # the other differences follow from this one
        changed = [f"preset {before['name']}, now {now['name']}"]
    if changed:
        remedy = "Choose another folder, use the same settings, or start over with --no-resume"
        what = "the folder holds a run with other settings"
        raise TrainingError(what, where=request.to, value="; ".join(changed), remedy=remedy)
    if card.finished and card.epochs_done < request.preset.epochs:
        remedy = f"Train further with --from {request.to} --to NEW, or start over with --no-resume"
        what = "the run is already finished, after fewer epochs"
        raise TrainingError(what, where=request.to, value=card.epochs_done, remedy=remedy)


def _settings_of_card(card: ModelCard) -> dict[str, Any]:
    """Values that must be equal to resume a run."""
    parent = card.parent.weights if card.parent else None
    device = card.device.partition(":")[0]
    rest = {"seed": card.seed, "data": card.data.digest, "parent": parent, "device": device}
    rest |= {"job": card.job, **card.uses}
    return {**_fixed(card.hyper_parameters), **rest}


def _settings_of_request(checked: CheckedRequest) -> dict[str, Any]:
    request = checked.request
    parent = checked.parent.weights if checked.parent else None
    rest = {"seed": request.seed, "data": build_digest(Storage(request.data)), "parent": parent}
    rest |= {"job": request.job, **checked.uses}
    # As JSON, as in the card.
    return {**_fixed(json.loads(json.dumps(preset_values(request.preset)))), **rest, "device": checked.device}


def _fixed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hyper-parameters that must not change; more epochs are allowed unless the learning rate depends on them."""
    free = ("save_every", "epochs") if values.get("schedule") == "constant" else ("save_every",)
    return {name: value for name, value in values.items() if name not in free}
