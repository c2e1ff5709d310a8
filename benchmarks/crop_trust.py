"""What it costs to trust landmarks of ArcFace crops that lie near the template: wrong ones missed, predictions saved.

    python benchmarks/crop_trust.py TRUTH [TRUTH ...] --crops FOLDER

TRUTH are folders of 68-point ground truth, see `landmark_trust.py`. Each face and its mirror image are aligned by its
true points, exactly and with three amounts of noise, and shown whole, with its lower, upper or left half hidden by a
flat grey, blurred, and dark. Wrong is an error above 0.1 of the face. FOLDER holds aligned crops, whose predictions are
counted: one each, a second for faces that are not certainly frontal, and a third where those two disagree.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from landmark_trust import _MIRRORED, WRONG, Truth, faces_of

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_predictor
from faceloom.schemas.errors import PhotoError
from faceloom.transforms import landmarks
from faceloom.transforms.align import arcface_matrix, five_points, warp_image
from faceloom.transforms.detect import box_for_aligned, predict_landmarks
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.landmarks import AGREED, JITTER, MOST_SPREAD, is_frontal, is_impossible, spread

SIDE = 112
LIMITS = (0.0, 0.02, 0.03, 0.04, 0.05)
NOISE = (0.0, 0.03, 0.06, 0.1)
"""Standard deviation of the five points, in sizes of the face."""


def crops_of(picture: Any, truth: Truth, rng: np.random.Generator) -> Iterator[tuple[Any, Truth]]:
    """Grey crops of a face, (112, 112), and its true points in them."""
    mirror = np.array([picture.shape[1] - 1.0, 0]) + truth * (-1, 1)
    for image, points in ((picture, truth), (np.ascontiguousarray(picture[:, ::-1]), mirror[_MIRRORED])):
        for noise in NOISE:
            five = five_points(points) + rng.normal(0, noise * np.ptp(points, axis=0).max(), (5, 2))
            try:
                matrix = arcface_matrix(five, SIDE)
                whole = cv2.cvtColor(warp_image(image, matrix, (SIDE, SIDE)), cv2.COLOR_BGR2GRAY)
            except PhotoError:
                continue
            hidden = [whole.copy() for _ in range(3)]
            hidden[0][60:], hidden[1][:55], hidden[2][:, :56] = rng.integers(0, 256, 3)
            small = cv2.resize(whole, (14, 14), interpolation=cv2.INTER_AREA)
            blurred = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            dark = np.clip(0.1 * whole + rng.normal(60, 25, whole.shape), 0, 255).astype(np.uint8)
            for grey in (whole, *hidden, blurred, dark):
                yield grey, apply_affine(matrix, points)


def judge(grey: Any, predictor: Any) -> tuple[Any, list[bool], bool, bool]:
    """First prediction; whether it is trusted without a second one, by limit; whether others disagree, and a third."""
    box = box_for_aligned(SIDE, SIDE)
    points = predict_landmarks(grey, box, predictor)
    trusted = []
    for limit in LIMITS:
        landmarks.NEAR_TEMPLATE = limit
        trusted.append(is_frontal(box, points))
    others = [predict_landmarks(grey, box.moved(0, shift * box.width), predictor) for shift in JITTER]
    third = 2 * spread([points, others[0]], box) >= AGREED
    apart = third and spread([points, *others], box) > MOST_SPREAD
    return points, trusted, apart or is_impossible(points, box), third


def main() -> None:
    """Print a row for each limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("truth", nargs="+", type=Path)
    parser.add_argument("--crops", type=Path, required=True)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    predictor, rng = load_predictor(find_landmark_model()), np.random.default_rng(1)
    caught, wrong, views = np.zeros(len(LIMITS), int), 0, 0
    for file, truth in (pair for folder in asked.truth for pair in faces_of(folder)):
        picture = cv2.imread(str(file))
        for grey, points in crops_of(picture, truth, rng) if picture is not None else ():
            found, trusted, doubted, _ = judge(grey, predictor)
            error = np.linalg.norm(found - points, axis=1).mean() / math.sqrt(float(np.prod(np.ptp(points, axis=0))))
            views += 1
            if error > WRONG:
                wrong += 1
                caught += doubted & ~np.array(trusted)
    counts = []
    for file in sorted(asked.crops.glob("*.jpg")):
        grey = cv2.resize(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (SIDE, SIDE))
        _, trusted, _, third = judge(grey, predictor)
        counts.append([1 if one else 2 + third for one in trusted])
    print(f"{views} views, {wrong} wrong; {len(counts)} crops")
    for limit, found, predictions in zip(LIMITS, caught, np.mean(counts, axis=0), strict=True):
        print(f"limit {limit:.2f}: {found} wrong ones caught, {predictions:.2f} predictions for each crop")


if __name__ == "__main__":
    main()
