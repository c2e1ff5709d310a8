from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faceloom.pipelines.export.target_folder import EXPORT
from faceloom.pipelines.sources.celebamask_hq import CelebAMaskHq
from faceloom.pipelines.sources.registry import kind_of, open_source
from faceloom.pipelines.sources.webdataset_shards import WebDatasetShards
from faceloom.schemas.errors import SourceError
from faceloom.schemas.source_spec import SourceSpec


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def kind(path: Path | str) -> str:
    return type(open_source(SourceSpec(path=str(path)))).__name__


@pytest.mark.parametrize(
    ("names", "adapter"),
    [
        (["a.jpg", "b.jpg"], "FlatFolder"),
        (["Ada/1.jpg", "Grace/1.jpg"], "FolderOfPeople"),
        (["Ada/1.jpg", "Ada/2.jpg", "cover.jpg"], "FolderOfPeople"),
        (["a.jpg", "b.jpg", "c.jpg", "more/d.jpg"], "FlatFolder"),
        (["Ada/2020/1.jpg"], "FolderOfPeople"),
        (["0.tar", "1.tar"], "WebDatasetShards"),
        (["0.tar", "README.md", "old/1.jpg"], "WebDatasetShards"),
        (["a.jpg", "backup.tar"], "FlatFolder"),
        (["CelebA-HQ-img/0.jpg", "CelebAMask-HQ-mask-anno/0/00000_skin.png", "cover.jpg"], "CelebAMaskHq"),
        (["CelebA-HQ-img/0.jpg", "CelebA-HQ-img/1.jpg"], "FolderOfPeople"),
        (["Training_Set/1/1.jpg", "Testing_Set/Probe/2_1.jpg"], "TinyFace"),
        (["Training_Set/1/1.jpg"], "FolderOfPeople"),
        (["train.rec", "train.idx", "property"], "RecordIo"),
        (["train.rec", "a.jpg"], "FlatFolder"),
        ([".thumbs/1.jpg", ".thumbs/2.jpg", "a.jpg"], "FlatFolder"),
        (["notes.txt"], "FlatFolder"),
        (["a.jpg", "more/train.rec"], "FlatFolder"),
        (["Ada/1.jpg", "more/train.rec"], "FolderOfPeople"),
    ],
)
def test_auto_goes_by_what_lies_there(tmp_path: Path, names: list[str], adapter: str) -> None:
    put(tmp_path, *names)
    assert kind(tmp_path) == adapter


@pytest.mark.parametrize(
    ("name", "adapter"),
    [
        ("t.csv", "Table"),
        ("t.TSV", "Table"),
        ("t.parquet", "Table"),
        ("s.tar", "WebDatasetShards"),
        ("r.rec", "RecordIo"),
    ],
)
def test_auto_goes_by_a_files_ending(tmp_path: Path, name: str, adapter: str) -> None:
    put(tmp_path, name)
    if name == "t.parquet":
        pq.write_table(pa.table({"uri": ["x"]}), tmp_path / name)
    elif adapter == "Table":
        (tmp_path / name).write_text("uri\n")
    assert kind(tmp_path / name) == adapter


def test_auto_knows_patterns_and_names_that_only_look_like_one(tmp_path: Path) -> None:
    assert kind(tmp_path / "set-{000..002}.tar") == "WebDatasetShards"
    put(tmp_path, "photos [a].tar/Ada/1.jpg")
    assert kind(tmp_path / "photos [a].tar") == "FolderOfPeople"


@pytest.mark.parametrize("kind", ["auto", "shards"])
def test_a_pattern_may_be_longer_than_the_name_of_a_file(tmp_path: Path, kind: str) -> None:
    names = [f"shard-{number:05d}" for number in range(60)]
    for name in names:
        (tmp_path / f"{name}.tar").write_bytes(bytes(10_240))
    for pattern in (",".join(names), "a/x," + ",".join(names)):
        path = str(tmp_path / ("{" + pattern + "}.tar"))
        source = open_source(SourceSpec.model_validate({"path": path, "kind": kind}))
        assert isinstance(source, WebDatasetShards)
        assert all("missing" not in str(row) for row in source.scan())
        assert any("a/x" in notice for notice in source.notices) == ("a/x" in pattern)
    with pytest.raises(SourceError):
        open_source(SourceSpec(path=path, kind="table"))
    with pytest.raises(SourceError):
        list(open_source(SourceSpec(path=path, kind="recordio")).scan())


def test_records_of_several_splits_are_taken_one_by_one(tmp_path: Path) -> None:
    put(tmp_path, "export.json", "test/train.rec", "test/property", "train/train.rec", "train/labels.csv")
    with pytest.raises(SourceError, match=f"only in folders below.*{tmp_path}/test; labels in each may count from 0"):
        kind(tmp_path)
    assert kind(tmp_path / "train") == kind(tmp_path / "test") == "RecordIo"
    assert type(open_source(SourceSpec(path=str(tmp_path), kind="recordio"))).__name__ == "RecordIo"


