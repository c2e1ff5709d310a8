"""How well the mark of unsure landmarks separates wrong landmarks from right ones.

    python benchmarks/landmark_trust.py FOLDER [FOLDER ...]

Reads 68-point ground truth: `.pts` beside a picture, `.mat` with `pt3d_68` (AFLW2000, needs SciPy) and dlib's XML. Each
face is cut out at three sizes, three tilts, and mirrored, since there are few such photos. HOG finds it, else YuNet,
and dlib predicts its landmarks. Errors are mean distances from the truth, in sizes of the face: the root of width times
height of the true points. Wrong is above 0.1, right is below 0.05. The curve is that of the doubt: none about frontal
faces, full about impossible ones, else the spread of the predictions in units of its limit.
"""

from __future__ import annotations

import argparse
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.transforms.detect import FaceBox, detect_at_scale, predict_landmarks
from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.landmarks import (
    JITTER,
    MOST_SPREAD,
    MOST_SPREAD_HOG,
    find_landmarks,
    is_frontal,
    is_impossible,
    spread,
)
from faceloom.transforms.yunet import find_faces

WRONG, RIGHT = 0.1, 0.05
WIDTHS, TILTS = (30, 60, 140), (-25, 0, 25)
LEAST_SCORE = 0.6
_BESIDE = (".jpg", ".png", ".ppm", ".jpeg", ".bmp")
_MIRRORED = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36,
    41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip
"""The landmark that each one becomes in a mirrored picture."""

Truth = npt.NDArray[np.float64]


def faces_of(folder: Path) -> Iterator[tuple[Path, Truth]]:
    """Pictures and true landmarks, (68, 2), pixels from 0."""
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".pts":
            body = file.read_text().split("{")[1].split("}")[0]
            yield from _paired(file, np.array([line.split() for line in body.strip().splitlines()], np.float64) - 1)
        elif file.suffix == ".mat":
            from scipy.io import loadmat

            yield from _paired(file, loadmat(str(file))["pt3d_68"][:2].T.astype(np.float64))
        elif file.suffix == ".xml":
            for image in ET.parse(file).iter("image"):
                for box in image.iter("box"):
                    places = [(float(part.attrib["x"]), float(part.attrib["y"])) for part in box.iter("part")]
                    if len(places) == 68:
                        yield file.parent / image.attrib["file"], np.array(places)


def _paired(file: Path, truth: Truth) -> Iterator[tuple[Path, Truth]]:
    picture = next((one for end in _BESIDE if (one := file.with_suffix(end)).exists()), None)
    if picture and truth.shape == (68, 2):
        yield picture, truth


def views(picture: Any, truth: Truth) -> Iterator[tuple[Any, Truth]]:
    """The face at several sizes and tilts, and mirrored, in the middle of a square picture."""
    size = math.sqrt(float(np.prod(np.ptp(truth, axis=0))))
    for width in (one for one in WIDTHS if one <= 1.1 * size):
        factor = min(1.0, 2 * width / size)
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        points, side = (truth + 0.5) * factor - 0.5, 3 * width
        for tilt in TILTS:
            matrix = similarity(
                width / (size * factor), math.radians(tilt), points.mean(axis=0).tolist(), (side / 2, side / 2)
            )
            view, moved = cv2.warpAffine(small, matrix, (side, side)), apply_affine(matrix, points)
            yield view, moved.astype(np.float64)
            yield (
                np.ascontiguousarray(view[:, ::-1]),
                (np.array([side - 1.0, 0.0]) + moved.astype(np.float64) * (-1, 1))[_MIRRORED],
            )


def box_of(view: Any, grey: Any, detector: Any) -> FaceBox | None:
    """The box of the face in the middle: that of HOG, else that of YuNet."""
    middle, reach = [len(view) / 2] * 2, len(view) / 6
    enlarged = cv2.resize(view, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)  # as a build enlarges small photos
    for found in (
        detect_at_scale(grey, detector, 2.0),
        tuple(face.scaled(0.5) for face in find_faces(np.asarray(enlarged, np.uint8)) if face.score >= LEAST_SCORE),
    ):
        near = [face for face in found if math.dist(face.centre, middle) < reach]
        if near:
            return max(near, key=lambda face: face.score)
    return None


def doubt_about(grey: Any, box: FaceBox, points: Any, predictor: Any) -> float:
    """How doubtful landmarks are; those above 1 are marked."""
    if is_frontal(box, points):
        return 0.0
    if is_impossible(points, box):
        return math.inf
    shifts, limit = (JITTER[:1], MOST_SPREAD_HOG) if box.detector == "hog" else (JITTER, MOST_SPREAD)
    others = [predict_landmarks(grey, box.moved(0, shift * box.width), predictor) for shift in shifts]
    return spread([points, *others], box) / limit


def judge(view: Any, truth: Truth, predictor: Any, detector: Any) -> tuple[float, float, bool, bool] | None:
    """Error of the landmarks of a face, the doubt, the mark, and whether HOG found it; None if it is not found."""
    grey = np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), np.uint8)
    box = box_of(view, grey, detector)
    if box is None:
        return None
    found = find_landmarks(grey, box, predictor)
    size = math.sqrt(float(np.prod(np.ptp(truth, axis=0))))
    error = float(np.linalg.norm(found.points - truth, axis=1).mean()) / size
    return error, doubt_about(grey, box, found.points, predictor), found.unsure, box.detector == "hog"


def main() -> None:
    """Print the curve and the mark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    predictor, detector = load_predictor(find_landmark_model()), load_detector()
    rows, faces, missed = [], 0, 0
    for file, truth in (pair for folder in asked.folders for pair in faces_of(folder)):
        picture = cv2.imread(str(file))
        if picture is None:
            continue
        faces += 1
        for view, moved in views(picture[:, :, ::-1], truth):
            row = judge(view, moved, predictor, detector)
            missed += row is None
            rows += [row] if row else []
    errors, doubts, marks, by_hog = (np.array(column) for column in zip(*rows, strict=True))
    wrong, right = errors > WRONG, errors < RIGHT
    print(f"{faces} faces, {len(rows)} views, {missed} not found; wrong {wrong.sum()}, right {right.sum()}")
    print("right ones lost  wrong ones caught")
    for lost in (0.01, 0.02, 0.05, 0.1, 0.2):
        limit = float(np.quantile(doubts[right], 1 - lost, method="higher")) if right.any() else 0.0
        print(f"{lost:15.2f}  {np.mean(doubts[wrong] > limit) if wrong.any() else 0:17.3f}")
    print("the mark:")
    for name, rows_of in (("all", np.ones(len(errors), bool)), ("by HOG", by_hog), ("by YuNet", ~by_hog)):
        bad, good = marks[wrong & rows_of], marks[right & rows_of]
        print(f"{name:8}  right: {good.sum():3} of {len(good):3} lost; wrong: {bad.sum():3} of {len(bad):3} caught")


if __name__ == "__main__":
    main()
