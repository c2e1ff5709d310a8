"""Drop faces beyond the limits of a recipe, and show how the figures are spread that a recipe can limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.plan.pairs import paired
from faceloom.pipelines.plan.planned_faces import Ints
from faceloom.schemas.faces import DETECTORS, FIGURES, Spread
from faceloom.schemas.keys import face_key
from faceloom.schemas.masks import serves_unsure_landmarks, serves_with_landmarks
from faceloom.schemas.photos import Reject
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.box_alignment import box_squares, shares_outside

_SCORED = ("hog", "yunet", "onnx")
_UNSURE = "the landmarks are probably wrong, and every mask of the recipe needs them; "
_MESH = "`faces: {landmarks: mesh}` may see this face better"
_GIVEN = "the box or points that the source gives may lie beside the face; correct them, or leave them out"


@dataclass(frozen=True, slots=True)
class _Limit:
    """A key of the recipe that limits a figure, the code of its rejects, and what they state of the face."""

    key: str
    figure: str
    code: str
    what: str

    @property
    def bound(self) -> str:
        """The kind of bound, in words."""
        return "at most" if self.key.startswith("max") else "at least"

    def holds(self, values: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.bool_]:
        """Which values are within the limit. A value that is unknown, NaN, is not."""
        return values <= limit if self.key.startswith("max") else values >= limit


_LIMITS = (
    _Limit("max_yaw", "yaw", "face_turned", "the head is turned {:.4g} degrees to the side"),
    _Limit("max_pitch", "pitch", "face_turned", "the head is turned {:.4g} degrees up or down"),
    _Limit("min_sharpness", "sharpness", "face_blurred", "the face has a sharpness of {:.4g}"),
    _Limit("min_brightness", "brightness", "face_too_dark", "the face has a brightness of {:.4g}"),
    _Limit("max_brightness", "brightness", "face_too_bright", "the face has a brightness of {:.4g}"),
    _Limit("min_contrast", "contrast", "face_flat", "the face has a contrast of {:.4g}"),
)


def within_limits(
    recipe: Recipe, analysed: Analysis, photo: Ints, number: Ints, row: Ints, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces that the recipe's limits leave.

    Args:
        photo, number, row: of each face its photo, number in the photo, and row, -1 for a whole photo.
        rejects: receives the others.
    """
    for check in (_large_enough, _bare_enough, _dressed, _certain_enough, _good_enough, _inside_enough):
        photo, number, row = check(recipe, analysed, photo, number, row, rejects)
    return photo, number, row


