"""What the commands print about changes names what there is, and what to do next."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from faceloom.pipelines.cli import change_summary
from faceloom.pipelines.cli.change_summary import diff_summary, erasure_facts, erasure_notices, purge_summary
from faceloom.pipelines.cli.summary import print_blocks
from faceloom.pipelines.release.after_erasure import AfterErasure
from faceloom.pipelines.release.diff import diff, release_set
from faceloom.pipelines.release.erase import Erasure
from faceloom.pipelines.release.manifest import published
from faceloom.pipelines.release.purge import Purge
from faceloom.pipelines.release.traces import traces_of
from faceloom.pipelines.store.storage import Storage
from tests.pipelines.release.sets import One, people, write_set

AFTER = AfterErasure({"faces@1.0.0": ("stable",)}, ("faces@1.2.0",))


def printed(blocks: list[RenderableType]) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    print_blocks(console, blocks)
    return console.export_text()


def test_a_diff_is_printed_with_counts_people_and_samples(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    one = release_set(storage, write_set(storage, people(2)))
    other = release_set(storage, write_set(storage, [*people(2)[1:], One(900, "[red]New", "val")], "1.1.0"))
    found = diff(one, other)
    short, long = printed([*diff_summary(found)]), printed([*diff_summary(found, listed=True)])
    for words in ("faces@1.0.0: 4 samples in 2 shards", "splits added", "val", "[red]New", "People with changes (2)"):
        assert words in short
    key = One(900, "").key
    assert key not in short and key in long


def test_a_list_of_changes_is_a_table_with_each_column_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(str(tmp_path))
    ones = people(2)
    changed = [replace(ones[0], look=1), replace(ones[1], mask="", split="val"), *ones[2:]]
    found = diff(release_set(storage, write_set(storage, ones)), release_set(storage, write_set(storage, changed)))
    lines = [re.split(r" {2,}", line.strip()) for line in printed([*diff_summary(found, listed=True)]).splitlines()]
    at = lines.index(["change", "person", "split", "mask", "key"])
    assert sorted(lines[at + 1 : at + 3]) == [
        ["moved to another split", "Person 0", "train → val", "A → none", ones[1].key],
        ["re-rendered", "Person 0", "train", "A", ones[0].key],
    ]
    monkeypatch.setattr(change_summary, "MOST_CHANGES", 1)
    assert "and 1 more; --json lists all" in printed([*diff_summary(found, listed=True)])


def test_names_of_strangers_are_cut_and_cannot_turn_the_text(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    ones = [One(1, "Ada"), One(2, "x" * 4000, mask="m" * 4000), One(3, "Eve\u202egpj")]
    found = diff(release_set(storage, write_set(storage, ones[:1])), release_set(storage, write_set(storage, ones)))
    text = printed([*diff_summary(found, listed=True)])
    assert 240 <= text.count("x") < 300 and 160 <= text.count("m") < 300 and "…" in text
    assert "\u202e" not in text and text.count(r"Eve\u202egpj") == 2


def test_an_erasure_states_what_is_left_to_do(tmp_path: Path) -> None:
    release = write_set(Storage(str(tmp_path)), people(2))
    done = Erasure(
        published(release), traces_of("Ada"), 3, 1, 1, 2, ("test",), ("faces@1.0.0",), 2, ("channels/faces.jsonl",)
    )
    notices = "\n".join(erasure_notices(done, AFTER, "releases", builds=False))
    assert "--build" in notices and "--build" not in "".join(erasure_notices(done, AFTER, "releases", builds=True))
    for words in (
        "still holds them, and the channel stable points to it: promote another release first",
        "faceloom release purge faces@1.0.0 --root releases --reason erasure --yes",
        "Warning: faces@1.2.0 came from other erasures",
        "2 other samples",
        "channels/faces.jsonl",
        "source",
    ):
        assert words in notices
    assert "Ada" not in str(erasure_facts(done)) and erasure_facts(done)["erased"] == 3


def test_a_purge_lists_its_files() -> None:
    files = {f"shards/{number:03d}.tar": 1000 for number in range(30)}
    text = printed([*purge_summary(Purge("faces@1.0.0", files, 2), deleted=False)])
    for words in ("Would be deleted: files of faces@1.0.0", "and 10 more", "30 files", "2 shards stay"):
        assert words in text
    assert "Deleted: files that no release uses" in printed([*purge_summary(Purge("", files, 0), deleted=True)])
