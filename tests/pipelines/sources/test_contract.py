"""What every source adapter must do, whatever holds its photos."""

from __future__ import annotations

import csv
import fnmatch
import io
import pickle
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest

from faceloom.pipelines.recordio.record_writer import RecordWriter
from faceloom.pipelines.sources.celebamask_hq import CelebAMaskHq
from faceloom.pipelines.sources.celebamask_notes import part_file
from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.folder_of_people import FolderOfPeople
from faceloom.pipelines.sources.label_maps import LabelMaps
from faceloom.pipelines.sources.pairs import Pairs
from faceloom.pipelines.sources.path_pattern import PathPattern
from faceloom.pipelines.sources.recordio import RecordIo
from faceloom.pipelines.sources.registry import ADAPTERS, open_source
from faceloom.pipelines.sources.source import LabelledSource, Source, labels_of
from faceloom.pipelines.sources.table import Table
from faceloom.pipelines.sources.tinyface import TinyFace
from faceloom.pipelines.sources.webdataset_shards import WebDatasetShards
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceKind, SourceSpec

PHOTOS = {
    "Ada/Ada_0001.jpg": b"ada one",
    "Ada/Ada_0002.JPG": b"ada two, upper case",
    "Ada/holiday/beach photo.png": b"ada with a blank in the name",
    "Grace/été.jpeg": b"composed accents",
    "Grace/e\u0301te\u0301.jpeg": b"decomposed accents",
    "Zoë Ω/写真.webp": b"not latin",
    "Ada.jpg": b"sorts between folders",
}
"""Bytes that no decoder would take: adapters must not look inside."""


@dataclass
class Case:
    """A laid out source: its spec, its adapter, and where one of its photos and its root lie on disk.

    `photos` are its photos by the last part of their uri; `gone` is the one to remove; `include` takes some of them and
    `exclude` leaves some of these out.
    """

    spec: SourceSpec
    adapter: type
    remove_photo: Callable[[str], None]
    root: Path
    photos: dict[str, bytes] = field(default_factory=lambda: PHOTOS)
    gone: str = "Grace/été.jpeg"
    include: str = "*Ada*"
    exclude: str = "*Ada_0001*"


def lay_folder(top: Path, kind: str, adapter: type) -> Case:
    for uri, data in PHOTOS.items():
        (top / uri).parent.mkdir(parents=True, exist_ok=True)
        (top / uri).write_bytes(data)
    (top / "Ada" / "empty.jpg").touch()
    return Case(SourceSpec(kind=kind, path=str(top)), adapter, lambda uri: (top / uri).unlink(), top)  # type: ignore[arg-type]


def lay_people(top: Path) -> Case:
    return lay_folder(top / "people", "people", FolderOfPeople)


def lay_flat(top: Path) -> Case:
    return lay_folder(top / "flat", "flat", FlatFolder)


