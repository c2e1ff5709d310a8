"""After an erasure, channels that serve the person and erasures that are not in the new release are named."""

from __future__ import annotations

from pathlib import Path

from faceloom.pipelines.release.after_erasure import AfterErasure, look_around
from faceloom.pipelines.release.channel_log import append_entry
from faceloom.pipelines.release.erase import erase
from faceloom.pipelines.release.manifest import published
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.store.storage import Storage
from tests.pipelines.release.sets import people, release_in


def test_channels_and_other_erasures_are_named(tmp_path: Path) -> None:
    ones = people(8)
    first, second = sorted({one.identity for one in ones if one.split == "train"})[:2]
    release = release_in(tmp_path, ones)
    root = Storage(str(tmp_path))
    with locked_root(root):
        for channel in ("stable", "beta"):
            append_entry(root, "promote", published(release).id, channel=channel)
    done = erase(root, "faces@1.0.0", "1.0.1", identity=first)
    assert look_around(root, done) == AfterErasure({"faces@1.0.0": ("beta", "stable")}, ())
    chained = erase(root, "faces@1.0.1", "1.0.2", identity=second)
    assert look_around(root, chained).other_erasures == ()
    again = erase(root, "faces@1.0.0", "1.0.3", identity=second)
    assert look_around(root, again).other_erasures == ("faces@1.0.1", "faces@1.0.2")
