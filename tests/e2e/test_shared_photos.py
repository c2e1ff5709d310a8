"""A build from real photos and real odd files, where a folder of them lies beside the repository.

The folder is `../shared/data`, or the one that FACELOOM_TEST_PHOTOS names. Everything is written to temporary folders.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.export.export_samples import read_sample
from faceloom.pipelines.preview import all_rejects
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.index import IndexRow
from faceloom.schemas.photos import Reject
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.rendering import steps_of

VARIABLE = "FACELOOM_TEST_PHOTOS"
PHOTOS = Path(os.environ.get(VARIABLE) or Path(__file__).parents[2] / ".." / "shared" / "data")
PER_FACE = 2
SOURCES: dict[str, dict[str, Any]] = {
    "odd": {},
    "noface": {},
    "old": {},
    "multi": {"include": ("two_people.jpg", "dlib/*")},
    "people/lfw": {"include": ("Hugo_Chavez/*", "Tony_Blair/*")},
}
IN_INCLUDED = {"multi": 15, "lfw": 20}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all((PHOTOS / folder).is_dir() for folder in SOURCES),
        reason=f"no real photos in ../shared/data; {VARIABLE} may name a folder that holds {', '.join(SOURCES)}",
    ),
]


class Built:
    """What became of the photos."""

    def __init__(self, out: Path) -> None:
        sources = [{"path": str(PHOTOS / folder), **more} for folder, more in SOURCES.items()]
        recipe = {
            "name": "real",
            "sources": sources,
            "faces": {"select": "all", "min_size": 0},
            "masks": [{"kind": "template", "template": "surgical"}, {"kind": "polygon", "shape": "C"}],
            "per_face": PER_FACE,
        }
        self.storage = Storage(str(out))
        context = prepare(parse_recipe(recipe), str(out))
        self.record: BuildRecord = run_build(context, workers=1, resume=True, watcher=Watcher()).record
        self.rejects: list[Reject] = all_rejects(self.storage)
        names = [shard.name for shard in self.record.shards]
        self.rows: list[tuple[str, IndexRow]] = [
            (name, row) for name in names for row in read_index(self.storage, f"index/{name}.parquet")
        ]

    def codes(self, source: str) -> dict[str, str]:
        """Reject code by uri, of one source."""
        return {reject.uri: reject.code for reject in self.rejects if reject.source == source}

    def samples(self, source: str) -> Counter[str]:
        """Number of samples by uri, of one source."""
        return Counter(row.uri for _, row in self.rows if row.source == source)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("real") / "out")


def test_every_photo_is_a_face_with_all_its_samples_or_a_reject(built: Built) -> None:
    listed = sum(IN_INCLUDED.values())
    for source in ("odd", "noface", "old"):
        listed += sum(len(names) for _, _, names in os.walk(PHOTOS / source))
    used = {(row.source, row.uri) for _, row in built.rows}
    dropped = {(reject.source, reject.uri) for reject in built.rejects if reject.stage != "render"}
    assert not used & dropped
    assert len(used) + len(dropped) == built.record.photos == listed
    lost = sum(reject.stage == "render" for reject in built.rejects)
    assert built.record.planned == built.record.faces * PER_FACE == built.record.written + lost
    assert lost <= 0.02 * built.record.planned


def test_files_that_are_no_photos_have_their_reasons(built: Built) -> None:
    codes = built.codes("odd")
    assert codes["zero.jpg"] == "empty"
    assert codes["truncated.jpg"] == "truncated"
    forks = {uri: code for uri, code in codes.items() if uri.startswith("._")}
    assert len(forks) == 3 and set(forks.values()) == {"resource_fork"}
    assert {codes[f"exif_noface/Landscape_{number}.jpg"] for number in (3, 6, 8)} == {"no_face"}
    assert {code for uri, code in built.codes("multi").items() if uri.endswith((".xml", ".xsl"))} == {"not_a_picture"}


def test_where_there_is_no_face_none_is_found(built: Built) -> None:
    listed = sum(len(names) for _, _, names in os.walk(PHOTOS / "noface"))
    codes = Counter(built.codes("noface").values())
    assert set(codes) == {"no_face"} and codes["no_face"] >= listed - 1


@pytest.mark.parametrize("name", ["webp_named.jpg", "png_named.jpg", "rgba_32bit.png"])
def test_a_picture_is_read_whatever_its_name_and_channels(built: Built, name: str) -> None:
    assert built.samples("odd")[name] >= PER_FACE or built.codes("odd")[name] == "no_face"


def test_a_photo_that_lies_on_its_side_is_seen_upright(built: Built) -> None:
    (shard, row) = next((shard, row) for shard, row in built.rows if row.uri == "exif6_face.jpg")
    sample = json.loads(read_sample(built.storage, shard, row)["json"])
    left, top, right, bottom = sample["face_box"]
    assert 0.6 < (right - left) / (bottom - top) < 1.6
    (align,) = (step for step in steps_of(sample) if step["name"] == "align")
    turn = np.degrees(np.arctan2(align["matrix"][1][0], align["matrix"][0][0]))
    assert abs(turn) < 30  # a photo that was not turned would need 90 degrees


def test_old_and_many_faced_photos_are_used(built: Built) -> None:
    assert len(built.samples("old")) == 3
    assert built.samples("multi")["two_people.jpg"] == 2 * PER_FACE
    assert sum(built.samples("multi").values()) >= 30 * PER_FACE


def test_portraits_are_found_and_named_by_their_folders(built: Built) -> None:
    assert len(built.samples("lfw")) >= 19
    assert {row.identity for _, row in built.rows if row.source == "lfw"} == {"Hugo_Chavez", "Tony_Blair"}
