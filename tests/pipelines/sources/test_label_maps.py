"""Pictures and label maps of the same name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from faceloom.pipelines.analyse.photo_table import stamp_of
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import LabelledSource, labels_of
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.guide import LABEL_ORDERS
from faceloom.schemas.photos import Photo
from faceloom.schemas.source_spec import SourceSpec


def put(root: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def spec(root: Path, **more: object) -> SourceSpec:
    given = {"kind": "label_maps", "path": str(root / "images"), "labels": str(root / "masks"), **more}
    return SourceSpec.model_validate(given)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, images__1_jpg=b"one", images__2_png=b"two", images__sub__1_jpg=b"three", images__4_jpg=b"four")
    put(tmp_path, masks__1_png=b"map 1", masks__2_bmp=b"map 2", masks__sub__1_png=b"map 3", masks__9_png=b"of nothing")
    return tmp_path


def photos(given: SourceSpec) -> dict[str, Photo]:
    return {row.uri: row for row in open_source(given).scan() if isinstance(row, Photo)}


def test_each_picture_gets_the_map_of_its_name(root: Path) -> None:
    source = open_source(spec(root))
    assert isinstance(source, LabelledSource)
    read = {uri: labels_of(source, uri) for uri in photos(spec(root))}
    assert {uri: labels and labels.files for uri, labels in read.items()} == {
        "1.jpg": (("", b"map 1"),),
        "2.png": (("", b"map 2"),),
        "4.jpg": None,
        "sub/1.jpg": (("", b"map 3"),),
    }


@pytest.mark.parametrize("order", LABEL_ORDERS)
def test_the_order_is_named(order: str, root: Path) -> None:
    labels = labels_of(open_source(spec(root, label_order=order)), "1.jpg")
    assert labels is not None and (labels.order, labels.names) == (order, LABEL_ORDERS[order])


def test_a_given_order(root: Path) -> None:
    labels = labels_of(open_source(spec(root, label_order=("hair", "beard"))), "1.jpg")
    assert labels is not None and (labels.order, labels.names) == ("given", ("hair", "beard"))
    with pytest.raises(ValidationError, match="at least one of skin"):
        spec(root, label_order=("beard",))


def test_a_stamp_for_pictures_that_have_a_map(root: Path) -> None:
    before = photos(spec(root))
    assert [bool(photo.labels) for photo in before.values()] == [True, True, False, True]
    (root / "masks" / "1.png").write_bytes(b"another")
    os.utime(root / "masks" / "2.bmp", ns=(1, 1))
    (root / "masks" / "4.png").write_bytes(b"new")
    after = photos(spec(root))
    assert {uri for uri in before if before[uri].labels != after[uri].labels} == {"1.jpg", "2.png", "4.jpg"}
    assert all(before[uri].stamp == after[uri].stamp for uri in before)


def test_a_stamp_tells_the_order_too(root: Path) -> None:
    orders = ("celebamask_hq", "face_parsing", ("skin", "hair"), ("hair", "skin"))
    given = [photos(spec(root, label_order=order)) for order in orders]
    assert all(len({listed[uri].labels for listed in given}) == len(orders) for uri in ("1.jpg", "2.png", "sub/1.jpg"))
    assert len({stamp_of(listed["1.jpg"]) for listed in given}) == len(orders), (
        "so that the face table has no row of it"
    )
    assert {listed["4.jpg"].labels for listed in given} == {""}
    assert photos(spec(root, label_order="face_parsing")) == given[1]


def test_a_map_that_is_gone_or_unreadable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(spec(root))
    (root / "masks" / "1.png").unlink()
    assert labels_of(source, "1.jpg") is None

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PhotoError, match="Permission denied") as caught:
        labels_of(source, "2.png")
    assert (caught.value.code, caught.value.where) == ("unreadable", "2.png")


def test_without_the_folder_of_maps_nothing_is_opened(root: Path) -> None:
    with pytest.raises(SourceError, match="label maps does not exist") as caught:
        open_source(spec(root, labels=str(root / "nothing")))
    assert caught.value.remedy


def test_sources_without_labels_have_none(root: Path) -> None:
    source = open_source(SourceSpec(kind="flat", path=str(root / "images")))
    assert not isinstance(source, LabelledSource)
    assert labels_of(source, "1.jpg") is None


def test_a_map_that_is_a_link_or_a_pipe_is_not_silently_missing(root: Path) -> None:
    for uri, make in (("4.jpg", lambda file: file.symlink_to("nowhere")), ("sub/1.jpg", os.mkfifo)):
        file = (root / "masks" / uri).with_suffix(".png")
        file.unlink(missing_ok=True)
        make(file)
        assert photos(spec(root))[uri].labels
        with pytest.raises(PhotoError):
            labels_of(open_source(spec(root)), uri)


def test_a_folder_of_maps_that_must_not_be_looked_at_ends_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = Path.stat

    def guarded(path: Path, **kwargs: bool) -> os.stat_result:
        if "masks/sub" in str(path):
            raise PermissionError(13, "Permission denied")
        return stat(path, **kwargs)

    monkeypatch.setattr(Path, "stat", guarded)
    assert photos(spec(root))["sub/1.jpg"].labels.endswith("png+0+0")
