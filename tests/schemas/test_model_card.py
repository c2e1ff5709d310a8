"""The card: strict about what it holds, and the same after a way through JSON."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from faceloom.schemas.model_card import CARD_FORMAT, DataCard, FileCard, ModelCard, ParentCard
from faceloom.schemas.recipe import Align

DATA = DataCard(
    name="lee2022", digest="0" * 64, plan="1" * 64, align=Align(mode="eye_level", size=64), masks={"surgical": 3},
    licences={"not stated": 3}, consents={"not stated": 3}, train=2, held_out=1, held_out_from="split val",
)  # fmt: skip
FIELDS: dict[str, Any] = {
    "preset": "compact", "size": 64, "parameters": 9, "hyper_parameters": {"batch": 16, "widths": [1, 2]},
    "unstated_in_paper": ["batch"], "seed": 0, "epochs_done": 4, "finished": True, "metrics": {"best_epoch": 3},
    "device": "cpu: x", "precision": "float32", "code": "0.1.0", "torch": "2", "data": DATA,
    "files": {"best.safetensors": {"bytes": 5, "sha256": "2" * 64}},
}  # fmt: skip


def test_a_card_goes_through_json() -> None:
    card = ModelCard.model_validate(FIELDS)
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
    assert card.files["best.safetensors"] == FileCard(bytes=5, sha256="2" * 64)
    assert card.parent is None and card.format == CARD_FORMAT


def test_the_best_epoch_is_in_the_metrics_or_the_last() -> None:
    card = ModelCard.model_validate(FIELDS)
    assert card.best_epoch == 3 and card.model_copy(update={"metrics": {}}).best_epoch == card.epochs_done == 4


def test_a_parent_says_what_it_was_trained_on() -> None:
    card = ModelCard.model_validate({**FIELDS, "parent": ParentCard(folder="first", weights="3" * 64, data=DATA)})
    back = ModelCard.model_validate_json(card.model_dump_json())
    assert back.parent is not None and back.parent.data.licences == {"not stated": 3}


@pytest.mark.parametrize(
    "change", [{"what": "a cake"}, {"format": 2}, {"colour": "red"}, {"size": "large"}, {"data": {}}, {"files": None}]
)
def test_what_is_no_card_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModelCard.model_validate({**FIELDS, **change})


@pytest.mark.parametrize("size", [{}, [{}], [64], "64", None, 65])
def test_a_size_of_another_kind_does_not_agree(size: object) -> None:
    with pytest.raises(ValidationError, match=r"`size`, `hyper_parameters.size` and `data.align.size` differ"):
        ModelCard.model_validate({**FIELDS, "hyper_parameters": {"size": size}})


def test_a_card_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        ModelCard.model_validate(FIELDS).seed = 3
