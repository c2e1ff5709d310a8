"""The original layout of CelebAMask-HQ, laid out small, and the few real pictures where there are some."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.sources.celebamask_hq import CelebAMaskHq
from faceloom.pipelines.sources.celebamask_notes import ATTRIBUTES, MAPPING, part_file
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import LabelledSource, labels_of
from faceloom.schemas.errors import SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

REAL = Path(__file__).parents[4] / "shared" / "data" / "celebamask"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "CelebA-HQ-img").mkdir()
    for name in ("0.jpg", "17.jpg", "235.jpg", "404.jpg", "4790.jpg", "20000.jpg", "cover.jpg", "readme.txt"):
        (tmp_path / "CelebA-HQ-img" / name).write_bytes(name.encode())
    (tmp_path / ATTRIBUTES).write_text("2\nSmiling\n0.jpg 1\n17.jpg -1\n")
    (tmp_path / MAPPING).write_text("idx orig_idx orig_file\n0 5 6.jpg\n17 170000 170001.jpg\n")
    for picture, part in ((0, "skin"), (0, "nose"), (20000, "hair")):
        (tmp_path / part_file(picture, part)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / part_file(picture, part)).write_bytes(part.encode())
    return tmp_path


def test_pictures_with_what_is_known_of_them(root: Path) -> None:
    source = open_source(SourceSpec(path=str(root)))
    assert isinstance(source, CelebAMaskHq) and isinstance(source, LabelledSource)
    photos = {row.uri: row for row in source.scan() if isinstance(row, Photo)}
    assert list(photos) == ["0.jpg", "17.jpg", "20000.jpg"]
    assert photos["0.jpg"].attributes == (("Smiling", 1), ("celeba_index", 5))
    assert [photo.split for photo in photos.values()] == ["train", "val", None]
    assert [bool(photo.labels) for photo in photos.values()] == [True, False, True]
    assert {photo.identity for photo in photos.values()} == {None}


def test_bad_ones_are_rejected_by_name(root: Path) -> None:
    rows = open_source(SourceSpec(path=str(root))).scan()
    rejects = {row.uri: (row.code, row.message) for row in rows if isinstance(row, Reject)}
    assert {uri: code for uri, (code, _) in rejects.items()} == {
        "235.jpg": "known_bad", "404.jpg": "known_bad", "4790.jpg": "known_bad", "cover.jpg": "no_match",
        "readme.txt": "not_a_picture",
    }  # fmt: skip
    assert "234.jpg" in rejects["235.jpg"][1] and "mouth" in rejects["404.jpg"][1]


def test_part_files_are_read_and_absent_parts_are_absent(root: Path) -> None:
    source = open_source(SourceSpec(path=str(root)))
    labels = labels_of(source, "0.jpg")
    assert labels is not None
    assert (labels.order, labels.names, labels.files) == ("parts", (), (("nose", b"nose"), ("skin", b"skin")))
    assert labels_of(source, "17.jpg") is None
    before = labels.sha256
    (root / part_file(0, "nose")).write_bytes(b"another")
    again = labels_of(source, "0.jpg")
    assert again is not None and again.sha256 != before


def test_a_root_that_is_gone(root: Path) -> None:
    source = open_source(SourceSpec(path=str(root)))
    root.rename(root.with_name("moved"))
    with pytest.raises(SourceError):
        labels_of(source, "0.jpg")


@pytest.mark.skipif(not REAL.is_dir(), reason="no real CelebAMask-HQ pictures beside the repository")
def test_the_real_layout_reads_whole() -> None:
    from faceloom.transforms.guide.label_map import decode_labels, mask_of

    source = open_source(SourceSpec(path=str(REAL)))
    photos = [row for row in source.scan() if isinstance(row, Photo)]
    assert len(photos) == 8
    for photo in photos:
        facts = dict(photo.attributes)
        assert len(facts) == 44 and facts["Male"] in (-1, 1) and photo.split in ("train", "val", "test")
        labels = labels_of(source, photo.uri)
        assert labels is not None and photo.labels
        decoded = decode_labels(labels, ["nose", "skin"])
        nose, skin = mask_of(decoded.bits, ["nose"]), mask_of(decoded.bits, ["skin"])
        assert decoded.bits.shape == (512, 512) and nose.any()
        assert (nose & skin).sum() > 0.95 * nose.sum(), "skin covers the nose in part files"
