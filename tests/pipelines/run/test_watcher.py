"""The watcher that shows nothing."""

from __future__ import annotations

import pytest

from faceloom.pipelines.run.watcher import Watcher, watcher_of


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


def test_a_function_of_the_user_gets_stage_items_done_and_total() -> None:
    calls: list[tuple[str, int, int | None]] = []
    watcher = watcher_of(lambda *call: calls.append(call))
    watcher.stage("scan", None, "files")
    watcher.done(100)
    watcher.stage("render", 2, "samples")
    watcher.done(2)
    assert calls == [("scan", 0, None), ("scan", 100, None), ("render", 0, 2), ("render", 2, 2)]
    assert type(watcher_of(None)) is Watcher
