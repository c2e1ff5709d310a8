"""The data card: what a stranger must know before using a build."""

from __future__ import annotations

import pytest

from faceloom.pipelines.analyse.model_files import LANDMARK_MODEL_TERMS
from faceloom.pipelines.store.build_record import RECORD_FORMAT, BuildRecord, ShardRecord
from faceloom.pipelines.store.data_card import card_text


def record(**changes: object) -> BuildRecord:
    facts: dict[str, object] = {
        "recipe": {"name": "pairs", "description": "Pairs.", "seed": 7, "sources": [{"path": "photos"}]},
        "format": RECORD_FORMAT,
        "code": "1",
        "libraries": {},
        "plan": "ab" * 32,
        "analyser": "1",
        "renderer": "1",
        "photos": 12,
        "faces": 9,
        "planned": 18,
        "written": 17,
        "rejects": {"analyse": {"no_face": 2}, "render": {"mask_fit": 1}},
        "by_split": {"train": 10, "test": 7},
        "by_mask": {"surgical": 17},
        "by_source": {"photos": 17},
        "shards": (
            ShardRecord(
                name="train-all-0", split="train", samples=17, bytes=5, sha256="", index_bytes=1, index_sha256=""
            ),
        ),
    }
    return BuildRecord(**{**facts, **changes})  # type: ignore[arg-type]


def card(model_terms: str = "", **changes: object) -> str:
    licences, consents = {"CC-BY 4.0": 9, "not stated": 8}, {"not stated": 17}
    return card_text(record(**changes), 5, licences, consents, model_terms=model_terms)


def test_says_what_it_holds() -> None:
    text = card()
    assert text.startswith("# pairs\n")
    assert "17 samples of 5 people, from 12 files of 1 sources" in text
    assert "| train | 10 |" in text and "| surgical | 17 |" in text


def test_terms_are_those_of_the_photos() -> None:
    text = card()
    assert "| CC-BY 4.0 | 9 |" in text
    assert text.index("| Licence | Samples |") < text.index("| Consent | Samples |")


def test_the_packaged_model_is_named_only_where_it_may_have_been_used() -> None:
    assert LANDMARK_MODEL_TERMS in card(model_terms=LANDMARK_MODEL_TERMS)
    assert "68-point" not in card()


def test_what_was_left_out_is_counted_by_reason() -> None:
    text = card()
    assert "| analyse | no_face | 2 |" in text and "| render | mask_fit | 1 |" in text
    assert "Nothing." in card(rejects={})


def test_masks_are_said_to_be_synthetic() -> None:
    assert "synthetic" in card()


@pytest.mark.parametrize("licence", ["a | b", "two\nlines", "tab\tin it"])
def test_a_licence_cannot_break_the_table(licence: str) -> None:
    text = card_text(record(), 1, {licence: 3}, {}, model_terms="")
    row = next(line for line in text.splitlines() if line.endswith("| 3 |"))
    assert row.replace("\\|", "").count("|") == 3


def test_names_no_clock_and_no_path_of_a_machine() -> None:
    assert "20" not in card(plan="ab").split("## How it was made")[1]
    assert "/home" not in card() and "/tmp" not in card()


def test_morphs_are_told_and_how_well_their_neighbours_were_found() -> None:
    exact = card(morphs=6)
    assert "6 of 9 faces are morphs of two people. Nearest neighbours are exact." in exact
    found = card(morphs=6, recall={"train": 0.987, "test": 1.0})
    assert "100.0% of them in test, 98.7% of them in train" in found and "exact" not in found
    assert "morph" not in card().split("## Care")[0]
