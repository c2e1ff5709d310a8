"""What the training jobs of one attribute share: they know which samples have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from faceloom.models.build_facts import BuildFacts, fit_to_build
from faceloom.models.job import Batch, Job
from faceloom.models.msagan.attribute import MOUTH_OPEN, attribute_of, derived, members_for, recorded
from faceloom.models.msagan.preset import AttributePreset
from faceloom.schemas.errors import TrainingError

A = TypeVar("A", bound=AttributePreset)
_SHOWN = 8


class AttributeJob(Job[A]):
    """A job of one attribute, which uses the samples that state it."""

    members: ClassVar[tuple[str, ...]] = ("face",)
    recipe: ClassVar[str] = "msagan"
    reads_labels: ClassVar[bool] = True

    @property
    def reads(self) -> tuple[str, ...]:
        """The face, and landmarks if the attribute is derived from them."""
        return (*self.members, "landmarks") if self.preset.attribute == MOUTH_OPEN else self.members

    @classmethod
    def fit(cls, preset: A, build: BuildFacts) -> A:
        """See `Job.fit`; also checks that `train` has samples with and without the attribute.

        Raises:
            TrainingError: see `Job.fit`; or the samples lack the attribute, or all have the same value.
        """
        fitted = fit_to_build(preset, build, cls(preset).reads, cls.recipe)
        check_values(fitted.attribute, build)
        return fitted

    def labels(self, record: Mapping[str, Any], people: Mapping[str, int]) -> Mapping[str, float]:
        """The recorded attribute as `has`; NaN if the sample does not state it."""
        attribute = self.preset.attribute
        return {} if attribute == MOUTH_OPEN else {"has": recorded(attribute, record)}

    def chosen(self, members: Batch) -> Tensor:
        """The samples whose attribute is known."""
        return ~self.has(members)[:, 0].isnan()

    def has(self, batch: Batch) -> Tensor:
        """Whether each face has the attribute: float32 (N, 1), NaN where it is unknown."""
        if self.preset.attribute == MOUTH_OPEN:
            landmarks = batch["landmarks"]
            return torch.from_numpy(derived(landmarks.cpu().numpy())).to(landmarks.device, torch.float32)[:, None]
        return batch["has"].float()[:, None]

    def varied(self, batch: Batch, chance: torch.Generator) -> Batch:
        """Mirror each sample with probability 0.5."""
        if not self.preset.flip:
            return batch
        mirror = (torch.rand(len(batch["face"]), generator=chance) < 0.5).to(batch["face"].device)[:, None, None, None]
        pictures = {name: part for name, part in batch.items() if part.ndim == 4}
        return {**batch, **{name: torch.where(mirror, part.flip(3), part) for name, part in pictures.items()}}


def check_values(attribute: str, build: BuildFacts) -> None:
    """Check that the samples of the split `train` state an attribute, and not all with the same value.

    Raises:
        TrainingError: they do not.
    """
    counts: Counter[float] = Counter()
    names: set[str] = set()
    for sample in build.read(members_for(attribute)):
        value = attribute_of(attribute, sample)
        counts[value if value in (0, 1) else -1] += 1  # every NaN is a key of its own
        if counts[0] and counts[1]:  # a good build is not read to its end
            return
        names |= sample.get("json", {}).get("attributes", {}).keys()
    where = build.out
    if not counts[0] + counts[1]:
        if attribute == MOUTH_OPEN:
            remedy = "Build with landmarks: `align: {mode: face_box}`"
            raise TrainingError("no sample has trusted landmarks", where=where, value=attribute, remedy=remedy)
        has = ", ".join(sorted(names)[:_SHOWN]) + (" …" if len(names) > _SHOWN else "") if names else "none"
        remedy = f"The samples have: {has}. `--attribute {MOUTH_OPEN}` is derived from landmarks"
        raise TrainingError("no sample states the attribute as true or false", where=where, value=attribute,
                            remedy=remedy)  # fmt: skip
    what = f"all {counts[0] + counts[1]:,} samples of `train` that state `{attribute}` have the same value"
    remedy = "Add photos with the other value, or choose another attribute with --attribute"
    raise TrainingError(what, where=where, value="true" if counts[1] else "false", remedy=remedy)
