"""The watcher that shows nothing."""

from __future__ import annotations

import pytest

from faceloom.pipelines.run.watcher import Watcher


def test_it_takes_every_word_and_says_none(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Watcher()
    watcher.stage("scan", None, "files")
    watcher.stage("render", 10, "samples")
    watcher.done(3)
    watcher.note("by the way")
    assert capsys.readouterr() == ("", "")


def test_a_kind_of_it_may_listen_to_one_thing_only() -> None:
    class Counting(Watcher):
        total = 0

        def done(self, count: int) -> None:
            self.total = count

    watcher = Counting()
    watcher.stage("render", 2, "samples")
    watcher.done(2)
    assert watcher.total == 2
