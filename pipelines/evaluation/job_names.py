"""The evaluations of training jobs, besides that of the autoencoder, without what they import."""

from __future__ import annotations

from typing import NamedTuple


class EvaluationSpec(NamedTuple):
    """An evaluation: its function in the module of the job's name in this room, and the help of its command."""

    function: str
    help: str


EVALUATIONS: dict[str, EvaluationSpec] = {
    "detector": EvaluationSpec(
        "evaluate_detectors", "Measure detectors of masks, on masked and on bare faces, beside one map for all."
    ),
    "editor": EvaluationSpec("evaluate_editors", "Measure mask editors, beside `cv2.inpaint` and the mean face."),
}
"""By the name of the job."""
