"""The versions are part of every digest, so they must be plain short text."""

from __future__ import annotations

import pytest

from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.schemas import versions
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import choose, item


@pytest.mark.parametrize("version", [versions.ANALYSER, versions.RENDERER])
def test_versions_are_whole_numbers_as_text(version: str) -> None:
    assert version.isdigit()
    assert int(version) >= 1


def test_another_renderer_makes_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(name="x")
    chosen = choose(recipe, [item("a.jpg")])
    before = make_plan(recipe, chosen, ())
    monkeypatch.setattr("faceloom.pipelines.plan.inputs.RENDERER", versions.RENDERER + "0")
    after = make_plan(recipe, chosen, ())
    assert before.digest != after.digest
    assert before.shards[0].parts[0].faces == after.shards[0].parts[0].faces
