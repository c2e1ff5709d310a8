"""torchvision's ImageFolder reads exports: one picture per sample, a class per person."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import faceloom
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from tests.interop.conftest import PEOPLE, make_build, samples_of

if importlib.util.find_spec("torchvision") is None:
    pytest.skip("needs the extra `interop`", allow_module_level=True)


@pytest.fixture(scope="module")
def datasets() -> Any:
    """The module torchvision.datasets."""
    try:
        import torchvision.datasets as found
    except RuntimeError:
        # A torchvision for CUDA beside a torch for the CPU lacks operators of detectors, which no dataset uses.
        sys.modules["torchvision._meta_registrations"] = ModuleType("torchvision._meta_registrations")
        import torchvision.datasets as found
    return found


@pytest.fixture(scope="module")
def pairs(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build without morphs, one sample per photo, all in train."""
    out = tmp_path_factory.mktemp("pairs") / "out"
    return make_build(photos, out, per_face=1, split={"shares": {"train": 1.0}})


@pytest.mark.parametrize("layout", ["folder", "imagefolder"])
def test_a_split_has_a_class_per_person_and_a_picture_per_sample(
    datasets: Any, pairs: Path, tmp_path: Path, layout: str
) -> None:
    faceloom.export(pairs, tmp_path / "files", layout=layout)  # type: ignore[arg-type]
    found = datasets.ImageFolder(tmp_path / "files" / "train")
    assert found.classes == [f"person_{number}" for number in range(PEOPLE)]
    assert len(found) == samples_of(pairs, "train")
    picture, label = found[0]
    assert picture.size == (48, 48) and label == 0
    keys = {Path(path).stem for path, _ in found.samples}
    assert all(key in faceloom.open_samples(pairs, "train", members=[]) for key in keys) and len(keys) == len(found)


def test_files_may_keep_the_names_of_the_photos(datasets: Any, pairs: Path, tmp_path: Path) -> None:
    faceloom.export(pairs, tmp_path / "files", layout="imagefolder", pictures=["face"], names="source")
    names = sorted(Path(path).name for path, _ in datasets.ImageFolder(tmp_path / "files" / "train").samples)
    assert names[:2] == ["person_0_0000.jpg", "person_0_0001.jpg"] and len(set(names)) == samples_of(pairs, "train")


def test_a_build_with_morphs_gives_its_people_alone(datasets: Any, built: Path, tmp_path: Path) -> None:
    done = faceloom.export(built, tmp_path / "files", layout="imagefolder")
    assert done.morphs > 0
    for split in read_record(Storage(str(built))).by_split:
        assert all("+" not in name for name in datasets.ImageFolder(tmp_path / "files" / split).classes)
