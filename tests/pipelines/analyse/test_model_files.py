"""Model files: found without importing their package, and a clear word when they are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.pipelines.analyse import model_files
from faceloom.pipelines.analyse.model_files import (
    LANDMARK_MODEL_VARIABLE,
    MOST_BYTES,
    check_landmark_model,
    file_digest,
    find_landmark_model,
    is_packaged_model,
    load_detector,
    load_predictor,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ModelFileError
from tests.object_stores import s3_server


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LANDMARK_MODEL_VARIABLE, raising=False)


def test_the_packaged_model_is_found() -> None:
    file = find_landmark_model()
    assert file.name == "shape_predictor_68_face_landmarks.dat"
    assert file.stat().st_size > 50_000_000


def test_the_package_is_not_imported() -> None:
    script = (
        "import sys; from faceloom.pipelines.analyse.model_files import find_landmark_model; find_landmark_model();"
        "sys.exit(any(name in sys.modules for name in ('face_recognition_models', 'pkg_resources', 'dlib', 'cv2')))"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=False).returncode == 0


def test_an_explicit_path_comes_before_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, other = tmp_path / "named model.dat", tmp_path / "ünïcode.dat"
    named.touch()
    other.touch()
    monkeypatch.setenv(LANDMARK_MODEL_VARIABLE, str(other))
    assert find_landmark_model() == other
    assert find_landmark_model(str(named)) == named


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model.dat").touch()
    assert find_landmark_model("~/model.dat") == tmp_path / "model.dat"


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_named_file_that_is_missing_is_an_error(by_variable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_variable:
        monkeypatch.setenv(LANDMARK_MODEL_VARIABLE, "/nowhere/model.dat")
    with pytest.raises(ModelFileError) as caught:
        find_landmark_model(None if by_variable else "/nowhere/model.dat")
    assert "/nowhere/model.dat" in str(caught.value)
    assert (LANDMARK_MODEL_VARIABLE if by_variable else "the recipe") in str(caught.value)
    assert caught.value.remedy


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "find_spec", lambda name: None)
    with pytest.raises(ModelFileError) as caught:
        find_landmark_model()
    assert "pip install face_recognition_models" in caught.value.remedy
    assert LANDMARK_MODEL_VARIABLE in caught.value.remedy
    assert "`faces: {landmarks: mesh}`" in caught.value.remedy


def test_a_package_without_the_file_is_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "face_recognition_models"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelFileError):
        find_landmark_model()
    (package / "models").mkdir()
    (package / "models" / "shape_predictor_68_face_landmarks.dat").touch()
    assert find_landmark_model().is_relative_to(tmp_path)


def test_the_predictor_is_loaded_once() -> None:
    assert load_predictor(find_landmark_model()) is load_predictor(find_landmark_model())
    assert load_detector() is load_detector()


def test_a_model_file_that_is_replaced_is_loaded_anew(tmp_path: Path) -> None:
    """By a process that lives longer than a build."""
    file = tmp_path / "model.dat"
    file.symlink_to(find_landmark_model())
    first = load_predictor(file)
    assert load_predictor(file) is first
    file.unlink()
    file.write_bytes(b"other")
    with pytest.raises(ModelFileError, match="not a dlib shape predictor"):
        load_predictor(file)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(1000)])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.dat"
    file.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        load_predictor(file)
    assert str(file) in str(caught.value) and caught.value.remedy


def test_a_model_of_another_number_of_points_is_refused() -> None:
    five = find_landmark_model().with_name("shape_predictor_5_face_landmarks.dat")
    if not five.is_file():
        pytest.skip("the package holds no 5-point model")
    with pytest.raises(ModelFileError, match="68"):
        load_predictor(five)


def test_a_named_model_is_checked_and_the_packaged_one_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    with monkeypatch.context() as patched:
        patched.setattr(model_files, "load_predictor", loaded.append)
        check_landmark_model(None)
        assert loaded == []
        check_landmark_model(str(find_landmark_model()))
        assert loaded == [find_landmark_model()]
    (tmp_path / "model.dat").write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match=r"^\$\.faces\.landmark_model: .*model.dat: the file is not") as caught:
        check_landmark_model(str(tmp_path / "model.dat"))
    assert str(caught.value).isprintable()
    monkeypatch.setenv(LANDMARK_MODEL_VARIABLE, "~no-such-user/model.dat")
    with pytest.raises(ModelFileError, match=r"^FACELOOM_LANDMARK_MODEL: the landmark model that .* is not a file"):
        check_landmark_model(None)


def test_folders_pipes_devices_and_files_that_are_too_long_are_no_models(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / ("x" * 300)):
        with pytest.raises(ModelFileError, match="is not a file") as caught:
            check_landmark_model(str(path))
        assert str(path)[:300] in str(caught.value)
    with (tmp_path / "long.dat").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    with pytest.raises(ModelFileError, match="at most 1,073,741,824 are read"):
        check_landmark_model(str(tmp_path / "long.dat"))


@pytest.mark.parametrize("at", [0, 1, 2, 3, 5, 8, 40, 300])
def test_a_damaged_model_is_refused(tmp_path: Path, at: int) -> None:
    """Lengths at the beginning that are no lengths, and a file that ends too soon."""
    with find_landmark_model().open("rb") as stream:
        data = bytearray(stream.read(4000))
    data[at] ^= 0x7F
    (tmp_path / "model.dat").write_bytes(data)
    with pytest.raises(ModelFileError, match="not a dlib shape predictor"):
        load_predictor(tmp_path / "model.dat")


@pytest.mark.parametrize("there_is_memory", [True, False])
def test_a_lack_of_memory_is_distinguished_from_a_file_that_asks_for_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there_is_memory: bool
) -> None:
    def fail(_: str) -> None:
        raise MemoryError("std::bad_alloc")

    asked: list[int] = []

    def require(size: int) -> None:
        asked.append(size)
        if not there_is_memory:
            raise MemoryError

    monkeypatch.setattr("dlib.shape_predictor", fail)
    monkeypatch.setattr(model_files, "require_memory", require)
    (tmp_path / "model.dat").write_bytes(bytes(1000))
    with pytest.raises(ModelFileError if there_is_memory else MemoryError):
        load_predictor(tmp_path / "model.dat")
    assert asked == [2000]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")
def test_the_packaged_model_is_not_at_fault_where_memory_is_short() -> None:
    script = (
        "import resource, dlib, numpy; from faceloom.pipelines.analyse import model_files;"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + 40_000_000;"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size));"
        "model_files.load_predictor(model_files.find_landmark_model())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr.strip().splitlines()[-1].startswith(("MemoryError", "numpy._core._exceptions._ArrayMemoryError"))


def test_the_terms_of_the_model_are_told() -> None:
    assert "commercial" in model_files.LANDMARK_MODEL_TERMS


def test_a_model_by_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as bucket:
        storage = Storage(f"{bucket}/models")
        for name, data in (("lm.dat", find_landmark_model().read_bytes()), ("bad.dat", b"no model")):
            with storage.write(name) as stream:
                stream.write(data)
        url = storage.place("lm.dat")
        found = find_landmark_model(url)
        assert found.name == "lm.dat" and file_digest(found) == file_digest(find_landmark_model())
        check_landmark_model(url)
        monkeypatch.setenv(LANDMARK_MODEL_VARIABLE, url)
        assert find_landmark_model() == found and not is_packaged_model(None)
        monkeypatch.delenv(LANDMARK_MODEL_VARIABLE)
        with pytest.raises(ModelFileError, match="No such file") as caught:
            find_landmark_model(storage.place("none.dat"))
        assert caught.value.value == storage.place("none.dat") and caught.value.remedy
        with pytest.raises(ModelFileError, match="not a dlib shape predictor") as caught:
            check_landmark_model(storage.place("bad.dat"))
        assert caught.value.where == f"$.faces.landmark_model: {storage.place('bad.dat')}"
