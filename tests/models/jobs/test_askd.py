"""The job of A-SKD: a teacher, then a student that follows its attention, and people that can be classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.askd.variation import small_faces  # noqa: E402
from faceloom.models.build_facts import BuildFacts  # noqa: E402
from faceloom.models.job import Batch, make_job  # noqa: E402
from faceloom.models.jobs.askd import Askd, area  # noqa: E402
from faceloom.models.presets import presets_of  # noqa: E402
from faceloom.models.training import train  # noqa: E402
from faceloom.schemas.errors import TrainingError  # noqa: E402
from faceloom.schemas.recipe import parse_recipe  # noqa: E402

TINY_PRESET: Any = presets_of("askd")["tiny-askd"]
TINY: Any = replace(TINY_PRESET, people=3)


def facts(photos: dict[str, int], lowres: Any = "full", **recipe: Any) -> BuildFacts:
    lowres = {"mode": "askd", "upsampled": True} if lowres == "full" else lowres
    plain = {"name": "x", "align": {"mode": "arcface", "size": 112}, "lowres": lowres, **recipe}
    return BuildFacts("out", parse_recipe(plain), {"train": 9}, lambda: tuple(photos), photos=lambda: photos)


def people(count: int = 12) -> Batch:
    """Pictures of three people, each of one colour with some noise."""
    chance = torch.Generator().manual_seed(1)
    person = torch.arange(count) % 3
    colours = torch.eye(3)[person][:, :, None, None]
    face = (0.2 + 0.6 * colours + 0.1 * torch.rand(count, 3, 112, 112, generator=chance)).clamp(0, 1)
    face = (face * 255).round() / 255
    return {"face": face, "lr_upsampled": small_faces(face, (14, 28), chance), "person": person}


def dealt(batch: int) -> Callable[..., Iterator[Batch]]:
    def epoch(number: int = 0) -> Iterator[Batch]:
        whole = people()
        for start in range(0, 12, batch):
            yield {name: part[start : start + batch] for name, part in whole.items()}

    return epoch


def test_teacher_and_student_learn_who_is_who() -> None:
    preset = replace(TINY, epochs=6, teacher_epochs=3, learning_rate=0.1, dropout=0.0, drops=(), margin=0.0)
    losses = train(make_job("askd", preset), dealt(6), dealt(12)).losses
    assert losses[2].train < 0.9 * losses[0].train and losses[5].more["arcface"] < 0.9 * losses[3].more["arcface"]
    assert losses[5].more["attention"] < losses[3].more["attention"] and "attention" not in losses[0].more
    assert losses[5].more["held_out_auc"] > 0.9


def test_the_teacher_rests_while_the_student_learns() -> None:
    seen: list[dict[str, Any]] = []
    train(make_job("askd", replace(TINY, epochs=3, teacher_epochs=2)), dealt(6), dealt(12),
          on_epoch=lambda one: seen.append({name: part.clone() for name, part in one.network.items()}))  # fmt: skip
    changed = [
        {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        for before, after in pairwise(seen)
    ]
    assert changed == [{"teacher", "teacher_people"}, {"student", "student_people"}]


def test_students_start_alike_with_and_without_a_teacher() -> None:
    starts = []
    for distill in (True, False):
        torch.manual_seed(0)
        starts.append(make_job("askd", replace(TINY, distill=distill)).network().state_dict())
    assert all(torch.equal(starts[0][name], value) for name, value in starts[1].items() if name.startswith("student."))
    assert not any(name.startswith("teacher") for name in starts[1])


def test_a_batch_of_one_sample_is_trained_on() -> None:
    assert len(train(make_job("askd", replace(TINY, epochs=3)), dealt(11), dealt(1)).losses) == 3


def test_faces_are_mirrored_with_their_small_ones() -> None:
    face = torch.arange(112.0).expand(32, 3, 112, 112) / 255
    whole = {"face": face, "lr_upsampled": face, "person": torch.zeros(32, dtype=torch.int64)}
    varied = make_job("askd", TINY).varied(whole, torch.Generator().manual_seed(0))
    assert torch.equal(varied["face"], varied["lr_upsampled"])
    assert {one[0, 0, 0].item() for one in varied["face"]} == {0, face.max().item()}
    made = make_job("askd", replace(TINY, small="askd")).varied(whole, torch.Generator().manual_seed(0))
    assert not torch.equal(made["face"], made["lr_upsampled"])


def test_the_build_decides_the_number_of_people() -> None:
    fitted = Askd.fit(TINY, facts({"Ada": 2, "Bob": 5}))
    assert fitted.people == 2 and (fitted.epochs, fitted.teacher_epochs) == (4, 2)
    plain = Askd.fit(replace(TINY, distill=False), facts({"Ada": 2, "Bob": 5}))
    assert (plain.epochs, plain.teacher_epochs) == (2, 0)
    assert make_job("askd", plain).phase(1) == 1
    own = replace(TINY, small="askd")
    assert Askd.fit(own, facts({"Ada": 2, "Bob": 5}, lowres=None)).people == 2
    assert make_job("askd", own).reads == ("face",)
    assert Askd.fit(replace(TINY, singles=True), facts({"Ada": 1, "Bob": 5})).people == 2


@pytest.mark.parametrize(
    ("changes", "build", "message"),
    [
        ({}, facts({"Ada": 2, "Bob": 1}), r"1 of 2 people of the split `train` has a single photo \(got Bob\)"),
        ({}, facts({"Ada": 9}), "fewer than two people"),
        ({}, facts({}), "fewer than two people"),
        ({}, facts({"Ada": 2, "Bob": 2}, lowres=None), "have no `lr_upsampled`.*Add `lowres`"),
        ({}, facts({"Ada": 2, "Bob": 2}, lowres={"sizes": [14]}), "no `lr_upsampled`.*lowres.upsampled"),
        ({}, facts({"Ada": 2, "Bob": 2}, morph={"neighbours": 1}), "a morph shows two people"),
        ({"epochs": 2}, facts({"Ada": 2, "Bob": 2}), "no epoch is left for the student"),
        ({}, facts({"Ada": 2, "Bob": 2}, align={"mode": "arcface", "size": 96}), "do not fit `tiny-askd`"),
    ],
)
def test_unfit_builds_are_refused_before_any_work(changes: dict[str, Any], build: BuildFacts, message: str) -> None:
    with pytest.raises(TrainingError) as caught:
        Askd.fit(replace(TINY, **changes), build)
    assert re.search(message, str(caught.value), re.DOTALL)


def test_people_who_are_not_in_train_have_numbers_of_their_own() -> None:
    job = make_job("askd", TINY)
    numbers = [job.labels({"identity": name}, {"Ada": 0})["person"] for name in ("Ada", "Bob", "Cem", "Bob")]
    assert numbers[0] == 0 and max(numbers[1:]) < 0 and numbers[1] == numbers[3] != numbers[2]


def test_the_area_under_the_curve() -> None:
    assert float(area(torch.tensor([0.9, 0.4]), torch.tensor([0.1, 0.5]))) == 0.75
    assert float(area(torch.tensor([0.5]), torch.tensor([0.5]))) == 0.5
