"""Cost of guide masks per face of 112 x 112, and agreement of guides from landmarks with hand-drawn parts.

    python benchmarks/guide.py [--rounds 200] [--celebamask FOLDER] [--labelmaps PICTURES LABELS]

Times are medians on one core, for decoded labels of 512 x 512, and for decoding them. With folders it also prints the
intersection over union of parts from 68 landmarks (found as in a build) and hand-drawn parts, at the size of labels,
part by part. `eyes` and `brows` combine both sides, because some sets exchange left and right. In a flattened map,
`skin` includes the parts inside it, as in part files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cv2
import numpy as np

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.pipelines.sources.registry import open_source
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import LANDMARK_REGIONS, PARTS, Guide
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo
from faceloom.schemas.source_spec import SourceSpec
from faceloom.transforms.align import arcface_matrix
from faceloom.transforms.analyse import analyse_photo
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.guide.guide_mask import iou, make_guide
from faceloom.transforms.guide.label_map import LabelMap, decode_labels, mask_of, warp_labels
from faceloom.transforms.guide.outlines import landmark_mask

IN_SKIN = ("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")
SIDES = {"eyes": ("l_eye", "r_eye"), "brows": ("l_brow", "r_brow")}


def median_ms(do: Callable[[], object], rounds: int) -> float:
    """Median time of a call, in milliseconds."""
    seconds = []
    for _ in range(rounds + 3):
        begin = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds[3:])


def synthetic_face(size: int) -> np.ndarray:
    """68 landmarks of a round face, good enough to fill parts of a usual size."""
    turn = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = np.column_stack([0.5 + 0.3 * np.cos(turn), 0.5 + 0.35 * np.sin(turn)])
    for first, last, x, y, radius in ((36, 42, 0.35, 0.4, 0.05), (42, 48, 0.65, 0.4, 0.05), (48, 68, 0.5, 0.7, 0.12)):
        ring = np.linspace(0, 2 * np.pi, last - first, endpoint=False)
        points[first:last] = np.column_stack([x + radius * np.cos(ring), y + radius * np.sin(ring) / 2])
    return np.asarray(points * size, np.float32)


def measure_time(rounds: int) -> None:
    """Print the costs."""
    landmarks = synthetic_face(1024)
    parts = {part: landmark_mask((landmarks + 0.5) / 2 - 0.5, part, (512, 512)) for part in LANDMARK_REGIONS[:-1]}
    encoded = {
        part: cv2.imencode(".png", cv2.merge([mask.view(np.uint8) * 255] * 3))[1].tobytes()
        for part, mask in parts.items()
    }
    files = LabelFiles("parts", (), tuple(sorted(encoded.items())))
    matrix = arcface_matrix(landmarks, 112)
    crop_landmarks = apply_affine(matrix, landmarks)
    labels = decode_labels(files)
    guide = Guide(attribute="Mouth_Slightly_Open", dilate=2.0, soften=1.0, missing="landmarks")
    makeup = Guide(attribute="Heavy_Makeup", dilate=2.0, soften=1.0, missing="landmarks")

    def from_labels() -> None:
        make_guide(
            guide, crop_landmarks, (112, 112), labels, warp_labels(labels.bits, (1024, 1024), matrix, (112, 112))
        )

    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"from labels     {median_ms(from_labels, rounds):.3f} ms, limit 2 ms")
    for name, asked in (("3 parts", guide), ("7 parts", makeup)):
        cost = median_ms(partial(make_guide, asked, crop_landmarks, (112, 112), None), rounds)
        print(f"from landmarks  {cost:.3f} ms, limit 2 ms ({name})")
    print(f"decode 3 parts  {median_ms(lambda: decode_labels(files, guide.regions), max(3, rounds // 10)):.3f} ms")


def faces_of(spec: SourceSpec) -> Iterator[tuple[np.ndarray, LabelMap]]:
    """Landmarks in pixels of the labels, and the labels, of every photo that has both."""
    source: Any = open_source(spec)
    predictor, detector = load_predictor(find_landmark_model()), load_detector()
    for photo in source.scan():
        if not isinstance(photo, Photo) or (files := source.read_labels(photo.uri)) is None:
            continue
        try:
            found = analyse_photo(source.read(photo.uri), predictor=predictor, detector=detector)
        except PhotoError:
            continue
        labels = decode_labels(files)
        scale = labels.bits.shape[1] / found.width
        yield (found.faces[0].landmarks + 0.5) * scale - 0.5, labels


def measure_agreement(name: str, spec: SourceSpec) -> None:
    """Print the table of one set."""
    figures: dict[str, list[float]] = {region: [] for region in (*LANDMARK_REGIONS[:-1], *SIDES)}
    faces = 0
    for landmarks, labels in faces_of(spec):
        faces += 1
        height, width = labels.bits.shape
        ours: dict[str, Any] = {
            region: landmark_mask(landmarks, region, (width, height)) for region in LANDMARK_REGIONS[:-1]
        }
        drawn: dict[str, Any] = {part: mask_of(labels.bits, [part]) for part in PARTS}
        if labels.order != "parts":
            drawn["skin"] = mask_of(labels.bits, IN_SKIN)
        for together, sides in SIDES.items():
            ours[together] = ours[sides[0]] | ours[sides[1]]
            drawn[together] = drawn[sides[0]] | drawn[sides[1]]
        for region, values in figures.items():
            if drawn[region].any():
                values.append(iou(ours[region], drawn[region]))
    print(f"\n{name}: {faces} faces\npart     faces  mean IoU  median")
    for region, values in figures.items():
        if values:
            print(f"{region:8} {len(values):5}  {statistics.mean(values):8.3f}  {statistics.median(values):6.3f}")


def main() -> None:
    """Measure what was asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--celebamask")
    parser.add_argument("--labelmaps", nargs=2)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    measure_time(asked.rounds)
    if asked.celebamask:
        measure_agreement("part files", SourceSpec(kind="celebamask_hq", path=asked.celebamask))
    if asked.labelmaps:
        pictures, labels = asked.labelmaps
        measure_agreement("label maps", SourceSpec(kind="label_maps", path=pictures, labels=labels))


if __name__ == "__main__":
    main()
