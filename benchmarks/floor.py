"""The floor: the least work per photo that yields one masked pair. One process, one thread, no framework.

    python benchmarks/floor.py FOLDER [--aligned]

Reads, decodes, detects coarse to fine, predicts landmarks, fills one polygon, cuts three crops, and encodes them into a
tar in memory. Prints one line of JSON: seconds per photo, on the clock and of the processor, and faces found. It keeps
no records and checks nothing, so it measures the cost of the libraries; everything above it is ours.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import cv2
import dlib
import numpy as np

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_predictor

POLYGON = [*range(1, 16), 29]  # NIST shape C
ARCFACE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)], np.float32
)
LEVELS = ((320, 0), (640, 0), (10**9, 0), (10**9, 1))


def detect(grey: Any, detector: Any) -> Any:
    """The largest face at the first level that shows one."""
    height, width = grey.shape
    for side, upsample in LEVELS:
        scale = min(1.0, side / max(height, width))
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        if found := detector(small, upsample):
            best = max(found, key=lambda box: box.area())
            return dlib.rectangle(*(int(v / scale) for v in (best.left(), best.top(), best.right(), best.bottom())))
    return None


def one(path: Path, aligned: bool, detector: Any, predictor: Any, tar: tarfile.TarFile) -> bool:
    """One photo; returns whether it had a face."""
    photo: Any = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    height, width = grey.shape
    box = (
        dlib.rectangle(int(0.1 * width), int(0.2 * height), int(0.9 * width), int(1.05 * height))
        if aligned
        else detect(grey, detector)
    )
    if box is None:
        return False
    landmarks = np.array([(point.x, point.y) for point in predictor(grey, box).parts()], np.float32)
    polygon = landmarks[POLYGON]
    coverage = np.zeros((height, width), np.uint8)
    cv2.fillPoly(coverage, [np.round(polygon * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    masked = photo.copy()
    x0, y0 = np.maximum(polygon.min(0).astype(int) - 1, 0)
    x1, y1 = polygon.max(0).astype(int) + 2
    alpha = coverage[y0:y1, x0:x1, None].astype(np.float32) / 255
    masked[y0:y1, x0:x1] = (masked[y0:y1, x0:x1] * (1 - alpha) + alpha * np.array([254, 207, 110], np.float32)).astype(
        np.uint8
    )
    left, right = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
    five = np.array([left, right, landmarks[30], landmarks[48], landmarks[54]], np.float32)
    matrix, _ = cv2.estimateAffinePartial2D(five, ARCFACE, method=cv2.LMEDS)
    if matrix is None:
        return False
    for name, image, options in (
        ("face.jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 95]),
        ("masked.jpg", masked, [cv2.IMWRITE_JPEG_QUALITY, 95]),
        ("mask.png", coverage, []),
    ):
        crop = cv2.warpAffine(image, matrix, (112, 112), flags=cv2.INTER_AREA)
        data = cv2.imencode("." + name.split(".")[1], crop, options)[1].tobytes()
        info = tarfile.TarInfo(f"{path.stem}.{name}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return True


def main() -> None:
    """Measure a folder."""
    folder, aligned = Path(sys.argv[1]), "--aligned" in sys.argv
    cv2.setNumThreads(1)
    detector, predictor = dlib.get_frontal_face_detector(), load_predictor(find_landmark_model())
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    for path in paths:
        path.read_bytes()  # warm cache
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:
        begin, used = time.perf_counter(), time.process_time()
        faces = sum(one(path, aligned, detector, predictor, tar) for path in paths)
        seconds, cpu = (time.perf_counter() - begin) / len(paths), (time.process_time() - used) / len(paths)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "photos": len(paths), "faces": faces}))


if __name__ == "__main__":
    main()
