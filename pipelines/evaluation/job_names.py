"""The evaluations of training jobs, besides that of the autoencoder, without what they import."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class EvaluationSpec(NamedTuple):
    """An evaluation of a training job.

    Attributes:
        function: its name, in the module of the job's name in this room.
        help: of its command.
        check: name of a function of that module that checks a task before any work.
        files: help of further options that name a run or folder, by name.
    """

    function: str
    help: str
    check: str = ""
    files: Mapping[str, str] = MappingProxyType({})


EVALUATIONS: dict[str, EvaluationSpec] = {
    "detector": EvaluationSpec(
        "evaluate_detectors", "Measure detectors of masks, on masked and on bare faces, beside one map for all."
    ),
    "editor": EvaluationSpec("evaluate_editors", "Measure mask editors, beside `cv2.inpaint` and the mean face."),
    "msagan": EvaluationSpec(
        "evaluate_editors",
        "Measure editors of one attribute by a separate classifier, beside the unchanged face.",
        "check_editors",
        {"classifier": "Run of `faceloom train classifier` that judges the edits."},
    ),
    "classifier": EvaluationSpec(
        "evaluate_classifiers",
        "Measure classifiers of one attribute, beside the most frequent answer.",
        "check_attributes",
    ),
    "askd": EvaluationSpec(
        "evaluate_askd",
        "Measure face recognisers at 14, 28, 56 and 112 pixels, beside the pixels themselves.",
        "check_askd",
        {"tinyface": "Folder of TinyFace; its identification protocol is measured too."},
    ),
    "antimask": EvaluationSpec(
        "evaluate_antimask",
        "Measure completions of faces by their features, beside the mean face.",
        "check_network",
    ),
}
"""By the name of the job."""
