"""Attention similarity distillation (A-SKD, ECCV 2022): a student for small faces learns a teacher's attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from faceloom.models.askd.losses import attention_loss
from faceloom.models.askd.networks import ArcFace, AttentionResNet, as_input
from faceloom.models.askd.preset import AskdPreset
from faceloom.models.askd.variation import small_faces
from faceloom.models.build_facts import BuildFacts, fit_to_build
from faceloom.models.checkpoint import read_card, read_network
from faceloom.models.job import Batch, Job, Step, Values
from faceloom.models.presets import preset_values
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import TrainingError
from faceloom.schemas.keys import seed_of

_STRUCTURE = ("size", "depths", "width", "stem_stride", "features", "reduction", "kernel")
"""Fields of a preset that decide the layers of both networks."""


class Askd(Job[AskdPreset]):
    """Phase 0 trains the teacher on large faces, phase 1 the student on small ones."""

    name: ClassVar[str] = "askd"
    members: ClassVar[tuple[str, ...]] = ("face", "lr_upsampled")
    recipe: ClassVar[str] = "askd"
    phases: ClassVar[tuple[str, ...]] = ("teacher", "student")
    reads_labels: ClassVar[bool] = True

    def __init__(self, preset: AskdPreset, files: Mapping[str, Path] | None = None) -> None:
        super().__init__(preset, files)
        self._teacher: Mapping[str, Tensor] | None = None

    @classmethod
    def with_files(cls, preset: AskdPreset, files: Mapping[str, Path]) -> AskdPreset:
        """Without the epochs of the teacher, if a trained one is given.

        Raises:
            TrainingError: a teacher is given to a student that learns without one, or no epoch is left for it.
        """
        if "teacher" not in files:
            return preset
        if not preset.distill:
            what, remedy = "--teacher and --no-distill exclude each other", "Leave out one of them"
            raise TrainingError(what, where="--teacher", value=files["teacher"], remedy=remedy)
        left = preset.epochs - preset.teacher_epochs
        if left < 1:
            remedy = f"Give more --epochs, or fewer --teacher-epochs than {preset.teacher_epochs}: they are left out"
            raise TrainingError("no epoch is left for the student", where="epochs", value=preset.epochs, remedy=remedy)
        return replace(preset, epochs=left, teacher_epochs=0)

    @classmethod
    def check_files(cls, preset: AskdPreset, build: BuildFacts, files: Mapping[str, Path]) -> None:
        """Check the teacher that is given, or that one is trained.

        Raises:
            CheckpointError: it is no run of A-SKD, or its weights are damaged.
            TrainingError: it has no teacher, or one of another structure than the student; or none is trained.
        """
        if "teacher" in files:
            read_teacher(files["teacher"], preset)
        elif preset.distill and not preset.teacher_epochs:
            remedy = "Give --teacher-epochs, --teacher, or --no-distill"
            raise TrainingError("the teacher has no epochs", where="teacher_epochs", value=0, remedy=remedy)

    @classmethod
    def check_parent(cls, files: Mapping[str, Path]) -> None:
        """Check that no teacher is given beside a run, whose weights hold one."""
        if "teacher" in files:
            what = "the weights of a run given by --from hold a teacher already"
            remedy = "Leave out --from or --teacher"
            raise TrainingError(what, where="--teacher", value=files["teacher"], remedy=remedy)

    @classmethod
    def fit(cls, preset: AskdPreset, build: BuildFacts) -> AskdPreset:
        """Check members, people and epochs; returns the preset with the number of people.

        Raises:
            TrainingError: as for any job, or the people cannot be classes, or no epoch is left for the student.
        """
        preset = fit_to_build(preset, build, _members(preset), cls.recipe)
        suitable = f"recipes/{cls.recipe}.yaml builds suitable samples"
        lowres = build.settings.lowres
        if preset.small == "build" and lowres is not None and not lowres.upsampled:
            remedy = f"Set `lowres.upsampled` in its recipe, or train with --small askd; {suitable}"
            raise TrainingError("the samples of the build have no `lr_upsampled`", where=build.out, remedy=remedy)
        if build.settings.morph:
            remedy = f"Build without `morph`; {suitable}"
            raise TrainingError("a morph shows two people", where=build.out, remedy=remedy)
        photos = build.photos()
        if len(photos) < 2:
            remedy = "Build from photos of at least two people, in a folder for each person"
            value = next(iter(photos), "none")
            raise TrainingError("the split `train` has fewer than two people", where=build.out, value=value,
                                remedy=remedy)  # fmt: skip
        single = sorted(person for person, count in photos.items() if count < 2)
        if single and not preset.singles:
            have = "has" if len(single) == 1 else "have"
            what = f"{len(single):,} of {len(photos):,} people of the split `train` {have} a single photo"
            remedy = "Add photos of them or take them out of the source; --singles trains on them all the same"
            raise TrainingError(what, where=build.out, value=single[0], remedy=remedy)
        if preset.epochs <= preset.teacher_epochs:
            what = "no epoch is left for the student"
            value = f"{counted(preset.epochs, 'epoch')}, {preset.teacher_epochs} of the teacher"
            remedy = "Give more --epochs, or fewer --teacher-epochs"
            raise TrainingError(what, where="epochs", value=value, remedy=remedy)
        if not preset.distill:
            preset = replace(preset, epochs=preset.epochs - preset.teacher_epochs, teacher_epochs=0)
        return replace(preset, people=len(photos))

    @property
    def reads(self) -> tuple[str, ...]:
        """The face, and the small face unless it is made in each step."""
        return _members(self.preset)

    def labels(self, record: Mapping[str, Any], people: Mapping[str, int]) -> Mapping[str, Any]:
        """The number of the person; below 0 for people who are not in `train`."""
        identity = record["identity"]
        return {"person": people.get(identity, -1 - (seed_of(0, identity, "person") >> 1))}

    def network(self) -> nn.Module:
        """The student, the teacher if there is one, and a classifier of people for each."""
        names = ["student", "teacher"] if self.preset.distill else ["student"]
        networks = nn.ModuleDict({name: self._recogniser() for name in names})
        for name in names:
            preset = self.preset
            networks[f"{name}_people"] = ArcFace(
                max(preset.people, 1), preset.features, scale=preset.scale, margin=preset.margin
            )
        if "teacher" in self.files:
            if self._teacher is None:
                self._teacher = read_teacher(self.files["teacher"], self.preset)
            networks["teacher"].load_state_dict(self._teacher)
        return networks

    def _recogniser(self) -> AttentionResNet:
        preset = self.preset
        return AttentionResNet(
            preset.depths,
            width=preset.width,
            features=preset.features,
            dropout=preset.dropout,
            reduction=preset.reduction,
            kernel=preset.kernel,
            stem_stride=preset.stem_stride,
        )

    def product(self, network: Any) -> nn.Module:
        """The student."""
        student: nn.Module = network["student"]
        return student

    def optimisers(self, network: Any) -> dict[str, Optimizer]:
        """SGD with Nesterov momentum for each network and its classifier."""
        preset = self.preset
        return {
            name: torch.optim.SGD(
                [*network[name].parameters(), *network[f"{name}_people"].parameters()],
                lr=preset.learning_rate,
                momentum=preset.momentum,
                weight_decay=preset.decay,
                nesterov=preset.momentum > 0,
            )
            for name in ("student", "teacher")
            if name in network
        }

    def phase(self, epoch: int) -> int:
        """0 while the teacher is trained, then 1."""
        return int(epoch > self.preset.teacher_epochs)

    def varied(self, batch: Batch, chance: torch.Generator) -> Batch:
        """Mirror each sample with probability 0.5, then make the small faces if the build's are not used."""
        if len(batch["person"]) == 1:  # batch normalisation needs two
            batch = {name: part.repeat_interleave(2, 0) for name, part in batch.items()}
        person, pictures = batch["person"], {name: part for name, part in batch.items() if name != "person"}
        if self.preset.flip:
            mirror = (torch.rand(len(person), generator=chance) < 0.5).to(person.device)[:, None, None, None]
            pictures = {name: torch.where(mirror, part.flip(3), part) for name, part in pictures.items()}
        if self.preset.small == "askd":
            pictures["lr_upsampled"] = small_faces(pictures["face"], self.preset.sizes, chance)
        return {**pictures, "person": person}

    def step(self, step: Step) -> Values:
        """One step of the teacher or of the student."""
        network: Any = step.network
        batch = self.varied(step.batch, step.chance)
        name = "student" if self.phase(step.epoch) else "teacher"
        with step.autocast():
            seen = network[name](as_input(batch["lr_upsampled" if name == "student" else "face"]))
            logits = network[f"{name}_people"](seen.features, batch["person"])
            arcface = F.cross_entropy(logits, batch["person"])
            if name == "teacher" or "teacher" not in network:
                loss, values = arcface, {}
            else:
                network["teacher"].eval()
                with torch.no_grad():
                    wanted = network["teacher"](as_input(batch["face"])).attention
                attention = attention_loss(seen.attention, wanted)
                loss = arcface + self.preset.attention_weight * attention
                values = {"attention": float(attention.detach())}
        right = (logits.detach().argmax(1) == batch["person"]).float().mean()
        return {"loss": step.descend(loss, name), "arcface": arcface.detach(), **values, "right": right}

    def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        """How far pictures of one person lie apart and those of different people together, for people not in `train`.

        ArcFace has no class for them. `auc` is the share of pairs of pairs in which the same person is more alike.
        """
        if self.preset.small == "askd":
            batch = {**batch, "lr_upsampled": small_faces(batch["face"], self.preset.sizes, chance)}
        name, picture = ("student", "lr_upsampled") if self.phase(epoch) else ("teacher", "face")
        features = F.normalize(network[name](as_input(batch[picture])).features)
        rows, columns = torch.triu_indices(len(features), len(features), 1, device=features.device)
        alike = (features @ features.T)[rows, columns]
        same = batch["person"][rows] == batch["person"][columns]
        near, far = alike[same], alike[~same]
        loss = (1 - near).sum() / max(len(near), 1) + far.clamp(min=0).sum() / max(len(far), 1)
        if not len(near) or not len(far):
            return {"loss": loss}
        return {"loss": loss, "auc": area(near, far)}


