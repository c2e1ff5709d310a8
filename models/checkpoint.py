"""The folder of a trained network: weights as safetensors, and a card that is written last.

A file is written under a temporary name and then renamed, so it is always complete. Weights are read by memory map,
so that processes that load the same file share its pages.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.models.presets import JOBS, preset_from_values, preset_values
from faceloom.models.weights_file import AGAIN, MOST_HEADER, check_tensors, read_weights, save_tensors
from faceloom.schemas.checked import InvalidDataError, checked
from faceloom.schemas.errors import CheckpointError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.model_card import CARD_FORMAT, FileCard, ModelCard, What
from faceloom.schemas.plain_values import shown
from faceloom.schemas.regular_files import read_regular_file

if TYPE_CHECKING:
    from torch import Tensor, nn

CARD, BEST, LAST, RESUME = "card.json", "best.safetensors", "last.safetensors", "resume.safetensors"
"""Files of a run: the card, the best weights, the newest weights, and the state for resuming."""
MOST_CARD = 4 * 2**20
"""Bytes of a card. Most of a large one are counts of licences."""

WHATS: tuple[What, What] = ("a masking network of faceloom", "a network of faceloom")
"""The first entry of a card: of an autoencoder, and of any other job. Older versions read the first one only."""
_GO_ON = "The run was stopped, possibly while saving; run the same `faceloom train` command to resume it"


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file with `write` under a temporary name, then rename it to `path`; a failure leaves no file.

    Raises:
        CheckpointError: the file cannot be written, for example because the disk is full.
    """
    beside = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(beside)
            with beside.open("rb") as stream:
                os.fsync(stream.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        remedy = "Make room or choose another folder, then run the same command again"
        raise CheckpointError(
            "cannot be written", where=str(path), value=error.strerror or error, remedy=remedy
        ) from error


def write_weights(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> FileCard:
    """Write tensors as safetensors, with a JSON note in the header; return the size and sha256 of the file.

    Raises:
        CheckpointError: it cannot be written.
    """
    write_file(path, lambda file: save_tensors(file, tensors, note or {}))
    return FileCard(bytes=path.stat().st_size, sha256=_digest(path))


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card, which makes the folder a checkpoint."""
    text = json.dumps(card.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_file(folder / CARD, lambda file: _write_text(file, text))


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def read_card(folder: Path, job: str = "") -> ModelCard:
    """Read the card of a run, and check all of it.

    Args:
        folder: of the run.
        job: that it must have trained; "" for any.

    Raises:
        CheckpointError: the folder or its card does not exist, or the card is damaged, not of faceloom, of another job,
            or describes a network that cannot be.
    """
    where = str(folder)
    train = f"Train it with `faceloom train {job or 'NETWORK'}`"
    try:
        plain = parse_json(read_regular_file(folder / CARD, MOST_CARD), MOST_CARD)
    except (FileNotFoundError, NotADirectoryError):
        what = f"has no {CARD}, so it is no checkpoint of faceloom" if folder.is_dir() else "the folder does not exist"
        raise CheckpointError(what, where=where, remedy=train) from None
    except OSError as error:
        value = error.strerror or error
        raise CheckpointError(f"the {CARD} cannot be read", where=where, value=value, remedy=AGAIN) from None
    except ValueError as error:
        raise CheckpointError(f"the {CARD} is damaged: {error}", where=where, remedy=AGAIN) from None
    if not isinstance(plain, dict) or plain.get("what") not in WHATS:
        raise CheckpointError(f"its {CARD} is not a card of faceloom", where=where, remedy=train)
    if plain.get("format") != CARD_FORMAT:
        value, remedy = shown(plain.get("format")), "Use the version that trained it, or train it again"
        raise CheckpointError("was written by another version of faceloom", where=where, value=value, remedy=remedy)
    try:
        card = checked(ModelCard, plain)
    except InvalidDataError as error:
        fault = error.faults[0]
        place = f"{folder / CARD}: {fault.path}"
        raise CheckpointError(fault.what, where=place, value=fault.value, remedy=AGAIN) from None
    if card.job not in JOBS:
        remedy = "Use the version that trained it"
        raise CheckpointError("this version does not know its network", where=where, value=card.job, remedy=remedy)
    if job and card.job != job:
        what = f"the network is no {job}"
        raise CheckpointError(what, where=where, value=card.job, remedy=f"Name a run of `faceloom train {job}`")
    preset = preset_from_values(card.hyper_parameters, job=card.job, where=str(folder / CARD))
    return card.model_copy(update={"hyper_parameters": preset_values(preset)})  # lists, as they were written


def check_weights(folder: Path, card: ModelCard, name: str = BEST, *, digest: bool = True) -> Path:
    """Check a file of weights against its card and return its path.

    Args:
        digest: also check its sha256, which reads the whole file (about a second per gigabyte); else only its size.

    Raises:
        CheckpointError: the file is missing or does not match the card.
    """
    path, expected = folder / name, card.files.get(name)
    remedy = AGAIN if card.finished else _GO_ON
    if expected is None or not path.is_file():
        raise CheckpointError(f"has no {name}", where=str(folder), remedy=remedy)
    size = path.stat().st_size
    if size != expected.bytes:
        value = f"{size} bytes instead of {expected.bytes}"
        raise CheckpointError("is damaged or belongs to another card", where=str(path), value=value, remedy=remedy)
    if digest:
        if size > (most := _bytes_of(_tensors_of(card)) + MOST_HEADER):
            value = f"{size:,} bytes; at most {most:,} are read"
            raise CheckpointError(
                "is longer than the weights of its network", where=str(path), value=value, remedy=AGAIN
            )
        if _digest(path) != expected.sha256:
            raise CheckpointError(
                "is damaged or belongs to another card: its sha256 differs", where=str(path), remedy=remedy
            )
    return path


def read_network(folder: Path, card: ModelCard, name: str = BEST, *, digest: bool = True) -> dict[str, Tensor]:
    """Read weights that fit the network of a card; arguments as `check_weights`.

    Args:
        digest: also check that every weight is a finite number.

    Raises:
        CheckpointError: the file is missing, damaged, or does not fit.
    """
    path = check_weights(folder, card, name, digest=digest)
    tensors, _ = read_weights(path)
    check_tensors(path, tensors, _tensors_of(card), finite=digest)
    return tensors


def load_network(
    folder: Path, *, name: str = BEST, device: str = "cpu", digest: bool = True, job: str = "autoencoder"
) -> tuple[nn.Module, ModelCard]:
    """Load a trained network, ready to predict, and its card.

    On the CPU a detector's weights stay in the pages of the file, which all processes share; convolutions of other
    networks are copied. Do not train the network further.

    Args:
        folder: of the run.
        name: which weights.
        device: where to put them.
        digest: see `read_network`; if one process has checked, others can skip it.
        job: that it must have trained.

    Raises:
        CheckpointError: the folder is not a checkpoint of the job, or its weights are missing, damaged or do not fit.
    """
    import torch

    card = read_card(folder, job)
    tensors = read_network(folder, card, name, digest=digest)
    network = _unfilled(card)
    network.load_state_dict(tensors, assign=True)
    network.requires_grad_(False).eval()
    if job != "detector" or device != "cpu":
        # Without it convolutions of an autoencoder take 1.5 times as long; those of a small detector as long as before.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device), card


def _unfilled(card: ModelCard) -> nn.Module:
    """The network of a card on the device `meta`, which allocates nothing."""
    import torch

    from faceloom.models.job import make_job

    with torch.device("meta"):
        return make_job(card.job, preset_from_values(card.hyper_parameters, job=card.job)).network()


def _tensors_of(card: ModelCard) -> dict[str, Tensor]:
    return dict(_unfilled(card).state_dict())


def _bytes_of(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
