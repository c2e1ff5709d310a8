"""Trials: a few photos are built, and nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.build import prepare
from faceloom.pipelines.estimate.trial import Trial, draw_photos, measure_costs, trial_folder
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe


def photo(number: int) -> Photo:
    return Photo("s", f"{number}.png", None, None, None, None, (), None, 1, "")


def test_every_photo_is_as_likely_to_be_drawn() -> None:
    photos = [photo(number) for number in range(50)]
    counts = dict.fromkeys(photos, 0)
    for seed in range(400):
        drawn, number = draw_photos(iter(photos), seed, 10)
        assert number == 50 and len(set(drawn)) == 10
        for one in drawn:
            counts[one] += 1
    assert all(40 <= count <= 130 for count in counts.values())  # 80 expected, standard deviation 8
    assert draw_photos(iter(photos), 3, 10) == draw_photos(iter(photos), 3, 10)


def test_few_photos_are_all_drawn() -> None:
    photos = [photo(number) for number in range(3)]
    assert draw_photos(iter(photos), 0) == (tuple(photos), 3)
    assert draw_photos(iter([]), 0) == ((), 0)


def recipe(photos: Path, **changes: Any) -> Any:
    return parse_recipe(
        {
            "name": "x",
            "sources": [{"path": str(photos / "photos.csv"), "name": "s"}],
            "masks": [{"kind": "polygon", "shape": "A"}],
            "per_face": 2,
            "faces": {"min_size": 0},
            "align": {"size": 32},
            **changes,
        }
    )


@pytest.mark.parametrize("changes", [{}, {"morph": {"neighbours": 1}}])
def test_a_trial_measures_and_leaves_nothing(
    tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    photos, scratch, out = tmp_path / "photos", tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    synthetic.lay_photos(photos, range(20))
    (photos / "007.png").write_bytes(b"no picture")
    context = prepare(recipe(photos, **changes), str(out))
    drawn, count = draw_photos(context.source("s").scan(), 1)  # type: ignore[arg-type]
    with trial_folder() as folder:
        costs = measure_costs(Trial(context, drawn, folder))
    assert costs.photos == count == 20
    if changes:
        assert costs.samples > 1.9
    else:
        assert costs.samples == pytest.approx(19 * 2 / 20)
    assert 0 < costs.analyse < 1 and 0 < costs.render < 1 and costs.spread >= 0
    assert 1000 < costs.sample_bytes < 100_000 and 2**25 < costs.memory < 2**33
    assert not out.exists() and not list(scratch.iterdir())


def test_folders_of_trials_that_were_killed_or_failed_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"faceloom-trial-{gone.pid}-a", f"faceloom-trial-{os.getpid()}-b", "faceloom-trial-x", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "face.jpg").write_bytes(b"face")
    with pytest.raises(KeyboardInterrupt), trial_folder() as folder:
        Path(folder, "face.jpg").write_bytes(b"face")
        raise KeyboardInterrupt
    assert {path.name for path in tmp_path.iterdir()} == {
        f"faceloom-trial-{os.getpid()}-b",
        "faceloom-trial-x",
        "other",
    }
