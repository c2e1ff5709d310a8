"""The tables of guide masks, members and recipe pictures match the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faceloom.models.presets import presets_of
from faceloom.pipelines.export.contact_sheet import SHOWN
from faceloom.pipelines.plan.splits import assign_splits
from faceloom.pipelines.recipe.yaml_text import parse_yaml
from faceloom.schemas.guide import ATTRIBUTE_PARTS, ATTRIBUTES_WITHOUT_PARTS, LABEL_ORDERS, LANDMARK_REGIONS, Guide
from faceloom.schemas.recipe import Split

DOCS = Path(__file__).parents[2] / "docs"
RECIPES = sorted(path.stem for path in (DOCS.parent / "recipes").glob("*.yaml"))
LARGEST = 100_000
"""Bytes of a picture in the documents: every clone of the project holds all of them."""


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(document: str, heading: str) -> dict[str, str]:
    """First and second cell of the table below its line of headings."""
    table = document.split(f"| {heading} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {first.strip("`"): second for first, second, *_ in cells}


def test_the_table_of_attributes_is_that_of_the_code() -> None:
    shown = {
        name: tuple(re.findall(r"`(\w+)`", parts))
        for name, parts in rows(text("guide-masks.md"), "attribute | parts").items()
    }
    assert shown == ATTRIBUTE_PARTS


def test_attributes_without_parts_are_listed_with_the_reason_in_the_error() -> None:
    shown = rows(text("guide-masks.md"), "attribute | why")
    assert shown == ATTRIBUTES_WITHOUT_PARTS
    assert len(shown) + len(ATTRIBUTE_PARTS) == 40
    for name, why in shown.items():
        with pytest.raises(ValueError, match=re.escape(why)):
            Guide(attribute=name)


def test_every_value_of_missing_is_explained_with_the_parts_that_landmarks_outline() -> None:
    missing = rows(text("guide-masks.md"), "`missing` | effect")
    assert set(missing) == {"reject", "landmarks", "empty"}
    assert set(LANDMARK_REGIONS) <= set(re.findall(r"`(\w+)`", missing["landmarks"]))


def test_label_orders_are_written_out() -> None:
    orders = rows(text("sources.md"), "`label_order` | values 1, 2, …")
    for name, parts in LABEL_ORDERS.items():
        assert tuple(orders[name].split()) == parts


def test_every_member_is_explained() -> None:
    section = text("output.md").split("## Members of a sample")[1].split("\n### ")[0]
    explained = {name.partition(".")[0] for name in re.findall(r"`([\w.]+)`", section)}
    assert {*SHOWN, "alpha", "landmarks", "lower_landmarks", "features", "json"} <= explained


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "demo"])
def test_every_recipe_has_a_section_with_a_picture(name: str) -> None:
    section = text("recipes.md").split(f"\n### {name}\n")[1].split("\n##")[0]
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", section)
    assert 5_000 < (DOCS / picture).stat().st_size < LARGEST
    assert len(section.split()) > 25


def test_every_picture_is_shown() -> None:
    shown = {
        name
        for file in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
        for name in re.findall(r"images/([\w.-]+)", file.read_text())
    }
    assert {path.name for path in (DOCS / "images").glob("*.jpg")} <= shown


def filled(split: Split) -> float:
    """Share of seeds with which ten people fill all splits."""
    people = [(f"person {number}", "", None) for number in range(10)]
    full = [set(assign_splits(split, seed, people)) == {*split.shares} for seed in range(1000)]
    return sum(full) / len(full)


def test_the_split_for_ten_people_fills_all_splits_as_often_as_stated() -> None:
    (line,) = re.findall(r"```yaml\n(split: .+)\n```", text("training.md"))
    stated = re.search(
        r"about (\d+) of 100 values of `seed`; with the default shares of .+ is (\d+)", text("training.md")
    )
    advised = Split.model_validate(parse_yaml(line.encode())["split"])
    assert stated and 100 * filled(advised) == pytest.approx(int(stated[1]), abs=2)
    assert 100 * filled(Split()) == pytest.approx(int(stated[2]), abs=4)


def test_a_short_try_of_a_training_of_two_parts_leaves_epochs_for_both() -> None:
    document = " ".join(text("training.md").split())
    for job, option in (("askd", "teacher"), ("antimask", "decoder")):
        found = re.search(rf"train {job} [^`]*--preset small --epochs (\d+) --{option}-epochs (\d+)", document)
        assert found and 0 < int(found[2]) < int(found[1]) <= getattr(presets_of(job)["small"], f"{option}_epochs")
