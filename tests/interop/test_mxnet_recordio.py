"""MXNet RecordIO as InsightFace's arcface_torch reads it, by a reader that shares no code with ours."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import faceloom
from faceloom.pipelines.recordio.record_writer import RecordWriter
from faceloom.schemas.errors import FaceloomError
from tests.interop.conftest import make_build
from tests.pipelines.conftest import SURE, decoded, encoded, picture
from tests.pipelines.recordio.plain_reader import train_on

LABELS = (4, 6, 9, 12)
"""Of the people in the original records; 9 has photos that all drop out."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A train.rec as CASIA-WebFace has it: four people with labels that do not begin at 0; one is not read."""
    folder = tmp_path_factory.mktemp("original")
    with (folder / "train.rec").open("wb") as stream, (folder / "train.idx").open("wb") as index:
        writer = RecordWriter(stream, index)
        for number in range(16):
            label = LABELS[number % 4]
            data = b"no picture" if label == 9 else encoded(picture(112, 112, SURE[number]))
            writer.write(number, float(label), data)
    return folder


@pytest.fixture(scope="module")
def built(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of these records as aligned crops."""
    source = [{"kind": "recordio", "path": str(original / "train.rec")}]
    return make_build(
        original, tmp_path_factory.mktemp("records") / "out", sources=source, per_face=1, augment=[],
        faces={"assume": "aligned"}, split={"shares": {"train": 1.0}}, output={"image": "png"},
    )  # fmt: skip


def labels_of(folder: Path) -> list[list[str]]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))[1:]


def test_labels_of_the_source_are_kept(built: Path, tmp_path: Path) -> None:
    faceloom.export(built, tmp_path / "rec", layout="recordio")
    assert labels_of(tmp_path / "rec" / "train") == [["4", "4"], ["6", "6"], ["12", "12"]]
    assert (tmp_path / "rec" / "train" / "property").read_text() == "13,48,48\n"
    records = train_on(tmp_path / "rec" / "train")
    assert Counter(label for label, _ in records) == {4: 4, 6: 4, 12: 4}
    for label, data in records:
        assert decoded(data).shape == (48, 48, 3) and label in LABELS


def test_each_record_shows_the_person_that_its_label_names(built: Path, tmp_path: Path) -> None:
    faceloom.export(built, tmp_path / "rec", layout="recordio", pictures=["face"])
    samples = faceloom.open_samples(built, "train", members=["face", "json"], decode=False)
    whose = {sample["face.png"]: json.loads(sample["json"])["identity"] for sample in samples}
    assert {(label, whose[data]) for label, data in train_on(tmp_path / "rec" / "train")} == {
        (4, "4"),
        (6, "6"),
        (12, "12"),
    }


def test_labels_may_be_numbered_anew_or_come_from_a_table(built: Path, tmp_path: Path) -> None:
    faceloom.export(built, tmp_path / "new", layout="recordio", labels="renumber")
    assert sorted(label for label, _ in labels_of(tmp_path / "new" / "train")) == ["0", "1", "2"]
    (tmp_path / "own.csv").write_text("label,identity\n100,4\n200,6\n300,12\n")
    faceloom.export(built, tmp_path / "own", layout="recordio", labels=str(tmp_path / "own.csv"))
    assert labels_of(tmp_path / "own" / "train") == [["100", "4"], ["200", "6"], ["300", "12"]]
    assert {label for label, _ in train_on(tmp_path / "own" / "train")} == {100, 200, 300}


def test_bare_and_masked_faces_are_mixed_in_the_stated_ratio(built: Path, tmp_path: Path) -> None:
    done = faceloom.export(built, tmp_path / "mix", layout="recordio", pictures=["face", "masked"], mix=0.25)
    assert done.pictures == {"face.png": 9, "masked.png": 3}
    samples = faceloom.open_samples(built, "train", members=["face", "masked"], decode=False)
    kinds = {sample[f"{kind}.png"]: kind for sample in samples for kind in ("face", "masked")}
    seen: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for label, data in train_on(tmp_path / "mix" / "train"):
        seen[label][kinds[data]] += 1
    assert set(seen) == {4, 6, 12} and all(counts == {"face": 3, "masked": 1} for counts in seen.values())
    again = faceloom.export(built, tmp_path / "again", layout="recordio", pictures=["face", "masked"], mix=0.25)
    one, two = ((tmp_path / name / "train" / "train.rec").read_bytes() for name in ("mix", "again"))
    assert one == two and again == done


@pytest.mark.slow
def test_an_export_with_kept_labels_is_a_source_with_the_same_people(built: Path, tmp_path: Path) -> None:
    faceloom.export(built, tmp_path / "rec", layout="recordio")
    source = [{"kind": "recordio", "path": str(tmp_path / "rec" / "train")}]
    again = make_build(
        tmp_path, tmp_path / "out", sources=source, per_face=1, align={"size": 32},
        faces={"assume": "aligned", "min_size": 0}, split={"shares": {"train": 1.0}},
    )  # fmt: skip
    samples = faceloom.open_samples(again, members=["json"])
    assert {sample["json"]["identity"] for sample in samples} == {"4", "6", "12"}


@pytest.mark.slow
def test_pictures_of_several_sizes_are_refused_and_leave_nothing(original: Path, tmp_path: Path) -> None:
    out = make_build(
        original, tmp_path / "out", sources=[{"kind": "recordio", "path": str(original)}], lowres={"sizes": [8, 12]},
        faces={"assume": "aligned"}, split={"shares": {"train": 1.0}}, per_face=1,
    )  # fmt: skip
    with pytest.raises(FaceloomError, match="several sizes"):
        faceloom.export(out, tmp_path / "rec", layout="recordio", pictures=["lr"])
    assert [path.name for path in (tmp_path / "rec").rglob("*") if path.is_file()] == ["export.json"]
