"""A folder is a build, and anything else names a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.release.diff import diff
from faceloom.pipelines.release.diff_sides import open_side
from faceloom.schemas.errors import FaceloomError
from tests.pipelines.release.sets import people, release_in


def test_releases_and_builds_are_opened(tmp_path: Path, masked_build: Path) -> None:
    release_in(tmp_path, people(3))
    release_in(tmp_path, people(4), "1.1.0")
    build, old, new = (open_side(text, tmp_path) for text in (str(masked_build), "faces@1.0.0", "faces"))
    assert (build.name, old.name, new.name) == (str(masked_build), "faces@1.0.0", "faces@1.1.0")
    assert diff(old, new).counts["added"] == 2
    assert diff(build, new).counts["removed"] == 18, "they share no sample"


@pytest.mark.parametrize(
    ("text", "rooted", "words"),
    [
        ("faces@1.0.0", False, "Give it with --root or FACELOOM_ROOT"),
        ("faces@9.9.9", True, "no such release"),
        ("no/folder", True, "names no release"),
        (".", True, "no finished build"),
    ],
)
def test_what_is_neither_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, rooted: bool, words: str
) -> None:
    release_in(tmp_path / "root", people(2))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(FaceloomError) as caught:
        open_side(text, tmp_path / "root" if rooted else None)
    assert words in str(caught.value)
