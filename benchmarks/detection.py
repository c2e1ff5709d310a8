"""Share of photos in which a face is found, and time of analysis, by detector.

    python benchmarks/detection.py [--rounds 1] [--onnx FILE] FOLDER [FOLDER ...]

Folders are read with all folders below them. For each folder and detector, the table has the number of photos that can
be read, the share with a face, how many of these faces were found turned or have unsure landmarks, and the median time
of processor per photo, decoding included: of all photos, and of those in which HOG finds a face.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from faceloom.pipelines.analyse.detectors import load_detectors
from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.face_options import Faces, OnnxDetector
from faceloom.transforms.analyse import PhotoAnalysis, analyse_photo

_NO_PHOTO = ("not_an_image", "unsupported", "truncated", "decode_failed", "empty", "too_many_pixels")


@dataclass
class Figures:
    """What one detector finds in a folder, by photo."""

    found: dict[Path, PhotoAnalysis | None] = field(default_factory=dict)
    milliseconds: dict[Path, float] = field(default_factory=dict)


def files_of(folder: Path) -> list[Path]:
    """All files of a folder and the folders below, in order."""
    return sorted(file for file in folder.rglob("*") if file.is_file())


def measure(files: Iterable[Path], faces: Faces, rounds: int) -> Figures:
    """Analyse every file that is a photo; the shortest time of some rounds counts."""
    predictor, detector, detectors = load_predictor(find_landmark_model()), load_detector(), load_detectors(faces)
    figures = Figures()
    for file in files:
        data, best = file.read_bytes(), float("inf")
        for _ in range(rounds):
            begin = time.process_time()
            try:
                found: PhotoAnalysis | None = analyse_photo(
                    data,
                    predictor=predictor,
                    detector=detector,
                    network=detectors.network,
                    hog_first=detectors.hog_first,
                    select=faces.select,
                )
            except PhotoError as error:
                if error.code in _NO_PHOTO:
                    break
                found = None
            best = min(best, 1000 * (time.process_time() - begin))
        else:
            figures.found[file], figures.milliseconds[file] = found, best
    return figures


def line(name: str, figures: Figures, seen_by_hog: set[Path]) -> str:
    """The row of one detector."""
    found = [one for one in figures.found.values() if one is not None]
    share = len(found) / max(1, len(figures.found))
    turned = sum(one.faces[0].box.turn != 0 for one in found)
    unsure = sum(one.faces[0].unsure for one in found)
    times = figures.milliseconds
    easy = [ms for file, ms in times.items() if file in seen_by_hog]
    medians = [f"{statistics.median(some):6.1f}" if some else "     -" for some in (list(times.values()), easy)]
    return f"  {name:6}  {share:5.3f}  {turned:6}  {unsure:6}  {medians[0]}  {medians[1]}"


def main() -> None:
    """Measure what was asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--onnx")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    settings = {name: Faces(detector=name) for name in ("hog", "auto", "yunet")}
    if asked.onnx:
        settings["onnx"] = Faces(detector=OnnxDetector(onnx=asked.onnx))
    for folder in asked.folders:
        files = files_of(folder)
        by_name = {name: measure(files, faces, asked.rounds) for name, faces in settings.items()}
        hog = by_name["hog"]
        seen = {file for file, found in hog.found.items() if found is not None}
        print(f"{folder}: {len(hog.found)} photos, HOG finds a face in {len(seen)}")
        print("  finds   share  turned  unsure  ms/all  ms where HOG finds one")
        for name, figures in by_name.items():
            print(line(name, figures, seen))


if __name__ == "__main__":
    main()
