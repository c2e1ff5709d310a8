"""Tiny trained networks on made-up pairs: a coloured rectangle is the mask, so that seconds are enough to learn it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch

from faceloom.models.checkpoint import BEST, LAST, WHATS, write_card, write_weights
from faceloom.models.job import Batch, make_job
from faceloom.models.networks import CompactMasker, parameter_count
from faceloom.models.pairs import Pairs
from faceloom.models.presets import PRESETS, preset_values
from faceloom.schemas.model_card import DataCard, ModelCard
from faceloom.schemas.recipe import Align


def make_pairs(count: int, size: int, seed: int = 0) -> Pairs:
    """Dark faces with a bright chin somewhere low; the mask covers it, in one random colour."""
    chance = torch.Generator().manual_seed(seed)
    face = 0.3 + 0.05 * torch.rand(count, 3, size, size, generator=chance)
    mask = torch.zeros(count, 1, size, size)
    for number, (x, y) in enumerate(torch.randint(-size // 8, size // 8 + 1, (count, 2), generator=chance).tolist()):
        top, left = size // 2 + y, size // 4 + x
        mask[number, :, top : top + size // 3, left : left + size // 2] = 1
    face = face + 0.4 * mask
    colour = torch.rand(count, 3, 1, 1, generator=chance)
    return Pairs(face, face * (1 - mask) + colour * mask, mask)


def make_cutouts(count: int, size: int, seed: int = 0) -> torch.Tensor:
    """Cutouts: a rectangle each, in another colour, without straps, float (count, 5, size, size)."""
    chance = torch.Generator().manual_seed(seed)
    cover = torch.zeros(count, 1, size, size)
    cover[..., size // 2 : size - 2, size // 4 : -size // 4] = 1
    return torch.cat([torch.rand(count, 3, 1, 1, generator=chance) * cover, cover, torch.zeros_like(cover)], 1)


def add_straps(cutouts: torch.Tensor) -> torch.Tensor:
    """The cutouts with a grey strap of two pixels across the whole width, at the upper edge of the mask."""
    row = cutouts.shape[2] // 2 + 1
    cutouts = cutouts.clone()
    strap = cutouts[:, 3, row : row + 2] == 0
    cutouts[:, 4, row : row + 2] = strap.float()
    cutouts[:, :3, row : row + 2] += 0.5 * strap[:, None]
    return cutouts


def dealt(pairs: Pairs, batch: int) -> Callable[..., Iterator[Batch]]:
    """A factory of batches as training wants it, in another order in each epoch."""

    def epoch(number: int = 0) -> Iterator[Batch]:
        order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(number))
        for chosen in order.split(batch):  # type: ignore[no-untyped-call]
            yield {name: values[chosen] for name, values in pairs.members.items()}

    return epoch


def make_card(preset: Any, files: dict[str, Any], job: str = "autoencoder", **changes: Any) -> ModelCard:
    """A card that is true of the files and made up otherwise."""
    with torch.device("meta"):
        parameters = parameter_count(make_job(job, preset).network())
    data = DataCard(
        name="made-up", digest="0" * 64, plan="1" * 64, align=Align(mode="eye_level", size=preset.size),
        masks={"surgical": 8}, licences={"CC0": 8}, consents={"not stated": 8}, train=7, held_out=1,
        held_out_from="split val",
    )  # fmt: skip
    fields: dict[str, Any] = {
        "what": WHATS[job != "autoencoder"], "job": job,
        "preset": preset.name, "size": preset.size, "parameters": parameters,
        "hyper_parameters": preset_values(preset), "unstated_in_paper": preset.unstated, "seed": 0, "epochs_done": 1,
        "finished": True, "metrics": {}, "device": "cpu", "precision": "float32", "code": "0", "torch": "0",
        "data": data, "files": files,
    }  # fmt: skip
    return ModelCard(**{**fields, **changes})


def make_run(folder: Path, preset: Any = None, job: str = "autoencoder", **changes: Any) -> Path:
    """A checkpoint of an untrained tiny network with random weights; `paper` gives a picture unlike its input."""
    preset = preset or PRESETS["tiny-compact"]
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = make_job(job, preset).network()
        if isinstance(network, CompactMasker):
            torch.nn.init.normal_(network.fit.weight, 0, 0.1)
            with torch.no_grad():  # above 0 in some places and below 0 in others
                weight = torch.randn_like(network.outline.level.weight)
                network.outline.level.weight.copy_(weight - weight.mean((2, 3), keepdim=True))
                assert network.outline.level.bias is not None
                network.outline.level.bias.zero_()
            network.looks.copy_(add_straps(make_cutouts(preset.looks, preset.size)) * 255)
    files = {name: write_weights(folder / name, network.state_dict()) for name in (BEST, LAST)}
    write_card(folder, make_card(preset, files, job, **changes))
    return folder


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """The functions of this file."""
    functions = [make_pairs, make_cutouts, add_straps, dealt, make_card, make_run]
    return SimpleNamespace(**{function.__name__: function for function in functions})
