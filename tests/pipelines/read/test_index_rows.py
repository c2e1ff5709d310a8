"""The index is read by prefix: every row of the tree below it, and no file beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.read.index_rows import open_index, person_prefix
from faceloom.pipelines.store.paths import shard_of_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.keys import POSITION_BITS, position, prefix_bits
from tests.pipelines.planning import item, plan, recipe
from tests.pipelines.read.builds import make_build

SHARDS = [("train", 5), ("train", 1), ("test", 4), ("train", 7)]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards with the prefixes 000, 001, 010 and 011."""
    return make_build(tmp_path_factory.mktemp("build"), SHARDS)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Prefixes of the shards whose index is read."""
    found: list[str] = []
    original: Callable[..., bytes] = Storage.read_bytes

    def read_bytes(self: Storage, path: str, *rest: int) -> bytes:
        if path.startswith("index/"):
            found.append(prefix_bits(shard_of_index(path)))
        return original(self, path, *rest)

    monkeypatch.setattr(Storage, "read_bytes", read_bytes)
    return found


@pytest.mark.parametrize(
    ("split", "prefix", "files", "rows"),
    [
        (None, "", ["000", "001", "010", "011"], range(17)),
        ("train", "", ["000", "001", "011"], [*range(6), *range(10, 17)]),
        ("train", "00", ["000", "001"], range(6)),
        ("train", "0110101", ["011"], range(10, 17)),
        (None, "010", ["010"], range(6, 10)),
        (None, "1", [], []),
    ],
)
def test_only_files_along_the_prefix_are_read(
    build: Path, opened: list[str], split: str | None, prefix: str, files: list[str], rows: list[int]
) -> None:
    table = open_index(build, split, prefix=prefix, columns=["photo_sha256", "key"])
    assert table.column_names == ["photo_sha256", "key"] and opened == files
    assert table.column("key").to_pylist() == [f"{number:04d}-f00-m000" for number in rows]


def test_all_columns_come_without_a_choice(build: Path) -> None:
    table = open_index(build)
    assert {"key", "members", "operations", "people"} <= set(table.column_names) and len(table) == 17


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40), st.integers(1, 12))
def test_a_persons_photos_lie_along_their_prefix(people: list[str], samples: int) -> None:
    items = [item(f"{number}.jpg", identity=person) for number, person in enumerate(people)]
    for shard in plan(items, recipe(output={"shards": {"samples": samples}})).shards:
        bits = prefix_bits(shard.name)
        for face in shard.faces:
            place = f"{position(face.identity, face.photo_sha256):0{POSITION_BITS}b}"
            assert place.startswith(person_prefix(face.identity)) and place.startswith(bits)


def test_impossible_values_are_refused(build: Path, tmp_path: Path) -> None:
    with pytest.raises(FaceloomError, match=r"only the digits 0 and 1 .*0x1.*bits, such as 0110"):
        open_index(build, prefix="0x1")
    with pytest.raises(FaceloomError, match=r"no such column .*colour.*key"):
        open_index(build, columns=["key", "colour"])
    with pytest.raises(StorageError):
        open_index(tmp_path)


def test_a_split_that_does_not_exist_is_named(build: Path) -> None:
    with pytest.raises(FaceloomError, match=r"the build has no such split .got tain.*The build has: .*train"):
        open_index(build, "tain")
