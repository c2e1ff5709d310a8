"""An erasure makes a release that holds nothing of a person, from the folder of releases alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.release.channel_log import append_entry, read_log
from faceloom.pipelines.release.erase import erase, plan_erasure
from faceloom.pipelines.release.manifest import published
from faceloom.pipelines.release.purge import purge
from faceloom.pipelines.release.resolve import read_versions
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.release.traces import COLUMNS, traces_of
from faceloom.pipelines.release.verify import verify_release
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.checked_shards import check_every_byte, read_rows
from faceloom.pipelines.store.parquet_tables import read_index_table
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, GateError, ReleaseError, StorageError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.release import Release
from tests.pipelines.release import sets
from tests.pipelines.release.searching import alike, look, naming
from tests.pipelines.release.sets import One, picture, release_in, with_morphs, write_set

ADA = "Ada Lovelace"
ONES = [
    One(1, ADA), One(2, ADA), One(3, "Grace"), One(4, "Rosa", shard=1), One(5, "Marie", shard=2),
    One(6, "Emmy", "test"), One(7, "Lise", "test"),
]  # fmt: skip
MORPHS = [replace(ONES[2], other=ONES[0]), replace(ONES[3], other=ONES[2])]
EVERYTHING = [*ONES, *MORPHS]
OF_ADA = [one for one in EVERYTHING if ADA in one.people]
WORDS = [ADA, *(one.sha256 for one in ONES[:2]), *(one.sha256[:16] for one in ONES[:2]), *(one.uri for one in ONES[:2])]


@pytest.fixture
def root(tmp_path: Path) -> Storage:
    release_in(tmp_path / "root", EVERYTHING)
    return Storage(str(tmp_path / "root"))


def rows_of(root: Storage, release: Release) -> list[IndexRow]:
    return [row for shard in release.shards for row in read_rows(root, ShardRecord(**shard.model_dump()))]


def keys(root: Storage, release: Release) -> set[str]:
    return {row.key for row in rows_of(root, release)}


def test_the_new_release_holds_all_but_the_person(root: Storage) -> None:
    old = read_versions(root, "faces").versions
    done = erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    release = done.published.release
    assert keys(root, release) == {one.key for one in EVERYTHING} - {one.key for one in OF_ADA}
    assert (done.samples, done.morphs, release.written, release.erased) == (3, 1, 6, 3)
    assert release.parent.startswith("faces/1.0.0+") and read_versions(root, "faces").versions == (*old, "1.0.1")
    assert (done.rewritten, done.shared) == (1, 3), "shards without the person are shared"
    assert done.still_in == ("faces@1.0.0",) and done.same_photos == 0 and done.named_in == ()
    for shard in release.shards:
        check_every_byte(root, shard.name)
        data = root.read_bytes(shard_tar(shard.name)), root.read_bytes(shard_index(shard.name))
        assert [hashlib.sha256(one).hexdigest() for one in data] == [shard.sha256, shard.index_sha256]
    assert [entry.action for entry in read_log(root, "faces")] == ["erase"]


def test_after_the_purge_nothing_of_the_person_is_left(root: Storage) -> None:
    folder = Path(root.root)
    looks = [look(picture(one)[..., ::-1]) for one in OF_ADA]
    assert naming(folder, WORDS) and alike(folder, looks)
    erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    assert naming(folder, WORDS), "the older release stays until it is purged"
    purge(root, "faces@1.0.0", why="a person withdrew their consent")
    assert naming(folder, WORDS) == {} and alike(folder, looks) == []
    others = [look(picture(one)[..., ::-1]) for one in EVERYTHING if one not in OF_ADA]
    assert len(alike(folder, others)) >= 6, "the others are found this way"


def test_the_person_goes_out_of_texts_too(tmp_path: Path) -> None:
    def parts(ones: Any) -> dict[str, Any]:
        place = {"stage": "render", "source": "s", "code": "morph_folds", "key": f"{ones[0].face}-x-{ONES[1].face}"}
        named = {**place, "uri": ones[0].uri, "message": f"the mesh folds: {ONES[1].uri}"}
        other = {**place, "uri": "Zoe/1.png", "message": "the mesh folds", "key": "ab"}
        return {"ab" * 8: [named, other]}

    recipe = {"name": "x", "description": f"with {ADA} and others", "sources": [{"path": ADA, "name": "s"}]}
    release = release_in(
        tmp_path, EVERYTHING, parts=parts, recipe=recipe, description=f"{ADA} and others", planned=len(EVERYTHING) + 8,
        rejects={"render": {"morph_folds": 8}}, erased=0, warnings=(f"{ADA} has 2 photos", "Rosa has one photo"),
    )  # fmt: skip
    root = Storage(str(tmp_path))
    assert {shard.name for shard in release.shards} <= {Path(path).stem for path in naming(tmp_path, WORDS)}
    done = erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    assert (done.rewritten, done.shared) == (4, 0), "each index named one of the photos in a reject"
    assert done.published.release.warnings == ("Rosa has one photo",)
    assert done.published.release.recipe["sources"][0]["path"] == "erased"
    purge(root, "faces@1.0.0")
    assert naming(tmp_path, WORDS) == {}
    assert naming(tmp_path, ["Zoe/1.png"]) == {}, "a photo without samples may be of anyone, so its rejects go too"
    assert done.published.release.rejects == {"render": {"morph_folds": 8}}, "counts stay"


@pytest.mark.parametrize("bits", ["0000", "all"])
def test_a_name_that_no_sample_has_is_refused_although_a_reject_may_be_of_anyone(tmp_path: Path, bits: str) -> None:
    """A misspelt name lies at some place of the prefix tree too, and in a small release every place is in one shard."""
    reject = {"stage": "render", "source": "s", "uri": "0815.png", "code": "morph_folds", "message": "it folds",
              "key": f"{'f' * 16}-f00"}  # fmt: skip
    parts = {"ab" * 8: [reject]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "write_shard", partial(named_by, sets.write_shard, bits, parts))
        release_in(tmp_path, ONES, planned=len(ONES) + 2, rejects={"render": {"morph_folds": 2}}, erased=0)
    root = Storage(str(tmp_path))
    before = tree(root)
    names = ["Ada Lovelce", *(f"Nemo {number}" for number in range(32))]
    for name in names:
        with pytest.raises(ReleaseError, match="no sample of this release holds the person"):
            erase(root, "faces@1.0.0", "1.0.1", identity=name)
    assert tree(root) == before
    assert erase(root, "faces@1.0.0", "1.0.1", identity=ADA).samples == 2


def named_by(write: Any, bits: str, parts: Any, storage: Storage, split: str, place: str, ones: Any, _: Any) -> Any:
    """Write a shard with another place and these rejects."""
    return write(storage, split, bits if bits == "all" else place, ones, parts)


def test_a_photo_takes_its_morphs_along_and_leaves_the_person(root: Storage) -> None:
    done = erase(root, "faces@1.0.0", "1.0.1", photos=[ONES[0].sha256])
    gone = {one.key for one in EVERYTHING} - keys(root, done.published.release)
    assert gone == {ONES[0].key, MORPHS[0].key}
    purge(root, "faces@1.0.0")
    assert naming(Path(root.root), [ONES[0].sha256, ONES[0].sha256[:16]]) == {}


def test_a_person_and_a_photo_go_together(root: Storage) -> None:
    done = erase(root, "faces@1.0.0", "1.0.1", identity=ADA, photos=[ONES[4].sha256])
    assert done.samples == 4 and ONES[4].key not in keys(root, done.published.release)
    assert [shard.split for shard in done.published.release.shards] == ["test", "train", "train"], "one shard is empty"


def test_the_same_photo_under_another_name_is_reported(tmp_path: Path) -> None:
    release_in(tmp_path, [*ONES, One(1, "Augusta", mask="B", shard=1, other=ONES[3])])
    done = erase(Storage(str(tmp_path)), "faces@1.0.0", "1.0.1", identity=ADA)
    assert done.same_photos == 1


def group_photo(number: int, folder: str, **more: Any) -> sets.Located:
    """A face in a photo of several people: the name of a folder fits one of them at most."""
    return sets.Located(number, f"photo-{One(number, '').sha256[:16]}-f00", path=f"{folder}/{number:04d}.png", **more)


def test_a_photo_of_several_people_in_the_folder_of_the_person_goes_too(tmp_path: Path) -> None:
    others = [group_photo(9, ADA, shard=2), group_photo(10, "Grace")]
    morphs = [replace(ONES[2], other=others[0]), replace(ONES[3], other=others[1])]
    release_in(tmp_path, [*ONES, *others, *morphs])
    root = Storage(str(tmp_path))
    done = erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    kept = {one.key for one in [*ONES[2:], others[1], morphs[1]]}
    assert keys(root, done.published.release) == kept and done.samples == 4 and done.morphs == 1
    assert others[0].sha256 in done.traces.photos
    purge(root, "faces@1.0.0")
    assert naming(tmp_path, [*WORDS, others[0].sha256, others[0].sha256[:16]]) == {}


def test_a_photo_of_someone_else_in_the_folder_of_the_person_is_reported(tmp_path: Path) -> None:
    release_in(tmp_path, [*ONES, sets.Located(9, "Grace", path=f"{ADA}/0009.png")])
    done = erase(Storage(str(tmp_path)), "faces@1.0.0", "1.0.1", identity=ADA)
    assert (done.samples, done.same_photos) == (2, 1)


def test_a_log_that_names_the_person_is_reported(root: Storage) -> None:
    with locked_root(root):
        append_entry(root, "promote", f"faces/1.0.0+{'0' * 64}", channel="stable", why=f"with {ADA}")
    assert erase(root, "faces@1.0.0", "1.0.1", identity=ADA).named_in == ("channels/faces.jsonl",)


def test_a_label_of_recordio_goes_out_of_texts_and_figures_stay(tmp_path: Path) -> None:
    ones = [One(1, "12"), One(2, "0"), One(3, "3"), One(12, "7", "test")]
    warnings = ("1 identity is in several sources (12 in a and b)", "12 photos are small")
    recipe = {"name": "x", "sources": [{"path": "12", "name": "s"}, {"path": "train.rec", "name": "t"}], "seed": 12}
    release_in(tmp_path, ones, recipe=recipe, description="12 people, without label 12", warnings=warnings)
    root = Storage(str(tmp_path))
    with locked_root(root):
        append_entry(root, "promote", f"faces/1.0.0+{'0' * 64}", channel="stable", why="12 of 20 were looked at")
    release = erase(root, "faces@1.0.0", "1.0.1", identity="12").published.release
    assert release.warnings == ("12 photos are small",) and release.description == "12 people, without erased"
    assert [source["path"] for source in release.recipe["sources"]] == ["erased", "train.rec"]
    assert release.recipe["seed"] == 12 and "12" not in {row.identity for row in rows_of(root, release)}
    with locked_root(root):
        append_entry(root, "promote", f"faces/1.0.0+{'0' * 64}", channel="stable", why="identity 12 is gone")
    assert erase(root, "faces@1.0.0", "1.0.2", identity="12").named_in == ("channels/faces.jsonl",)


def tree(root: Storage) -> dict[str, bytes]:
    return {path: root.read_bytes(path) for path in root.list() if path != ".lock"}


@pytest.mark.parametrize(
    ("asked", "version", "error", "words"),
    [
        ({"identity": "Nemo"}, "1.0.1", ReleaseError, "no sample of this release holds the person"),
        ({"identity": "ada lovelace"}, "1.0.1", ReleaseError, "Check the spelling"),
        ({"photos": ["0" * 64]}, "1.0.1", ReleaseError, "no sample of this release holds the person"),
        ({"photos": ["xyz"]}, "1.0.1", FaceloomError, "no digest of a photo"),
        ({}, "1.0.1", FaceloomError, "Give --identity, --photo or both"),
        ({"identity": ADA}, "1.0.0", ReleaseError, "exists already"),
        ({"identity": ADA}, "0.9.9", GateError, "does not come after"),
        ({"photos": [ONES[5].sha256, ONES[6].sha256]}, "1.0.1", ReleaseError, "without samples (got test)"),
    ],
)
def test_what_cannot_be_erased_is_refused_and_changes_nothing(
    root: Storage, asked: dict[str, Any], version: str, error: type[FaceloomError], words: str
) -> None:
    before = tree(root)
    with pytest.raises(error) as caught:
        erase(root, "faces@1.0.0", version, **asked)
    assert words in str(caught.value) and tree(root) == before


def test_a_damaged_sample_ends_the_erasure(root: Storage) -> None:
    name = next(shard for shard in root.list("shards") if ADA.encode() in root.read_bytes(shard))
    data = bytearray(root.read_bytes(name))
    at = data.index(ONES[2].key.encode())
    data[at + 600] ^= 1
    Path(root.root, name).write_bytes(data)
    before = tree(root)
    with pytest.raises(StorageError, match="is damaged"):
        erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    assert tree(root) == before


@pytest.mark.parametrize("path", ["releases/others/1.0.0/release.json", "index"])
def test_a_damaged_release_may_still_hold_the_person(root: Storage, path: str) -> None:
    other = release_in(Path(root.root), [One(90, "Zoe")], name="others")
    file = path if path.endswith(".json") else shard_index(other.shards[0].name)
    Path(root.root, file).write_bytes(b"{}")
    done = erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    assert done.still_in == ("faces@1.0.0", "others@1.0.0")


def test_a_release_that_names_the_person_in_a_reject_alone_is_reported(root: Storage) -> None:
    reject = {"stage": "render", "source": "s", "uri": ONES[0].uri, "code": "morph_folds", "message": "it folds",
              "key": ONES[0].face}  # fmt: skip
    others: dict[str, Any] = {"name": "others", "planned": 2, "rejects": {"render": {"morph_folds": 1}}, "erased": 0}
    release_in(Path(root.root), [One(90, "Zoe")], parts=lambda ones: {"ab" * 8: [reject]}, **others)
    done = erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    assert done.still_in == ("faces@1.0.0", "others@1.0.0")


def test_erasing_twice_counts_both(root: Storage) -> None:
    erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    again = erase(root, "faces@latest", "1.0.2", identity="Marie")
    assert again.published.release.erased == 4 and again.still_in == ("faces@1.0.0", "faces@1.0.1")


@pytest.mark.parametrize("path", ["shards", "index", "releases/faces/1.0.1"])
def test_a_killed_erasure_leaves_no_release(root: Storage, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Whatever is written last before the kill, the next command finds the old release alone."""
    before = tree(root)

    def killed(self: Storage, to: str, **options: Any) -> Any:
        if to.startswith(path):
            raise KeyboardInterrupt
        return honest(self, to, **options)

    honest = Storage.write
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
    with locked_root(root):
        pass
    assert tree(root) == before
    assert erase(root, "faces@1.0.0", "1.0.1", identity=ADA).samples == 3


