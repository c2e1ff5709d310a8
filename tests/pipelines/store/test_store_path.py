from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.pipelines.store.store_path import StorePath, file_in_store
from faceloom.schemas.errors import StorageError
from tests.object_stores import gcs_server


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with gcs_server() as url:
        yield url


def test_it_is_joined_and_shown_as_a_url() -> None:
    root = StorePath(ObjectStorage("gs://b/photos/"))
    file = root / "a" / "b.rec"
    assert str(root) == "gs://b/photos" and root.name == "photos"
    assert str(file) == "gs://b/photos/a/b.rec" and file.name == "b.rec" and file.path == "a/b.rec"
    assert str(file.with_suffix(".idx")) == "gs://b/photos/a/b.idx"
    assert (root / "a").folder() == ObjectStorage("gs://b/photos/a") and root.folder() == root.storage
    assert pickle.loads(pickle.dumps(file)) == file and {file: 1}[root / "a/b.rec"]


def test_a_file_by_its_url() -> None:
    assert file_in_store("s3://b/a.csv") == StorePath(ObjectStorage("s3://b"), "a.csv")
    for url in ("s3://a.csv", "http://host/a.csv"):
        with pytest.raises(StorageError):
            file_in_store(url)


def test_whether_it_exists(bucket: str) -> None:
    root = StorePath(ObjectStorage(f"{bucket}/x"))
    with root.storage.write("a/b") as stream:
        stream.write(b"1")
    assert (root / "a/b").exists() and not (root / "a").exists() and not root.exists()