@pytest.mark.parametrize("folder", ["FlatFolder", "FolderOfPeople"])
def test_a_given_kind_is_obeyed(tmp_path: Path, folder: str) -> None:
    put(tmp_path, "a.jpg")
    spec = SourceSpec(path=str(tmp_path), kind="flat" if folder == "FlatFolder" else "people")
    assert type(open_source(spec)).__name__ == folder


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("nothing", "auto", "no such file or folder"),
        ("nothing", "people", "no such file or folder"),
        ("photo.jpg", "auto", "not a source of photos"),
        ("photo.jpg", "flat", "not a folder"),
    ],
)
def test_a_wrong_path_has_a_remedy(tmp_path: Path, path: str, kind: str, message: str) -> None:
    put(tmp_path, "photo.jpg")
    with pytest.raises(SourceError, match=message) as caught:
        open_source(SourceSpec.model_validate({"path": str(tmp_path / path), "kind": kind}))
    assert caught.value.remedy
    assert caught.value.where.endswith(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.tar.gz", "compressed tar file"),
        ("a.TGZ", "compressed tar file"),
        ("a.zip", "unpack it"),
        ("a.rar", "unpack it"),
        ("a.jxl", "JPEG XL is not supported"),
        ("a.xlsx", "convert it to CSV or Parquet"),
        ("a.jsonl", "convert it to CSV or Parquet"),
        ("a.mp4", "save its frames"),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "people"])
def test_known_files_that_are_no_source_have_advice(tmp_path: Path, kind: str, name: str, message: str) -> None:
    put(tmp_path, name)
    with pytest.raises(SourceError, match=message) as caught:
        open_source(SourceSpec.model_validate({"path": str(tmp_path / name), "kind": kind}))
    assert caught.value.where.endswith(name)


@pytest.mark.parametrize("name", ["a.tar", "a.rec", "a.csv", "a.parquet", "a"])
def test_a_pipe_or_device_is_no_source(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    for path in (tmp_path / name, tmp_path / f"zero-{name}"):
        with pytest.raises(SourceError, match="a pipe, socket or device is no source"):
            open_source(SourceSpec(path=str(path)))


@pytest.mark.parametrize("kind", ["auto", "flat", "shards", "recordio"])
def test_an_output_folder_is_no_source_and_its_shards_are(tmp_path: Path, kind: str) -> None:
    put(tmp_path, "faceloom.json", "build.json", "shards/train-0.tar")
    with pytest.raises(SourceError, match=f"output folder of faceloom.*give {tmp_path}/shards"):
        open_source(SourceSpec.model_validate({"path": str(tmp_path), "kind": kind}))
    assert type(open_source(SourceSpec(path=str(tmp_path / "shards")))).__name__ == "WebDatasetShards"


@pytest.mark.parametrize("folder", ["to", "to/train", "to/train/Ada"])
@pytest.mark.parametrize("kind", ["auto", "people", "flat"])
def test_an_export_is_no_source(tmp_path: Path, folder: str, kind: str) -> None:
    put(tmp_path, "to/train/Ada/k.jpg", "to/train/Ada/k.face.jpg")
    (tmp_path / "to" / EXPORT).write_text(f'{{"plan": "{"0" * 64}"}}')
    with pytest.raises(SourceError, match=r"an export of faceloom, not photos\. Give the photos .* OUT/shards"):
        open_source(SourceSpec.model_validate({"path": str(tmp_path / folder), "kind": kind}))


def test_records_of_an_export_are_a_source(tmp_path: Path) -> None:
    put(tmp_path, "to/train/train.rec", "to/train/train.idx")
    (tmp_path / "to" / EXPORT).write_text('{"plan": "0"}')
    assert kind(tmp_path / "to" / "train") == kind(tmp_path / "to" / "train" / "train.rec") == "RecordIo"


@pytest.mark.parametrize("text", ["", "[]", '{"plan": "gold", "user": 1}', "[" * 99])
def test_an_export_of_another_program_is_no_export_of_ours(tmp_path: Path, text: str) -> None:
    put(tmp_path, "Ada/1.jpg")
    (tmp_path / EXPORT).write_text(text)
    assert kind(tmp_path) == "FolderOfPeople"


@given(path=st.text(max_size=300) | st.text("{}[]*?~/.tar", max_size=60).map(lambda text: f"{text}.tar"))
def test_any_path_is_a_source_or_an_error(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    with contextlib.suppress(ValidationError, SourceError):
        open_source(SourceSpec(path=f"{folder}/{path}", kind="shards"))


def test_unreadable_folders_do_not_stop_auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/1.jpg", "b/2.jpg")
    scandir = os.scandir

    def guarded(path: object) -> object:
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", guarded)
    assert kind(tmp_path) == "FolderOfPeople"


def test_a_data_set_is_found_in_outer_folders(tmp_path: Path) -> None:
    inner = tmp_path / "download" / "set" / "CelebAMask-HQ"
    for name in ("CelebA-HQ-img", "CelebAMask-HQ-mask-anno/0"):
        (inner / name).mkdir(parents=True)
    (inner / "CelebA-HQ-img" / "0.jpg").write_bytes(b"x")
    (tmp_path / "download" / "readme.txt").write_text("x")
    for kind in ("auto", "celebamask_hq"):
        source = open_source(SourceSpec.model_validate({"path": str(tmp_path / "download"), "kind": kind}))
        assert type(source) is CelebAMaskHq and source.name == "download"
        assert [row.uri for row in source.scan()] == ["0.jpg"] and source.read("0.jpg") == b"x"
    (tmp_path / "download" / "set" / "other").mkdir()
    with pytest.raises(SourceError, match="other folders") as caught:
        open_source(SourceSpec(path=str(tmp_path / "download")))
    assert str(inner) in (caught.value.remedy or "")


def test_identity_is_for_folders_of_people(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("uri\na.jpg\n")
    with pytest.raises(SourceError, match="folders of people"):
        open_source(SourceSpec(path=str(tmp_path / "t.csv"), identity="parent"))
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert kind_of(open_source(SourceSpec(path=str(tmp_path), identity="([a-z])"))) == "people"