def _large_enough(
    recipe: Recipe, analysed: Analysis, photo: Ints, number: Ints, row: Ints, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces that are not too small for the recipe."""
    width = analysed.width[photo].astype(np.float64)
    found = row[row >= 0]
    width[row >= 0] = analysed.box[found, 2] - analysed.box[found, 0]
    small = np.flatnonzero(width < recipe.faces.min_size)
    for one, at in zip(analysed.photos.take(photo[small]), small.tolist(), strict=True):
        what = (
            f"the face is {width[at]:.0f} pixels wide; the limit is at least {recipe.faces.min_size} (faces.min_size)"
        )
        key = face_key(analysed.sha256[photo[at]].tobytes().hex(), int(number[at]))
        rejects.append(Reject("plan", one.source, one.uri, "face_too_small", what, key))
    kept = np.ones(len(photo), bool)
    kept[small] = False
    return photo[kept], number[kept], row[kept]


def _bare_enough(
    recipe: Recipe, analysed: Analysis, photo: Ints, number: Ints, row: Ints, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces that wear a mask, or that wear none, by `faces.masked`. Whole photos without a face stay."""
    rule = recipe.faces.masked
    if rule is None or rule.do == "keep":
        return photo, number, row
    shares = np.zeros(len(row))
    shares[row >= 0] = analysed.masked[row[row >= 0]]
    kept = (row < 0) | ((shares > rule.above) == (rule.do == "only"))
    out = np.flatnonzero(~kept)
    for one, at in zip(analysed.photos.take(photo[out]), out.tolist(), strict=True):
        key = face_key(analysed.sha256[photo[at]].tobytes().hex(), int(number[at]))
        code, asked = ("face_bare", "more than") if rule.do == "only" else ("face_masked", "at most")
        found = f"a mask covers {shares[at]:.4f} of the face" if shares[at] >= 0 else "the face could not be measured"
        what = f"{found}; the limit is {asked} {rule.above:g} (faces.masked)"
        rejects.append(Reject("plan", one.source, one.uri, code, what, key))
    return photo[kept], number[kept], row[kept]


def _dressed(
    recipe: Recipe, analysed: Analysis, photo: Ints, number: Ints, row: Ints, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces that a mask of the recipe may be for: without those that lack a masked photo where it needs one."""
    if not recipe.wears_real or any(map(serves_with_landmarks, recipe.masks)):
        return photo, number, row
    trusted = row >= 0
    trusted[trusted] = ~analysed.landmarks_unsure[row[trusted]]
    learned = any(map(serves_unsure_landmarks, recipe.masks))
    kept = (row < 0) | paired(recipe, analysed)[photo] | (~trusted & learned)
    alone = np.flatnonzero(~kept)
    for one, at in zip(analysed.photos.take(photo[alone]), alone.tolist(), strict=True):
        what = f"source {one.source} has no masked photos, and this face could wear `kind: real` only"
        key = face_key(analysed.sha256[photo[at]].tobytes().hex(), int(number[at]))
        rejects.append(Reject("plan", one.source, one.uri, "not_a_pair", what, key))
    return photo[kept], number[kept], row[kept]


def _certain_enough(
    recipe: Recipe, analysed: Analysis, photo: Ints, number: Ints, row: Ints, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces that the detector is certain enough of, with trusted landmarks if all masks need some."""
    needed = bool(recipe.masks) and not any(map(serves_unsure_landmarks, recipe.masks))
    found = row >= 0
    detected = np.isin(DETECTORS, _SCORED)[analysed.detector]
    low, unsure = np.zeros(len(row), bool), np.zeros(len(row), bool)
    low[found] = (detected & (analysed.score < recipe.faces.min_score))[row[found]]
    unsure[found] = analysed.landmarks_unsure[row[found]] & needed
    unsure &= ~low
    if recipe.wears_real:
        unsure &= ~paired(recipe, analysed)[photo]
    odd = np.flatnonzero(low | unsure)
    for one, at in zip(analysed.photos.take(photo[odd]), odd.tolist(), strict=True):
        key = face_key(analysed.sha256[photo[at]].tobytes().hex(), int(number[at]))
        given = DETECTORS[analysed.detector[row[at]]] == "given"
        code, what = "landmarks_unsure", _UNSURE + (_GIVEN if given else _MESH)
        if low[at]:
            by, score = DETECTORS[analysed.detector[row[at]]], analysed.score[row[at]]
            code, least = "low_score", recipe.faces.min_score
            what = f"detector {by} gives a score of {score:.3g}; the limit is at least {least:g} (faces.min_score)"
        rejects.append(Reject("plan", one.source, one.uri, code, what, key))
    kept = ~(low | unsure)
    return photo[kept], number[kept], row[kept]


def _good_enough(
    recipe: Recipe, analysed: Analysis, photo: Ints, number: Ints, row: Ints, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces whose quality figures are within the recipe's limits. Those without figures are not."""
    for limit in _LIMITS:
        bound = getattr(recipe.faces, limit.key)
        if bound is None:
            continue
        values = _values(analysed, row, limit.figure)
        kept = limit.holds(values, bound)
        beyond = np.flatnonzero(~kept)
        for one, at in zip(analysed.photos.take(photo[beyond]), beyond.tolist(), strict=True):
            code, what = limit.code, limit.what.format(values[at])
            if math.isnan(values[at]):
                why = "has no trusted landmarks" if row[at] >= 0 else "was not found"
                code, what = "face_unmeasured", f"the face {why}, so its {limit.figure} is unknown"
            what = f"{what}; the limit is {limit.bound} {bound:g} (faces.{limit.key})"
            key = face_key(analysed.sha256[photo[at]].tobytes().hex(), int(number[at]))
            rejects.append(Reject("plan", one.source, one.uri, code, what, key))
        photo, number, row = photo[kept], number[kept], row[kept]
    return photo, number, row


def _inside_enough(
    recipe: Recipe, analysed: Analysis, photo: Ints, number: Ints, row: Ints, rejects: list[Reject]
) -> tuple[Ints, Ints, Ints]:
    """The faces whose crops do not lie too far outside their photos."""
    limit = recipe.align.reject_beyond
    if limit is None:
        return photo, number, row
    shares = _beyond(recipe, analysed, photo, row)
    kept = ~(shares > limit)
    far = np.flatnonzero(~kept)
    for one, at in zip(analysed.photos.take(photo[far]), far.tolist(), strict=True):
        what = (
            f"{shares[at]:.1%} of the crop lie outside the photo; the limit is at most {limit:g} (align.reject_beyond)"
        )
        key = face_key(analysed.sha256[photo[at]].tobytes().hex(), int(number[at]))
        rejects.append(Reject("plan", one.source, one.uri, "crop_beyond", what, key))
    return photo[kept], number[kept], row[kept]


def _beyond(recipe: Recipe, analysed: Analysis, photo: Ints, row: Ints) -> npt.NDArray[np.float64]:
    """Share of each face's crop that lies outside, in mode `face_box`; NaN for whole photos and empty boxes."""
    shares = np.full(len(row), np.nan)
    found = np.flatnonzero(row >= 0)
    box = analysed.box[row[found]]
    sized = (np.ptp(box.reshape(-1, 2, 2), axis=1) > 0).any(axis=1) & np.isfinite(box).all(axis=1)
    found, box = found[sized], box[sized]
    size = np.stack([analysed.width[photo[found]], analysed.height[photo[found]]], axis=1)
    squares = box_squares(recipe.align, box, analysed.turn[row[found]], size)
    shares[found] = shares_outside(squares, size)
    return shares


def _values(analysed: Analysis, row: Ints, figure: str) -> npt.NDArray[np.float64]:
    """A figure of each face, NaN if it is unknown. Angles have no sign."""
    values = np.full(len(row), np.nan)
    found = row >= 0
    values[found] = analysed.figure(figure)[row[found]]
    return np.abs(values) if figure in ("yaw", "pitch") else values


def figure_spreads(recipe: Recipe, analysed: Analysis, photo: Ints, row: Ints) -> dict[str, Spread]:
    """How the figures that a recipe can limit are spread over faces.

    Args:
        photo, row: of each face its photo, and its row, -1 for a whole photo, which has no figures.

    Returns:
        By figure: `yaw` and `pitch` without sign, in degrees; `sharpness`, `brightness` and `contrast`; `size`, the
        width of the box in pixels; `beyond`, the share of the crop that lies outside the photo, in mode `face_box`;
        `masked`, the share that a mask covers; `score_hog`, `score_yunet` and `score_onnx` of the faces of that
        detector. A figure that no face has is left out.
    """
    beyond = _spread(_beyond(recipe, analysed, photo, row)) if recipe.align.mode == "face_box" else None
    row = row[row >= 0]
    detector = analysed.detector[row]
    spreads = {figure: _spread(_values(analysed, row, figure)) for figure in FIGURES}
    spreads["size"] = _spread(analysed.box[row, 2] - analysed.box[row, 0])
    spreads["beyond"] = beyond
    spreads["masked"] = _spread(np.where(analysed.masked[row] >= 0, analysed.masked[row], np.nan))
    for name in _SCORED:
        spreads[f"score_{name}"] = _spread(analysed.score[row[detector == DETECTORS.index(name)]])
    return {figure: spread for figure, spread in spreads.items() if spread is not None}


def _spread(values: npt.NDArray[np.float64]) -> Spread | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    quantiles = np.quantile(values, (0, 0.05, 0.5, 0.95, 1), overwrite_input=True)
    return Spread(len(values), *quantiles.round(3).tolist())
