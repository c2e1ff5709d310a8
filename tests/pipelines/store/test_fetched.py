"""Files by URL: copied once, copied again when they change, bounded, and never half there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceloom.pipelines.store import fetched as module
from faceloom.pipelines.store import object_client
from faceloom.pipelines.store.copies import copies_folder
from faceloom.pipelines.store.fetched import fetched, fetched_folder
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError
from tests.object_stores import Fault, fresh_clients, gcs_server, s3_server

FAULT = Fault()


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    with {"s3": s3_server, "gs": gcs_server}[request.param](FAULT.proxy) as url:
        yield Storage(f"{url}/files")


def put(storage: Storage, name: str, data: bytes) -> str:
    with storage.write(name) as stream:
        stream.write(data)
    return storage.place(name)


def test_a_path_is_the_file_itself(tmp_path: Path) -> None:
    assert fetched(tmp_path / "none") == tmp_path / "none" and fetched("a b") == Path("a b")
    assert fetched_folder("run", ("card.json",)) == Path("run")


def test_an_object_is_copied_once_until_it_changes(storage: Storage) -> None:
    url = put(storage, "mask.png", b"one")
    copy = fetched(url)
    assert copy.read_bytes() == b"one" and copy.name == "mask.png"
    assert fetched(Path(url)) == copy, "pathlib leaves one slash"
    FAULT.seen.clear()
    assert fetched(url) == copy and [method for method, _ in FAULT.seen] == ["HEAD"]
    put(storage, "mask.png", b"other")
    assert fetched(url).read_bytes() == b"other" and copy.read_bytes() == b"one"


def test_some_files_of_a_folder_lie_in_a_folder_of_its_name(storage: Storage) -> None:
    put(storage, "run/card.json", b"{}")
    put(storage, "run/best.safetensors", b"weights")
    put(storage, "run/resume.safetensors", b"much")
    folder = fetched_folder(f"{storage.root}/run/", ("card.json", "best.safetensors"))
    assert folder.name == "run"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "card.json": b"{}",
        "best.safetensors": b"weights",
    }
    with pytest.raises(FileNotFoundError) as caught:
        fetched_folder(f"{storage.root}/run", ("card.json", "none"))
    assert str(caught.value.filename) == f"{storage.root}/run/none"


def test_what_cannot_be_fetched(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    url = put(storage, "long", b"123456")
    with pytest.raises(UnfitFileError, match="6 bytes; at most 5"):
        fetched(url, 5)
    with pytest.raises(FileNotFoundError):
        fetched(f"{storage.root}/none")
    with pytest.raises(StorageError, match="not supported"):
        fetched("http://host/file")
    monkeypatch.setattr(object_client, "PATIENCE", object_client.Patience(0.0))
    with fresh_clients():
        for status, kind in ((403, PermissionError), (503, StorageError)):
            FAULT.answers = lambda method, path, status=status: status  # type: ignore[misc]
            with pytest.raises(kind) as caught:
                fetched(url)
            assert url in str(caught.value)
    FAULT.answers = lambda method, path: None


def test_a_full_disk_is_an_error_with_a_remedy(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    url = put(storage, "any", b"123456")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(StorageError, match=r"No space left.*TMPDIR"):
        fetched(url)
    monkeypatch.undo()
    assert fetched(url).read_bytes() == b"123456", "nothing half was left"


def test_the_oldest_copies_go(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COPIES", 1000)
    copies = [fetched(put(storage, f"{number}.bin", bytes(400))) for number in range(4)]
    assert [copy.exists() for copy in copies] == [False, False, True, True]
    kept = sum(path.stat().st_size for path in copies_folder().rglob("*.bin"))
    assert kept <= 1000
    assert fetched(put(storage, "long.bin", bytes(5000))).stat().st_size == 5000


def test_copies_are_deleted_with_the_process(storage: Storage) -> None:
    url = put(storage, "a.txt", b"text")
    program = "import sys\nfrom faceloom.pipelines.store.fetched import fetched\nprint(fetched(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("a.txt") and not Path(done.stdout.strip()).exists()
