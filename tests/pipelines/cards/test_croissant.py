"""The card for machines: mlcroissant loads it, checks every sum, and iterates over samples."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.cards.croissant import croissant_json
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.release import Release
from tests.pipelines.cards.laid_release import lay_release, make_release


@pytest.fixture
def laid(masked_build: Path, tmp_path: Path) -> tuple[Path, Release]:
    return tmp_path, lay_release(masked_build, tmp_path)


@pytest.fixture
def mlcroissant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    from etils import epath
    from mlcroissant._src.operation_graph.operations import extract

    monkeypatch.setattr(extract, "EXTRACT_PATH", epath.Path(tmp_path / "extracted"))  # not into the user's cache
    return module


def test_lists_every_file_with_its_real_length_and_sum(laid: tuple[Path, Release]) -> None:
    root, release = laid
    folder = root / "releases" / release.name / release.version
    card = json.loads((folder / "croissant.json").read_bytes())
    files = [item for item in card["distribution"] if item["@type"] == "cr:FileObject"]
    assert len(files) == 2 * len(release.shards)
    for file in files:
        data = (folder / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert file["contentSize"] == f"{len(data)} B"
    assert card["conformsTo"] == "http://mlcommons.org/croissant/1.1" and card["license"] == ["not stated"]


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_iterates_over_indexes_pictures_and_records(laid: tuple[Path, Release], mlcroissant: Any) -> None:
    root, release = laid
    data = mlcroissant.Dataset(jsonld=root / "releases" / release.name / release.version / "croissant.json")
    storage = Storage(str(root))
    keys = set()
    for shard in release.shards:
        name = f"index-{shard.name}"
        rows = read_index(storage, shard_index(shard.name))
        found = list(data.records(record_set=name))
        assert [one[f"{name}/key"].decode() for one in found] == [row.key for row in rows]
        assert [one[f"{name}/people"] for one in found] == [[p.encode() for p in row.people] for row in rows]
        assert [one[f"{name}/photo_sha256"].decode() for one in found] == [row.photo_sha256 for row in rows]
        keys |= {row.key for row in rows}
    pictures = list(data.records(record_set="masked"))
    assert {one["masked/key"].decode() for one in pictures} == keys
    assert {one["masked/masked"].size for one in pictures} == {(32, 32)}
    for one in data.records(record_set="json"):
        assert json.loads(one["json/json"])["key"] == one["json/key"].decode()


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_refuses_a_shard_with_a_flipped_bit(laid: tuple[Path, Release], mlcroissant: Any) -> None:
    root, release = laid
    tar = root / "shards" / f"{release.shards[0].name}.tar"
    damaged = bytearray(tar.read_bytes())
    damaged[700] ^= 1
    tar.write_bytes(damaged)
    data = mlcroissant.Dataset(jsonld=root / "releases" / release.name / release.version / "croissant.json")
    with pytest.raises(Exception, match=r"(?s).*") as caught:
        list(data.records(record_set="face"))
    assert "is not identical with the reference" in str(caught.value.__cause__)


def test_the_same_release_gives_the_same_bytes(masked_build: Path) -> None:
    assert croissant_json(make_release(masked_build)) == croissant_json(make_release(masked_build))


def test_a_release_without_shards_has_a_card(masked_build: Path) -> None:
    release = make_release(masked_build).model_copy(update={"shards": ()})
    assert json.loads(croissant_json(release))["recordSet"] == []
