"""Photos in a bucket: listed as in a folder, read ahead, and found changed by their hash."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import signal
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest

from faceloom.pipelines.analyse.verified_photos import read_unchanged
from faceloom.pipelines.context import Context
from faceloom.pipelines.sources import source as sources
from faceloom.pipelines.sources.ahead_source import AheadSource
from faceloom.pipelines.sources.listing import kept_lists
from faceloom.pipelines.sources.registry import kind_of, open_source
from faceloom.pipelines.store import kept_list, object_client
from faceloom.pipelines.store.output_folder import check_output
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError, RecipeError, SourceError, StorageError, WorkerError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.recipe import parse_recipe
from faceloom.schemas.source_spec import SourceSpec
from tests.object_stores import Fault, fresh_clients, gcs_server, s3_server
from tests.patience import on_busy_machine
from tests.pipelines.sources.killed_scan import listed, listed_until_killed

FAULT = Fault()
FILES = {
    "Ada/Ada_0001.jpg": b"one", "Ada/holiday/beach photo.png": b"two", "Grace/été.jpeg": b"three",
    "Zoë Ω/写真.webp": b"four", "Ada.jpg": b"five", "Ada/notes.txt": b"text", "Ada/empty.jpg": b"",
    "Ada/.hid.jpg": b"x",
    "Ada/._fork.jpg": b"x", ".cache/a.jpg": b"x", ".cache/b.jpg": b"x",
}  # fmt: skip


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def photos(request: pytest.FixtureRequest) -> Iterator[Storage]:
    with {"s3": s3_server, "gs": gcs_server}[request.param](FAULT.proxy) as url:
        yield lay(Storage(f"{url}/sets/photos"), FILES)


def lay(storage: Storage, files: dict[str, bytes]) -> Storage:
    for path, data in files.items():
        with storage.write(path) as stream:
            stream.write(data)
    return storage


def source_at(storage: Storage, kind: str = "auto", **changes: Any) -> AheadSource:
    made = open_source(SourceSpec.model_validate({"path": storage.root, "kind": kind, **changes}))
    assert isinstance(made, AheadSource)
    return made


@pytest.mark.parametrize("kind", ["people", "flat"])
def test_it_lists_what_a_folder_would(photos: Storage, kind: str, tmp_path: Path) -> None:
    for path, data in FILES.items():
        (tmp_path / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / path).write_bytes(data)
    spec = SourceSpec.model_validate({"path": str(tmp_path / "photos"), "kind": kind, "licence": "CC0"})

    def facts(rows: Iterator[Photo | Reject]) -> list[Any]:
        found = [
            (row.uri, row.identity, row.size, row.licence) if isinstance(row, Photo) else (row.uri, row.code)
            for row in rows
        ]
        return sorted(found, key=lambda fact: str(fact[0]))

    got, want = source_at(photos, kind, licence="CC0"), open_source(spec)
    assert facts(got.scan()) == facts(want.scan())
    assert got.name == want.name == "photos" and kind_of(got) == kind
    listed = [row.uri for row in got.scan() if isinstance(row, Photo)]
    assert listed == sorted(listed) and len(listed) == 5
    assert [got.read(uri) for uri in listed] == [FILES[uri] for uri in listed]


def test_the_kind_is_detected(photos: Storage) -> None:
    assert kind_of(source_at(photos)) == "people"
    flat = lay(Storage(f"{photos.root}-flat"), {"a.jpg": b"a", "b.jpg": b"b", "c/d.jpg": b"d"})
    assert kind_of(source_at(flat)) == "flat"


def test_uris_can_be_chosen(photos: Storage) -> None:
    rows = source_at(photos, include=["*Ada*"], exclude=["*.txt", "*.jpg"]).scan()
    assert [row.uri for row in rows if row.uri != ".cache"] == ["Ada/holiday/beach photo.png"]


def test_the_stamp_changes_with_the_content(photos: Storage) -> None:
    def stamps() -> dict[str, str]:
        return {row.uri: row.stamp for row in source_at(photos).scan() if isinstance(row, Photo)}

    before = stamps()
    lay(photos, {"Ada.jpg": b"FIVE"})
    after = stamps()
    lay(photos, {"Ada.jpg": FILES["Ada.jpg"]})
    assert {uri for uri in before if before[uri] != after[uri]} == {"Ada.jpg"} and all(before.values())


def test_a_photo_that_changes_after_its_analysis_is_found_by_its_hash(photos: Storage) -> None:
    import hashlib

    recipe = parse_recipe(
        {"name": "x", "sources": [{"path": photos.root}], "masks": [{"kind": "polygon", "shape": "A"}]}
    )
    context = Context(recipe.model_dump_json(exclude_unset=True, by_alias=True), "out")
    sha256 = hashlib.sha256(b"five").hexdigest()
    assert read_unchanged(context, "photos", "Ada.jpg", sha256) == b"five"
    lay(photos, {"Ada.jpg": b"FIVE"})
    with pytest.raises(PhotoError, match="changed after it was analysed"):
        read_unchanged(context, "photos", "Ada.jpg", sha256)
    lay(photos, {"Ada.jpg": FILES["Ada.jpg"]})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(object_client, "PATIENCE", object_client.Patience(0.0))
    with fresh_clients():
        yield
    FAULT.answers, FAULT.delay = (lambda method, path: None), 0.0


def test_photos_that_cannot_be_read(photos: Storage, quick: None) -> None:
    source = source_at(photos)
    with pytest.raises(PhotoError) as caught:
        source.read("gone.jpg")
    assert caught.value.code == "vanished"
    FAULT.answers = lambda method, path: 403
    with pytest.raises(PhotoError) as caught:
        source.read("Ada.jpg")
    assert caught.value.code == "unreadable"
    with pytest.raises(SourceError, match="cannot be listed"):
        list(source.scan())


def test_a_store_that_is_away_is_no_fault_of_the_photo(photos: Storage, quick: None) -> None:
    recipe = parse_recipe({"name": "x", "sources": [{"path": photos.root, "kind": "flat"}], "masks": []})
    context = Context(recipe.model_dump_json(exclude_unset=True, by_alias=True), "out")
    FAULT.answers = lambda method, path: 503
    with pytest.raises(WorkerError, match=r"photos/Ada\.jpg: .*503"):
        read_unchanged(context, "photos", "Ada.jpg", "0" * 64)


def test_an_object_that_is_too_long_is_not_read(photos: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 3)
    with pytest.raises(PhotoError) as caught:
        source_at(photos).read("Ada.jpg")
    assert caught.value.code == "too_many_bytes"


def test_photos_are_read_ahead(photos: Storage, quick: None) -> None:
    many = {f"{number:03d}.jpg": np.random.default_rng(number).bytes(20_000) for number in range(30)}
    source = source_at(lay(Storage(f"{photos.root}-many"), many), "flat")
    FAULT.seen.clear()
    source.expect(many)
    assert [source.read(uri) for uri in many] == [*many.values()]
    assert len(FAULT.seen) == len(many), "one request for each photo"


def test_no_output_goes_among_the_photos(photos: Storage) -> None:
    recipe = parse_recipe({"name": "x", "sources": [{"path": photos.root}]})
    for inside in (photos.root, f"{photos.root}/out"):
        with pytest.raises(RecipeError, match="the output folder lies inside this source"):
            check_output(recipe, inside)
    check_output(recipe, f"{photos.root}-out")


def test_it_pickles(photos: Storage) -> None:
    source = source_at(photos)
    source.expect(FILES)
    again = pickle.loads(pickle.dumps(source))
    assert again.read("Ada.jpg") == b"five" and kind_of(again) == kind_of(source)


def put_raw(url: str, key: str, data: bytes) -> None:
    """Write an object whose name our own writer refuses."""
    address = f"{os.environ['AWS_ENDPOINT_URL']}/{url.removeprefix('s3://')}/{quote(key)}"
    with urllib.request.urlopen(urllib.request.Request(address, data, method="PUT")):
        pass


@pytest.mark.parametrize("kind", ["people", "flat"])
def test_empty_objects_that_stand_for_folders_are_left_out(kind: str) -> None:
    """Consoles of stores write them. The library lists `Ada/` as `Ada`, but behind `Ada-May/1.jpg`."""
    with s3_server() as url:
        for key in ("sets/", "sets/Ada-May/", "sets/Ada/", "sets/Zoë/"):
            put_raw(url, key, b"")
        lay(Storage(f"{url}/sets"), {"Ada-May/1.jpg": b"1", "Ada/2.jpg": b"2", "Ada/empty.jpg": b""})
        found = [(row.uri, row.code if isinstance(row, Reject) else "") for row in
                 source_at(Storage(f"{url}/sets"), kind).scan()]  # fmt: skip
    assert found == [("Ada-May/1.jpg", ""), ("Ada/2.jpg", ""), ("Ada/empty.jpg", "empty")]


@pytest.mark.parametrize("key", ["sets/Ada//1.jpg", "sets/./1.jpg", "sets/../1.jpg"])
def test_an_object_whose_name_cannot_be_used_is_named(key: str) -> None:
    with s3_server() as url:
        put_raw(url, key, b"1")
        with pytest.raises(SourceError, match=rf"name of an object cannot be used: {re.escape(key)}.*Rename this"):
            list(source_at(Storage(f"{url}/sets"), "people").scan())


def test_urls_of_other_kinds_are_refused() -> None:
    with pytest.raises(RecipeError, match="an address, not a path"):
        parse_recipe({"name": "x", "sources": [{"path": "http://host/photos"}]})
    with pytest.raises(StorageError, match="does not name a folder"):
        open_source(SourceSpec(path="s3://bucket//a"))


MANY = [f"person {number // 2:02d}/{number:03d}.jpg" for number in range(24)]


def listed_behind() -> list[str | None]:
    """Behind which objects the store was asked to list."""
    queries = [parse_qs(urlsplit(path).query) for _, path in FAULT.seen]
    return [
        query.get("start-after", [None])[0] for query in queries if "list-type" in query and "delimiter" not in query
    ]


@pytest.mark.parametrize("photos", ["s3"], indirect=True)
def test_after_a_kill_the_listed_half_is_not_listed_again(photos: Storage, tmp_path: Path) -> None:
    many = lay(Storage(f"{photos.root}-half"), dict.fromkeys(MANY, b"no picture"))
    arguments = (many.root, str(tmp_path), 3)
    child = multiprocessing.get_context("spawn").Process(target=listed_until_killed, args=arguments)
    child.start()
    child.join(on_busy_machine(60))
    assert child.exitcode == -signal.SIGKILL
    FAULT.seen.clear()
    notes: list[str] = []
    assert listed(many.root, str(tmp_path), notes) == MANY
    asked = listed_behind()
    assert asked and all((behind or "").removeprefix("sets/photos-half/") >= MANY[11] for behind in asked)
    assert any("goes on with the list" in note for note in notes)
    assert not Storage(str(tmp_path)).list("work")
    # A new photo in the half that was kept is found by the run that follows.
    lay(many, {"person 00/new.jpg": b"new"})
    FAULT.seen.clear()
    assert len(listed(many.root, str(tmp_path))) == len(MANY) + 1 and None in listed_behind()


@pytest.mark.parametrize("photos", ["s3"], indirect=True)
@pytest.mark.parametrize(("error", "kept"), [(KeyboardInterrupt, False), (RuntimeError, False), (SourceError, True)])
def test_lists_stay_only_if_the_store_fails(
    photos: Storage, tmp_path: Path, error: type[BaseException], kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C the user may change the photos before the next run."""
    monkeypatch.setattr(kept_list, "PIECE", 2)
    out = Storage(str(tmp_path))
    with pytest.raises(error), kept_lists(out, print):
        for _ in islice(source_at(photos, "flat").scan(), 6):
            pass
        raise error("stopped")
    assert bool(out.list("work")) == kept
