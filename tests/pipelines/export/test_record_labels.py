"""Labels of records: those of the source stay, so that records can be joined with the original ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.export.record_labels import MOST_COUNTED, choose_labels
from faceloom.pipelines.export.sample_facts import SampleFacts
from faceloom.schemas.errors import FaceloomError


def fact(identity: str, uri: str = "train.rec::000000017") -> SampleFacts:
    return SampleFacts("k", identity, "train", uri, False, ())


def test_labels_of_records_are_kept() -> None:
    facts = [fact("4"), fact("12"), fact("4")]
    assert choose_labels(facts, None) == choose_labels(facts, "source") == {"4": 4, "12": 12}
    assert choose_labels(facts, "renumber") is None


def test_people_without_labels_are_numbered() -> None:
    assert choose_labels([fact("Ada", "Ada/1.jpg"), fact("7", "7/1.jpg")], None) is None
    assert choose_labels([], None) is None
    assert choose_labels([fact("7", "7/1.jpg")], "source") == {"7": 7}


@pytest.mark.parametrize("identity", ["Ada", "007", "-1", "1.5", "4+7", "", str(MOST_COUNTED), "9" * 400])
def test_a_label_that_cannot_be_kept_is_named(identity: str) -> None:
    for labels in (None, "source"):
        with pytest.raises(FaceloomError, match=r"train.rec::000000017: .*label.*--labels renumber") as caught:
            choose_labels([fact("3"), fact(identity)], labels)
        assert caught.value.value == identity


def test_people_of_another_source_may_not_get_labels_of_other_people() -> None:
    with pytest.raises(FaceloomError, match=r"2/1.jpg: .*not to every person.*got 2.*--labels FILE"):
        choose_labels([fact("3"), fact("2", "2/1.jpg")], None)
    assert choose_labels([fact("2", "2/1.jpg"), fact("2")], None) == {"2": 2}


def table(tmp_path: Path, text: str) -> str:
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    return str(tmp_path / "labels.csv")


def test_a_table_gives_labels(tmp_path: Path) -> None:
    path = table(tmp_path, '\ufefflabel,identity,notes\n40,"Ada, L.",x\n7,Bea,y\n1,Cleo,\n')
    labels = choose_labels([fact("Ada, L."), fact("Bea", "b.jpg")], path)
    assert labels is not None and (labels["Ada, L."], labels["Bea"]) == (40, 7)
    with pytest.raises(FaceloomError, match=r"labels.csv: the table has no label of a person \(got Dora\)"):
        choose_labels([fact("Ada, L."), fact("Dora")], path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,person\n1,Ada\n", "labels.csv:2: .* needs the columns label and identity"),
        ("label,identity\n1\n", "needs the columns"),
        ("label,identity\none,Ada\n", "no whole number below 16,777,216"),
        ("identity\nAda\n", "no whole number"),
        ("label,identity\n1,Ada\n2,Ada\n", "labels.csv:3: .*names 'Ada' again"),
        ("label,identity\n1,Ada\n1,Bea\n", "two people have the same label"),
        ('label,identity\n1,"Ada\n', "cannot be used"),
        ("", "no label of a person"),
    ],
)
def test_a_wrong_table_is_named_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FaceloomError, match=message):
        choose_labels([fact("Ada")], table(tmp_path, text))


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FaceloomError, match="table of labels cannot be used"):
            choose_labels([fact("Ada")], str(path))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(FaceloomError, match="table of labels cannot be used"):
        choose_labels([fact("Ada")], str(tmp_path / "binary.csv"))