def read_teacher(run: Path, preset: AskdPreset) -> dict[str, Tensor]:
    """The weights of a trained teacher.

    Args:
        run: folder of the run that trained it.
        preset: of the student, which has the same structure.

    Raises:
        CheckpointError: it is no run of A-SKD, or its weights are damaged.
        TrainingError: it has no teacher, or one of another structure.
    """
    card = read_card(run, Askd.name)
    mine, theirs = preset_values(preset), card.hyper_parameters
    for name in _STRUCTURE:
        if mine[name] != theirs[name]:
            what = f"the teacher has another structure than the student: {name} {theirs[name]}, not {mine[name]}"
            remedy = "Use the preset that the teacher was trained with, or train a teacher"
            raise TrainingError(what, where=f"--teacher {run}", value=card.preset, remedy=remedy)
    prefix = "teacher."
    tensors = read_network(run, card)
    found = {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}
    if not found:
        remedy = "Name a run that was trained without --no-distill"
        raise TrainingError("the run has no teacher", where=f"--teacher {run}", value="distill False", remedy=remedy)
    return found


def area(near: Tensor, far: Tensor) -> Tensor:
    """Area under the ROC curve: the share of pairs with a value of `near` above one of `far`; ties count half."""
    order = torch.sort(far).values
    below, most = torch.searchsorted(order, near), torch.searchsorted(order, near, right=True)
    return (below + most).float().mean() / (2 * len(far))


def _members(preset: AskdPreset) -> tuple[str, ...]:
    return Askd.members if preset.small == "build" else ("face",)
