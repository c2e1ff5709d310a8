"""A wrong recipe is refused before any work, with the path of every fault and what is allowed there."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from faceloom.pipelines.recipe.yaml_text import parse_yaml
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Align, Recipe, Shards, parse_recipe

POLYGON = {"kind": "polygon", "shape": "A"}
TEMPLATE = {"kind": "template", "template": "surgical"}


def parse(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", "sources": [{"path": "photos"}], "masks": [POLYGON], **changes})


def refusal(**changes: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        parse(**changes)
    return caught.value


def test_all_but_the_name_has_a_default() -> None:
    recipe = parse_recipe({"name": "plain"})
    assert recipe.sources == () == recipe.masks
    assert recipe.align.width_height == (112, 112)
    assert recipe.output.shards == Shards(samples=5000, bytes=256 * 2**20)
    assert recipe.split.shares == {"train": 0.8, "val": 0.1, "test": 0.1}
    assert (recipe.per_face, recipe.seed, recipe.faces.select) == (1, 0, "largest")


def test_a_full_recipe() -> None:
    recipe = parse(
        description="all of it",
        seed=7,
        faces={"select": "all", "min_size": 60, "assume": "aligned"},
        masks=[POLYGON, {**TEMPLATE, "colour": "navy", "weight": 3, "wearing": "nose_out"}],
        per_face=4,
        align={"mode": "eye_level", "size": [96, 112]},
        split={"by": "identity", "shares": {"train": 0.7, "test": 0.3}},
        output={"image": "png", "alpha": True, "shards": {"samples": 100, "bytes": "1MiB"}},
    )
    assert [mask.label for mask in recipe.masks] == ["polygon-A", "surgical-nose_out"]
    assert recipe.masks[1].weight == 3.0
    assert recipe.align.width_height == (96, 112)
    assert recipe.output.shards.bytes == 2**20


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (None, "the recipe is empty"),
        ([], "the recipe holds a list, not a mapping of keys"),
        ("name: x", "the recipe holds text, not a mapping of keys"),
        (3, "the recipe holds one value, not a mapping of keys"),
    ],
)
def test_what_is_no_mapping(data: object, what: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(data, where="r.yaml")
    assert str(caught.value) == f"r.yaml: {what}. Start with `name: my-recipe`"


@pytest.mark.parametrize(
    ("changes", "path", "suggestion"),
    [
        ({"seeds": 1}, "$.seeds", "seed"),
        ({"mask": []}, "$.mask", "masks"),
        ({"align": {"sise": 1}}, "$.align.sise", "size"),
        ({"masks": [POLYGON, {**POLYGON, "color": "red"}]}, "$.masks[1].color", "colour"),
        ({"masks": [{**TEMPLATE, "straps_": True}]}, "$.masks[0].straps_", "straps"),
        ({"sources": [{"path": "a", "columns": {"url": "x"}}]}, "$.sources[0].columns.url", "uri"),
        ({"output": {"shards": {"sample": 1}}}, "$.output.shards.sample", "samples"),
        ({"split": {"share": {}}}, "$.split.share", "shares"),
    ],
)
def test_an_unknown_key_has_its_path_and_a_suggestion(changes: dict[str, Any], path: str, suggestion: str) -> None:
    error = refusal(**changes)
    assert error.where == path
    assert error.what.startswith("unknown key; allowed: ")
    assert error.what.endswith(f"did you mean '{suggestion}'?")
    assert suggestion in error.what.split("allowed: ")[1]


def test_a_key_like_no_other_gets_the_list_alone() -> None:
    error = refusal(zzz=1)
    assert "did you mean" not in str(error)
    assert all(key in error.what for key in Recipe.model_fields)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"seed": "1"}, "$.seed"),
        ({"seed": True}, "$.seed"),
        ({"seed": 1.0}, "$.seed"),
        ({"seed": None}, "$.seed"),
        ({"name": 5}, "$.name"),
        ({"description": 5}, "$.description"),
        ({"per_face": "2"}, "$.per_face"),
        ({"per_face": True}, "$.per_face"),
        ({"faces": {"min_size": "40"}}, "$.faces.min_size"),
        ({"faces": {"landmark_model": 1}}, "$.faces.landmark_model"),
        ({"align": {"margin": "0.1", "mode": "face_box"}}, "$.align.margin"),
        ({"align": {"size": [112, "96"]}}, "$.align.size[1]"),
        ({"output": {"alpha": 1}}, "$.output.alpha"),
        ({"output": {"alpha": "yes"}}, "$.output.alpha"),
        ({"output": {"quality": "95"}}, "$.output.quality"),
        ({"output": {"quality": True}}, "$.output.quality"),
        ({"output": {"shards": {"samples": 1.5}}}, "$.output.shards.samples"),
        ({"output": {"shards": {"bytes": True}}}, "$.output.shards.bytes"),
        ({"masks": [{**POLYGON, "weight": "1"}]}, "$.masks[0].weight"),
        ({"masks": [{**TEMPLATE, "straps": 0}]}, "$.masks[0].straps"),
        ({"split": {"shares": {"train": "1"}}}, "$.split.shares.train"),
        ({"split": {"per_identity": "0.7"}}, "$.split.per_identity"),
        ({"sources": [{"path": 1}]}, "$.sources[0].path"),
        ({"sources": [{"path": "a", "include": "*.jpg"}]}, "$.sources[0].include"),
        ({"sources": [{"path": "a", "include": [1]}]}, "$.sources[0].include[0]"),
    ],
)
def test_a_wrong_type_is_refused_and_never_converted(changes: dict[str, Any], path: str) -> None:
    assert refusal(**changes).where == path


def test_unknown_keys_hide_no_other_fault() -> None:
    error = refusal(aling={}, seed=-1, masks=[{**POLYGON, "colr": 3, "weight": 0}, {"kind": "polygn"}])
    said = str(error)
    for fault in (
        "$.aling: unknown key",
        "$.seed: Input should be greater than or equal to 0",
        "$.masks[0].colr: unknown key",
        "$.masks[0].weight: Input should be greater than 0",
        "$.masks[1].kind: allowed:",
    ):
        assert said.count(fault) == 1, fault
    assert said.count("$.") == 5


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"name": "Ünsafe name"}, "$.name", "expected lower-case letters"),
        ({"name": ""}, "$.name", "expected lower-case letters"),
        ({"name": "Faces"}, "$.name", "lower-case letters, digits, - and _"),
        ({"name": "a\n"}, "$.name", "expected lower-case letters"),
        ({"seed": -1}, "$.seed", "greater than or equal to 0 (got -1)"),
        ({"per_face": 0}, "$.per_face", "greater than or equal to 1"),
        ({"per_face": 1001}, "$.per_face", "less than or equal to 1000"),
        ({"masks": [{"kind": "polygon", "shape": "G"}]}, "$.masks[0].shape", "'E' or 'F' (got 'G')"),
        ({"masks": [{**POLYGON, "weight": 0}]}, "$.masks[0].weight", "greater than 0"),
        ({"masks": [{**POLYGON, "weight": float("inf")}]}, "$.masks[0].weight", "finite"),
        ({"masks": [{**POLYGON, "colour": "purple-ish"}]}, "$.masks[0].colour", "black, white"),
        ({"masks": [{**TEMPLATE, "colour": "purple-ish"}]}, "$.masks[0].colour", "; or: Input should be 'any'"),
        ({"masks": [{**TEMPLATE, "colour": [1, 2]}]}, "$.masks[0].colour", "three whole numbers"),
        ({"masks": [{"kind": "template", "template": "hat"}]}, "$.masks[0].template", "'surgical'"),
        ({"masks": [{"kind": "template", "template": "surgicl"}]}, "$.masks[0].template", "did you mean 'surgical'?"),
        ({"masks": [{"kind": "template", "template": "KN95"}]}, "$.masks[0].template", "did you mean 'kn95'?"),
        ({"masks": [{"kind": "templat"}]}, "$.masks[0].kind", "; did you mean 'template'? (got 'templat')"),
        ({"masks": [{**TEMPLATE, "wearing": "askew"}]}, "$.masks[0].wearing", "'under_chin'"),
        ({"masks": [{**TEMPLATE, "spread": 4}]}, "$.masks[0].spread", "less than or equal to 3"),
        ({"masks": [{"shape": "A"}]}, "$.masks[0].kind", "missing; every entry needs its kind"),
        ({"masks": [{"kind": "poly"}]}, "$.masks[0].kind", "allowed: 'polygon', 'template', 'picture'"),
        ({"masks": [{"kind": "polygon"}]}, "$.masks[0].shape", "missing"),
        ({"masks": [{"kind": "picture", "path": "m.png"}]}, "$.masks[0].anchors", "missing"),
        ({"masks": [3]}, "$.masks[0]", "expected a mapping of keys (got 3)"),
        ({"masks": {"kind": "polygon"}}, "$.masks", "expected a list"),
        ({"masks": None}, "$.masks", "expected a list"),
        ({"sources": "photos"}, "$.sources", "expected a list (got 'photos')"),
        ({"sources": ["photos"]}, "$.sources[0]", "expected a mapping of keys (got 'photos')"),
        ({"sources": [{}]}, "$.sources[0].path", "missing"),
        ({"sources": [{"path": "a", "name": "a/b"}]}, "$.sources[0].name", "no '/'"),
        ({"sources": [{"path": "a", "kind": "zip"}]}, "$.sources[0].kind", "'people'"),
        ({"faces": {"select": "biggest"}}, "$.faces.select", "'largest', 'all' or 'centre'"),
        ({"faces": {"max_pixels": 0}}, "$.faces.max_pixels", "greater than 0"),
        ({"align": 5}, "$.align", "expected a mapping of keys (got 5)"),
        ({"align": {"mode": "square"}}, "$.align.mode", "'arcface'"),
        ({"align": {"size": 8}}, "$.align.size", "greater than or equal to 16"),
        ({"align": {"size": 5000}}, "$.align.size", "less than or equal to 4096"),
        ({"align": {"size": [112]}}, "$.align.size[1]", "missing"),
        ({"align": {"mode": "face_box", "size": [100, 90]}}, "$.align", "a face_box crop is square"),
        ({"align": {"margin": 0.1}}, "$.align", "only mode face_box has a margin"),
        ({"align": {"beyond": "fit"}}, "$.align", "only mode face_box has `beyond: fit`"),
        ({"align": {"mode": "eye_level", "reject_beyond": 0.2}}, "$.align", "only mode face_box has"),
        ({"split": {"shares": {"train": 0.5}}}, "$.split", "shares must add up to 1, not 0.5"),
        ({"split": {"shares": {"train": 1.2, "test": -0.2}}}, "$.split.shares.train", "less than or equal to 1"),
        ({"split": {"shares": {"training": 1.0}}}, "$.split.shares.training", "'train', 'val' or 'test'"),
        ({"split": {"by": "person"}}, "$.split.by", "'identity', 'source' or 'per_identity'"),
        ({"split": {"by": "per_identity"}}, "$.split", "belong together"),
        ({"split": {"by": "identity", "per_identity": 0.7}}, "$.split", "belong together"),
        ({"split": {"per_identity": 1}}, "$.split.per_identity", "less than 1"),
        ({"output": {"image": "gif"}}, "$.output.image", "'jpg', 'png' or 'webp'"),
        ({"output": {"mask": "jpg"}}, "$.output.mask", "'png' or 'webp'"),
        ({"output": {"quality": 101}}, "$.output.quality", "less than or equal to 100"),
        ({"output": {"shards": {"bytes": "lots"}}}, "$.output.shards.bytes", "such as '256MiB'"),
        ({"output": {"shards": {"bytes": "5 parsecs"}}}, "$.output.shards.bytes", "such as '256MiB'"),
        ({"output": {"shards": {"bytes": 0}}}, "$.output.shards.bytes", "greater than 0"),
        ({"output": {"shards": {"bytes": "-1MB"}}}, "$.output.shards.bytes", "such as '256MiB'"),
    ],
)  # fmt: skip
def test_an_impossible_value_has_its_path_and_what_is_allowed(changes: dict[str, Any], path: str, said: str) -> None:
    error = refusal(**changes)
    assert error.where == path
    assert said in str(error)
    assert str(error).startswith(f"{path}: ")
    assert "pydantic" not in str(error)


def test_every_fault_is_told_at_once() -> None:
    error = refusal(seed=-1, per_face=0, masks=[{**POLYGON, "shape": "Z"}])
    assert str(error).count("\n") == 0
    assert [word[:-1] for word in str(error).split() if word[0] == "$"] == ["$.seed", "$.masks[0].shape", "$.per_face"]


def test_a_mask_named_like_its_kind_is_still_found_in_the_path() -> None:
    assert refusal(masks=[{"kind": "template", "template": "template"}]).where == "$.masks[0].template"
    assert refusal(masks=[{"kind": "polygon", "polygon": 1}]).where == "$.masks[0].polygon"


@pytest.mark.parametrize("size", [16, 112, 4096, [16, 4096], [96, 112]])
def test_crop_sizes(size: Any) -> None:
    recipe = parse(align={"size": size})
    assert recipe.align.width_height == (tuple(size) if isinstance(size, list) else (size, size))


def test_a_square_pair_will_do_for_a_face_box() -> None:
    assert parse(align={"mode": "face_box", "size": [224, 224], "margin": 0.25}).align.width_height == (224, 224)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1, 1), ("1", 1), ("256MiB", 2**28), ("256 mib", 2**28), (" 1GB ", 10**9), ("1.5 KiB", 1536), ("10b", 10),
        ("2kb", 2000), ("3mb", 3 * 10**6), ("0.5gib", 2**29),
    ],
)  # fmt: skip
def test_sizes_of_shards(text: Any, size: int) -> None:
    assert parse(output={"shards": {"bytes": text}}).output.shards.bytes == size


def test_a_share_per_identity_implies_the_way_of_splitting() -> None:
    split = parse(split={"per_identity": 0.7}).split
    assert (split.by, split.per_identity) == ("per_identity", 0.7)
    assert parse(split={"by": "source"}).split.by == "source"


def test_shares_that_are_sums_of_floats_are_well() -> None:
    assert parse(split={"shares": {"train": 0.1 + 0.2, "val": 0.3, "test": 0.4}})
    assert parse(split={"shares": {"train": 1}}).split.shares == {"train": 1.0}


@given(
    st.fixed_dictionaries(
        {"name": st.from_regex(r"[a-z0-9][a-z0-9_-]*", fullmatch=True)},
        optional={
            "description": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10),
            "seed": st.integers(0, 2**53 - 1),
            "per_face": st.integers(1, 1000),
            "masks": st.lists(
                st.one_of(
                    st.fixed_dictionaries(
                        {"kind": st.just("polygon"), "shape": st.sampled_from("ABCDEF")},
                        optional={
                            "weight": st.floats(1e-3, 1e3),
                            "colour": st.lists(st.integers(0, 255), min_size=3, max_size=3),
                        },
                    ),
                    st.fixed_dictionaries(
                        {"kind": st.just("template"), "template": st.sampled_from(["cloth", "kn95", "gaiter"])},
                        optional={"spread": st.floats(0, 3), "colour": st.sampled_from(["any", "red", "#102030"])},
                    ),
                ),
                max_size=3,
            ),
            "align": st.fixed_dictionaries({"size": st.one_of(st.integers(16, 4096), st.just([96, 112]))}),
        },
    )
)
def test_a_recipe_survives_yaml_and_json(data: dict[str, Any]) -> None:
    recipe = parse_recipe(data)
    stream = BytesIO()
    YAML(typ="safe", pure=True).dump(data, stream)
    assert parse_recipe(parse_yaml(stream.getvalue())) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert parse_recipe(recipe.model_dump(mode="json")) == recipe


def test_recipes_are_frozen() -> None:
    recipe = parse()
    with pytest.raises(Exception, match="frozen"):
        recipe.seed = 3
    assert Align() == recipe.align


def test_a_fitted_crop_blurs_what_lies_outside_unless_the_recipe_has_another_border() -> None:
    fitted = {"mode": "face_box", "beyond": "fit"}
    assert parse(align=fitted).align.border == "blur"
    assert parse(align={**fitted, "border": "constant"}).align.border == "constant"
    assert parse(align={"mode": "face_box"}).align.border == "constant"


def test_drawn_glasses_do_not_contradict_a_guide_for_glasses() -> None:
    recipe: dict[str, Any] = {"name": "x", "augment": [{"kind": "Glasses"}], "guide": {"attribute": "Smiling"}}
    assert parse_recipe(recipe).augment[0].kind == "Glasses"
    with pytest.raises(RecipeError, match="glasses contradict the attribute Eyeglasses"):
        parse_recipe({**recipe, "guide": {"attribute": "Eyeglasses"}})
