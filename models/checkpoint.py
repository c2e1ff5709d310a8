"""The folder of a trained network: weights as safetensors, and a card that is written last.

A file is written under a temporary name and then renamed, so it is always complete. Weights are read by memory map:
nothing is copied, and processes that load the same file share its pages.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from faceloom.models.presets import preset_from_values
from faceloom.schemas.errors import CheckpointError
from faceloom.schemas.model_card import CARD_FORMAT, FileCard, ModelCard

if TYPE_CHECKING:
    from torch import Tensor

    from faceloom.models.networks import CompactMasker, PaperAutoencoder

CARD, BEST, LAST, RESUME = "card.json", "best.safetensors", "last.safetensors", "resume.safetensors"
"""Files of a run: the card, the best weights, the newest weights, and the state for resuming."""

_TRAIN = "Train it with `faceloom train autoencoder`"
_AGAIN = "Copy the folder again, or train again: `faceloom train` with --no-resume"
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
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def write(file: Path) -> None:
        try:
            # One entry: the order of several is random.
            save_file(plain, file, metadata={"faceloom": json.dumps(note or {}, sort_keys=True)})
            file.chmod(0o644)  # safetensors makes it readable by the owner only
        except SafetensorError as error:
            raise OSError(str(error)) from error

    write_file(path, write)
    return FileCard(bytes=path.stat().st_size, sha256=_digest(path))


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the note of `write_weights`; the tensors are a private map of the file.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {}).get("faceloom", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, note  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError("the weights cannot be read", where=str(path), value=error, remedy=_AGAIN) from error


def write_card(folder: Path, card: ModelCard) -> None:
    """Write the card, which makes the folder a checkpoint."""
    text = json.dumps(card.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_file(folder / CARD, lambda file: _write_text(file, text))


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def read_card(folder: Path) -> ModelCard:
    """Read the card of a run.

    Raises:
        CheckpointError: the folder or its card does not exist, or the card is damaged or not of faceloom.
    """
    where = str(folder)
    try:
        text = (folder / CARD).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        what = f"has no {CARD}, so it is no checkpoint of faceloom" if folder.is_dir() else "the folder does not exist"
        raise CheckpointError(what, where=where, remedy=_TRAIN) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError("the card cannot be read", where=where, value=error, remedy=_AGAIN) from None
    try:
        plain = json.loads(text)
        if not isinstance(plain, dict) or plain.get("what") != ModelCard.model_fields["what"].default:
            raise CheckpointError(f"its {CARD} is not a card of faceloom", where=where, remedy=_TRAIN)
        if plain.get("format") != CARD_FORMAT:
            remedy = "Use the version that trained it, or train it again"
            raise CheckpointError(
                "was written by another version of faceloom", where=where, value=plain.get("format"), remedy=remedy
            )
        return ModelCard.model_validate(plain)
    except (ValueError, ValidationError) as error:
        raise CheckpointError("the card is damaged", where=where, value=error, remedy=_AGAIN) from None


def check_weights(folder: Path, card: ModelCard, name: str = BEST, *, digest: bool = True) -> Path:
    """Check a file of weights against its card and return its path.

    Args:
        digest: also check its sha256, which reads the whole file (about a second per gigabyte); else only its size.

    Raises:
        CheckpointError: the file is missing or does not match the card.
    """
    path, expected = folder / name, card.files.get(name)
    remedy = _AGAIN if card.finished else _GO_ON
    if expected is None or not path.is_file():
        raise CheckpointError(f"has no {name}", where=str(folder), remedy=remedy)
    size = path.stat().st_size
    if size != expected.bytes:
        value = f"{size} bytes instead of {expected.bytes}"
        raise CheckpointError("is damaged or belongs to another card", where=str(path), value=value, remedy=remedy)
    if digest and _digest(path) != expected.sha256:
        raise CheckpointError(
            "is damaged or belongs to another card: its sha256 differs", where=str(path), remedy=remedy
        )
    return path


def load_network(
    folder: Path, *, name: str = BEST, device: str = "cpu", digest: bool = True
) -> tuple[PaperAutoencoder | CompactMasker, ModelCard]:
    """Load a trained network, ready to predict, and its card.

    On the CPU the weights stay in the pages of the file, which all processes share; do not train the network further.

    Args:
        folder: of the run.
        name: which weights.
        device: where to put them.
        digest: see `check_weights`; if one process has checked, others can skip it.

    Raises:
        CheckpointError: the folder is not a checkpoint of faceloom, or its weights are missing, damaged or do not fit.
    """
    import torch

    from faceloom.models.networks import make_network

    card = read_card(folder)
    preset = preset_from_values(card.hyper_parameters)
    path = check_weights(folder, card, name, digest=digest)
    tensors, _ = read_weights(path)
    with torch.device("meta"):  # allocates and initialises nothing: the weights are loaded next
        network = make_network(preset)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise CheckpointError(
            "the weights do not fit the network", where=str(path), value=error, remedy=_TRAIN
        ) from None
    network.requires_grad_(False).eval()
    # Without it convolutions take 1.5 times as long; weights of other layers stay in the file.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(device), card


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
