"""The job of Anti-Mask: a decoder of features, then an encoder to them, and builds that it can use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from faceloom.models.antimask.networks import ALL_POINTS, LOWER_POINTS  # noqa: E402
from faceloom.models.build_facts import BuildFacts  # noqa: E402
from faceloom.models.job import Batch, make_job  # noqa: E402
from faceloom.models.jobs.antimask import Antimask, as_shares  # noqa: E402
from faceloom.models.networks import parameter_count  # noqa: E402
from faceloom.models.presets import presets_of  # noqa: E402
from faceloom.models.training import train  # noqa: E402
from faceloom.schemas.errors import TrainingError  # noqa: E402
from faceloom.schemas.recipe import parse_recipe  # noqa: E402

PRESETS: Any = presets_of("antimask")
TINY: Any = replace(PRESETS["tiny-antimask"], features=4)
HALVES: dict[str, Any] = {"halves": {"split_row": 96}, "features": {"model": "dlib"}}


def facts(output: dict[str, Any], size: int = 224) -> BuildFacts:
    settings = parse_recipe({"name": "x", "align": {"mode": "face_box", "size": size}, "output": output})
    rows = [{"features": np.zeros(128, np.float32)}]
    return BuildFacts("out", settings, {"train": 9}, lambda: ("Ada",), lambda members: rows)


def dealt(number: int = 0) -> Iterator[Batch]:
    """Faces of one brightness, which the features state; the landmarks of one face are not known."""
    chance = torch.Generator().manual_seed(1)
    light = 0.2 + 0.6 * torch.rand(4, 1, 1, 1, generator=chance)
    landmarks = torch.full((4, 68, 2), 50.0)
    landmarks[0] = torch.nan
    yield {
        "upper": light.expand(4, 3, 96, 224), "lower": light.expand(4, 3, 128, 224), "lower_landmarks": landmarks,
        "features": light.flatten(1) * torch.tensor([1.0, -1.0, 0.5, 2.0]),
    }  # fmt: skip


def dealt_full(number: int = 0) -> Iterator[Batch]:
    """The same faces with the members of a redraw, and nothing else."""
    [batch] = dealt()
    yield {
        "upper": batch["upper"], "face": batch["upper"][:, :, :1].expand(4, 3, 224, 224),
        "landmarks": batch["lower_landmarks"], "features": batch["features"],
    }  # fmt: skip


@pytest.mark.parametrize("paint", ["lower", "full"])
def test_decoder_and_encoder_learn_one_after_the_other(paint: str) -> None:
    deal = {"lower": dealt, "full": dealt_full}[paint]
    seen: list[dict[str, Any]] = []
    keep: Callable[[Any], None] = lambda one: seen.append({name: part.clone() for name, part in one.network.items()})  # noqa: E731
    preset = replace(TINY, epochs=8, decoder_epochs=4, learning_rate=0.02, paint=paint)
    losses = train(make_job("antimask", preset), deal, deal, on_epoch=keep).losses
    assert losses[3].train < losses[0].train and losses[7].train < losses[4].train
    assert "held_out_cosine" in losses[7].more and "held_out_cosine" not in losses[3].more
    changed = [
        {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        for before, after in pairwise(seen)
    ]
    assert changed == [{"decoder"}] * 3 + [{"encoder"}] * 4


@pytest.mark.parametrize(
    ("name", "features", "paint", "encoder", "decoder", "landmarks"),
    [
        ("paper", 4096, "lower", 75_540_288, 33_898_827, 41),
        ("paper", 4096, "full", 75_540_288, 55_424_331, 68),
        ("small", 128, "lower", 439_040, 1_944_091, 41),
        ("small", 128, "full", 439_040, 3_325_723, 68),
    ],
)
def test_the_sizes_of_the_networks(
    name: str, features: int, paint: str, encoder: int, decoder: int, landmarks: int
) -> None:
    preset = replace(PRESETS[name], features=features, paint=paint)
    with torch.device("meta"):
        network: Any = make_job("antimask", preset).network()
    points = parameter_count(network["decoder"].points)
    assert parameter_count(network["encoder"]) == encoder
    assert parameter_count(network["decoder"]) - points == decoder
    assert points == (preset.hidden + 1) * 2 * landmarks


def test_the_build_decides_the_length_of_features() -> None:
    assert Antimask.fit(TINY, facts(HALVES)).features == 128


@pytest.mark.parametrize(
    ("changes", "build", "message"),
    [
        ({}, facts({}), "have no `upper`.*output.halves"),
        ({}, facts({"features": {"model": "dlib"}}), "have no `upper`.*output.halves"),
        ({}, facts({"halves": {}}), "have no `features`.*model: dlib"),
        ({}, facts({**HALVES, "halves": {"split_row": 100}}), r"cut at another row \(got 100\)"),
        ({}, facts(HALVES, size=112), "do not fit `tiny-antimask`"),
        ({"epochs": 2}, facts(HALVES), "no epoch is left for the encoder"),
        ({"paint": "full"}, facts({}), "have no `upper`.*output.halves"),
        ({"paint": "full"}, facts({"halves": {}}), "have no `features`.*model: dlib"),
    ],
)
def test_unfit_builds_are_refused_before_any_work(changes: dict[str, Any], build: BuildFacts, message: str) -> None:
    with pytest.raises(TrainingError) as caught:
        Antimask.fit(replace(TINY, **changes), build)
    assert re.search(message, str(caught.value), re.DOTALL)


def test_landmarks_are_shares_of_the_painted_picture() -> None:
    landmarks = torch.zeros(1, 68, 2)
    landmarks[0, LOWER_POINTS[0]] = torch.tensor([112.0, 56.0])
    shares = as_shares(landmarks, torch.zeros(1, 3, 128, 224), LOWER_POINTS)
    assert shares.shape == (1, len(LOWER_POINTS), 2) and shares[0, 0].tolist() == [0.5, 0.4375]
    whole = as_shares(landmarks, torch.zeros(1, 3, 224, 224), ALL_POINTS)
    assert whole.shape == (1, 68, 2) and whole[0, LOWER_POINTS[0]].tolist() == [0.5, 0.25]
