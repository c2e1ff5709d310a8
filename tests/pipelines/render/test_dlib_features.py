"""dlib's features: of the face, not of its place in the picture."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.render import dlib_features
from faceloom.pipelines.render.dlib_features import DlibExtractor, dlib_file, load_dlib
from faceloom.pipelines.render.features import features_digest, load_extractor
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Features


def test_it_is_loaded_once_and_needs_no_file_of_the_user(tmp_path: Path) -> None:
    features = Features(model="dlib")
    digest = features_digest(features)
    assert len(digest) == 64 and load_extractor(features, digest) is load_dlib()
    (tmp_path / "x.yaml").write_text("{name: x, output: {features: {model: dlib}}}")
    output = load_recipe(str(tmp_path / "x.yaml")).output
    assert output.features is not None and output.features.model == "dlib" and output.features.file is None


def test_features_follow_the_landmarks(synthetic: SimpleNamespace) -> None:
    face = synthetic.picture(224, 224, 3)
    points = synthetic.landmarks((112, 90), 70)
    moved = np.zeros((260, 260, 3), np.uint8)
    moved[20:244, 30:254] = face
    unknown = np.full((68, 2), np.nan, np.float32)
    shown = [face, moved, face, face]
    given: list[Any] = [points, points + np.array([30, 20], np.float32), None, unknown]
    here, there, whole, same = load_dlib().extract(shown, given)
    assert here.shape == (128,) and here.dtype == np.float32
    assert np.abs(here - there).max() < 0.02 and np.abs(here - whole).max() > 0.02
    assert np.array_equal(whole, same) and np.array_equal(whole, load_dlib().extract([face])[0])


def test_faces_are_described_one_by_one() -> None:
    seen: list[tuple[int, ...]] = []

    class Network:
        def compute_face_descriptor(self, chip: np.ndarray, *shape: Any) -> list[float]:
            seen.append(chip.shape)
            return [1.0] * 128

    rows = DlibExtractor(Network()).extract([np.zeros((20, 20, 3), np.uint8)] * 2)
    assert len(rows) == 2 and seen == [(150, 150, 3)] * 2


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dlib_file().name.startswith("dlib_face_recognition")
    monkeypatch.setattr(dlib_features, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="pip install face_recognition_models"):
        dlib_file()
