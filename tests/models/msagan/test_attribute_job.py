"""What jobs of one attribute check about a build, and which samples they use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from faceloom.models.build_facts import BuildFacts  # noqa: E402
from faceloom.models.job import make_job  # noqa: E402
from faceloom.models.jobs.classifier import Classifier  # noqa: E402
from faceloom.models.jobs.msagan import Msagan  # noqa: E402
from faceloom.models.msagan.attribute_job import check_values  # noqa: E402
from faceloom.models.presets import presets_of  # noqa: E402
from faceloom.schemas.errors import TrainingError  # noqa: E402
from faceloom.schemas.recipe import parse_recipe  # noqa: E402
from tests.models.msagan.test_attribute import mouth  # noqa: E402

MSAGAN: Any = presets_of("msagan")["tiny"]
CLASSIFIER: Any = presets_of("classifier")["tiny"]
OPEN: Any = replace(CLASSIFIER, attribute="mouth_open")


def facts(values: Sequence[object], gaps: Sequence[float] = (), **recipe: Any) -> BuildFacts:
    settings = parse_recipe({"name": "x", "align": {"mode": "face_box", "size": 16}, **recipe})
    records = [{"json": {"attributes": {"Mouth_Slightly_Open": value, "age": 3}}} for value in values]
    points = [{"landmarks": mouth(gap)} for gap in gaps]
    return BuildFacts("out", settings, {"train": 3}, tuple, lambda members: records if "json" in members else points)


def test_both_values_are_needed() -> None:
    assert Classifier.fit(CLASSIFIER, facts([1, -1, ""])) == CLASSIFIER
    with pytest.raises(TrainingError, match=r"all 2 samples of `train` that state `Mouth_.*same value \(got true\)"):
        Classifier.fit(CLASSIFIER, facts([1, 1, ""]))


def test_a_good_build_is_not_read_to_its_end() -> None:
    read: list[float] = []

    def records(members: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for value in (1, -1, 1):
            read.append(value)
            yield {"json": {"attributes": {"Mouth_Slightly_Open": value}}}

    check_values("Mouth_Slightly_Open", replace(facts([]), read=records))
    assert read == [1, -1]


@pytest.mark.parametrize("attribute", ["Smiling", "age"])
def test_an_attribute_that_is_missing_is_named_with_those_that_exist(attribute: str) -> None:
    with pytest.raises(TrainingError, match=rf"got {attribute}.*samples have: Mouth_Slightly_Open, age.*mouth_open"):
        Classifier.fit(replace(CLASSIFIER, attribute=attribute), facts([1, -1]))


def test_the_derived_attribute_needs_landmarks_and_both_values() -> None:
    assert Classifier.fit(OPEN, facts([], gaps=[1, 30, math.nan])) == OPEN
    with pytest.raises(TrainingError, match="trusted landmarks"):
        Classifier.fit(OPEN, facts([], gaps=[math.nan] * 3))
    with pytest.raises(TrainingError, match=r"\(got false\)"):
        Classifier.fit(OPEN, facts([], gaps=[1, 2]))


def test_guide_masks_are_needed_only_by_a_mask_loss() -> None:
    with pytest.raises(TrainingError, match="have no `guide`"):
        Msagan.fit(MSAGAN, facts([1, -1]))
    free = replace(MSAGAN, mask_loss="none")
    assert Msagan.fit(free, facts([1, -1])) == free and "guide" not in make_job("msagan", free).reads


def test_guide_masks_of_other_parts_are_refused() -> None:
    build = facts([1, -1], guide={"attribute": "Eyeglasses", "missing": "empty"})
    with pytest.raises(TrainingError, match=r"another attribute than `Mouth_Slightly_Open` \(got Eyeglasses\)"):
        Msagan.fit(MSAGAN, build)
    same = facts([1, -1], gaps=[1, 30], guide={"attribute": "Smiling"})
    assert Msagan.fit(MSAGAN, same) == MSAGAN
    assert Msagan.fit(replace(MSAGAN, attribute="mouth_open"), same).attribute == "mouth_open"


def test_samples_without_the_attribute_are_left_out() -> None:
    job = make_job("classifier", CLASSIFIER)
    assert math.isnan(job.labels({"attributes": {}}, {})["has"])
    chosen = job.chosen({"has": torch.tensor([1, math.nan, 0])})
    assert chosen is not None and chosen.tolist() == [True, False, True]
    points = torch.from_numpy(np.stack([mouth(30), mouth(1), mouth(math.nan)]))
    job = make_job("classifier", OPEN)
    assert job.labels({}, {}) == {} and job.reads == ("face", "landmarks")
    chosen = job.chosen({"landmarks": points})
    assert chosen is not None and chosen.tolist() == [True, True, False]
    assert job.has({"landmarks": points[:2]}).tolist() == [[1], [0]]  # type: ignore[attr-defined]


def test_faces_and_guides_are_mirrored_together() -> None:
    part = torch.arange(4.0).expand(64, 1, 2, 4)
    job = make_job("msagan", MSAGAN)
    varied = job.varied({"face": part, "guide": part, "has": torch.ones(64, 1)}, torch.Generator().manual_seed(0))
    assert torch.equal(varied["face"], varied["guide"]) and varied["has"].shape == (64, 1)
    assert {tuple(one[0, 0].tolist()) for one in varied["face"]} == {(0, 1, 2, 3), (3, 2, 1, 0)}