def test_an_erasure_that_was_killed_before_its_line_in_the_log_is_finished_by_the_same_call(
    root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    for reference in ("faces@1.0.0", "faces@latest"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("faceloom.pipelines.release.erase.append_entry", killed)
            erase(root, "faces@1.0.0", "1.0.1", identity=ADA)
        before = tree(root)
        assert read_versions(root, "faces").versions == ("1.0.0", "1.0.1") and read_log(root, "faces") == ()
        with pytest.raises(ReleaseError, match="exists already"):
            erase(root, reference, "1.0.1", identity="Grace")
        assert tree(root) == before
    for reference in ("faces@latest", "faces@1.0.0"):
        done = erase(root, reference, "1.0.1", identity=ADA)
        assert (done.samples, done.rewritten, done.still_in) == (3, 1, ("faces@1.0.0",))
        assert [entry.release for entry in read_log(root, "faces")] == [done.published.id]
        assert {path: data for path, data in tree(root).items() if path in before and path != "faceloom.json"} == {
            path: data for path, data in before.items() if path != "faceloom.json"
        }


def test_a_split_of_one_person_goes_if_it_may(root: Storage) -> None:
    photos = [ONES[5].sha256, ONES[6].sha256]
    with pytest.raises(
        ReleaseError, match=r"without samples \(got test\)\. Let the split go with --drop-split --as 2\.0"
    ):
        erase(root, "faces@1.0.0", "2.0.0", photos=photos)
    with pytest.raises(GateError, match=r"the split test is gone\. Use 2\.0\.0"):
        erase(root, "faces@1.0.0", "1.1.0", photos=photos, drop_split=True)
    done = erase(root, "faces@1.0.0", "2.0.0", photos=photos, drop_split=True)
    release = done.published.release
    assert done.dropped == ("test",) and set(release.splits) == {"train"} and release.erased == 2
    assert {shard.split for shard in release.shards} == {"train"}
    assert not verify_release(root, "faces@2.0.0", deep=True).faults
    purge(root, "faces@1.0.0")
    assert naming(Path(root.root), [*photos, *(photo[:16] for photo in photos), "Emmy", "Lise"]) == {}


def test_an_erasure_of_everything_is_refused(root: Storage) -> None:
    with pytest.raises(ReleaseError, match=r"release purge faces@1\.0\.0"):
        erase(root, "faces@1.0.0", "2.0.0", photos=[one.sha256 for one in ONES], drop_split=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    yield Storage(str(tmp_path_factory.mktemp("drawn")))


PEOPLE = st.lists(
    st.builds(One, photo=st.integers(0, 9), identity=st.sampled_from("ABC"), shard=st.integers(0, 2)),
    unique_by=lambda one: one.photo, min_size=2, max_size=8,
)  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(PEOPLE, st.sampled_from(["", "A", "B"]), st.sets(st.integers(0, 9), max_size=2))
def test_the_plan_is_that_of_a_plain_loop(drawn: Storage, ones: list[One], identity: str, photos: set[int]) -> None:
    if not identity and not photos:
        return
    everything = with_morphs(ones)
    release = write_set(drawn, everything)
    asked = {One(photo, "").sha256 for photo in photos}
    tables = {s.name: read_index_table(drawn, shard_index(s.name), COLUMNS) for s in release.shards}
    plans = plan_erasure(tables, {}, traces_of(identity, asked).with_photos_of(tables.values()))
    goes = {
        one.key
        for one in everything
        for side in (one, one.other)
        if side and (side.identity == identity or side.sha256 in asked)
    }
    kept = [key for plan in plans.values() for key in plan.kept]
    assert sorted(kept) == sorted({one.key for one in everything} - goes)
    for name, plan in plans.items():
        assert plan.gone + len(plan.kept) == len(tables[name]) and plan.rewritten == (plan.gone > 0)


def test_a_release_has_the_same_digest_wherever_it_is_erased(tmp_path: Path) -> None:
    digests = set()
    for place in ("one", "other"):
        release_in(tmp_path / place, EVERYTHING)
        done = erase(Storage(str(tmp_path / place)), "faces@1.0.0", "1.0.1", identity=ADA)
        digests.add(published(done.published.release).digest)
    assert len(digests) == 1