def lay_csv(top: Path) -> Case:
    case = lay_folder(top / "table", "table", Table)
    with (case.root / "photos.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["uri", "identity"], *([uri, "x"] for uri in PHOTOS), ["Ada/empty.jpg", "x"]])
    case.spec = SourceSpec(path=str(case.root / "photos.csv"))
    return case


def lay_parquet(top: Path) -> Case:
    import pyarrow as pa
    import pyarrow.parquet as pq

    case = lay_folder(top / "table", "table", Table)
    file = top / "elsewhere.parquet"
    pq.write_table(pa.table({"uri": [*PHOTOS, "Ada/empty.jpg"]}), file)
    case.spec = SourceSpec(path=str(file), root=str(case.root))
    return case


def lay_shards(top: Path) -> Case:
    root = top / "shards"
    root.mkdir()

    def write(skip: str = "") -> None:
        # As real shards do, each holds some samples; names in them need not be sorted.
        for number in range(3):
            with tarfile.open(root / f"set-{number:04d}.tar", "w") as tar:
                for uri, data in [*list(PHOTOS.items())[number::3], (f"empty{number}.jpg", b"")]:
                    if uri != skip:
                        member = tarfile.TarInfo(uri)
                        member.size = len(data)
                        tar.addfile(member, io.BytesIO(data))

    write()
    return Case(SourceSpec(path=str(root)), WebDatasetShards, lambda uri: write(skip=uri.partition("::")[2]), root)


def lay_files(top: Path, photos: dict[str, bytes], empty: str) -> None:
    for uri, data in {**photos, empty: b""}.items():
        (top / uri).parent.mkdir(parents=True, exist_ok=True)
        (top / uri).write_bytes(data)


def lay_tinyface(top: Path) -> Case:
    uris = ["Training_Set/1/1_1.jpg", "Training_Set/12/a.jpg", "Testing_Set/Probe/7_1.jpg"]
    uris += ["Testing_Set/Gallery_Match/7_2.jpg", "Testing_Set/Gallery_Distractor/3_1.jpg"]
    photos = {uri: uri.encode() for uri in uris}
    root = top / "tinyface"
    lay_files(root, photos, "Training_Set/1/empty.jpg")
    spec = SourceSpec(path=str(root))
    return Case(spec, TinyFace, lambda uri: (root / uri).unlink(), root, photos, uris[2], "*Set/*7*", "*7_2*")


def lay_pattern(top: Path) -> Case:
    uris = ["p1/S1/L1/neutral/front.jpg", "p1/S1/L1/neutral/left.jpg", "p2/S1/L3/smile/front.jpg", "été/S/L/x/写.jpg"]
    photos = {uri: uri.encode() for uri in uris}
    root = top / "kface"
    lay_files(root, photos, "p1/S1/L1/neutral/empty.jpg")
    pattern = "{identity}/{accessory}/{light}/{expression}/{angle}.jpg"
    spec = SourceSpec(kind="path_pattern", path=str(root), pattern=pattern)
    return Case(spec, PathPattern, lambda uri: (root / uri).unlink(), root, photos, uris[1], "p1/*", "*left*")


def lay_celebamask(top: Path) -> Case:
    photos = {f"{number}.jpg": b"picture %d" % number for number in (0, 10, 17, 2000, 29999)}
    root = top / "CelebAMask-HQ"
    lay_files(root / "CelebA-HQ-img", photos, "5.jpg")
    for number in (0, 17):
        lay_files(root, {part_file(number, "skin"): b"skin"}, part_file(number, "nose"))
    remove = lambda uri: (root / "CelebA-HQ-img" / uri).unlink()  # noqa: E731
    return Case(SourceSpec(path=str(root)), CelebAMaskHq, remove, root, photos, "17.jpg", "*0*.jpg", "10*")


def lay_labelled(top: Path) -> Case:
    root = top / "labelled"
    lay_files(root / "images", PHOTOS, "Ada/empty.jpg")
    lay_files(root / "masks", {"Ada/Ada_0001.png": b"map", "Grace/été.png": b"map"}, "Ada.png")
    spec = SourceSpec(kind="label_maps", path=str(root / "images"), labels=str(root / "masks"))
    return Case(spec, LabelMaps, lambda uri: (root / "images" / uri).unlink(), root)


def lay_pairs(top: Path) -> Case:
    root = top / "bare"
    lay_files(root, PHOTOS, "Ada/empty.jpg")
    lay_files(top / "masked", {f"{uri.rpartition('.')[0]}-on.png": b"map" for uri in PHOTOS}, "Ada/nothing.png")
    folders = {"bare": str(root), "masked": str(top / "masked")}
    spec = SourceSpec.model_validate({"kind": "pairs", "suffix": "-on", **folders})
    return Case(spec, Pairs, lambda uri: (root / uri).unlink(), root)


def lay_records(top: Path) -> Case:
    photos = {f"{number:09d}": data for number, data in enumerate(PHOTOS.values(), 1)}
    root = top / "records"
    root.mkdir()

    def write(skip: str = "") -> None:
        with (root / "train.rec").open("wb") as records, (root / "train.idx").open("wb") as index:
            writer = RecordWriter(records, index)
            writer.write(0, (8.0, 9.0), b"")
            for number, (uri, data) in enumerate([*photos.items(), ("empty", b"")], 1):
                if uri != skip:
                    writer.write(number, number % 3, data)

    write()
    spec = SourceSpec(path=str(root))
    remove = lambda uri: write(uri.partition("::")[2])  # noqa: E731
    return Case(spec, RecordIo, remove, root, photos, "000000005", "*00[1-4]", "*3")


LAYOUTS = [
    *(lay_people, lay_flat, lay_csv, lay_parquet, lay_shards, lay_records),
    *(lay_tinyface, lay_pattern, lay_celebamask, lay_labelled, lay_pairs),
]


@pytest.fixture(params=LAYOUTS, ids=lambda lay: lay.__name__[4:])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    laid: Case = request.param(tmp_path)
    return laid


def photos_of(source: Source) -> list[Photo]:
    return [row for row in source.scan() if isinstance(row, Photo)]


def bare(uri: str) -> str:
    return uri.rpartition("::")[2]


def test_every_adapter_is_held_to_this(tmp_path: Path) -> None:
    folders = [tmp_path / lay.__name__ for lay in LAYOUTS]
    for folder in folders:
        folder.mkdir()
    laid = {lay(folder).adapter for lay, folder in zip(LAYOUTS, folders, strict=True)}
    assert laid == set(ADAPTERS.values())
    assert {*ADAPTERS, "auto"} == set(get_args(SourceKind))


def test_open_source_finds_the_adapter(case: Case) -> None:
    assert type(open_source(case.spec)) is case.adapter
    assert open_source(case.spec).name == case.spec.source_name


def test_every_entry_is_a_photo_or_a_reject(case: Case) -> None:
    rows = list(open_source(case.spec).scan())
    assert {bare(row.uri) for row in rows if isinstance(row, Photo)} == set(case.photos)
    rejects = [row for row in rows if isinstance(row, Reject)]
    assert {row.code for row in rejects} <= {"empty", "not_a_picture"}
    assert "empty" in {row.code for row in rejects}
    assert {row.stage for row in rejects} == {"scan"}
    assert all(row.message for row in rejects)


def test_scans_agree(case: Case) -> None:
    source = open_source(case.spec)
    assert list(source.scan()) == list(source.scan()) == list(open_source(case.spec).scan())


def test_photos_are_sorted_and_unique(case: Case) -> None:
    uris = [photo.uri for photo in photos_of(open_source(case.spec))]
    assert uris == sorted(set(uris))


def test_uris_say_nothing_of_this_machine(case: Case, tmp_path: Path) -> None:
    for row in open_source(case.spec).scan():
        assert not row.uri.startswith("/")
        assert str(tmp_path) not in repr(row)
        assert "\\" not in row.uri
        assert row.source == case.spec.source_name


def test_moving_a_source_changes_no_uri(case: Case, tmp_path: Path) -> None:
    before = [photo.uri for photo in photos_of(open_source(case.spec))]
    moved = case.root.rename(tmp_path / "moved")
    changes: dict[str, object] = {"path": case.spec.path.replace(str(case.root), str(moved))}
    if case.spec.root:
        changes["root"] = str(moved)
    if case.spec.labels:
        changes["labels"] = case.spec.labels.replace(str(case.root), str(moved))
    assert [photo.uri for photo in photos_of(open_source(case.spec.model_copy(update=changes)))] == before


def test_read_returns_the_very_bytes(case: Case) -> None:
    source = open_source(case.spec)
    for photo in reversed(photos_of(source)):
        data = source.read(photo.uri)
        assert data == case.photos[bare(photo.uri)]
        assert photo.size == len(data)


def test_a_worker_reads_without_a_scan(case: Case) -> None:
    source = open_source(case.spec)
    photos = photos_of(source)
    frozen = pickle.dumps(source)
    worker: Source = pickle.loads(frozen)
    assert len(frozen) < 4_000
    assert [worker.read(photo.uri) for photo in photos] == [source.read(photo.uri) for photo in photos]
    assert list(worker.scan()) == list(source.scan())


def test_defaults_of_the_spec_reach_every_photo(case: Case) -> None:
    spec = case.spec.model_copy(update={"name": "mine", "licence": "CC0", "consent": "written"})
    photos = photos_of(open_source(spec))
    assert {(photo.source, photo.licence, photo.consent) for photo in photos} == {("mine", "CC0", "written")}
    assert photos[0].photo_id == f"mine/{photos[0].uri}"


def test_include_and_exclude(case: Case) -> None:
    spec = case.spec.model_copy(update={"include": (case.include,), "exclude": (case.exclude,)})
    found = {bare(photo.uri) for photo in photos_of(open_source(spec))}
    taken = {uri for uri in case.photos if fnmatch.fnmatchcase(uri, case.include)}
    assert found == {uri for uri in taken if not fnmatch.fnmatchcase(uri, case.exclude)}
    assert set() < found < taken < set(case.photos)


def test_a_photo_that_vanished(case: Case) -> None:
    source = open_source(case.spec)
    photos = photos_of(source)
    gone = next(photo for photo in photos if bare(photo.uri) == case.gone)
    case.remove_photo(gone.uri)
    with pytest.raises(PhotoError) as caught:
        source.read(gone.uri)
    assert caught.value.code == "vanished"
    assert caught.value.where == gone.uri
    rest = [photo for photo in photos if photo != gone]
    assert all(source.read(photo.uri) == case.photos[bare(photo.uri)] for photo in rest)


def test_a_photo_that_changed_has_another_stamp(case: Case) -> None:
    source = open_source(case.spec)
    before = {photo.uri: (photo.size, photo.stamp) for photo in photos_of(source)}
    case.remove_photo(next(iter(before)))
    case_again = {photo.uri: (photo.size, photo.stamp) for photo in photos_of(source)}
    assert next(iter(before)) not in case_again
    if case.adapter not in (WebDatasetShards, RecordIo):
        assert all(before[uri] == figures for uri, figures in case_again.items())


def test_a_source_that_vanished(case: Case) -> None:
    source = open_source(case.spec)
    uri = photos_of(source)[0].uri
    shutil.rmtree(case.root)
    with pytest.raises(SourceError) as caught:
        source.read(uri)
    assert caught.value.remedy
    with pytest.raises(SourceError):
        list(source.scan())


def test_a_wrong_path_is_refused_with_a_remedy(case: Case) -> None:
    shutil.rmtree(case.root)
    with pytest.raises(SourceError) as caught:
        list(open_source(case.spec).scan())
    assert caught.value.remedy


def test_labels_are_read_by_workers_and_stamped(case: Case) -> None:
    source = open_source(case.spec)
    worker: Source = pickle.loads(pickle.dumps(source))
    for photo in photos_of(source):
        labels = labels_of(worker, photo.uri)
        assert bool(photo.labels) == (labels is not None)
        assert labels_of(source, photo.uri) == labels
        assert photo.labels == "" or isinstance(source, LabelledSource)
        assert labels is None or all(data in (b"map", b"skin", b"") for _, data in labels.files)
