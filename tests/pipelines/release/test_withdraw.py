"""Releases are promoted and withdrawn by lines in the log alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.release.channel_log import read_log
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.resolve import resolve, usable
from faceloom.pipelines.release.withdraw import promote, yank
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError


def tree(root: Storage) -> dict[str, bytes]:
    return {path: root.read_bytes(path) for path in root.list() if not path.startswith(("channels/", "faceloom"))}


def test_a_channel_follows_its_last_promotion(own_root: Storage, built: Path) -> None:
    create_release(own_root.root, "faces", "1.0.1", out=built)
    before = tree(own_root)
    for version in ("1.0.0", "1.0.1", "1.0.0"):
        promote(own_root, f"faces@{version}", "stable", why="looked at it", who="Ada")
        assert usable(own_root, "faces@stable").release.version == version
    promote(own_root, "faces@latest", "beta")
    assert usable(own_root, "faces@beta").release.version == "1.0.1"
    assert [entry.who for entry in read_log(own_root, "faces")][:3] == ["Ada"] * 3
    assert tree(own_root) == before


def test_a_yanked_release_is_neither_latest_nor_promoted(own_root: Storage, built: Path) -> None:
    create_release(own_root.root, "faces", "1.0.1", out=built)
    promote(own_root, "faces@1.0.1", "stable")
    entry, pointing = yank(own_root, "faces@1.0.1", why=" broken ", replacement="faces@1.0.0", who="Ada")
    assert (entry.why, entry.who, entry.replacement) == ("broken", "Ada", resolve(own_root, "faces@1.0.0").id)
    again, _ = yank(own_root, "faces@1.0.1", why="broken", replacement="1.0.0")
    assert again.replacement == entry.replacement, "a version alone is one of the same set"
    assert pointing == ("stable",) and usable(own_root, "faces@latest").release.version == "1.0.0"
    with pytest.raises(ReleaseError, match=r"broken.*Use faces@1\.0\.0"):
        usable(own_root, "faces@stable")
    with pytest.raises(ReleaseError, match="yanked"):
        promote(own_root, "faces@1.0.1", "stable")
    with pytest.raises(ReleaseError, match="yanked"):
        yank(own_root, "faces@1.0.0", why="x", replacement="faces@1.0.1")


@pytest.mark.parametrize("channel", ["latest", "", "Stable", "1.0.0", "../x", "a/b", "a\n"])
def test_channels_have_plain_names(channel: str, own_root: Storage) -> None:
    with pytest.raises(ReleaseError, match="channel cannot have this name"):
        promote(own_root, "faces@1.0.0", channel)
    assert read_log(own_root, "faces") == ()


@pytest.mark.parametrize(
    ("reference", "why", "replacement", "match"),
    [
        ("faces@latest", "x", "", "takes a version"),
        ("faces@1.0.0", " ", "", "takes a reason"),
        ("faces@1.0.0", "x\ny", "", "one line"),
        ("faces@1.0.0", "x", "faces@1.0.0", "replace itself"),
        ("faces@1.0.0", "x", "faces@9.0.0", "no such release"),
        ("faces@9.0.0", "x", "", "no such release"),
    ],
)
def test_a_yank_is_whole(reference: str, why: str, replacement: str, match: str, own_root: Storage) -> None:
    with pytest.raises(ReleaseError, match=match):
        yank(own_root, reference, why=why, replacement=replacement)
    assert read_log(own_root, "faces") == ()
