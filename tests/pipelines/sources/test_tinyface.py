from __future__ import annotations

from pathlib import Path

from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.tinyface import TinyFace
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

URIS = [
    "Training_Set/17/17_1.jpg",
    "Training_Set/17/odd name.png",
    "Testing_Set/Probe/204_3.jpg",
    "Testing_Set/Gallery_Match/204_1.jpg",
    "Testing_Set/Gallery_Distractor/9_8_7.jpg",
    "Testing_Set/Probe/nobody.jpg",
    "Testing_Set/204_1.jpg",
    "Training_Set/17/deep/1.jpg",
    "Training_Set/1.jpg",
    "logo.png",
    "Testing_Set/probe_img_ID_pairs.mat",
]


def rows(root: Path) -> dict[str, Photo | Reject]:
    for uri in URIS:
        (root / uri).parent.mkdir(parents=True, exist_ok=True)
        (root / uri).write_bytes(b"x")
    source = open_source(SourceSpec(path=str(root)))
    assert isinstance(source, TinyFace)
    return {row.uri: row for row in source.scan()}


def test_folders_say_who_in_which_split_and_role(tmp_path: Path) -> None:
    photos = {uri: row for uri, row in rows(tmp_path).items() if isinstance(row, Photo)}
    assert {uri: (row.identity, row.split, row.attributes) for uri, row in photos.items()} == {
        "Training_Set/17/17_1.jpg": ("17", "train", (("role", "train"),)),
        "Training_Set/17/odd name.png": ("17", "train", (("role", "train"),)),
        "Testing_Set/Probe/204_3.jpg": ("204", "test", (("role", "probe"),)),
        "Testing_Set/Gallery_Match/204_1.jpg": ("204", "test", (("role", "gallery"),)),
        "Testing_Set/Gallery_Distractor/9_8_7.jpg": (None, "test", (("distractor", "9"), ("role", "distractor"))),
    }


def test_pictures_elsewhere_are_rejects(tmp_path: Path) -> None:
    rejects = {uri: row.code for uri, row in rows(tmp_path).items() if isinstance(row, Reject)}
    assert rejects == {
        "Testing_Set/Probe/nobody.jpg": "no_match",
        "Testing_Set/204_1.jpg": "no_match",
        "Training_Set/17/deep/1.jpg": "no_match",
        "Training_Set/1.jpg": "no_match",
        "logo.png": "no_match",
        "Testing_Set/probe_img_ID_pairs.mat": "not_a_picture",
    }
