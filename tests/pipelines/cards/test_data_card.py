"""The data card states what a stranger must know before using a set."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from faceloom.pipelines.cards.data_card import CardFacts, SourceFacts, card_text, hub_licence, refuse_empty_sections
from faceloom.pipelines.recipe.yaml_text import parse_yaml
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.release import GroupMisses

FACTS = CardFacts(
    title="pairs",
    version="1.0.0",
    description="Pairs of faces.\n\nFor training.",
    shards={"train": ["train-0-aa", "train-1-bb"], "test": ["test-all-cc"]},
    splits={"train": (10, 4), "test": (7, 2)},
    people=5,
    photos=12,
    by_mask={"surgical": 17},
    sources=(SourceFacts("photos", 17, 5, {"CC-BY 4.0": 17}, {"": 17}, photos=9),),
    members=("face.jpg", "mask.png", "masked.jpg", "json"),
    rejects={"analyse": {"no_face": 2}, "render": {"mask_fit": 1}},
    made=("By faceloom.",),
)


def head(text: str) -> dict[str, object]:
    found: dict[str, object] = parse_yaml(text.split("---\n")[1].encode())
    return found


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_says_what_it_holds() -> None:
    text = card_text(FACTS)
    assert "# pairs 1.0.0\n\nPairs of faces.\n\nFor training.\n" in text
    made_of = section(text, "Composition")
    assert "17 samples of 5 people, from 12 files of 1 source." in made_of
    assert "| train | 10 | 4 |" in made_of and "| surgical | 17 |" in made_of
    assert "| `masked.jpg` | the same face with a mask |" in made_of
    assert "| photos | 17 | 5 | 9 |" in section(text, "Sources")
    whole = card_text(replace(FACTS, members=("landmarks.npy", "lower_landmarks.npy")))
    assert section(whole, "Composition").count("NaN without trusted ones |") == 2


def test_counts_are_set_apart_by_commas() -> None:
    many = replace(
        FACTS, splits={"train": (1_234_567, 8_900)}, by_mask={"surgical": 1_234_567}, photos=98_765,
        sources=(replace(FACTS.sources[0], samples=1_234_567, photos=54_321, licences={"CC0": 1_234_567}),),
        rejects={"analyse": {"no_face": 7_654}},
    )  # fmt: skip
    text = card_text(many)
    for row in (
        "| train | 1,234,567 | 8,900 |",
        "| surgical | 1,234,567 |",
        "| photos | CC0 | 1,234,567 |",
        " 54,321 |",
    ):
        assert row in text
    assert "1,234,567 samples of 5 people, from 98,765 files" in text and "found: 7,654 of 98,765 photos" in text
    assert not re.search(r"\b[0-9]{4,}\b", text.split("---")[2]), "no count without commas"


def test_the_head_is_that_of_the_hub() -> None:
    found = head(card_text(FACTS))
    assert found["license"] == "cc-by-4.0" and found["pretty_name"] == "pairs" and found["size_categories"] == ["n<1K"]
    assert found["task_categories"] == ["image-feature-extraction", "image-segmentation", "image-to-image"]
    assert found["configs"] == [
        {
            "config_name": "default",
            "data_files": [
                {"split": "test", "path": ["shards/test-all-cc.tar"]},
                {"split": "train", "path": ["shards/train-0-aa.tar", "shards/train-1-bb.tar"]},
            ],
        },
    ]


def test_splits_have_names_that_the_hub_accepts_and_stay_apart() -> None:
    text = card_text(replace(FACTS, shards={"a-b": ["x"], "a b": ["y"]}))
    assert '  - split: "a_b"\n    path:\n    - "shards/y.tar"\n' in text
    assert '  - split: "a_b_"\n    path:\n    - "shards/x.tar"\n' in text


@pytest.mark.parametrize(
    ("stated", "named"),
    [
        (["CC0"], "cc0-1.0"),
        (["CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"], "cc-by-nc-sa-4.0"),
        (["for research only"], "other"),
        (["CC0", ""], "other"),
        ([""], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_licence_is_named_as_the_hub_names_it(stated: list[str], named: str) -> None:
    assert hub_licence(stated) == named


@pytest.mark.parametrize(("samples", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**7, "n>10M")])
def test_the_size_is_a_category_of_the_hub(samples: int, size: str) -> None:
    assert head(card_text(replace(FACTS, splits={"train": (samples, 1)})))["size_categories"] == [size]


def test_terms_are_those_of_the_photos() -> None:
    text = card_text(replace(FACTS, models=("The landmark model is not for sale.",)))
    assert "| photos | CC-BY 4.0 | 17 |" in section(text, "Licences")
    assert "The landmark model is not for sale." in section(text, "Licences")
    assert "| photos | not stated | 17 |" in section(text, "Consent")


def test_limits_count_the_misses_of_the_detector_by_group() -> None:
    old = GroupMisses(attribute="Age", value="old", photos=8, missed=2)
    young = GroupMisses(attribute="Age", value="young", photos=4, missed=0)
    limits = section(card_text(replace(FACTS, misses=(old, young))), "Known limits")
    assert "Left out since no face was found: 2 of 12 photos.\n" in limits
    assert "| Age | old | 8 | 2 | 25.0 % |" in limits and "| Age | young | 4 | 0 | 0.0 % |" in limits
    assert "state no attributes" in section(card_text(FACTS), "Known limits")


def test_what_was_left_out_is_counted_by_reason() -> None:
    left = section(card_text(FACTS), "Left out")
    assert "| analyse | no_face | the detector found none" in left and "| render | mask_fit |" in left
    assert "Nothing." in section(card_text(replace(FACTS, rejects={})), "Left out")


def test_uses_checks_and_warnings_are_stated() -> None:
    text = card_text(replace(FACTS, notes=("The split val is empty.",), checks=(("identities", "all disjoint"),)))
    assert "mask segmentation" in section(text, "Intended uses") and "identify" in section(text, "Refused uses")
    assert "The split val is empty." in section(text, "Known limits")
    assert "| identities | all disjoint |" in section(text, "How it was made")


@pytest.mark.parametrize("licence", ["a | b", "two\nlines", "tab\tin it"])
def test_a_licence_cannot_break_the_table(licence: str) -> None:
    source = replace(FACTS.sources[0], licences={licence: 3})
    row = next(line for line in card_text(replace(FACTS, sources=(source,))).splitlines() if line.endswith("| 3 |"))
    assert row.replace("\\|", "").count("|") == 4


def test_a_complete_card_passes_and_an_empty_section_is_named() -> None:
    refuse_empty_sections(card_text(FACTS), "pairs@1.0.0")
    for changed, section in (({"sources": ()}, "Sources"), ({"splits": {}}, "Composition"), ({"made": ()}, "How it")):
        with pytest.raises(FaceloomError, match=rf"^pairs@1\.0\.0: a section of the data card is empty .got {section}"):
            refuse_empty_sections(card_text(replace(FACTS, **changed)), "pairs@1.0.0")
