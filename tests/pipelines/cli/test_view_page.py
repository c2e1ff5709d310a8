"""Which page `faceloom view` writes or finds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.cards.gallery_mark import is_gallery
from faceloom.pipelines.cli.view_page import Target, open_sources, parse_target, write_page
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.paths import DATA_CARD, GALLERY, shard_index, shard_tar
from faceloom.schemas.errors import FaceloomError, SourceError, StorageError
from faceloom.schemas.release import Reference


@pytest.fixture
def out(masked_build: Path, tmp_path: Path) -> Path:
    shutil.copytree(masked_build, tmp_path / "out")
    return tmp_path / "out"


def write(out: Path, to: Path | None = None, **sources: Any) -> Path:
    page = write_page(Target(str(out), None), to, sources, Watcher())
    assert isinstance(page, Path)
    return page


def test_a_folder_is_a_build_and_all_else_a_release(tmp_path: Path) -> None:
    (tmp_path / "a@b").mkdir()
    assert parse_target(str(tmp_path / "a@b"), None) == Target(str(tmp_path / "a@b"), None)
    assert parse_target("releases/faces@1.0.0", None) == Target("releases", Reference("faces", "1.0.0"))
    assert parse_target("/faces@1.0.0", None) == Target("/", Reference("faces", "1.0.0"))
    assert parse_target("faces@stable", Path("r")) == Target("r", Reference("faces", "stable"))


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("nothing", "there is no such folder .got nothing"),
        ("faces@1.0.0", "the folder of releases is not known"),
        ("r/FACES@1.0.0", "this names no release"),
        ("x" * 5000, "there is no such folder"),
    ],
)
def test_what_is_neither_is_refused(what: str, fault: str) -> None:
    with pytest.raises(FaceloomError, match=fault):
        parse_target(what, None)


def test_the_page_of_a_build_lies_in_its_folder_unless_a_file_is_named(out: Path, tmp_path: Path) -> None:
    assert write(out) == out / GALLERY and is_gallery(out / GALLERY)
    assert write(out, tmp_path / "page.html") == tmp_path / "page.html"
    assert write(out, tmp_path / "page.html").read_bytes() == (out / GALLERY).read_bytes()  # replaces its own


def test_no_file_of_anyone_is_replaced(out: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.html").write_text("mine")
    with pytest.raises(StorageError, match=r"thesis\.html: a file that is no gallery has this name"):
        write(out, tmp_path / "thesis.html")
    with pytest.raises(StorageError, match="the target lies in the output folder"):
        write(out, out / DATA_CARD)
    with pytest.raises(StorageError, match="the folder of the page does not exist"):
        write(out, tmp_path / "none" / "page.html")
    (out / GALLERY).write_text("mine too")
    with pytest.raises(StorageError, match=r"gallery\.html: a file that is no gallery has this name"):
        write(out)
    (out / GALLERY).unlink()
    (out / GALLERY).symlink_to(tmp_path / "thesis.html")
    with pytest.raises(StorageError, match="a link inside an output folder"):
        write(out)
    assert (tmp_path / "thesis.html").read_text() == "mine"


def test_a_missing_shard_is_named(out: Path) -> None:
    (shard,) = sorted((out / "shards").glob("train-*.tar"))[:1]
    shard.unlink()
    with pytest.raises(StorageError, match=f"{shard.name}: the shard is missing"):
        write(out)


def test_sources_are_opened_by_name(out: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert list(open_sources([f"mine={tmp_path / 'photos'}"])) == ["mine"]
    assert list(open_sources([str(tmp_path / "photos")])) == ["photos"]
    with pytest.raises(SourceError, match="no such file or folder"):
        open_sources([str(tmp_path / "none")])


@pytest.fixture
def root(masked_build: Path, tmp_path: Path) -> Path:
    """A release without gates, whose page is a mark."""
    publish = pytest.importorskip("faceloom.pipelines.release.publish", reason="this version has no releases")
    from faceloom.pipelines.release.manifest import pool_name, published
    from faceloom.pipelines.release.root import locked_root
    from faceloom.pipelines.store.storage import Storage
    from tests.pipelines.cards.laid_release import make_release

    release, storage = make_release(masked_build), Storage(str(tmp_path / "root"))
    with locked_root(storage, create=True):
        shards = []
        for shard in release.shards:
            name = pool_name(shard.name, shard.sha256, shard.index_sha256)
            shards.append(shard.model_copy(update={"name": name}))
            for path, to in ((shard_tar(shard.name), shard_tar(name)), (shard_index(shard.name), shard_index(name))):
                with storage.write(to) as stream:
                    stream.write((masked_build / path).read_bytes())
        done = published(release.model_copy(update={"shards": tuple(shards)}))
        publish.write_release(storage, done, {GALLERY: b"its page"})
    return tmp_path / "root"


def test_the_page_of_a_release_lies_beside_it(root: Path, tmp_path: Path) -> None:
    target = Target(str(root), Reference("masked-faces", "latest"))
    made = write_page(target, tmp_path / "page.html", {}, Watcher())
    assert isinstance(made, Path)
    assert "<h1>masked-faces 1.0.0</h1>" in made.read_text()
    place = root / "releases" / "masked-faces" / "1.0.0" / GALLERY
    assert place.read_bytes() == b"its page"
    with pytest.raises(StorageError, match="is not the one that this version makes"):
        write_page(target, None, {}, Watcher())
    place.write_bytes(made.read_bytes())
    assert write_page(target, None, {}, Watcher()) == place


def test_a_release_without_a_page_and_sources_of_a_release_are_refused(root: Path) -> None:
    target = Target(str(root), Reference("masked-faces", "1.0.0"))
    with pytest.raises(FaceloomError, match="the rejects of a release have no pictures"):
        write_page(target, None, {"a": None}, Watcher())  # type: ignore[dict-item]
    (root / "releases" / "masked-faces" / "1.0.0" / GALLERY).unlink()
    with pytest.raises(StorageError, match="the page of this release is missing"):
        write_page(target, None, {}, Watcher())
