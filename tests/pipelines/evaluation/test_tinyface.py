"""TinyFace's protocol on a tiny folder, with vectors that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.evaluation import tinyface as module
from faceloom.pipelines.evaluation.tinyface import open_tinyface, rank_probes
from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.types import Image
from tests.pipelines.conftest import encoded

GREYS = {
    "Probe/1_1.jpg": 100, "Probe/2_1.jpg": 140, "Probe/3_1.jpg": 200, "Gallery_Match/1_2.jpg": 101,
    "Gallery_Match/1_3.jpg": 20, "Gallery_Match/2_2.jpg": 130, "Gallery_Match/3_2.jpg": 230,
    "Gallery_Distractor/-100_1.jpg": 138, "Gallery_Distractor/-100_2.jpg": 199, "Gallery_Distractor/-100_3.jpg": 5,
    "Gallery_Distractor/3_4.jpg": 204,
}  # fmt: skip
"""Names of the public release; the number of a distractor is no person."""


def lay(root: Path, greys: dict[str, int] = GREYS) -> Path:
    (root / "Training_Set").mkdir(parents=True)
    for name, grey in greys.items():
        file = root / "Testing_Set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(np.full((19, 16, 3), grey, np.uint8), ".png"))
    return root


def by_brightness(pictures: list[Image]) -> np.ndarray:
    """The brighter, the further along a quarter of a circle."""
    assert all(picture.shape == (112, 112, 3) for picture in pictures)
    angle = np.array([picture.mean() for picture in pictures]) / 255 * np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.mark.parametrize("batch", [2, 256])
def test_distractors_stand_before_matches_that_are_less_alike(
    tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", batch)
    test = open_tinyface(lay(tmp_path / "tinyface"))
    assert (len(test.probes), len(test.gallery), len(test.distractors), test.pictures) == (3, 4, 4, 11)
    counts: list[int] = []
    found = rank_probes(test, {"grey": by_brightness, "same": lambda some: np.ones((len(some), 1))}, counts.append)
    ranks = found.ranks
    assert (found.probes, found.gallery, found.distractors, found.left_out) == (test.probes, 4, 4, {})
    # Before the match of 140, 130, lies one distractor; before that of 200, 230, lie two.
    assert ranks["grey"].tolist() == [1, 2, 3]
    # Where all are alike, every stranger of the gallery and every distractor comes first.
    assert ranks["same"].tolist() == [1 + 2 + 4, 1 + 3 + 4, 1 + 3 + 4]
    assert counts[-1] == 11


def test_files_that_cannot_be_read_are_left_out_and_named(tmp_path: Path) -> None:
    top = lay(tmp_path / "tinyface") / "Testing_Set"
    for name in ("Probe/1_1.jpg", "Gallery_Match/2_2.jpg", "Gallery_Distractor/-100_1.jpg", "Probe/notes.txt"):
        (top / name).write_bytes(b"no picture")
    found = rank_probes(open_tinyface(tmp_path / "tinyface"), {"grey": by_brightness})
    assert [photo.uri for photo in found.probes] == ["Testing_Set/Probe/3_1.jpg"]
    assert found.ranks["grey"].tolist() == [3] and (found.gallery, found.distractors) == (3, 3)
    assert {uri.removeprefix("Testing_Set/") for uri in found.left_out} == {
        "Probe/1_1.jpg", "Probe/2_1.jpg", "Gallery_Match/2_2.jpg", "Gallery_Distractor/-100_1.jpg", "Probe/notes.txt",
    }  # fmt: skip
    assert found.left_out["Testing_Set/Probe/2_1.jpg"] == "no match can be read"
    (top / "Probe" / "3_1.jpg").write_bytes(b"no picture")
    with pytest.raises(FaceloomError, match="no probe of TinyFace and its match can be read"):
        rank_probes(open_tinyface(tmp_path / "tinyface"), {"grey": by_brightness})


@pytest.mark.parametrize("folder", ["Probe", "Gallery_Match"])
def test_folders_that_are_missing_are_named(tmp_path: Path, folder: str) -> None:
    left = {name: grey for name, grey in GREYS.items() if not name.startswith(folder)}
    with pytest.raises(FaceloomError, match=f"Testing_Set/{folder} has no pictures"):
        open_tinyface(lay(tmp_path / "tinyface", left))


def test_a_probe_without_a_match_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceloomError, match=r"no match in the gallery \(got Testing_Set/Probe/9_1.jpg\)"):
        open_tinyface(lay(tmp_path / "tinyface", {**GREYS, "Probe/9_1.jpg": 3}))


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceloomError):
        open_tinyface(tmp_path / "none")
    (tmp_path / "photos").mkdir()
    with pytest.raises(FaceloomError, match="Probe has no pictures"):
        open_tinyface(tmp_path / "photos")
