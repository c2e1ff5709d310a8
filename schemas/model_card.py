"""The card of a trained network: what it is, what it was trained on, and how."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

CARD_FORMAT: Literal[1] = 1
"""Increased when cards of older formats can no longer be read."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataCard(_Part):
    """The pairs that a network was trained on.

    Attributes:
        name: of the build, which is that of its recipe.
        digest: sha256 of the build's record, which covers its recipe, plan and shards.
        plan: sha256 of the plan.
        align: the recipe's `align`: how faces must be cropped for this network.
        masks, licences, consents: pairs by the mask worn, and by what the sources state, if they do.
        train, held_out: pairs trained on, and pairs that `best` was chosen by.
        held_out_from: where the latter come from.
    """

    name: str
    digest: str
    plan: str
    align: dict[str, Any]
    masks: dict[str, int]
    licences: dict[str, int]
    consents: dict[str, int]
    train: int
    held_out: int
    held_out_from: str


class FileCard(_Part):
    """Length and digest of one file beside the card."""

    bytes: int
    sha256: str


class ParentCard(_Part):
    """The run whose best weights another run started from."""

    folder: str
    weights: str
    data: DataCard


class ModelCard(_Part):
    """A training run.

    Attributes:
        preset: name of the preset.
        size: side of the crops in pixels.
        hyper_parameters: every field of the preset as it was used.
        unstated_in_paper: hyper-parameters that the publication does not state; all of them for our own network.
        seed: seed of every random draw.
        epochs_done: epochs behind `last`; `finished` is true once all are done.
        chosen: which epoch's weights are the best ones.
        metrics: losses and times. `faceloom evaluate` measures the quality of the output.
        device: name of the device; weights may differ in the last bits between kinds of devices.
        precision: number format of matrix products.
        code, torch: versions of faceloom and torch.
        parent: the run that this one continues from.
        files: the weights by name.
    """

    what: Literal["a masking network of faceloom"] = "a masking network of faceloom"
    format: Literal[1] = CARD_FORMAT
    preset: str
    size: int
    parameters: int
    hyper_parameters: dict[str, Any]
    unstated_in_paper: tuple[str, ...]
    seed: int
    epochs_done: int
    finished: bool
    chosen: Literal["last epoch", "smallest held-out loss"] = "smallest held-out loss"
    metrics: dict[str, float]
    device: str
    precision: str
    code: str
    torch: str
    data: DataCard
    parent: ParentCard | None = None
    files: dict[str, FileCard]

    @property
    def best_epoch(self) -> int:
        """The epoch of the best weights, which all readers use."""
        return int(self.metrics.get("best_epoch", self.epochs_done))
