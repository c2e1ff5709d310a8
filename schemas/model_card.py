"""The card of a trained network: what it is, what it was trained on, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from faceloom.schemas.recipe import Align

CARD_FORMAT: Literal[1] = 1
"""Increased when cards of older formats can no longer be read."""


What = Literal["a masking network of faceloom", "a network of faceloom"]
_Word = Annotated[str, Field(max_length=1000)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_FileName = Annotated[str, Field(pattern=r"^(best|last)\.safetensors$")]
_Count = Annotated[int, Field(ge=0, le=2**53)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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

    name: _Word
    digest: _Digest
    plan: _Digest
    align: Align
    masks: dict[str, _Count]
    licences: dict[str, _Count]
    consents: dict[str, _Count]
    train: _Count
    held_out: _Count
    held_out_from: _Word


class FileCard(_Part):
    """Length and digest of one file beside the card."""

    bytes: Annotated[int, Field(ge=1, le=2**40)]
    sha256: _Digest


class ParentCard(_Part):
    """The run whose best weights another run started from."""

    folder: _Word
    weights: _Digest
    data: DataCard


class ModelCard(_Part):
    """A training run.

    Attributes:
        job: what was trained, as `faceloom train` names it.
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
        uses: sha256 of the user's other files and runs that were used, by the name of their option.
        files: the weights by name.
    """

    what: What = "a masking network of faceloom"
    format: Literal[1] = CARD_FORMAT
    job: _Word = "autoencoder"
    preset: _Word
    size: _Count
    parameters: _Count
    hyper_parameters: dict[str, Any]
    unstated_in_paper: tuple[_Word, ...]
    seed: int
    epochs_done: _Count
    finished: bool
    chosen: Literal["last epoch", "smallest held-out loss"] = "smallest held-out loss"
    metrics: dict[str, float]
    device: _Word
    precision: _Word
    code: _Word
    torch: _Word
    data: DataCard
    parent: ParentCard | None = None
    uses: dict[_Word, _Digest] = {}
    files: dict[_FileName, FileCard]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> ModelCard:
        if self.hyper_parameters.get("name", self.preset) != self.preset:
            raise ValueError("`preset` and the name in `hyper_parameters` differ")
        size = self.hyper_parameters.get("size", self.size)
        if any(side != size for side in (self.size, *self.data.align.width_height)):
            raise ValueError("`size`, `hyper_parameters.size` and `data.align.size` differ")
        if "best.safetensors" not in self.files:
            raise ValueError("`files` has no best.safetensors")
        if not 0 <= self.metrics.get("best_epoch", 0) <= self.epochs_done:
            raise ValueError("`metrics.best_epoch` is no epoch of the run")
        return self

    @property
    def best_epoch(self) -> int:
        """The epoch of the best weights, which all readers use."""
        return int(self.metrics.get("best_epoch", self.epochs_done))
