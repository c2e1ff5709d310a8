"""The versions are part of every digest, so they must be plain short text."""

from __future__ import annotations

import pytest

from faceloom.pipelines.plan.choose import choose_faces
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.schemas import versions
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import Recipe


@pytest.mark.parametrize("version", [versions.ANALYSER, versions.RENDERER])
def test_versions_are_whole_numbers_as_text(version: str) -> None:
    assert version.isdigit()
    assert int(version) >= 1


def test_another_renderer_makes_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Photo("s", "a.jpg", None, None, None, None, (), None, 1, "t")
    found = AnalysedPhoto("s/a.jpg", 1, "t", "ab" * 32, 9, 9, 1, (FaceRow((0, 0, 80, 80), bytes(544), 1, ()),))
    recipe = Recipe(name="x")
    before = make_plan(recipe, choose_faces(recipe, [photo], {"s/a.jpg": found}), ())
    monkeypatch.setattr("faceloom.pipelines.plan.inputs.RENDERER", versions.RENDERER + "0")
    after = make_plan(recipe, choose_faces(recipe, [photo], {"s/a.jpg": found}), ())
    assert before.digest != after.digest
    assert before.shards[0].parts[0].faces == after.shards[0].parts[0].faces
