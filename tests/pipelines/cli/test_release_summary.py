"""What the commands of releases print."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import typer
from rich.console import Console

from faceloom.pipelines.cli.release_summary import (
    MOST_FAULTS,
    fault_lines,
    release_summary,
    releases_summary,
    show_verified,
)
from faceloom.pipelines.cli.summary import print_blocks
from faceloom.pipelines.release.manifest import published
from faceloom.pipelines.release.resolve import Versions
from faceloom.pipelines.release.verify import Verified
from faceloom.pipelines.store.file_faults import Fault
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.release import ModelUse
from tests.pipelines.release.sets import One, write_set


def test_faults_are_counted_and_long_lists_are_cut() -> None:
    assert [*fault_lines([])] == []
    one, last = fault_lines([Fault("a", "damaged", "Do this")])
    assert one == "a: damaged. Do this" and last == "1 file differs from what is listed, or cannot be read"
    lines = [*fault_lines([Fault("a", "damaged", "Do this")] * (MOST_FAULTS + 5))]
    assert len(lines) == MOST_FAULTS + 2 and "5 more" in lines[-2] and "105 files" in lines[-1]


def test_faults_end_a_command_with_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    show_verified(Verified(2, 2048, ()), "faces@1.0.0", as_json=False, deep=False)
    assert "faces@1.0.0 is whole: 2 shards, 2.0 KiB with their indexes" in capsys.readouterr().out
    with pytest.raises(typer.Exit) as caught:
        show_verified(Verified(2, 9, (Fault("a", "x", "y"),)), "faces@1.0.0", as_json=False, deep=False)
    assert caught.value.exit_code == 1


def test_reasons_of_strangers_are_printed_as_plain_text() -> None:
    row = {
        "name": "faces", "version": "1.0.0", "channels": [], "yanked": "[red]bad[/red]\x1b[2J", "replacement": "",
        "fault": "", "samples": 1, "shards": 1, "bytes": 1,
    }  # fmt: skip
    stream = io.StringIO()
    print_blocks(Console(file=stream, width=200), releases_summary([row], "root"))
    assert "yanked: [red]bad[/red]\\x1b[2J" in stream.getvalue()


def test_long_licences_are_cut_and_the_place_of_their_text_is_named(tmp_path: Path) -> None:
    model = ModelUse(role="mask", name="net", sha256="0" * 64, licence="for research only; " * 50)
    release = write_set(Storage(str(tmp_path)), [One(1, "Ada", licence="CC0")], models=(model,))
    known = Versions((), {}, {})
    for shown, full in ((release, True), (release.model_copy(update={"models": ()}), False)):
        stream = io.StringIO()
        print_blocks(Console(file=stream, width=200), release_summary(published(shown), known))
        text = stream.getvalue()
        assert ("Licences in full: releases/faces/1.0.0/README.md in the folder of releases, or --json" in text) is full
        assert text.count("for research only") == 3 * full and "CC0" in text
        assert max(len(line.rstrip()) for line in text.splitlines()) < 140
