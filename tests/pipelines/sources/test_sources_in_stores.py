"""Every adapter reads from object stores what it reads from a folder."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.sources import ahead_source
from faceloom.pipelines.sources.registry import kind_of, open_source
from faceloom.pipelines.sources.source import Source, expect, labels_of, notices_of_scan
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec
from tests.object_stores import Fault, gcs_server, s3_server
from tests.pipelines.sources.test_contract import LAYOUTS, Case, bare


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    with {"s3": s3_server, "gs": gcs_server}[request.param]() as url:
        yield url


@pytest.fixture(params=LAYOUTS, ids=lambda lay: lay.__name__[4:])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    laid: Case = request.param(tmp_path)
    return laid


class Stored:
    """A laid out source, and the same in a store."""

    def __init__(self, case: Case, top: Path, bucket: str) -> None:
        self.case, self.top = case, top
        self.url = f"{bucket}/{top.name}"
        self.storage = Storage(self.url)
        self.copy()
        places = {key: str(getattr(case.spec, key) or "") for key in ("path", "root", "labels")}
        moved = {key: path.replace(str(top), self.url) for key, path in places.items() if path}
        self.spec = case.spec.model_copy(update=moved)

    def copy(self) -> None:
        """Make the store hold what the folder holds."""
        files = {path.relative_to(self.top).as_posix(): path for path in self.top.rglob("*") if path.is_file()}
        for name in {*self.storage.list()} - files.keys():
            self.storage.remove(name)
        for name, path in files.items():
            self.storage.write_if_changed(name, path.read_bytes())


@pytest.fixture
def stored(case: Case, tmp_path: Path, bucket: str) -> Iterator[Stored]:
    made = Stored(case, tmp_path, bucket)
    yield made
    for path in made.storage.list():
        made.storage.remove(path)


def facts(row: Photo | Reject) -> Photo | tuple[str, str]:
    """What does not depend on where a file lies: a stamp is a time or an ETag."""
    if isinstance(row, Reject):
        return row.uri, row.code
    return replace(row, stamp="", labels="yes" if row.labels else "")


def photos_of(source: Source) -> list[Photo]:
    return [row for row in source.scan() if isinstance(row, Photo)]


def test_the_same_rows_bytes_and_labels(stored: Stored) -> None:
    local, there = open_source(stored.case.spec), open_source(stored.spec)
    assert kind_of(local) == kind_of(there) and local.name == there.name
    rows = list(there.scan())
    assert [facts(row) for row in rows] == [facts(row) for row in local.scan()]
    assert list(open_source(stored.spec).scan()) == rows
    assert notices_of_scan(local) == notices_of_scan(there)
    for photo in (row for row in rows if isinstance(row, Photo)):
        assert there.read(photo.uri) == local.read(photo.uri) == stored.case.photos[bare(photo.uri)]
        assert labels_of(there, photo.uri) == labels_of(local, photo.uri)
        assert photo.stamp and stored.url not in photo.uri


def test_a_worker_reads_ahead_without_a_scan(stored: Stored) -> None:
    uris = [photo.uri for photo in photos_of(open_source(stored.spec))]
    frozen = pickle.dumps(open_source(stored.spec))
    worker: Source = pickle.loads(frozen)
    assert len(frozen) < 4_000 and isinstance(worker, ahead_source.AheadSource)
    expect(worker, uris)
    for uri in uris:
        assert worker.read(uri) == stored.case.photos[bare(uri)]
        assert labels_of(worker, uri) == labels_of(open_source(stored.case.spec), uri)


def test_patterns_of_uris(stored: Stored) -> None:
    changes = {"include": (stored.case.include,), "exclude": (stored.case.exclude,), "licence": "CC0"}
    specs = [one.model_copy(update=changes) for one in (stored.case.spec, stored.spec)]
    local, there = ([facts(row) for row in open_source(spec).scan()] for spec in specs)
    assert local == there and any(isinstance(row, Photo) and row.licence == "CC0" for row in there)


def test_what_vanishes_or_changes(stored: Stored) -> None:
    source = open_source(stored.spec)
    photos = photos_of(source)
    gone = next(photo for photo in photos if bare(photo.uri) == stored.case.gone)
    assert [source.read(photo.uri) for photo in photos]
    stored.case.remove_photo(gone.uri)
    stored.copy()
    with pytest.raises(PhotoError) as caught:
        source.read(gone.uri)
    assert (caught.value.code, caught.value.where) == ("vanished", gone.uri)
    for photo in photos:
        if photo != gone:
            assert source.read(photo.uri) == stored.case.photos[bare(photo.uri)], "also from a tar that is shorter now"


def test_a_folder_without_objects_is_an_error_with_a_remedy(stored: Stored) -> None:
    for path in stored.storage.list():
        stored.storage.remove(path)
    with pytest.raises(SourceError) as caught:
        list(open_source(stored.spec).scan())
    assert caught.value.remedy and stored.url in caught.value.where


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flat", "csv", "shards", "records"])
def test_latency_costs_little_while_photos_are_worked_on(kind: str, tmp_path: Path) -> None:
    """50 ms of latency and 20 ms of work for each photo. One by one, waiting takes three times as long as the work.

    `benchmarks/latency.py` measures some 5 %; here other programs may run.
    """
    fault = Fault()
    layout = next(lay for lay in LAYOUTS if lay.__name__ == f"lay_{kind}")
    with s3_server(fault.proxy) as url:
        source = open_source(Stored(layout(tmp_path), tmp_path, url).spec)
        uris = [photo.uri for photo in photos_of(source)] * 10
        source.read(uris[-1])  # a process lists the members of a tar file once
        fault.delay = 0.05
        expect(source, uris)
        begin = time.perf_counter()
        for uri in uris:
            source.read(uri)
            time.sleep(0.02)
        took = time.perf_counter() - begin
    assert took < 1.6 * 0.02 * len(uris)


def test_tar_files_by_name_and_by_pattern(bucket: str, tmp_path: Path) -> None:
    layout = next(lay for lay in LAYOUTS if lay.__name__ == "lay_shards")
    stored = Stored(layout(tmp_path), tmp_path, bucket)
    for name in ("set-0001.tar", "set-{0000..0001}.tar", "set-*[02].tar", "**/*.tar", "set-{0001..0004}.tar"):
        specs = [SourceSpec(path=f"{top}/shards/{name}", name="s") for top in (tmp_path, stored.url)]
        local, there = ([facts(row) for row in open_source(spec).scan()] for spec in specs)
        assert local == there and len(local) > 2
    with pytest.raises(SourceError, match="no tar file"):
        list(open_source(SourceSpec(path=f"{stored.url}/shards/none.tar")).scan())


def test_one_rec_file(bucket: str, tmp_path: Path) -> None:
    layout = next(lay for lay in LAYOUTS if lay.__name__ == "lay_records")
    stored = Stored(layout(tmp_path), tmp_path, bucket)
    specs = [SourceSpec(path=f"{top}/records/train.rec") for top in (tmp_path, stored.url)]
    local, there = map(open_source, specs)
    uris = [photo.uri for photo in photos_of(there)]
    assert [facts(row) for row in local.scan()] == [facts(row) for row in there.scan()]
    stored.storage.remove("records/train.idx")
    (tmp_path / "records/train.idx").unlink()
    local, there = map(open_source, specs)
    assert [facts(row) for row in local.scan()] == [facts(row) for row in there.scan()]
    assert [there.read(photo.uri) for photo in photos_of(there)] == [local.read(one.uri) for one in photos_of(local)]
    assert len(photos_of(there)) == len(uris)
    with pytest.raises(SourceError, match="gone"):
        list(open_source(SourceSpec(path=f"{stored.url}/records/none.rec")).scan())


@pytest.mark.parametrize("kind", ["flat", "tinyface", "celebamask_hq"])
def test_there_must_be_something(bucket: str, kind: Any) -> None:
    with pytest.raises(SourceError, match="no objects in this folder"):
        list(open_source(SourceSpec(path=f"{bucket}/nothing", kind=kind)).scan())
